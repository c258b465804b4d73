/* check_sum.c - a round that a hub has revealed: its record, its set, its sum byte by byte. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/check_internal.h"
#include "tests/sim/device.h"
#include "tests/sim/disk.h"
#include "tests/sim/malice.h"
#include "base/bytes.h"
#include "wire/quantiser.h"

/* Puts a lane of w bits at its place, little-endian. */
static void put_lane(uint8_t *share, unsigned bits, unsigned lane, uint32_t value)
{
    for (unsigned i = 0; i < bits; i++) {
        const unsigned at = lane * bits + i;
        share[at / 8] |= (uint8_t)((value >> i & 1) << at % 8);
    }
}

/* What the sum of these devices must be, byte by byte. */
static size_t plain_sum(const struct sim_task *task, uint64_t members, uint64_t round,
                        uint8_t *share)
{
    const unsigned bits = task->ring_bits;
    const size_t main_bytes = (size_t)task->dimension * bits / 8;
    uint32_t trailer[MR_TRAILER_LANES] = {0};
    memset(share, 0, main_bytes + MR_TRAILER_BYTES);
    for (unsigned i = 0; i < SIM_DEVICES; i++) {
        const int value = sim_device_value(task, i, round);
        if (!(members >> i & 1)) {
            continue;
        }
        put_lane(share, bits, i, (uint32_t)value);
        trailer[MR_TRAILER_COUNT]++;
        trailer[MR_TRAILER_WEIGHT]++;
        trailer[MR_TRAILER_EXAMPLES] += sim_device_examples(i);
        trailer[MR_TRAILER_LOSS_MILLI] += (uint32_t)(SIM_LOSS * 1000);
        trailer[MR_TRAILER_DRIFT_MILLI] += (uint32_t)abs(value) * 1000;
        /* Whole steps: nothing is rounded, and the dimensions divide the unit. */
        trailer[MR_TRAILER_RESOLUTION] +=
            (uint32_t)abs(value) *
            (mr_lane_mean_unit(SIM_DEVICES, MR_LEVELS_MAX) / task->dimension);
        trailer[MR_TRAILER_NORMS + mr_norm_bin(abs(value), SIM_CLIP_NORM)]++;
    }
    for (unsigned i = 0; i < MR_TRAILER_LANES; i++) {
        put_lane(share + main_bytes, 32, i, trailer[i]);
    }
    return main_bytes + MR_TRAILER_BYTES;
}

/* The devices that the record lists; 0 with the simulation broken. */
static uint64_t members_of(struct sim *sim, const struct sim_task *task, const json_t *record,
                           uint64_t round)
{
    const json_t *list = json_object_get(record, "uploads");
    uint64_t members = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        uint8_t id[MR_CLIENT_ID_BYTES];
        const char *text = json_string_value(json_object_get(json_array_get(list, i), "client_id"));
        const int device =
            text && mr_hex_decode(id, sizeof id, text) == 0 ? sim_device_by_id(sim, id) : -1;
        if (device < 0 || !(task->devices >> device & 1) || members >> device & 1) {
            sim_broken(sim, "round %" PRIu64 " of %s lists %s", round, task->name,
                       device < 0                       ? "somebody who is no device"
                       : !(task->devices >> device & 1) ? "a device of another task"
                                                        : "a device twice");
            return 0;
        }
        members |= UINT64_C(1) << device;
    }
    return members;
}

const uint8_t *check_kept_sum(struct sim_node *node, const struct sim_task *task, uint64_t round,
                              size_t *length)
{
    char name[96];
    snprintf(name, sizeof name, "tasks/%s/rounds/%" PRIu64 ".sum", task->name, round);
    return sim_disk_look(node->disk, name, length);
}

static void check_sum(struct sim_node *node, const struct sim_task *task, uint64_t round,
                      uint64_t members)
{
    struct sim *sim = node->sim;
    uint8_t expected[8192];
    size_t length = 0;
    const size_t expected_bytes = plain_sum(task, members, round, expected);
    const uint8_t *sum = check_kept_sum(node, task, round, &length);
    if (!sum || length != expected_bytes) {
        sim_broken(sim, "round %" PRIu64 " of %s has no sum at %s", round, task->name, node->name);
        return;
    }
    for (size_t i = 0; i < length; i++) {
        if (sum[i] != expected[i]) {
            sim_broken(sim,
                       "the sum of round %" PRIu64
                       " of %s at %s is wrong at byte %zu: %02x where the "
                       "included set gives %02x",
                       round, task->name, node->name, i, sum[i], expected[i]);
            return;
        }
    }
}

json_t *check_record(struct sim_node *node, const struct sim_task *task, uint64_t round)
{
    char name[96];
    size_t length = 0;
    snprintf(name, sizeof name, "tasks/%s/rounds/%" PRIu64 ".json", task->name, round);
    const uint8_t *text = sim_disk_look(node->disk, name, &length);
    return text ? json_loadb((const char *)text, length, 0, NULL) : NULL;
}

/* All hubs make the same one. */
static void take_model(struct sim *sim, const struct sim_task *task, uint64_t number,
                       const json_t *record)
{
    struct round *round = check_round(sim, task, number);
    uint8_t model[MR_HASH_BYTES] = {0};
    const char *text = json_string_value(json_object_get(record, "model_hash"));
    const bool named = text && mr_hex_decode(model, sizeof model, text) == 0;
    if (round->made && memcmp(model, round->model, sizeof model) != 0) {
        sim_broken(sim, "round %" PRIu64 " of %s: two hubs have made different models", number,
                   task->name);
    }
    round->made = named;
    memcpy(round->model, model, sizeof model);
}

void check_revealed(struct sim_node *node, const struct sim_task *task, uint64_t round_number)
{
    struct sim *sim = node->sim;
    struct round *round = check_round(sim, task, round_number);
    json_t *record = check_record(node, task, round_number);
    if (!record) {
        sim_broken(sim, "round %" PRIu64 " of %s has no record at %s", round_number, task->name,
                   node->name);
        return;
    }
    const uint64_t members = members_of(sim, task, record, round_number);
    take_model(sim, task, round_number, record);
    json_decref(record);
    const unsigned count = (unsigned)__builtin_popcountll(members);
    if (members & sim->plan.liars) {
        sim_broken(sim,
                   "round %" PRIu64 " of %s was revealed with a device that lied about its seeds",
                   round_number, task->name);
    }
    if (count < task->cohort_min) {
        sim_broken(sim,
                   "round %" PRIu64 " of %s was revealed at %s with %u devices, %u are the least",
                   round_number, task->name, node->name, count, task->cohort_min);
    }
    if (round->set && round->set_members != members) {
        sim_broken(sim, "round %" PRIu64 " of %s: two hubs have revealed different sets",
                   round_number, task->name);
    }
    round->set = 1;
    round->set_members = members;
    check_sum(node, task, round_number, members);
    check_lies_end(node, task, round_number);
    if (!sim_is_malicious(node)) {
        check_next_model(node, task, round_number);
    }
}
