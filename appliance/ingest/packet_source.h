/* packet_source.h - where datagrams come from: DPDK, io_uring, recvmmsg, replay.
 *
 * A source belongs to one worker thread. It hands out bursts of packets that stay valid until
 * _release; it never copies a payload, allocates, or logs after _open. */
#ifndef MR_INGEST_PACKET_SOURCE_H
#define MR_INGEST_PACKET_SOURCE_H

#include <netinet/in.h>
#include <stdint.h>

#include "base/error.h"

#define MR_BURST_MAX 64

/* Where a source that builds its own frames sends an answer; zero with sockets. */
struct mr_link_address {
    uint16_t vlan; /* 0: untagged */
    uint8_t mac[6];
};

/* A UDP peer: IPv4 addresses are kept v4-mapped. */
struct mr_peer_address {
    struct in6_addr host;
    uint16_t port; /* host order */
    struct mr_link_address link;
};

struct mr_packet {
    uint8_t *data; /* the UDP payload; writable (an AEAD may open in place) */
    uint32_t length;
    struct mr_peer_address from;
    void *token; /* the source's own */
};

struct mr_packet_source;

struct mr_packet_source_ops {
    const char *name; /* "io_uring", "recvmmsg", "replay", "dpdk" */
    /* Fills up to `max` packets; returns how many (0: none now). Never blocks longer than
     * wait_us (0: do not wait). */
    unsigned (*poll)(struct mr_packet_source *source, struct mr_packet *packets, unsigned max,
                     unsigned wait_us);
    /* Gives the packets of the last poll back. */
    void (*release)(struct mr_packet_source *source, struct mr_packet *packets, unsigned count);
    /* Queues a datagram (copied, at most 256 bytes); sent by the next poll or flush at the latest.
     * Returns 0, or -1 when the queue is full (the caller counts it). What is lost after that is
     * counted in `unsent`, or by a DPDK port. */
    int (*send)(struct mr_packet_source *source, const struct mr_peer_address *to,
                const uint8_t *data, uint32_t length);
    void (*flush)(struct mr_packet_source *source);
    /* Wakes a poll that waits. The only call allowed from another thread. */
    void (*wake)(struct mr_packet_source *source);
    void (*close)(struct mr_packet_source *source);
};

/* The table of a source whose functions are called source_poll, source_release, and so on. */
#define MR_PACKET_SOURCE_OPS(text)                                                                 \
    {                                                                                              \
        .name = text, .poll = source_poll, .release = source_release, .send = source_send,         \
        .flush = source_flush, .wake = source_wake, .close = source_close,                         \
    }

struct mr_packet_source {
    const struct mr_packet_source_ops *ops;
    uint16_t port;                 /* bound UDP port, host order; 0 for replay */
    uint32_t receive_buffer_bytes; /* what the kernel granted; 0: not known, no kernel buffer */
    uint64_t unsent; /* queued datagrams that were not taken; the worker takes them away */
};

struct mr_dpdk_port;

struct mr_packet_source_config {
    const char *kind;        /* "auto", "dpdk", "io_uring", "recvmmsg" */
    const char *listen_host; /* numeric address */
    /* Numeric address that devices were told, or NULL. If it is this machine's and listen_host is a
     * wildcard, a socket listens there, so that what it sends leaves from there. */
    const char *advertise_host;
    uint16_t port; /* 0 picks a free one */
    uint32_t receive_buffer_bytes;
    struct mr_dpdk_port *dpdk; /* the open port, NULL: none; borrowed */
    unsigned worker;           /* its queue of that port */
};

/* Opens the best source that works; *why gets a sentence saying which was chosen and why (for the
 * log). To be called on the worker's own thread. NULL on failure. */
struct mr_packet_source *mr_packet_source_open(const struct mr_packet_source_config *config,
                                               char why[160], struct mr_error *error);

#endif
