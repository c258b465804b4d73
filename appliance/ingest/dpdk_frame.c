#include "appliance/ingest/dpdk_frame.h"

#include <string.h>

#include "base/assert.h"

#define ETHERTYPE_V4   0x0800u
#define ETHERTYPE_VLAN 0x8100u
#define ETHERTYPE_V6   0x86ddu
#define PROTOCOL_UDP   17u
#define ETHERNET_BYTES 14u
#define TAG_BYTES      4u
#define V4_BYTES       20u
#define V6_BYTES       40u
#define UDP_BYTES      8u
#define HOPS           64u
#define V6_FRAGMENT    44u
#define V6_CHAIN_MAX   4 /* extension headers looked at */

const char *mr_frame_drop_name(enum mr_frame_drop drop)
{
    static const char *const names[MR_FRAME_DROPS] = {
#define MR_FRAME_DROP(name, sentence) [MR_FRAME_DROP_##name] = #name,
#include "appliance/ingest/frame_drops.def"
#undef MR_FRAME_DROP
    };

    MR_ASSERT((unsigned)drop < MR_FRAME_DROPS);
    return names[drop];
}

static uint16_t get16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static void put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

/* The ones' complement sum of RFC 1071, not folded; `bytes` may be odd. */
static uint32_t sum16(uint32_t sum, const uint8_t *at, uint32_t bytes)
{
    for (; bytes > 1; at += 2, bytes -= 2) {
        sum += get16(at);
    }
    return bytes == 1 ? sum + ((uint32_t)at[0] << 8) : sum;
}

static uint16_t fold(uint32_t sum)
{
    while (sum >> 16 != 0) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return (uint16_t)~sum;
}

static enum mr_frame_kind bad(struct mr_frame *frame, enum mr_frame_drop drop)
{
    frame->drop = drop;
    return MR_FRAME_BAD;
}

static bool is_ours(const struct mr_frame_local *local, const uint8_t *udp)
{
    return (uint16_t)(get16(udp + 2) - local->port_base) < local->ports;
}

/* `left` bytes from the UDP header on, in an IP packet without options. */
static enum mr_frame_kind parse_udp(struct mr_frame *frame, const struct mr_frame_local *local,
                                    uint8_t *udp, uint32_t left)
{
    if (left < UDP_BYTES) {
        return bad(frame, MR_FRAME_DROP_malformed);
    }
    if (!is_ours(local, udp)) {
        return MR_FRAME_KERNEL;
    }
    const uint32_t length = get16(udp + 4);
    if (length < UDP_BYTES || length > left || get16(udp) == 0) {
        return bad(frame, MR_FRAME_DROP_malformed);
    }
    frame->from.port = get16(udp);
    frame->port_index = (uint16_t)(get16(udp + 2) - local->port_base);
    frame->payload = udp + UDP_BYTES;
    frame->length = length - UDP_BYTES;
    return MR_FRAME_OURS;
}

static enum mr_frame_kind parse_v4(struct mr_frame *frame, const struct mr_frame_local *local,
                                   uint8_t *ip, uint32_t left, bool checked)
{
    if (left < V4_BYTES) {
        return bad(frame, MR_FRAME_DROP_malformed);
    }
    const uint32_t head = 4u * (ip[0] & 15u), total = get16(ip + 2);
    if (ip[0] >> 4 != 4 || head < V4_BYTES || total < head || total > left) {
        return bad(frame, MR_FRAME_DROP_malformed);
    }
    /* All zeros ("no IPv4 here") is nobody's destination. */
    if (ip[9] != PROTOCOL_UDP || memcmp(ip + 16, local->v4.s6_addr + 12, 4) != 0) {
        return MR_FRAME_KERNEL;
    }
    if (!checked && fold(sum16(0, ip, head)) != 0) {
        return bad(frame, MR_FRAME_DROP_bad_checksum);
    }
    const uint32_t fragment = get16(ip + 6) & 0x3fffu; /* more to come, or an offset */
    if (fragment == 0 && head == V4_BYTES) {
        memset(&frame->from.host, 0, sizeof frame->from.host);
        frame->from.host.s6_addr[10] = frame->from.host.s6_addr[11] = 0xff;
        memcpy(frame->from.host.s6_addr + 12, ip + 12, 4);
        return parse_udp(frame, local, ip + V4_BYTES, total - V4_BYTES);
    }
    /* Only a first fragment tells its port; the kernel throws the others away for want of it. */
    if ((fragment & 0x1fff) != 0 || total < head + UDP_BYTES || !is_ours(local, ip + head)) {
        return MR_FRAME_KERNEL;
    }
    return bad(frame, fragment != 0 ? MR_FRAME_DROP_fragment : MR_FRAME_DROP_options);
}

/* Extension headers stand before what follows: is it a datagram of ours? */
static enum mr_frame_kind parse_v6_chain(struct mr_frame *frame, const struct mr_frame_local *local,
                                         const uint8_t *ip, uint32_t total)
{
    uint32_t next = ip[6], at = V6_BYTES;
    bool fragment = false;

    for (int i = 0; i < V6_CHAIN_MAX && at + UDP_BYTES <= total; i++) {
        if (next == PROTOCOL_UDP) {
            if (!is_ours(local, ip + at)) {
                return MR_FRAME_KERNEL;
            }
            return bad(frame, fragment ? MR_FRAME_DROP_fragment : MR_FRAME_DROP_options);
        }
        if (next != 0 && next != 43 && next != 60 && next != V6_FRAGMENT) {
            return MR_FRAME_KERNEL;
        }
        if (next == V6_FRAGMENT) {
            fragment = true;
            if ((get16(ip + at + 2) & 0xfff8u) != 0) {
                return MR_FRAME_KERNEL; /* not the first */
            }
        }
        const uint32_t bytes = next == V6_FRAGMENT ? 8u : 8u * (ip[at + 1] + 1u);
        next = ip[at];
        at += bytes;
    }
    return MR_FRAME_KERNEL;
}

