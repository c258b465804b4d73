/* net_internal.h - packets on their way, shared by net.c, source.c and udp.c. */
#ifndef MR_TESTS_SIM_NET_INTERNAL_H
#define MR_TESTS_SIM_NET_INTERNAL_H

#include "tests/sim/net.h"

#define PACKET_MAX   1600
#define INBOX_MAX    256
#define CAPTURED_MAX 32

struct link {
    unsigned loss, burst_loss, duplicate, corrupt, reorder; /* per thousand */
    uint64_t delay_us, jitter_us;
    bool bad; /* in a burst */
};

struct packet {
    size_t length;
    struct mr_peer_address from, to;
    unsigned device; /* the sender or the receiver; SIM_DEVICES: a stranger */
    unsigned hub;    /* the other end */
    uint8_t bytes[PACKET_MAX];
};

struct inbox {
    struct packet *packets[INBOX_MAX];
    unsigned head, count;
};

struct sim_net {
    struct sim *sim;
    uint64_t cut_until_us[SIM_NODES][SIM_NODES];
    struct link links[SIM_DEVICES];
    uint16_t next_port;
    struct udp *sockets; /* open ones */
    struct packet *captured[CAPTURED_MAX];
    unsigned captured_count;
};

/* An address that nobody had before. */
void net_new_address(struct sim_net *net, unsigned device, struct mr_peer_address *address);

/* Takes the packet over; drops it where there is no room. */
void inbox_put(struct inbox *inbox, struct packet *packet);
struct packet *inbox_take(struct inbox *inbox); /* there is one */
void inbox_clear(struct inbox *inbox);

/* Events: a packet (the argument, copied) comes to the lead's socket (source.c), to the device's
 * (udp.c). */
void net_to_lead(struct sim *sim, void *argument);
void net_to_device(struct sim *sim, void *argument);

#endif
