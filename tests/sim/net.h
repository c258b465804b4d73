/* net.h - paths between the nodes, and datagrams. */
#ifndef MR_TESTS_SIM_NET_H
#define MR_TESTS_SIM_NET_H

#include "appliance/ingest/packet_source.h"
#include "edge-client/session/device_env.h"
#include "tests/sim/sim.h"

/* Where hub i is found: SIM_HOST with i + 1. */
#define SIM_HOST "10.1.0.%u"

struct sim_net *sim_net_new(struct sim *sim);
void sim_net_free(struct sim_net *net);

/* One direction; both matter for TLS. */
bool sim_net_open(const struct sim_node *from, const struct sim_node *to);
void sim_net_cut(struct sim_node *from, struct sim_node *to, uint64_t until_us);
uint64_t sim_net_delay_us(struct sim_node *from, struct sim_node *to);
/* Whether this control request meets a broken connection. */
bool sim_net_breaks(struct sim_node *from);

/* Draws a device's path anew: loss, bursts, delay. Clean in the fault-free phase. */
void sim_net_draw_link(struct sim_node *device);
void sim_net_rebind(struct sim_node *device);
void sim_net_heal(struct sim *sim);
/* A stranger sends something to a lead: altered or captured, perhaps from the way to another. */
void sim_net_stranger(struct sim *sim, bool replay);

/* A device's UDP socket (struct mr_device_env). */
void *sim_udp_open(struct sim_node *device, const char *host, uint16_t port);
void sim_udp_close(void *udp);
void sim_udp_send(void *udp, const struct mr_device_env_datagrams *datagrams);
size_t sim_udp_receive(void *udp, uint8_t *out, size_t capacity, uint64_t timeout_us);

#endif
