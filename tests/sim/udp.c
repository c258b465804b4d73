/* udp.c - a device's end of the datagrams, and strangers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/check.h"
#include "tests/sim/net_internal.h"
#include "base/assert.h"

struct udp {
    struct udp *next;
    struct sim_node *node;
    struct sim_co *thread;
    struct mr_peer_address address; /* as the lead sees it */
    unsigned lead;
    uint16_t lead_port;
    struct inbox inbox;
};

void sim_net_rebind(struct sim_node *device)
{
    struct sim_net *net = device->sim->net;
    for (struct udp *udp = net->sockets; udp; udp = udp->next) {
        if (udp->node == device) {
            net_new_address(net, device->index - SIM_HUBS, &udp->address);
        }
    }
}

void *sim_udp_open(struct sim_node *device, const char *host, uint16_t port)
{
    struct sim_net *net = device->sim->net;
    struct udp *udp = calloc(1, sizeof *udp);
    MR_ASSERT(udp);
    udp->node = device;
    udp->thread = device->sim->running;
    MR_ASSERT(sscanf(host, SIM_HOST, &udp->lead) == 1 && udp->lead >= 1);
    udp->lead--;
    udp->lead_port = port;
    net_new_address(net, device->index - SIM_HUBS, &udp->address);
    udp->next = net->sockets;
    net->sockets = udp;
    return udp;
}

void sim_udp_close(void *socket)
{
    struct udp *udp = socket;
    struct udp **at = &udp->node->sim->net->sockets;
    while (*at != udp) {
        at = &(*at)->next;
    }
    *at = udp->next;
    inbox_clear(&udp->inbox);
    free(udp);
}

void net_to_device(struct sim *sim, void *argument)
{
    const struct packet *sent = argument;
    for (struct udp *udp = sim->net->sockets; udp; udp = udp->next) {
        if (udp->node == sim_device_node(sim, sent->device) && udp->node->up &&
            udp->lead == sent->hub && udp->address.port == sent->to.port) {
            struct packet *packet = malloc(sizeof *packet);
            MR_ASSERT(packet);
            memcpy(packet, sent, sizeof *packet);
            inbox_put(&udp->inbox, packet);
            sim_wake(udp->thread);
        }
    }
}

static void capture(struct sim_net *net, const struct packet *packet)
{
    const unsigned place = net->captured_count < CAPTURED_MAX
                               ? net->captured_count++
                               : (unsigned)sim_below(net->sim, CAPTURED_MAX);
    if (!net->captured[place]) {
        net->captured[place] = malloc(sizeof *packet);
        MR_ASSERT(net->captured[place]);
    }
    memcpy(net->captured[place], packet, sizeof *packet);
}

static void launch(struct sim *sim, const struct packet *packet, uint64_t delay_us)
{
    struct packet *copy = malloc(sizeof *copy);
    MR_ASSERT(copy);
    memcpy(copy, packet, sizeof *copy);
    sim->result.totals.datagrams++;
    sim_at_owned(sim, sim->now_us + delay_us, NULL, net_to_lead, copy);
}

/* A burst begins and ends by chance, so that losses come together. */
static bool is_lost(struct sim *sim, struct link *link)
{
    if (link->burst_loss > link->loss) {
        link->bad = sim_chance(sim, link->bad ? 850 : 20);
    }
    return sim_chance(sim, link->bad ? link->burst_loss : link->loss);
}

static void send_one(struct udp *udp, const uint8_t *bytes, size_t length)
{
    struct sim *sim = udp->node->sim;
    struct sim_net *net = sim->net;
    const unsigned device = udp->node->index - SIM_HUBS;
    struct link *link = &net->links[device];
    struct sim_node *lead = sim_hub_node(sim, udp->lead);
    struct packet packet = {
        .length = length, .from = udp->address, .device = device, .hub = udp->lead};
    packet.to.port = udp->lead_port;
    MR_ASSERT(length <= PACKET_MAX);
    memcpy(packet.bytes, bytes, length);
    sim_check_chunk(udp->node, udp->lead, bytes, length);
    if (!sim_net_open(udp->node, lead) || is_lost(sim, link)) {
        sim_count(sim, SIM_FAULT_LOSS);
        return;
    }
    if (!sim->calm && sim_chance(sim, 20)) {
        capture(net, &packet);
    }
    uint64_t delay_us = sim_net_delay_us(udp->node, lead);
    if (sim_chance(sim, link->duplicate)) {
        sim_count(sim, SIM_FAULT_DUPLICATE);
        launch(sim, &packet, delay_us + sim_below(sim, 50 * SIM_MS));
    }
    if (sim_chance(sim, link->corrupt)) {
        sim_count(sim, SIM_FAULT_CORRUPT);
        packet.bytes[sim_below(sim, length)] ^= (uint8_t)(1 + sim_below(sim, 255));
    }
    if (sim_chance(sim, link->reorder)) {
        sim_count(sim, SIM_FAULT_REORDER);
        delay_us += sim_below(sim, 400 * SIM_MS);
    }
    launch(sim, &packet, delay_us);
}

void sim_udp_send(void *socket, const struct mr_device_env_datagrams *datagrams)
{
    struct udp *udp = socket;
    for (unsigned i = 0; i < datagrams->count && !udp->node->dead; i++) {
        send_one(udp, datagrams->bytes[i], datagrams->lengths[i]);
    }
}

size_t sim_udp_receive(void *socket, uint8_t *out, size_t capacity, uint64_t timeout_us)
{
    struct udp *udp = socket;
    struct sim *sim = udp->node->sim;
    if (!udp->inbox.count && timeout_us) {
        sim_wait_for(sim, timeout_us);
    }
    if (!udp->inbox.count || udp->node->dead) {
        return 0;
    }
    struct packet *packet = inbox_take(&udp->inbox);
    const size_t length = packet->length < capacity ? packet->length : capacity;
    memcpy(out, packet->bytes, length);
    free(packet);
    return length;
}

/* --- strangers -------------------------------------------------------------------------------- */

void sim_net_stranger(struct sim *sim, bool replay)
{
    struct sim_net *net = sim->net;
    if (!net->captured_count) {
        return;
    }
    struct packet packet;
    memcpy(&packet, net->captured[sim_below(sim, net->captured_count)], sizeof packet);
    memset(&packet.from, 0, sizeof packet.from);
    packet.from.host.s6_addr[12] = 172;
    packet.from.host.s6_addr[15] = (uint8_t)sim_below(sim, 250);
    packet.from.port = net->next_port++;
    packet.device = SIM_DEVICES;
    const bool astray = sim_chance(sim, 250); /* to where it was not captured on the way to */
    if (astray) {
        packet.hub = (packet.hub + 1) % sim->plan.hubs;
    }
    if (!replay) { /* the session's id and round are right, the seal is not */
        const size_t at = sim_below(sim, packet.length);
        packet.bytes[at] ^= (uint8_t)(1 + sim_below(sim, 255));
    }
    if (astray || !replay) {
        sim_check_stranger(sim_hub_node(sim, packet.hub), &packet.from);
    }
    sim_count(sim, replay ? SIM_FAULT_REPLAY : SIM_FAULT_FORGED);
    launch(sim, &packet, sim_below(sim, 20 * SIM_MS));
}
