/* dpdk_frame.h - an Ethernet frame taken apart, and an answer put together: Ethernet, at most one
 * VLAN tag, IPv4 or IPv6, UDP. Pure: bytes in, bytes out; any thread. */
#ifndef MR_INGEST_DPDK_FRAME_H
#define MR_INGEST_DPDK_FRAME_H

#include <stdbool.h>

#include "appliance/ingest/packet_source.h"

/* Ethernet with a tag, IPv6, UDP: the most that precedes a payload. */
#define MR_FRAME_HEAD_MAX (18 + 40 + 8)

enum mr_frame_drop {
#define MR_FRAME_DROP(name, sentence) MR_FRAME_DROP_##name,
#include "appliance/ingest/frame_drops.def"
#undef MR_FRAME_DROP
    MR_FRAME_DROPS
};
const char *mr_frame_drop_name(enum mr_frame_drop drop);

/* The port's own addresses. A host of all zeros (IPv4 v4-mapped) is one that it does not have. */
struct mr_frame_local {
    uint8_t mac[6];
    struct in6_addr v4, v6;
    uint16_t port_base; /* upload ports are port_base .. port_base + ports - 1 */
    uint16_t ports;
};

enum mr_frame_kind {
    MR_FRAME_OURS,   /* a datagram for an upload port */
    MR_FRAME_KERNEL, /* ARP, ND, ping, TCP, other ports: not for the upload plane */
    MR_FRAME_BAD,    /* to be dropped, see `drop` */
};

struct mr_frame {
    uint8_t *payload;
    uint32_t length;
    uint16_t port_index; /* the port's number from port_base */
    struct mr_peer_address from;
    enum mr_frame_drop drop;
};

/* Parses `length` contiguous bytes; all of `frame` is set for MR_FRAME_OURS. The IPv4 header's
 * checksum is checked unless `checked` (the NIC did); the UDP checksum is the NIC's or nobody's:
 * the seal is stronger, and frames that never left a machine do not carry one. */
enum mr_frame_kind mr_frame_parse(struct mr_frame *frame, const struct mr_frame_local *local,
                                  uint8_t *bytes, uint32_t length, bool checked);

/* Builds a frame from an upload port to a peer, checksums included; `bytes` has room for
 * MR_FRAME_HEAD_MAX + length. Returns its length. */
uint32_t mr_frame_build(uint8_t *bytes, const struct mr_frame_local *local, uint16_t from_port,
                        const struct mr_peer_address *to, const uint8_t *payload, uint32_t length);

#endif
