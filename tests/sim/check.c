/* check.c - rounds against the plain model: the sum, who is in it, and who was promised to be. */
#include <inttypes.h>
#include <jansson.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/check_internal.h"
#include "tests/sim/control.h"
#include "tests/sim/device.h"
#include "tests/sim/disk.h"
#include "tests/sim/hub.h"
#include "base/assert.h"
#include "base/bytes.h"

/* --- maps ------------------------------------------------------------------------------------ */

static void map_grow(struct map *map)
{
    struct map bigger = {.capacity = map->capacity ? 2 * map->capacity : 256};
    bool fresh;
    bigger.keys = calloc(bigger.capacity, sizeof *bigger.keys);
    bigger.values = calloc(bigger.capacity, sizeof *bigger.values);
    MR_ASSERT(bigger.keys && bigger.values);
    for (size_t i = 0; i < map->capacity; i++) {
        if (map->keys[i]) {
            *map_at(&bigger, map->keys[i], &fresh) = map->values[i];
        }
    }
    map_fini(map);
    *map = bigger;
}

uint64_t *map_at(struct map *map, uint64_t key, bool *fresh)
{
    key += key == 0;
    if (2 * map->used >= map->capacity) {
        map_grow(map);
    }
    size_t i = key & (map->capacity - 1);
    while (map->keys[i] && map->keys[i] != key) {
        i = (i + 1) & (map->capacity - 1);
    }
    *fresh = !map->keys[i];
    if (*fresh) {
        map->keys[i] = key;
        map->used++;
    }
    return &map->values[i];
}

void map_fini(struct map *map)
{
    free(map->keys);
    free(map->values);
    *map = (struct map){.capacity = 0};
}

void sim_check_new(struct sim *sim)
{
    sim->check = calloc(1, sizeof *sim->check);
    MR_ASSERT(sim->check);
}

void sim_check_free(struct sim *sim)
{
    struct sim_check *check = sim->check;
    map_fini(&check->seeds);
    map_fini(&check->chunks);
    map_fini(&check->nonces);
    map_fini(&check->keys);
    map_fini(&check->answered);
    map_fini(&check->answers);
    map_fini(&check->uploads);
    map_fini(&check->verified);
    map_fini(&check->addresses);
    free(check);
}

static struct round *round_at(struct sim *sim, uint64_t round)
{
    MR_ASSERT(round < ROUNDS_MAX);
    return &sim->check->rounds[round];
}

/* --- a revealed round ------------------------------------------------------------------------ */

/* Puts a lane of w bits at its place, little-endian. */
static void put_lane(uint8_t *share, unsigned bits, unsigned lane, uint32_t value)
{
    for (unsigned i = 0; i < bits / 8; i++) {
        share[lane * (bits / 8) + i] = (uint8_t)(value >> (8 * i));
    }
}

/* What the sum of these devices must be, byte by byte. */
static size_t plain_sum(const struct sim *sim, uint64_t members, uint64_t round, uint8_t *share)
{
    const unsigned bits = sim->plan.ring_bits;
    const size_t main_bytes = (size_t)sim->plan.dimension * bits / 8;
    uint32_t trailer[MR_TRAILER_LANES] = {0};
    memset(share, 0, main_bytes + MR_TRAILER_BYTES);
    for (unsigned i = 0; i < sim->plan.devices; i++) {
        const int value = sim_device_value(i, round);
        if (!(members >> i & 1)) {
            continue;
        }
        put_lane(share, bits, i, (uint32_t)value);
        trailer[MR_TRAILER_COUNT]++;
        trailer[MR_TRAILER_WEIGHT]++;
        trailer[MR_TRAILER_EXAMPLES] += sim_device_examples(i);
        trailer[MR_TRAILER_LOSS_MILLI] += (uint32_t)(SIM_LOSS * 1000);
        trailer[MR_TRAILER_DRIFT_MILLI] += (uint32_t)abs(value) * 1000;
    }
    for (unsigned i = 0; i < MR_TRAILER_LANES; i++) {
        put_lane(share + main_bytes, 32, i, trailer[i]);
    }
    return main_bytes + MR_TRAILER_BYTES;
}

