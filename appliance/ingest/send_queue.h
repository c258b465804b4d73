/* send_queue.h - small datagrams (ACKs) gathered and sent in one sendmmsg. Memory is fixed at
 * _init. One thread. */
#ifndef MR_INGEST_SEND_QUEUE_H
#define MR_INGEST_SEND_QUEUE_H

#include <stdint.h>

#include "appliance/ingest/udp_socket.h"

#define MR_SEND_BYTES_MAX 256
#define MR_SEND_QUEUE_MAX 256

struct mr_send_queue;

/* NULL when out of memory. Borrows the socket, which must outlive the queue. */
struct mr_send_queue *mr_send_queue_open(const struct mr_udp_socket *udp);
void mr_send_queue_close(struct mr_send_queue *queue); /* drops what was not flushed */

/* Copies a datagram into the queue. 0, or -1 when it is full. */
int mr_send_queue_put(struct mr_send_queue *queue, const struct mr_peer_address *to,
                      const uint8_t *data, uint32_t length);

/* Sends everything that is queued; what the socket does not take now is dropped (an ACK that is
 * lost here is like one lost on the way: the next one says the same and more). Returns how many
 * were. */
unsigned mr_send_queue_flush(struct mr_send_queue *queue);

#endif
