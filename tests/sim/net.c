/* net.c - datagrams between devices and leads, and which paths are open. */
#include "tests/sim/net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/ingest/packet_source.h"
#include "tests/sim/check.h"
#include "tests/sim/hub.h"
#include "base/assert.h"

#define PACKET_MAX   1600
#define INBOX_MAX    256
#define CAPTURED_MAX 32
#define PORT_FIRST   9000

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

static void new_address(struct sim_net *net, unsigned device, struct mr_peer_address *address)
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

static void inbox_put(struct inbox *inbox, struct packet *packet)
{
    if (inbox->count == INBOX_MAX) {
        free(packet); /* the socket's buffer is full */
        return;
    }
    inbox->packets[(inbox->head + inbox->count++) % INBOX_MAX] = packet;
}

static struct packet *inbox_take(struct inbox *inbox)
{
    struct packet *packet = inbox->packets[inbox->head];
    inbox->head = (inbox->head + 1) % INBOX_MAX;
    inbox->count--;
    return packet;
}

static void inbox_clear(struct inbox *inbox)
{
    while (inbox->count) {
        free(inbox_take(inbox));
    }
}

/* --- the lead's end: a packet source ---------------------------------------------------------- */

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

static void to_device(struct sim *sim, void *argument);

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
    sim_at_owned(sim, sim->now_us + sim_net_delay_us(source->node, node), NULL, to_device, packet);
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

static const struct mr_packet_source_ops source_ops = {
    .name = "simulated",
    .poll = source_poll,
    .release = source_release,
    .send = source_send,
    .flush = source_flush,
    .wake = source_wake,
    .close = source_close,
};

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

static void to_lead(struct sim *sim, void *argument)
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

/* --- a device's end --------------------------------------------------------------------------- */

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
            new_address(net, device->index - SIM_HUBS, &udp->address);
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
    new_address(net, device->index - SIM_HUBS, &udp->address);
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

static void to_device(struct sim *sim, void *argument)
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
    sim_at_owned(sim, sim->now_us + delay_us, NULL, to_lead, copy);
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
