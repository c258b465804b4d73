/* check_fair.c - whom a set leaves out, against a plain model: an honest helper commits to no set
 * that was not drawn, and to no list or set that leaves out more than its operator accepts; and it
 * says its value in no more draws in a row that make no model. */
#include <inttypes.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#include "tests/sim/check_internal.h"
#include "tests/sim/device.h"
#include "tests/sim/disk.h"
#include "tests/sim/hub_config.h"
#include "tests/sim/malice.h"
#include "base/bytes.h"
#include "wire/draw.h"

static struct fair *fair_of(struct sim_node *hub, const struct sim_task *task, uint64_t round)
{
    struct fair *fair = &hub->sim->check->fair[hub->index][task->index];
    if (fair->disks != hub->disks) { /* what it counted is gone */
        *fair = (struct fair){.disks = hub->disks};
    }
    if (fair->round != round) {
        *fair = (struct fair){.round = round,
                              .life = hub->life,
                              .disks = hub->disks,
                              .draws = fair->draws,
                              .drawn = fair->list_bytes ? fair->round : fair->drawn};
    }
    return fair;
}

void check_terms_signed(struct sim_node *hub, const struct sim_task *task, uint64_t round,
                        const uint8_t hash[MR_HASH_BYTES])
{
    memcpy(fair_of(hub, task, round)->announcement_hash, hash, MR_HASH_BYTES);
}

void check_seed_taken(struct sim_node *hub, const struct sim_task *task, uint64_t round,
                      unsigned device)
{
    struct fair *fair = fair_of(hub, task, round);
    if (!(fair->admitted >> device & 1)) {
        fair->admitted |= UINT64_C(1) << device;
        fair->order[fair->count++] = (uint8_t)device;
    }
}

/* Of those in `could` that came before the middle of `set`, how many percent are not in it. */
static unsigned passed_over_percent(const struct fair *fair, uint64_t set, uint64_t could)
{
    const unsigned half = ((unsigned)__builtin_popcountll(set) + 1) / 2;
    unsigned in = 0, out = 0;
    for (unsigned i = 0; i < fair->count && in < half; i++) {
        const unsigned device = fair->order[i];
        in += set >> device & 1;
        out += (could & ~set) >> device & 1;
    }
    return in + out ? 100 * out / (in + out) : 0;
}

/* An operator's rules, as the simulator's hubs are configured. */
static void check_shape(struct sim_node *hub, const struct fair *fair, uint64_t set, uint64_t could,
                        uint32_t quorum)
{
    const unsigned count = (unsigned)__builtin_popcountll(set);
    const unsigned all = (unsigned)__builtin_popcountll(could);
    if ((quorum == 0 || count < quorum) && count * 100 < SIM_SHARE_PERCENT * all) {
        sim_breach(hub->sim, "%s takes %u of %u devices in round %" PRIu64, hub->name, count, all,
                   fair->round);
    }
    /* After a crash a device may have come earlier than its receipt left. */
    if (hub->life == fair->life &&
        passed_over_percent(fair, set, could) > SIM_PASSED_OVER_PERCENT) {
        sim_breach(hub->sim,
                   "%s takes %u devices in round %" PRIu64 ", past most that were earlier",
                   hub->name, count, fair->round);
    }
}

static uint64_t device_bit(struct sim *sim, const uint8_t *client_id)
{
    const int device = sim_device_by_id(sim, client_id);
    return device < 0 ? 0 : UINT64_C(1) << device;
}

/* A hub that was killed between its record of the model and its answer has made it all the same. */
static bool has_made_model(const struct sim_node *hub, const struct sim_task *task, uint64_t round)
{
    static const char made[] = "\"state\": \"revealed\"";
    char name[96];
    size_t length;
    snprintf(name, sizeof name, "tasks/%s/rounds/%" PRIu64 ".json", task->name, round);
    const uint8_t *text = sim_disk_look(hub->disk, name, &length);
    return text && memmem(text, length, made, sizeof made - 1);
}

