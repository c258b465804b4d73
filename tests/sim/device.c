/* device.c - a device: the real client in a coroutine, its env, its trainer. */
#include "tests/sim/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge-client/session/client.h"
#include "tests/sim/check.h"
#include "tests/sim/control.h"
#include "tests/sim/disk.h"
#include "tests/sim/net.h"
#include "base/assert.h"
#include "base/bytes.h"
#include "wire/messages.h"

#define DEAD_UNIX_MS (UINT64_MAX / 4000) /* past every deadline, so that whatever runs ends */

/* A device in one of its tasks. */
struct member {
    struct sim_node *node;
    const struct sim_task *task;
    struct sim_co *thread;
    uint64_t training_us;                             /* at most */
    uint8_t seeds[(MR_HUBS_MAX - 1) * MR_SEED_BYTES]; /* of the last attempt */
    bool seeds_drawn;
};

struct sim_device {
    struct member members[SIM_TASKS];
    unsigned members_count;
};

/* --- its env ------------------------------------------------------------------------------- */

static uint64_t env_now_us(void *context)
{
    const struct member *member = context;
    return member->node->dead ? 1000 * DEAD_UNIX_MS : sim_monotonic_us(member->node);
}

static uint64_t env_unix_ms(void *context)
{
    const struct member *member = context;
    return member->node->dead ? DEAD_UNIX_MS : sim_wall_us(member->node) / 1000;
}

static void env_sleep_ms(void *context, unsigned ms)
{
    struct member *member = context;
    struct sim *sim = member->node->sim;
    const uint64_t until_us = sim->now_us + ms * SIM_MS;
    while (sim->now_us < until_us && !member->node->dead) {
        sim_wait_until(sim, until_us);
    }
}

static int env_random(void *context, uint8_t *out, size_t bytes)
{
    struct member *member = context;
    struct sim *sim = member->node->sim;
    sim_fill(sim, out, bytes);
    if (bytes == sizeof member->seeds) {
        if (member->seeds_drawn && sim->options.mutant == SIM_MUTANT_SEED_AGAIN) {
            memcpy(out, member->seeds, bytes);
        }
        memcpy(member->seeds, out, bytes);
        member->seeds_drawn = true;
    }
    return 0;
}

static int env_connect(void *context, const struct mr_h2_endpoint *endpoint, unsigned timeout_ms,
                       void **connection, struct mr_error *error)
{
    struct mr_h2_client *client;
    (void)context;
    const int failure = mr_h2_client_open(&client, endpoint, timeout_ms, error);
    *connection = client;
    return failure;
}

static void env_disconnect(void *context, void *connection, bool for_all)
{
    (void)context, (void)for_all;
    mr_h2_client_close(connection);
}

static int env_request(void *context, void *connection, const struct mr_h2_request *request,
                       struct mr_h2_response *response, struct mr_error *error)
{
    (void)context;
    return mr_h2_client_request(connection, request, response, error);
}

static int env_exporter(void *context, void *connection, const char *label,
                        uint8_t secret[MR_CONNECTION_SECRET_BYTES])
{
    (void)context;
    return mr_h2_client_export(connection, label, secret);
}

static int env_peer(void *context, void *connection, char *host, size_t room)
{
    (void)context;
    return mr_h2_client_peer(connection, host, room);
}

static void *env_udp_open(void *context, const char *host, uint16_t port, struct mr_error *error)
{
    struct member *member = context;
    (void)error;
    return sim_udp_open(member->node, host, port);
}

static void env_udp_close(void *context, void *udp)
{
    (void)context;
    sim_udp_close(udp);
}

static void env_udp_send(void *context, void *udp, const struct mr_device_env_datagrams *datagrams)
{
    (void)context;
    sim_udp_send(udp, datagrams);
}

static size_t env_udp_receive(void *context, void *udp, uint8_t *out, size_t capacity,
                              uint64_t timeout_us)
{
    (void)context;
    return sim_udp_receive(udp, out, capacity, timeout_us);
}

static const struct mr_device_env env = {
    .now_us = env_now_us,
    .unix_ms = env_unix_ms,
    .sleep_ms = env_sleep_ms,
    .random = env_random,
    .connect = env_connect,
    .disconnect = env_disconnect,
    .request = env_request,
    .exporter = env_exporter,
    .peer = env_peer,
    .udp_open = env_udp_open,
    .udp_close = env_udp_close,
    .udp_send = env_udp_send,
    .udp_receive = env_udp_receive,
};

/* --- training -------------------------------------------------------------------------------- */

static enum mre_trained train(void *context, const struct mre_task *task, float *vector,
                              struct mre_report *report)
{
    struct member *member = context;
    struct sim *sim = member->node->sim;
    const unsigned number = member->node->index - SIM_HUBS;
    env_sleep_ms(member, (unsigned)(sim_below(sim, member->training_us + 1) / SIM_MS));
    memset(vector, 0, task->dimension * sizeof *vector);
    vector[number] = (float)sim_device_value(member->task, number, task->round);
    report->examples = sim_device_examples(number);
    report->loss = SIM_LOSS;
    return MRE_TRAINED_DELTA;
}

/* --- its process ----------------------------------------------------------------------------- */

