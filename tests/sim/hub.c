/* hub.c - a hub's machine: its disk, start, end. */
#include "tests/sim/hub.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/check.h"
#include "tests/sim/control.h"
#include "tests/sim/disk.h"
#include "tests/sim/hub_config.h"
#include "tests/sim/loop.h"
#include "tests/sim/marks.h"
#include "tests/sim/plan.h"
#include "base/assert.h"
#include "wire/safetensors.h"

#define SOURCES_MAX 4
#define PORT_BASE   20000

struct sim_hub {
    struct sim_hub_config made;
    struct sim_node *node;
    struct mr_loop *loop;
    struct sim_co *boot; /* starts or stops it; NULL: neither */
    struct mr_hub *hub;
    struct mr_server *server;
    struct mr_packet_source *sources[SOURCES_MAX];
};

static struct sim_hub *hub_of(const struct sim_node *node)
{
    return node->index < SIM_HUBS ? node->process : NULL;
}

/* --- the machine ----------------------------------------------------------------------------- */

/* Each task that the hub serves has its own, so that none is taken for another's. */
float sim_initial_value(const struct sim *sim, const struct sim_task *task, size_t i)
{
    return (float)(i + (sim->options.malicious ? 0 : task->index)) / 64.0f - 1.0f;
}

static void put_initial(struct sim_node *node, const struct sim_task *task)
{
    const size_t d = task->dimension;
    struct mr_tensor tensor = {
        .name = SIM_TENSOR, .dims = {(uint32_t)d}, .rank = 1, .offset = 0, .count = d};
    char name[64];
    size_t header;
    if (task->marked) { /* a mark is in matrices */
        tensor.rank = 2;
        tensor.dims[0] = (uint32_t)d / 8;
        tensor.dims[1] = 8;
    }
    uint8_t *bytes = mr_safetensors_header(&tensor, 1, &header);
    MR_ASSERT(bytes);
    bytes = realloc(bytes, header + 4 * d);
    MR_ASSERT(bytes);
    for (size_t i = 0; i < d; i++) {
        const float value = sim_initial_value(node->sim, task, i);
        memcpy(bytes + header + 4 * i, &value, 4);
    }
    snprintf(name, sizeof name, "initial-%s", task->name);
    sim_disk_put(node->disk, name, bytes, header + 4 * d);
    free(bytes);
}

void sim_hub_set_up(struct sim_node *node)
{
    const struct sim_plan *plan = &node->sim->plan;
    for (unsigned i = 0; i < plan->tasks_count; i++) {
        if (sim_task_serves(&plan->tasks[i], node)) {
            put_initial(node, &plan->tasks[i]);
            sim_marks_put_key(node, &plan->tasks[i]);
        }
    }
}

void sim_hubs_new(struct sim *sim)
{
    for (unsigned i = 0; i < sim->plan.hubs; i++) {
        struct sim_node *node = sim_hub_node(sim, i);
        struct sim_hub *hub = calloc(1, sizeof *hub);
        MR_ASSERT(hub);
        node->process = hub;
        hub->node = node;
        node->disk = sim_disk_open(node);
        sim_hub_configure(sim, &hub->made, node);
        sim_hub_set_up(node);
    }
}

void sim_hubs_free(struct sim *sim)
{
    for (unsigned i = 0; i < sim->plan.hubs; i++) {
        sim_disk_close(sim_hub_node(sim, i)->disk);
        free(sim_hub_node(sim, i)->process);
    }
}

/* In place of appliance/hub/hub_keys.c: the keys are the simulation's. */
int mr_hub_read_keys(struct mr_hub *hub, struct mr_error *error)
{
    struct sim *sim = sim_active();
    (void)error;
    for (unsigned i = 0; i < hub->config->hubs_count; i++) {
        hub->book[i].index = hub->config->hubs[i].index;
        snprintf(hub->book[i].name, sizeof hub->book[i].name, "%s", hub->config->hubs[i].name);
        memcpy(hub->book[i].public_key, sim->hub_keys[i].open, MR_PUBLIC_KEY_BYTES);
    }
    const unsigned own = hub->config->identity.index - SIM_HUB_INDEX;
    memcpy(hub->keys.private_key, sim->hub_keys[own].secret, sizeof hub->keys.private_key);
    memcpy(hub->keys.public_key, sim->hub_keys[own].open, sizeof hub->keys.public_key);
    return 0;
}

/* --- start and end --------------------------------------------------------------------------- */

static void start_again(struct sim *sim, void *argument)
{
    (void)sim;
    sim_hub_start(argument);
}

static void ended(struct sim_node *node, uint64_t again_us)
{
    struct sim *sim = node->sim;
    struct sim_hub *hub = hub_of(node);
    if (hub->loop) {
        sim_loop_close(hub->loop);
    }
    hub->hub = NULL;
    hub->loop = NULL;
    hub->boot = NULL;
    node->dead = node->up = false;
    node->life++;
    sim_disk_forget_descriptors(node);
    if (again_us != UINT64_MAX) {
        sim_at(sim, sim->now_us + again_us, node, start_again, node);
    }
}

static void close_hub(void *argument)
{
    struct sim_hub *hub = argument;
    mr_hub_close(hub->hub);
    hub->hub = NULL;
}

/* The memory of a killed process is let go of by the code that would end it well, with no effect on
 * anything outside. */