void check_list(struct sim_node *hub, const struct sim_task *task, uint64_t round,
                const uint8_t *body, size_t length)
{
    struct fair *fair = fair_of(hub, task, round);
    const size_t pledges = task->hubs_count * (size_t)MR_DRAW_PLEDGE_BYTES;
    if (sim_is_malicious(hub)) {
        return;
    }
    if (fair->list_bytes) {
        if (length != fair->list_bytes || memcmp(body, fair->list, length) != 0) {
            sim_breach(hub->sim, "%s has said its value for two lists in round %" PRIu64, hub->name,
                       round);
        }
        return;
    }
    memcpy(fair->list, body, length);
    fair->list_bytes = length;
    uint64_t listed = 0;
    const uint32_t count = mr_be32_get(body + pledges);
    for (uint32_t i = 0; i < count; i++) {
        listed |= device_bit(hub->sim, body + pledges + 4 + (size_t)i * MR_CLIENT_ID_BYTES);
    }
    check_shape(hub, fair, listed, fair->admitted | listed, 0);
    if (has_made_model(hub, task, fair->drawn)) {
        fair->draws = 0;
    }
    if (++fair->draws > SIM_DRAW_VOIDS && hub->sim->options.malicious) {
        sim_breach(hub->sim, "%s has said its value in %u draws in a row that made no model",
                   hub->name, fair->draws);
    }
}

void check_draws_forgotten(struct sim_node *hub, const struct sim_task *task)
{
    hub->sim->check->fair[hub->index][task->index].draws = 0;
}

void check_model_made(struct sim_node *hub, const struct sim_task *task, uint64_t round)
{
    fair_of(hub, task, round)->draws = 0;
}

/* The announcement's hash is what the list is signed under: here that of the round as signed. */
static int check_list_hash(uint8_t hash[MR_HASH_BYTES], const struct fair *fair,
                           const struct sim_task *task)
{
    static const char label[] = "\x12millrace draw list";
    uint8_t bytes[sizeof label - 1 + (1 + MR_HUBS_MAX) * MR_HASH_BYTES + sizeof fair->list], *at;
    const size_t pledges = task->hubs_count * (size_t)MR_DRAW_PLEDGE_BYTES;
    const size_t clients = fair->list_bytes - pledges - MR_SIGNATURE_BYTES;
    at = bytes + sizeof label - 1;
    memcpy(bytes, label, sizeof label - 1);
    memcpy(at, fair->announcement_hash, MR_HASH_BYTES);
    at += MR_HASH_BYTES;
    for (unsigned i = 0; i < task->hubs_count; i++, at += MR_HASH_BYTES) {
        memcpy(at, fair->list + (size_t)i * MR_DRAW_PLEDGE_BYTES, MR_HASH_BYTES);
    }
    memcpy(at, fair->list + pledges, clients);
    return SHA256(bytes, (size_t)(at - bytes) + clients, hash) ? 0 : -1;
}

/* Who was drawn from the list that the hub took, by the values that came with the set. */
static uint64_t drawn_of(struct sim_node *hub, const struct sim_task *task, const struct fair *fair,
                         const uint8_t *values)
{
    struct mr_draw_list list = {.count = 0};
    uint8_t said[MR_HUBS_MAX][MR_DRAW_VALUE_BYTES], drawn[SIM_DEVICES];
    const size_t pledges = task->hubs_count * (size_t)MR_DRAW_PLEDGE_BYTES;
    uint64_t members = 0;
    if (fair->list_bytes == 0) {
        return 0;
    }
    list.count = mr_be32_get(fair->list + pledges);
    list.clients = (const uint8_t(*)[MR_CLIENT_ID_BYTES])(fair->list + pledges + 4);
    if (check_list_hash(list.hash, fair, task) != 0) {
        return 0;
    }
    memcpy(said, values, task->hubs_count * sizeof said[0]);
    if (mr_draw(drawn, &list, (const uint8_t(*)[MR_DRAW_VALUE_BYTES])said, task->hubs_count,
                task->cohort_max) != 0) {
        return 0;
    }
    for (uint32_t i = 0; i < list.count; i++) {
        members |= drawn[i] ? device_bit(hub->sim, list.clients[i]) : 0;
    }
    return members;
}

void check_fair_set(struct sim_node *hub, const struct sim_task *task, uint64_t round,
                    const uint8_t *body, size_t length)
{
    struct fair *fair = fair_of(hub, task, round);
    const size_t values = task->hubs_count * (size_t)MR_DRAW_VALUE_BYTES;
    uint64_t set = 0;
    if (sim_is_malicious(hub) || length < 4) {
        return;
    }
    const uint32_t count = mr_be32_get(body);
    for (uint32_t i = 0; i < count; i++) {
        set |= device_bit(hub->sim, body + 4 + (size_t)i * MR_INCLUDED_BYTES);
    }
    uint64_t could = fair->admitted | set;
    if (task->admitted_max) {
        could = drawn_of(hub, task, fair, body + length - values);
        if (set & ~could) {
            sim_breach(hub->sim,
                       "%s has committed to a set of round %" PRIu64 " with d%d in it, "
                       "which was not drawn",
                       hub->name, round, __builtin_ctzll(set & ~could));
        }
    }
    check_shape(hub, fair, set, could, task->quorum);
}
