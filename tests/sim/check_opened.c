/* check_opened.c - what an adversary could make of the sums that a hub has opened: on one model no
 * device in two sets, and nobody's update as a combination of sums, by linear algebra modulo a
 * prime. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/check_internal.h"
#include "tests/sim/device.h"
#include "tests/sim/malice.h"
#include "base/assert.h"
#include "base/bytes.h"

/* A combination with rational coefficients that gives a device is one modulo almost every prime. */
#define PRIME UINT32_C(2147483647)

static uint32_t times(uint32_t a, uint32_t b)
{
    return (uint32_t)((uint64_t)a * b % PRIME);
}

static uint32_t inverse(uint32_t a)
{
    uint32_t result = 1;
    for (uint32_t e = PRIME - 2; e; e >>= 1, a = times(a, a)) {
        result = e & 1 ? times(result, a) : result;
    }
    return result;
}

static unsigned leading(const uint32_t *row)
{
    unsigned i = 0;
    while (i < SIM_DEVICES && row[i] == 0) {
        i++;
    }
    return i;
}

/* Takes the rows' multiples away that stand where the vector has something left. */
static void reduce(const struct opened *opened, uint32_t *vector)
{
    for (unsigned r = 0; r < opened->rank; r++) {
        const uint32_t *row = opened->rows[r];
        const uint32_t factor = vector[leading(row)];
        for (unsigned i = 0; factor && i < SIM_DEVICES; i++) {
            vector[i] = (uint32_t)((vector[i] + (uint64_t)(PRIME - factor) * row[i]) % PRIME);
        }
    }
}

static void add_row(struct opened *opened, uint64_t set)
{
    uint32_t *row = opened->rows[opened->rank];
    for (unsigned i = 0; i < SIM_DEVICES; i++) {
        row[i] = (uint32_t)(set >> i & 1);
    }
    reduce(opened, row);
    const unsigned at = leading(row);
    if (at == SIM_DEVICES) {
        return; /* a combination of the others */
    }
    const uint32_t scale = inverse(row[at]);
    for (unsigned i = 0; i < SIM_DEVICES; i++) {
        row[i] = times(row[i], scale);
    }
    opened->rank++;
}

/* Whether this device's update alone is a combination of the sums. */
static bool gives_away(const struct opened *opened, unsigned device)
{
    uint32_t vector[SIM_DEVICES] = {0};
    vector[device] = 1;
    reduce(opened, vector);
    return leading(vector) == SIM_DEVICES;
}

static struct opened *opened_by(struct sim *sim, uint64_t hub, uint64_t model)
{
    struct sim_check *check = sim->check;
    for (size_t i = 0; i < check->opened_count; i++) {
        if (check->opened[i].hub == hub && check->opened[i].model == model) {
            return &check->opened[i];
        }
    }
    check->opened = realloc(check->opened, (check->opened_count + 1) * sizeof *check->opened);
    MR_ASSERT(check->opened);
    check->opened[check->opened_count] = (struct opened){.hub = hub, .model = model};
    return &check->opened[check->opened_count++];
}

void check_frozen(struct sim_node *hub, const struct sim_task *task, uint64_t number,
                  const uint8_t *body, size_t length)
{
    struct sim *sim = hub->sim;
    uint64_t set = 0;
    for (size_t at = 4; at + MR_INCLUDED_BYTES + MR_COMMITMENT_BYTES <= length;
         at += MR_INCLUDED_BYTES) {
        const int device = sim_device_by_id(sim, body + at);
        set |= device < 0 ? 0 : UINT64_C(1) << device;
    }
    check_round(sim, task, number)->frozen[hub->index] = set;
}

void check_opening(struct sim_node *hub, const struct sim_task *task, uint64_t number)
{
    struct sim *sim = hub->sim;
    const struct round *round = check_round(sim, task, number);
    const uint64_t set = round->frozen[hub->index], name = (uint64_t)task->index << 32 | number;
    if (sim_is_malicious(hub)) {
        return; /* its own business */
    }
    struct opened *opened = opened_by(sim, sim_hub_life(hub) << 8 | (hub->index + 1),
                                      sim_hash(round->parent, MR_HASH_BYTES, 11));
    for (unsigned i = 0; i < opened->count; i++) {
        if (opened->rounds[i] == name) {
            return; /* the same question once more */
        }
        if (opened->sets[i] & set) {
            sim_breach(sim,
                       "%s has opened two sums on one model in which a device is: of round "
                       "%" PRIu64 " of %s, and of round %" PRIu64 " of task %" PRIu64,
                       hub->name, number, task->name, opened->rounds[i] & UINT32_MAX,
                       opened->rounds[i] >> 32);
        }
    }
    MR_ASSERT(opened->count < OPENED_MAX);
    opened->rounds[opened->count] = name;
    opened->sets[opened->count++] = set;
    add_row(opened, set);
    for (unsigned device = 0; device < sim->plan.devices; device++) {
        if (gives_away(opened, device)) {
            sim_breach(sim, "the sums that %s has opened give device %u away", hub->name, device);
        }
    }
}

/* --- versions without a round ------------------------------------------------------------------
 */

void sim_check_resumed(struct sim *sim, const struct sim_task *task, const uint8_t *to)
{
    struct resumed *resumed = &sim->check->resumed[task->index];
    const uint8_t *from = task->resume.from;
    for (unsigned i = 0; i < resumed->count; i++) {
        if (memcmp(resumed->pairs[i][0], from, MR_HASH_BYTES) == 0 &&
            strcmp(resumed->codes[i], task->resume.codes) == 0) {
            if (memcmp(resumed->pairs[i][1], to, MR_HASH_BYTES) != 0) {
                sim_broken(sim, "two hubs of %s go on from one model with different ones",
                           task->name);
            }
            return;
        }
    }
    check_next_same(sim, task, from, to);
    MR_ASSERT(resumed->count < RESUMED_MAX);
    memcpy(resumed->codes[resumed->count], task->resume.codes, SIM_CODES_BYTES);
    memcpy(resumed->pairs[resumed->count][0], from, MR_HASH_BYTES);
    memcpy(resumed->pairs[resumed->count++][1], to, MR_HASH_BYTES);
}

/* Whether one is the other's next version without a round, or the next but one, … */
bool check_is_resumed(const struct sim *sim, const struct sim_task *task, const uint8_t *from,
                      const uint8_t *to)
{
    const struct resumed *resumed = &sim->check->resumed[task->index];
    bool reached[RESUMED_MAX] = {false};
    if (memcmp(from, to, MR_HASH_BYTES) == 0) {
        return resumed->count > 0;
    }
    for (unsigned i = 0; i < resumed->count; i++) { /* in the order in which they were made */
        const uint8_t *before = resumed->pairs[i][0];
        reached[i] = memcmp(before, from, MR_HASH_BYTES) == 0;
        for (unsigned j = 0; j < i && !reached[i]; j++) {
            reached[i] = reached[j] && memcmp(resumed->pairs[j][1], before, MR_HASH_BYTES) == 0;
        }
        if (reached[i] && memcmp(resumed->pairs[i][1], to, MR_HASH_BYTES) == 0) {
            return true;
        }
    }
    return false;
}