/* What mre_client_open makes of certificates and options, made by hand: there are none here. */
static struct mre_client *open_client(struct member *member)
{
    struct sim *sim = member->node->sim;
    struct mre_client *client = calloc(1, sizeof *client);
    struct mr_error error;
    char dir[64], host[16];
    MR_ASSERT(client);
    client->env = env;
    mr_acceptance_init(&client->accept);
    client->env.context = member;
    client->kernels = mr_kernels_select(UINT32_MAX);
    client->identity.role = MR_ROLE_DEVICE;
    sim_device_id(client->identity.client_id, member->node->index - SIM_HUBS);
    mr_hex_encode(client->id, client->identity.client_id, MR_CLIENT_ID_BYTES);
    snprintf(dir, sizeof dir, "/sim/%s/%s", member->node->name, member->task->name);
    client->data_dir = strdup(dir);
    client->task = strdup(member->task->name);
    client->hub_count = member->task->hubs_count;
    for (unsigned i = 0; i < client->hub_count; i++) {
        const unsigned hub = member->task->hubs[i];
        snprintf(host, sizeof host, SIM_HOST, hub + 1);
        client->hosts[i] = strdup(host);
        client->ports[i] = 1;
        client->pinned[i].index = (uint16_t)(SIM_HUB_INDEX + hub);
        memcpy(client->pinned[i].public_key, sim->hub_keys[hub].open, MR_PUBLIC_KEY_BYTES);
    }
    client->transport = sim_chance(sim, 100) ? MRE_TRANSPORT_HTTP2 : MRE_TRANSPORT_AUTO;
    client->request_timeout_ms = 3000;
    client->silence_ms = 1500;
    client->lock = -1;
    if (mr_ledger_open(&client->ledger, dir, &error) != 0) {
        sim_broken(sim, "%s cannot read its ledger: %s", member->node->name, error.text);
    }
    return client;
}

/* From the lead, or, where it does not wait for that, from the next announcement. */
static void hear_end(struct member *member, struct mre_client *client)
{
    struct mre_outcome end;
    mre_client_end(client, sim_chance(member->node->sim, 500) ? 3000 : 0, &end);
    if (!member->node->dead) {
        sim_check_heard(member->node, member->task, &end);
    }
}

/* Rounds that ended void after some hub may have opened, or whose helper has lost its disk, leave
 * devices that wait for the next model, which no round makes where all of them do. It is for a
 * person to decide what becomes of the task then. Here one does, once nothing goes wrong any more.
 */
static void resume(struct member *member, struct mre_client *client,
                   const struct mre_outcome *outcome)
{
    struct sim *sim = member->node->sim;
    if (outcome->result == MRE_AWAITS_MODEL && sim->calm) {
        client->ledger.counted_count = 0;
    }
    /* Its hubs have gone back behind it, all of them: `millrace-edge state-reset --finished`. */
    if (outcome->result == MRE_NO_ROUND && sim->calm &&
        sim_check_newest(sim, member->task) < client->ledger.finished) {
        sim_note(sim, member->node, "is told that rounds of %s begin anew", member->task->name);
        client->ledger.finished = 0;
        client->ledger.round = 0;
    }
}

static void run(void *argument)
{
    struct member *member = argument;
    struct sim_node *node = member->node;
    struct sim *sim = node->sim;
    struct mre_client *client = open_client(member);
    while (!node->dead) {
        struct mre_outcome outcome;
        mre_client_round(client, 4000, train, member, &outcome);
        if (!node->dead) {
            sim_check_outcome(node, member->task, &outcome);
            resume(member, client, &outcome);
            hear_end(member, client);
            env_sleep_ms(member, (unsigned)sim_between(sim, 20, 800));
        }
    }
    mre_client_close(client);
}

static void start_again(struct sim *sim, void *argument)
{
    (void)sim;
    sim_device_start(argument);
}

void sim_device_start(struct sim_node *node)
{
    struct sim_device *device = node->process;
    node->up = true;
    for (unsigned i = 0; i < device->members_count; i++) {
        device->members[i].thread = sim_co_new(node, run, &device->members[i]);
    }
}

void sim_device_kill(struct sim_node *node, uint64_t again_us)
{
    struct sim *sim = node->sim;
    struct sim_device *device = node->process;
    if (node->up) {
        node->dead = true;
        for (unsigned i = 0; i < device->members_count; i++) {
            sim_co_join(device->members[i].thread);
        }
        node->dead = node->up = false;
        sim_disk_forget_descriptors(node);
    }
    node->life++;
    if (again_us != UINT64_MAX) {
        sim_at(sim, sim->now_us + again_us, node, start_again, node);
    }
}

static void join_tasks(struct sim_device *device, struct sim_node *node)
{
    struct sim *sim = node->sim;
    for (unsigned i = 0; i < sim->plan.tasks_count; i++) {
        const struct sim_task *task = &sim->plan.tasks[i];
        if (!(task->devices >> (node->index - SIM_HUBS) & 1)) {
            continue;
        }
        device->members[device->members_count++] = (struct member){
            .node = node,
            .task = task,
            .training_us = sim_chance(sim, 200) ? task->deadline_ms * SIM_MS / 2
                                                : sim_between(sim, 1, 800 * SIM_MS),
        };
    }
}

void sim_devices_new(struct sim *sim)
{
    for (unsigned i = 0; i < sim->plan.devices; i++) {
        struct sim_node *node = sim_device_node(sim, i);
        struct sim_device *device = calloc(1, sizeof *device);
        MR_ASSERT(device);
        node->process = device;
        node->disk = sim_disk_open(node);
        join_tasks(device, node);
    }
}

void sim_devices_free(struct sim *sim)
{
    for (unsigned i = 0; i < sim->plan.devices; i++) {
        sim_disk_close(sim_device_node(sim, i)->disk);
        free(sim_device_node(sim, i)->process);
    }
}