/* The devices that the record lists; 0 with the simulation broken. */
static uint64_t members_of(struct sim *sim, const json_t *record, uint64_t round)
{
    const json_t *list = json_object_get(record, "included");
    uint64_t members = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        uint8_t id[MR_CLIENT_ID_BYTES];
        const char *text = json_string_value(json_object_get(json_array_get(list, i), "client_id"));
        const int device =
            text && mr_hex_decode(id, sizeof id, text) == 0 ? sim_device_by_id(sim, id) : -1;
        if (device < 0 || members >> device & 1) {
            sim_broken(sim, "round %" PRIu64 " lists %s", round,
                       device < 0 ? "somebody who is no device" : "a device twice");
            return 0;
        }
        members |= UINT64_C(1) << device;
    }
    return members;
}

static void check_sum(struct sim_node *node, uint64_t round, uint64_t members)
{
    struct sim *sim = node->sim;
    char name[64];
    uint8_t expected[8192];
    size_t length = 0;
    const size_t expected_bytes = plain_sum(sim, members, round, expected);
    snprintf(name, sizeof name, SIM_TASK_FOLDER "rounds/%" PRIu64 ".sum", round);
    const uint8_t *sum = sim_disk_look(node->disk, name, &length);
    if (!sum || length != expected_bytes) {
        sim_broken(sim, "round %" PRIu64 " has no sum at %s", round, node->name);
        return;
    }
    for (size_t i = 0; i < length; i++) {
        if (sum[i] != expected[i]) {
            sim_broken(sim,
                       "the sum of round %" PRIu64 " at %s is wrong at byte %zu: %02x where the "
                       "included set gives %02x",
                       round, node->name, i, sum[i], expected[i]);
            return;
        }
    }
}

/* The record of a round on a hub's disk; NULL: none. */
static json_t *record_of(struct sim_node *node, uint64_t round)
{
    char name[64];
    size_t length = 0;
    snprintf(name, sizeof name, SIM_TASK_FOLDER "rounds/%" PRIu64 ".json", round);
    const uint8_t *text = sim_disk_look(node->disk, name, &length);
    return text ? json_loadb((const char *)text, length, 0, NULL) : NULL;
}

/* A hub has computed a round's result: the sum is right, the set is large enough and everybody's.
 */
static void check_revealed(struct sim_node *node, uint64_t round_number)
{
    struct sim *sim = node->sim;
    struct round *round = round_at(sim, round_number);
    json_t *record = record_of(node, round_number);
    if (!record) {
        sim_broken(sim, "round %" PRIu64 " has no record at %s", round_number, node->name);
        return;
    }
    const uint64_t members = members_of(sim, record, round_number);
    json_decref(record);
    const unsigned count = (unsigned)__builtin_popcountll(members);
    if (count < sim->plan.cohort_min) {
        sim_broken(sim, "round %" PRIu64 " was revealed at %s with %u devices, %u are the least",
                   round_number, node->name, count, sim->plan.cohort_min);
    }
    if (round->set && round->set_members != members) {
        sim_broken(sim, "round %" PRIu64 ": two hubs have revealed different sets", round_number);
    }
    round->set = 1;
    round->set_members = members;
    check_sum(node, round_number, members);
}

/* --- what the lead does with its rounds ------------------------------------------------------- */

/* Every round begins with the model of the last published one: a void round's sum is in none. */
static void check_parent(struct sim *sim, uint64_t number, const uint8_t *parent)
{
    struct sim_node *lead = sim_hub_node(sim, 0);
    uint8_t expected[MR_HASH_BYTES] = {0};
    uint64_t last = number;
    while (--last && !round_at(sim, last)->published) {
    }
    if (last) {
        json_t *record = record_of(lead, last);
        const char *text = json_string_value(json_object_get(record, "model_hash"));
        if (!text || mr_hex_decode(expected, sizeof expected, text) != 0) {
            sim_broken(sim, "the lead has lost the record of round %" PRIu64, last);
        }
        json_decref(record);
    } else {
        size_t length = 0;
        const uint8_t *initial = sim_disk_look(lead->disk, "initial", &length);
        SHA256(initial, length, expected);
    }
    if (memcmp(parent, expected, sizeof expected) != 0) {
        sim_broken(sim,
                   "round %" PRIu64 " does not begin with the model of round %" PRIu64
                   ", the last one published",
                   number, last);
    }
}