static enum mr_frame_kind parse_v6(struct mr_frame *frame, const struct mr_frame_local *local,
                                   uint8_t *ip, uint32_t left)
{
    if (left < V6_BYTES) {
        return bad(frame, MR_FRAME_DROP_malformed);
    }
    const uint32_t total = V6_BYTES + get16(ip + 4);
    if (ip[0] >> 4 != 6 || total > left) {
        return bad(frame, MR_FRAME_DROP_malformed);
    }
    if (memcmp(ip + 24, &local->v6, sizeof local->v6) != 0) {
        return MR_FRAME_KERNEL;
    }
    if (ip[6] != PROTOCOL_UDP) {
        return parse_v6_chain(frame, local, ip, total);
    }
    memcpy(&frame->from.host, ip + 8, sizeof frame->from.host);
    return parse_udp(frame, local, ip + V6_BYTES, total - V6_BYTES);
}

enum mr_frame_kind mr_frame_parse(struct mr_frame *frame, const struct mr_frame_local *local,
                                  uint8_t *bytes, uint32_t length, bool checked)
{
    uint32_t at = ETHERNET_BYTES;

    if (length < ETHERNET_BYTES + TAG_BYTES || (bytes[6] & 1) != 0) {
        return bad(frame, MR_FRAME_DROP_malformed);
    }
    if ((bytes[0] & 1) != 0) {
        return MR_FRAME_KERNEL; /* broadcast and multicast */
    }
    if (memcmp(bytes, local->mac, sizeof local->mac) != 0) {
        return bad(frame, MR_FRAME_DROP_other_mac);
    }
    uint32_t type = get16(bytes + 12);
    frame->from.link.vlan = 0;
    if (type == ETHERTYPE_VLAN) {
        frame->from.link.vlan = get16(bytes + 14) & 0x0fff;
        type = get16(bytes + 16);
        at += TAG_BYTES;
    }
    memcpy(frame->from.link.mac, bytes + 6, sizeof frame->from.link.mac);
    if (type == ETHERTYPE_V4) {
        return parse_v4(frame, local, bytes + at, length - at, checked);
    }
    if (type == ETHERTYPE_V6) {
        return parse_v6(frame, local, bytes + at, length - at);
    }
    return MR_FRAME_KERNEL;
}

static uint32_t build_ethernet(uint8_t *bytes, const struct mr_frame_local *local,
                               const struct mr_link_address *to, uint32_t type)
{
    uint32_t at = 12;

    memcpy(bytes, to->mac, 6);
    memcpy(bytes + 6, local->mac, 6);
    if (to->vlan != 0) {
        put16(bytes + 12, ETHERTYPE_VLAN);
        put16(bytes + 14, to->vlan);
        at = 16;
    }
    put16(bytes + at, type);
    return at + 2;
}

static uint32_t build_v4(uint8_t *ip, const struct mr_frame_local *local,
                         const struct mr_peer_address *to, uint32_t udp_bytes)
{
    memset(ip, 0, V4_BYTES);
    ip[0] = 0x45;
    put16(ip + 2, V4_BYTES + udp_bytes);
    put16(ip + 6, 0x4000); /* do not fragment: so the identification may be 0 (RFC 6864) */
    ip[8] = HOPS;
    ip[9] = PROTOCOL_UDP;
    memcpy(ip + 12, local->v4.s6_addr + 12, 4);
    memcpy(ip + 16, to->host.s6_addr + 12, 4);
    put16(ip + 10, fold(sum16(0, ip, V4_BYTES)));
    return V4_BYTES;
}

static uint32_t build_v6(uint8_t *ip, const struct mr_frame_local *local,
                         const struct mr_peer_address *to, uint32_t udp_bytes)
{
    memset(ip, 0, 8);
    ip[0] = 0x60;
    put16(ip + 4, udp_bytes);
    ip[6] = PROTOCOL_UDP;
    ip[7] = HOPS;
    memcpy(ip + 8, &local->v6, sizeof local->v6);
    memcpy(ip + 24, &to->host, sizeof to->host);
    return V6_BYTES;
}

uint32_t mr_frame_build(uint8_t *bytes, const struct mr_frame_local *local, uint16_t from_port,
                        const struct mr_peer_address *to, const uint8_t *payload, uint32_t length)
{
    const bool v4 = IN6_IS_ADDR_V4MAPPED(&to->host);
    const uint32_t udp_bytes = UDP_BYTES + length;
    uint8_t *ip = bytes + build_ethernet(bytes, local, &to->link, v4 ? ETHERTYPE_V4 : ETHERTYPE_V6);
    uint8_t *udp =
        ip + (v4 ? build_v4(ip, local, to, udp_bytes) : build_v6(ip, local, to, udp_bytes));

    put16(udp, from_port);
    put16(udp + 2, to->port);
    put16(udp + 4, udp_bytes);
    put16(udp + 6, 0);
    memcpy(udp + UDP_BYTES, payload, length);
    const uint32_t pseudo = sum16(PROTOCOL_UDP + udp_bytes, v4 ? ip + 12 : ip + 8, v4 ? 8 : 32);
    const uint16_t checksum = fold(sum16(pseudo, udp, udp_bytes));
    put16(udp + 6, checksum == 0 ? 0xffff : checksum);
    return (uint32_t)(udp - bytes) + udp_bytes;
}
