/* net.c - which paths between the nodes are open, and how good they are. */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/net_internal.h"
#include "base/assert.h"

#define PORT_FIRST 9000

/* --- paths ----------------------------------------------------------------------------------- */

bool sim_net_open(const struct sim_node *from, const struct sim_node *to)
{
    return from->sim->net->cut_until_us[from->index][to->index] <= from->sim->now_us;
}

void sim_net_cut(struct sim_node *from, struct sim_node *to, uint64_t until_us)
{
    from->sim->net->cut_until_us[from->index][to->index] = until_us;
}

static struct link *link_between(struct sim_node *a, struct sim_node *b)
{
    const struct sim_node *device = a->index >= SIM_HUBS ? a : b->index >= SIM_HUBS ? b : NULL;
    return device ? &a->sim->net->links[device->index - SIM_HUBS] : NULL;
}

uint64_t sim_net_delay_us(struct sim_node *from, struct sim_node *to)
{
    const struct link *link = link_between(from, to);
    return link ? link->delay_us + sim_below(from->sim, link->jitter_us + 1)
                : sim_between(from->sim, 200, 3 * SIM_MS);
}

bool sim_net_breaks(struct sim_node *from)
{
    struct sim *sim = from->sim;
    if (sim->calm || !sim->plan.break_max || !sim_chance(sim, sim->plan.break_max)) {
        return false;
    }
    sim_count(sim, SIM_FAULT_BREAK);
    return true;
}

void sim_net_draw_link(struct sim_node *device)
{
    struct sim *sim = device->sim;
    const struct sim_plan *plan = &sim->plan;
    struct link *link = &sim->net->links[device->index - SIM_HUBS];
    const bool slow = sim_chance(sim, 250);
    const uint64_t slowest_us = (sim->calm ? 60 : 150) * SIM_MS;
    *link = (struct link){.delay_us = sim_between(sim, 300, slow ? slowest_us : 20 * SIM_MS),
                          .jitter_us = sim_below(sim, slow ? 60 * SIM_MS : 5 * SIM_MS)};
    if (!sim->calm) {
        link->loss = (unsigned)sim_below(sim, plan->loss_max + 1);
        link->burst_loss = sim_chance(sim, 300) ? 900 : link->loss;
        link->duplicate = (unsigned)sim_below(sim, plan->duplicate_max + 1);
        link->corrupt = (unsigned)sim_below(sim, plan->corrupt_max + 1);
        link->reorder = (unsigned)sim_below(sim, 60);
    }
}

void net_new_address(struct sim_net *net, unsigned device, struct mr_peer_address *address)
{
    memset(address, 0, sizeof *address);
    address->host.s6_addr[10] = address->host.s6_addr[11] = 0xff;
    address->host.s6_addr[12] = 10;
    address->host.s6_addr[14] = (uint8_t)sim_below(net->sim, 4);
    address->host.s6_addr[15] = (uint8_t)device;
    address->port = net->next_port++; /* never one that was in use before */
}

void sim_net_heal(struct sim *sim)
{
    memset(sim->net->cut_until_us, 0, sizeof sim->net->cut_until_us);
    for (unsigned i = 0; i < sim->plan.devices; i++) {
        sim_net_draw_link(sim_device_node(sim, i));
    }
}

struct sim_net *sim_net_new(struct sim *sim)
{
    struct sim_net *net = calloc(1, sizeof *net);
    MR_ASSERT(net);
    sim->net = net;
    net->sim = sim;
    net->next_port = PORT_FIRST;
    for (unsigned i = 0; i < sim->plan.devices; i++) {
        sim_net_draw_link(sim_device_node(sim, i));
    }
    return net;
}

void sim_net_free(struct sim_net *net)
{
    for (unsigned i = 0; i < net->captured_count; i++) {
        free(net->captured[i]);
    }
    free(net);
}

/* --- inboxes --------------------------------------------------------------------------------- */

void inbox_put(struct inbox *inbox, struct packet *packet)
{
    if (inbox->count == INBOX_MAX) {
        free(packet); /* the socket's buffer is full */
        return;
    }
    inbox->packets[(inbox->head + inbox->count++) % INBOX_MAX] = packet;
}

struct packet *inbox_take(struct inbox *inbox)
{
    struct packet *packet = inbox->packets[inbox->head];
    inbox->head = (inbox->head + 1) % INBOX_MAX;
    inbox->count--;
    return packet;
}

void inbox_clear(struct inbox *inbox)
{
    while (inbox->count) {
        free(inbox_take(inbox));
    }
}