void sim_check_opened(struct sim *sim, uint64_t number, const uint8_t *parent)
{
    struct round *round = round_at(sim, number);
    check_parent(sim, number, parent);
    /* A lead that crashed before its number was durable may take it again: nobody has seen it. */
    if (round->opened && !round->unknown) {
        sim_broken(sim, "round %" PRIu64 " was opened twice", number);
    }
    round->opened = true;
    round->unknown = false;
    round->calm = sim->calm;
    sim_note(sim, sim->current, "round %" PRIu64 " asked for", number);
}

static void has_published(struct sim_node *lead, uint64_t number)
{
    struct round *round = round_at(lead->sim, number);
    check_revealed(lead, number);
    if (round->given_up) {
        sim_broken(lead->sim, "round %" PRIu64 " was given up and then published", number);
    }
    round->published = true;
    round->included = round->set_members;
    if (round->told & ~round->included) {
        sim_broken(lead->sim,
                   "round %" PRIu64 " was published without d%d, who was told that it counts",
                   number, __builtin_ctzll(round->told & ~round->included));
    }
}

static void has_given_up(struct sim *sim, uint64_t number, const char *reason)
{
    struct round *round = round_at(sim, number);
    if (round->published) {
        sim_broken(sim, "round %" PRIu64 " was published and then given up", number);
    }
    if (!reason || !reason[0]) {
        sim_broken(sim, "round %" PRIu64 " was given up without a reason", number);
    }
    char name[64];
    size_t length;
    snprintf(name, sizeof name, SIM_TASK_FOLDER "rounds/%" PRIu64 ".sum", number);
    if (sim_disk_look(sim_hub_node(sim, 0)->disk, name, &length)) {
        sim_broken(sim, "round %" PRIu64 " was given up, and the lead has kept its sum", number);
    }
    round->given_up = true;
}

/* Among honest hubs a sum is sound, and no hub refuses what another asks, but for one with a new
 * disk, a busy one and one that has given the round up. */
static void check_void(struct sim_node *lead, const struct mr_lead_report *report)
{
    static const char *const innocent[] = {"busy", "void", "no_round"};
    struct sim *sim = lead->sim;
    const char *refused = strstr(report->reason, "refused, ");
    bool excused = !refused;
    for (unsigned i = 0; i < sim->plan.hubs; i++) {
        excused |= sim_hub_node(sim, i)->new_disk;
    }
    for (unsigned i = 0; refused && i < sizeof innocent / sizeof innocent[0]; i++) {
        const size_t length = strlen(innocent[i]);
        excused |= strncmp(refused + 9, innocent[i], length) == 0 && refused[9 + length] == ':';
    }
    if (!excused || (report->void_kind != MR_VOID_COHORT && report->void_kind != MR_VOID_PEER &&
                     report->void_kind != MR_VOID_LOST)) {
        sim_broken(sim, "round %" PRIu64 " was given up among honest hubs: %.200s", report->round,
                   report->reason);
    }
}

static void check_lead(struct sim_node *node, const char *event)
{
    struct mr_lead_report report;
    mr_lead_report(mr_lead_driver_core(sim_hub_of(node)->api.tasks[0]->lead), &report);
    if (strcmp(event, "round.published") == 0) {
        has_published(node, report.round);
    } else if (strcmp(event, "round.void") == 0) {
        has_given_up(node->sim, report.round, report.reason);
        check_void(node, &report);
    }
}

/* A lead that was killed right after it had written how the round ended could not say so. */
static void take_record(struct sim_node *lead, uint64_t number)
{
    json_t *record = record_of(lead, number);
    const char *state = json_string_value(json_object_get(record, "state"));
    if (state && strcmp(state, "published") == 0) {
        has_published(lead, number);
    } else if (state) {
        has_given_up(lead->sim, number, json_string_value(json_object_get(record, "reason")));
    }
    json_decref(record);
}

