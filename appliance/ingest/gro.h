/* gro.h - one receive buffer that may hold several datagrams of one sender (UDP GRO), and handing
 * them out one by one. The buffer is free again when all were handed out and given back. */
#ifndef MR_INGEST_GRO_H
#define MR_INGEST_GRO_H

#include <netinet/udp.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "appliance/ingest/udp_socket.h"

/* The largest UDP payload, and so the largest GRO train, fits. */
#define MR_GRO_PAYLOAD_MAX 65536u
/* cmsg of type UDP_GRO: the length of every datagram of the train but the last, an int. */
#define MR_GRO_CONTROL_BYTES CMSG_SPACE(sizeof(int))

struct mr_gro_buffer {
    uint8_t *payload;
    uint32_t length;  /* bytes received */
    uint32_t offset;  /* bytes handed out */
    uint32_t segment; /* bytes of each datagram but the last; > 0 */
    uint32_t lent;    /* datagrams handed out and not yet given back */
    bool pending;     /* something is left to hand out (a datagram may be empty) */
    struct mr_peer_address from;
};

/* Starts handing out `length` bytes; segment 0 = a single datagram. */
static inline void mr_gro_start(struct mr_gro_buffer *buffer, uint8_t *payload, uint32_t length,
                                uint32_t segment, const void *name)
{
    buffer->payload = payload;
    buffer->length = length;
    buffer->offset = 0;
    buffer->segment = segment == 0 || segment > length ? length : segment;
    buffer->lent = 0;
    buffer->pending = true;
    mr_peer_from_sockaddr(&buffer->from, name);
}

/* Fills up to `max` packets from the buffer; returns how many. */
static inline unsigned mr_gro_take(struct mr_gro_buffer *buffer, struct mr_packet *packets,
                                   unsigned max)
{
    unsigned n = 0;

    while (n < max && buffer->pending) {
        const uint32_t left = buffer->length - buffer->offset;
        const uint32_t bytes = left < buffer->segment ? left : buffer->segment;
        packets[n].data = buffer->payload + buffer->offset;
        packets[n].length = bytes;
        packets[n].from = buffer->from;
        packets[n].token = buffer;
        buffer->offset += bytes;
        buffer->lent++;
        buffer->pending = buffer->offset < buffer->length;
        n++;
    }
    return n;
}

/* Gives one datagram back; true when the whole buffer may be reused. */
static inline bool mr_gro_give(struct mr_gro_buffer *buffer)
{
    buffer->lent--;
    return buffer->lent == 0 && !buffer->pending;
}

/* The segment length told by the control message, 0 if there is none. */
static inline uint32_t mr_gro_segment(const struct cmsghdr *header)
{
    int value = 0;

    if (!header || header->cmsg_level != SOL_UDP || header->cmsg_type != UDP_GRO) {
        return 0;
    }
    memcpy(&value, CMSG_DATA(header), sizeof value);
    return value > 0 ? (uint32_t)value : 0;
}

#endif
