/* source.c - a lead's end of the datagrams: a packet source. */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/check.h"
#include "tests/sim/hub.h"
#include "tests/sim/net_internal.h"
#include "base/assert.h"

struct source {
    struct mr_packet_source base;
    struct sim_node *node;
    struct sim_co *thread;
    struct inbox inbox;
};

static struct source *source_of(struct mr_packet_source *source)
{
    return (struct source *)(void *)source;
}

static unsigned source_poll(struct mr_packet_source *base, struct mr_packet *packets, unsigned max,
                            unsigned wait_us)
{
    struct source *source = source_of(base);
    struct sim *sim = source->node->sim;
    unsigned count = 0;
    if (!source->inbox.count || sim->now_us < source->node->stalled_until_us) {
        sim_wait_for(sim, wait_us ? wait_us : 1);
    }
    for (; count < max && source->inbox.count; count++) {
        struct packet *packet = inbox_take(&source->inbox);
        packets[count] = (struct mr_packet){.data = packet->bytes,
                                            .length = (uint32_t)packet->length,
                                            .from = packet->from,
                                            .token = packet};
        sim_check_lead_got(source->node, &packet->from, packet->length);
    }
    return count;
}

static void source_release(struct mr_packet_source *base, struct mr_packet *packets, unsigned count)
{
    (void)base;
    for (unsigned i = 0; i < count; i++) {
        free(packets[i].token);
    }
}

static void send_to(struct source *source, const struct mr_peer_address *to, const uint8_t *data,
                    uint32_t length)
{
    struct sim *sim = source->node->sim;
    sim_check_lead_sent(source->node, to, length);
    struct sim_net *net = sim->net;
    const unsigned device = to->host.s6_addr[15];
    if (to->host.s6_addr[12] != 10 || device >= sim->plan.devices) {
        return; /* a stranger's address */
    }
    struct sim_node *node = sim_device_node(sim, device);
    struct link *link = &net->links[device];
    if (!sim_net_open(source->node, node) || sim_chance(sim, link->loss)) {
        sim_count(sim, SIM_FAULT_LOSS);
        return;
    }
    struct packet *packet = malloc(sizeof *packet);
    MR_ASSERT(packet && length <= PACKET_MAX);
    *packet =
        (struct packet){.length = length, .to = *to, .device = device, .hub = source->node->index};
    memcpy(packet->bytes, data, length);
    if (sim_chance(sim, link->corrupt)) {
        sim_count(sim, SIM_FAULT_CORRUPT);
        packet->bytes[sim_below(sim, length)] ^= (uint8_t)(1 + sim_below(sim, 255));
    }
    sim_at_owned(sim, sim->now_us + sim_net_delay_us(source->node, node), NULL, net_to_device,
                 packet);
}

static int source_send(struct mr_packet_source *base, const struct mr_peer_address *to,
                       const uint8_t *data, uint32_t length)
{
    struct source *source = source_of(base);
    struct sim *sim = source->node->sim;
    if (!source->node->dead) {
        const bool doubled = sim->options.mutant == SIM_MUTANT_ANSWER_DOUBLED;
        for (unsigned i = 0; i < (doubled ? 3u : 1u); i++) {
            send_to(source, to, data, length);
        }
    }
    return 0;
}

static void source_flush(struct mr_packet_source *base)
{
    (void)base;
}

static void source_wake(struct mr_packet_source *base)
{
    sim_wake(source_of(base)->thread);
}

static void source_close(struct mr_packet_source *base)
{
    struct source *source = source_of(base);
    sim_hub_remove_source(source->node, base);
    inbox_clear(&source->inbox);
    free(source);
}

static const struct mr_packet_source_ops source_ops = MR_PACKET_SOURCE_OPS("simulated");

/* In place of appliance/ingest/packet_source.c. */
struct mr_packet_source *mr_packet_source_open(const struct mr_packet_source_config *config,
                                               char why[160], struct mr_error *error)
{
    struct source *source = calloc(1, sizeof *source);
    struct sim *sim = sim_active();
    (void)config;
    (void)error;
    MR_ASSERT(source && sim->running);
    memcpy(why, "simulated", sizeof "simulated");
    source->base.ops = &source_ops;
    source->base.port = sim_hub_add_source(sim->current, &source->base);
    source->node = sim->current;
    source->thread = sim->running;
    return &source->base;
}

void net_to_lead(struct sim *sim, void *argument)
{
    struct packet *sent = argument;
    struct mr_packet_source *base = sim_hub_source(sim_hub_node(sim, sent->hub), sent->to.port);
    if (!base) {
        return; /* nobody listens */
    }
    struct packet *packet = malloc(sizeof *packet);
    MR_ASSERT(packet);
    memcpy(packet, sent, sizeof *packet);
    inbox_put(&source_of(base)->inbox, packet);
    sim_wake(source_of(base)->thread);
}