static void check_helper(struct sim_node *node)
{
    struct mr_helper_report report;
    mr_helper_report(mr_helper_driver_core(sim_hub_of(node)->api.tasks[0]->helper), &report);
    if (report.state == MR_HELPER_DONE) {
        check_revealed(node, report.round);
    }
}

void sim_check_event(struct sim_node *node, const char *event)
{
    if (!node->up) {
        return; /* while it starts */
    }
    if (node->index == 0 && strncmp(event, "round.", 6) == 0) {
        check_lead(node, event);
    } else if (strcmp(event, "helper.step") == 0) {
        check_helper(node);
    }
}

void sim_check_signed(struct sim *sim, uint64_t number)
{
    round_at(sim, number)->seen = true;
}

/* Whatever round the lead was in, it is in again, or nobody else knows of it. */
void sim_check_hub_up(struct sim_node *node)
{
    struct sim *sim = node->sim;
    struct mr_lead_report report;
    if (node->index != 0) {
        return;
    }
    mr_lead_report(mr_lead_driver_core(sim_hub_of(node)->api.tasks[0]->lead), &report);
    for (unsigned i = 1; i < ROUNDS_MAX; i++) {
        struct round *round = &sim->check->rounds[i];
        if (round->opened && !round->published && !round->given_up) {
            take_record(node, i);
        }
        if (!round->opened || round->published || round->given_up || i == report.round) {
            continue;
        }
        if (round->seen) {
            sim_broken(sim, "the lead has forgotten round %u, which a helper has signed", i);
        }
        round->unknown = true;
    }
}

bool sim_check_calm_round(const struct sim *sim)
{
    for (unsigned i = 1; i < ROUNDS_MAX; i++) {
        if (sim->check->rounds[i].calm && sim->check->rounds[i].published) {
            return true;
        }
    }
    return false;
}

/* --- promises -------------------------------------------------------------------------------- */

void sim_check_told(struct sim *sim, uint64_t number, unsigned device)
{
    struct round *round = round_at(sim, number);
    const uint64_t bit = UINT64_C(1) << device;
    if (!(round->told & bit)) {
        sim_note(sim, sim->current, "round %" PRIu64 ": d%u is told that it counts", number,
                 device);
    }
    round->told |= bit;
    if (round->published && !(round->included & bit)) {
        sim_broken(sim,
                   "d%u is told that it counts in round %" PRIu64 ", which was published "
                   "without it",
                   device, number);
    }
}

void sim_check_outcome(struct sim_node *node, const struct mre_outcome *outcome)
{
    struct sim *sim = node->sim;
    struct sim_totals *totals = &sim->result.totals;
    if (outcome->result == MRE_NO_ROUND || outcome->round == 0) {
        return;
    }
    sim_note(sim, node, "round %" PRIu64 ", attempt %u: %s (%s)", outcome->round, outcome->attempt,
             mre_result_name(outcome->result), outcome->text);
    if (outcome->result == MRE_COMMITTED) {
        totals->committed++;
        sim_check_told(sim, outcome->round, node->index - SIM_HUBS);
    } else {
        totals->outcomes_other++;
    }
    if (outcome->result == MRE_UNTRUSTED_ANNOUNCEMENT || outcome->result == MRE_BAD_MODEL ||
        outcome->result == MRE_BAD_DELTA || outcome->result == MRE_TRAINER_FAILED) {
        sim_broken(sim, "%s: %s among honest hubs: %s", node->name,
                   mre_result_name(outcome->result), outcome->text);
    }
}

void sim_check_end(struct sim *sim)
{
    struct sim_totals *totals = &sim->result.totals;
    for (unsigned i = 1; i < ROUNDS_MAX; i++) {
        struct round *round = &sim->check->rounds[i];
        if (round->opened && !round->published && !round->given_up && !round->unknown) {
            sim_broken(sim, "round %u has not ended", i);
        }
        totals->rounds_published += round->published;
        totals->rounds_void += round->given_up;
        totals->rounds_unknown += round->unknown;
        totals->included += (unsigned)__builtin_popcountll(round->published ? round->included : 0);
    }
}