void sim_hub_kill(struct sim_node *node, uint64_t again_us)
{
    struct sim_hub *hub = hub_of(node);
    sim_note(node->sim, node, "down");
    node->dead = true;
    if (hub->boot) {
        sim_co_join(hub->boot);
    }
    if (hub->hub) {
        sim_loop_turns(hub->loop, false);
        sim_co_join(sim_co_new(node, close_hub, hub));
    }
    ended(node, again_us);
}

static void exits(struct sim *sim, void *argument)
{
    sim_hub_kill(argument, sim_between(sim, 200 * SIM_MS, 3 * SIM_S));
}

/* The hub has found something that it must not go on without: its process ends. */
static void stopped(struct sim_node *node)
{
    sim_at(node->sim, node->sim->now_us, node, exits, node);
}

static void starts_again(struct sim *sim, void *argument)
{
    (void)sim;
    ended(argument, SIM_S);
}

/* A hub starts in a thread, so that its disk takes time and it can be killed in the middle of it.
 */
static void boot(void *argument)
{
    struct sim_hub *hub = argument;
    struct sim_node *node = hub->node;
    struct sim *sim = node->sim;
    struct mr_error error = {.text = ""};
    struct mr_hub *prepared = NULL;
    int result = mr_hub_prepare(&prepared, &hub->made.config, mr_kernels_select(UINT32_MAX),
                                hub->loop, NULL, &error);
    if (result == 0) {
        result = mr_hub_open(prepared, false, &error);
    }
    if (result == 0) {
        hub->hub = prepared;
    } else if (prepared) {
        mr_hub_close(prepared);
    }
    if (node->dead) {
        return;
    }
    hub->boot = NULL;
    if (result != 0) {
        mr_hub_close(hub->hub);
        hub->hub = NULL;
        sim_note(sim, node, "cannot start: %s", error.text);
        sim_at(sim, sim->now_us, node, starts_again, node);
        return;
    }
    node->up = true;
    sim_loop_turns(hub->loop, true);
    sim_note(sim, node, "up");
    sim_check_hub_up(node);
}

void sim_hub_start(struct sim_node *node)
{
    struct sim_hub *hub = hub_of(node);
    MR_ASSERT(!node->up && !hub->boot);
    hub->loop = sim_loop_open(node, stopped);
    hub->boot = sim_co_new(node, boot, hub);
}

/* Stops as it does when it is asked to, then its process ends. */
static void stop(void *argument)
{
    struct sim_hub *hub = argument;
    struct sim_node *node = hub->node;
    struct sim *sim = node->sim;
    mr_hub_close(hub->hub);
    hub->hub = NULL;
    if (!node->dead) {
        sim_note(sim, node, "stopped");
        hub->boot = NULL;
        sim_at(sim, sim->now_us, node, starts_again, node);
    }
}

void sim_hub_stop(struct sim_node *node)
{
    struct sim_hub *hub = hub_of(node);
    node->up = false;
    sim_loop_turns(hub->loop, false);
    hub->boot = sim_co_new(node, stop, hub);
}

bool sim_hub_has_begun(const struct sim_node *node)
{
    const struct sim_plan *plan = &node->sim->plan;
    for (unsigned i = 0; i < plan->tasks_count; i++) {
        char name[64];
        size_t length;
        snprintf(name, sizeof name, "tasks/%s/identity", plan->tasks[i].name);
        if (sim_task_serves(&plan->tasks[i], node) && !sim_disk_look(node->disk, name, &length)) {
            return false;
        }
    }
    return true;
}

bool sim_hub_alive(const struct sim_node *node)
{
    return node->up || hub_of(node)->boot;
}

struct mr_hub *sim_hub_of(const struct sim_node *node)
{
    const struct sim_hub *hub = hub_of(node);
    return node->up ? hub->hub : NULL;
}

struct mr_hub *sim_hub_until_its_end(const struct sim_node *node)
{
    return node->dead ? NULL : hub_of(node)->hub;
}

/* --- for the seams --------------------------------------------------------------------------- */

struct mr_loop *sim_node_loop(const struct sim_node *node)
{
    const struct sim_hub *hub = hub_of(node);
    return hub ? hub->loop : NULL;
}

void sim_hub_set_server(struct sim_node *node, struct mr_server *server)
{
    hub_of(node)->server = server;
}

const struct mr_server *sim_hub_server(const struct sim_node *node)
{
    return hub_of(node)->server;
}

uint16_t sim_hub_add_source(struct sim_node *node, struct mr_packet_source *source)
{
    struct sim_hub *hub = hub_of(node);
    unsigned i = 0;
    while (hub->sources[i]) {
        i++;
    }
    MR_ASSERT(i < SOURCES_MAX);
    hub->sources[i] = source;
    return (uint16_t)(PORT_BASE + i);
}

void sim_hub_remove_source(struct sim_node *node, const struct mr_packet_source *source)
{
    struct sim_hub *hub = hub_of(node);
    for (unsigned i = 0; i < SOURCES_MAX; i++) {
        if (hub->sources[i] == source) {
            hub->sources[i] = NULL;
        }
    }
}

struct mr_packet_source *sim_hub_source(const struct sim_node *node, uint16_t port)
{
    const unsigned i = port - PORT_BASE;
    return node->up && i < SOURCES_MAX ? hub_of(node)->sources[i] : NULL;
}
