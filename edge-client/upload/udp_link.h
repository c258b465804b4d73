/* udp_link.h - a device's UDP socket to its lead, and the cheapest way it sends a batch.
 *
 * A train (UDP GSO) is one message that the kernel cuts into equal datagrams, the last one may be
 * shorter: one pass through the stack for all of them. Where the kernel or the path has none, one
 * system call a batch (sendmmsg), and where that is refused, one a datagram. The receiver sees the
 * same datagrams each way. A link only ever goes down this ladder; it blocks while its socket's
 * buffer is full. One thread. */
#ifndef MR_UPLOAD_UDP_LINK_H
#define MR_UPLOAD_UDP_LINK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/error.h"

/* What every kernel with UDP GSO takes as one message. */
#define MR_TRAIN_DATAGRAMS_MAX 64
#define MR_TRAIN_BYTES_MAX     65000

enum mr_udp_way { MR_UDP_ONE_BY_ONE, MR_UDP_BATCHES, MR_UDP_TRAINS };

struct mr_udp_link {
    int fd;
    enum mr_udp_way way; /* the best that has not been refused yet */
    int wake_fd; /* > 0: as soon as it can be read from, a wait for a datagram ends; 0 after _open
                  */
};

/* Connects to a numeric address. 0 or -1. */
int mr_udp_link_open(struct mr_udp_link *link, const char *host, uint16_t port,
                     struct mr_error *error);
void mr_udp_link_close(struct mr_udp_link *link);

/* Sends the datagrams in their order. One that the socket reports an error for counts as lost. */
void mr_udp_link_send(struct mr_udp_link *link, const struct iovec *datagrams, unsigned count);

/* Waits up to timeout_us for one datagram; its length, 0 = none. */
size_t mr_udp_link_receive(struct mr_udp_link *link, uint8_t *out, size_t capacity,
                           uint64_t timeout_us);

#endif
