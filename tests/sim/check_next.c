/* check_next.c - the next model, calculated a second time from the opened sum: the server
 * optimiser, the rounded step with what it leaves out, the mark. docs/wire-format.md, sections 11,
 * 12 and 20, for models without rotation. */
#include <inttypes.h>
#include <math.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "tests/sim/check_internal.h"
#include "tests/sim/device.h"
#include "tests/sim/disk.h"
#include "tests/sim/hub.h"
#include "tests/sim/marks.h"

#define STATE_HEADER 64

/* --- models and what goes with them ------------------------------------------------------------
 */

static struct known_model *find(const struct sim *sim, const struct sim_task *task,
                                const uint8_t *hash)
{
    const struct sim_check *check = sim->check;
    for (size_t i = check->known_count; i-- > 0;) {
        if (check->known[i].task == task->index &&
            memcmp(check->known[i].hash, hash, MR_HASH_BYTES) == 0) {
            return &check->known[i];
        }
    }
    return NULL;
}

static struct known_model *add(struct sim *sim, const struct sim_task *task, const uint8_t *hash)
{
    struct sim_check *check = sim->check;
    check->known = realloc(check->known, (check->known_count + 1) * sizeof *check->known);
    MR_ASSERT(check->known);
    struct known_model *known = &check->known[check->known_count++];
    *known = (struct known_model){.task = task->index,
                                  .values = calloc(3 * (size_t)task->dimension, sizeof(float))};
    MR_ASSERT(known->values);
    memcpy(known->hash, hash, MR_HASH_BYTES);
    return known;
}

static float *residual_of(const struct known_model *known, const struct sim_task *task)
{
    return known->values + task->dimension;
}

static float *momentum_of(const struct known_model *known, const struct sim_task *task)
{
    return known->values + 2 * (size_t)task->dimension;
}

void check_next_begin(struct sim *sim, const struct sim_task *task, const uint8_t *initial)
{
    const struct known_model *known = add(sim, task, initial);
    for (uint32_t i = 0; i < task->dimension; i++) {
        known->values[i] = sim_initial_value(sim, task, i);
    }
}

void check_next_same(struct sim *sim, const struct sim_task *task, const uint8_t *from,
                     const uint8_t *to)
{
    const struct known_model *before = find(sim, task, from);
    if (before && !find(sim, task, to)) {
        const float *values = before->values;
        memcpy(add(sim, task, to)->values, values, 3 * (size_t)task->dimension * sizeof *values);
    }
}

void check_next_free(struct sim_check *check)
{
    for (size_t i = 0; i < check->known_count; i++) {
        free(check->known[i].values);
    }
    free(check->known);
}

/* --- a step ------------------------------------------------------------------------------------
 */

/* The centred lane of a packed sum. */
static int64_t lane_of(const uint8_t *sum, unsigned bits, unsigned lane)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bits; i++) {
        const unsigned at = lane * bits + i;
        value |= (uint64_t)(sum[at / 8] >> at % 8 & 1) << i;
    }
    return (int64_t)value - (value >> (bits - 1) & 1 ? INT64_C(1) << bits : 0);
}

static void mean_update(float *update, const uint8_t *sum, const struct sim_task *task)
{
    const uint8_t *trailer = sum + (size_t)task->dimension * task->ring_bits / 8;
    const float factor = (float)(1.0 / (double)lane_of(trailer, 32, MR_TRAILER_WEIGHT));
    for (uint32_t i = 0; i < task->dimension; i++) {
        update[i] = (float)lane_of(sum, task->ring_bits, i) * factor;
    }
}

/* Sixteen sums, then pairs of them. */
static double sum_squares(const float *x, size_t count)
{
    double part[16] = {0};
    for (size_t i = 0; i < count; i++) {
        part[i % 16] += (double)x[i] * (double)x[i];
    }
    for (unsigned half = 8; half; half /= 2) {
        for (unsigned i = 0; i < half; i++) {
            part[i] += part[i + half];
        }
    }
    return part[0];
}

/* `step` becomes the one of few levels, `residual` what that leaves out. Returns delta. */
static float round_step(float *step, float *residual, int16_t *levels, const struct sim_task *task)
{
    const double stands_for = task->requantise == 8 ? 127 / 4.0 : 7 / 2.5;
    const size_t count = task->dimension;
    float largest = 0;
    for (size_t i = 0; i < count; i++) {
        step[i] += residual[i];
        largest = fmaxf(largest, fabsf(step[i]));
    }
    const float usual =
        (float)(sqrt(sum_squares(step, count)) / (sqrt((double)count) * stands_for));
    const float least = fmaxf(usual, largest / 32767), delta = isnormal(least) ? least : 0;
    for (size_t i = 0; i < count; i++) {
        levels[i] = delta > 0 ? (int16_t)nearbyintf(step[i] / delta) : 0;
        const float taken = (float)levels[i] * delta;
        residual[i] = step[i] - taken;
        step[i] = taken;
    }
    return delta;
}

/* --- the state that goes with it ----------------------------------------------------------------
 */

struct state {
    uint8_t bytes[2 * STATE_HEADER + (2 * sizeof(float) + sizeof(int16_t)) * SIM_VALUES_MAX];
    size_t length;
};

static uint8_t *put_header(struct state *state, const char *magic, uint8_t kind, uint32_t count)
{
    uint8_t *header = state->bytes + state->length;
    memset(header, 0, STATE_HEADER);
    memcpy(header, magic, 4);
    header[4] = 1;
    header[5] = kind;
    mr_be32_put(header + 8, count);
    state->length += STATE_HEADER;
    return header;
}

static void put(struct state *state, const void *bytes, size_t length)
{
    memcpy(state->bytes + state->length, bytes, length);
    state->length += length;
}

/* From the parent to `next`, before it is marked; the file of the state that its rounds go on from.
 */
static void step(struct known_model *next, struct state *state, const struct known_model *parent,
                 const uint8_t *sum, const struct sim_task *task)
{
    const size_t count = task->dimension, bytes = count * sizeof(float);
    float update[SIM_VALUES_MAX], *momentum = momentum_of(next, task);
    int16_t levels[SIM_VALUES_MAX] = {0};
    MR_ASSERT(count <= SIM_VALUES_MAX);
    memcpy(next->values, parent->values, 3 * bytes);
    mean_update(update, sum, task);
    if (task->momentum) {
        for (size_t i = 0; i < count; i++) {
            update[i] = momentum[i] = SIM_MOMENTUM * momentum[i] + update[i];
        }
        put_header(state, "MROS", 1, task->dimension);
        put(state, momentum, bytes);
    }
    if (task->requantise) {
        const float delta = round_step(update, residual_of(next, task), levels, task);
        uint32_t bits;
        memcpy(&bits, &delta, sizeof bits);
        uint8_t *header = put_header(state, "MRRQ", task->requantise, task->dimension);
        mr_be32_put(header + 12, task->dimension);
        mr_be32_put(header + 16, bits);
        put(state, residual_of(next, task), bytes);
        put(state, levels, count * sizeof levels[0]);
    }
    for (size_t i = 0; i < count; i++) {
        next->values[i] += update[i];
    }
}

/* --- against what hubs have ---------------------------------------------------------------------
 */

static const uint8_t *look(const struct sim_node *node, const struct sim_task *task,
                           const char *folder, const uint8_t *hash, const char *kind,
                           size_t *length)
{
    char name[160], hex[2 * MR_HASH_BYTES + 1];
    mr_hex_encode(hex, hash, MR_HASH_BYTES);
    snprintf(name, sizeof name, "tasks/%s/%s/%s.%s", task->name, folder, hex, kind);
    return sim_disk_look(node->disk, name, length);
}

/* Says what is wrong with the file; NULL: nothing. */
static const char *compare(const struct sim_node *node, const struct sim_task *task,
                           const struct known_model *next, const struct state *state)
{
    static const char member[] = "millrace.optimiser_state";
    uint8_t hash[MR_HASH_BYTES];
    char hex[2 * MR_HASH_BYTES + 1];
    size_t length = 0, state_bytes = 0;
    const uint8_t *file = look(node, task, "models", next->hash, "safetensors", &length);
    if (!file || length < 8 + sizeof(float) * task->dimension) {
        return "is not there";
    }
    const size_t header = length - sizeof(float) * task->dimension;
    SHA256(file, length, hash);
    if (memcmp(hash, next->hash, MR_HASH_BYTES) != 0) {
        return "is not the file that it is named after";
    }
    if (memcmp(file + header, next->values, sizeof(float) * task->dimension) != 0) {
        return "has other values than the opened sum leads to";
    }
    SHA256(state->bytes, state->length, hash);
    mr_hex_encode(hex, hash, MR_HASH_BYTES);
    const char *wanted = state->length ? hex : member;
    if ((memmem(file, header, wanted, strlen(wanted)) != NULL) != (state->length > 0)) {
        return "goes with another state of the optimiser than the opened sum leads to";
    }
    const uint8_t *kept =
        state->length ? look(node, task, "optimisers", hash, "state", &state_bytes) : NULL;
    if (state->length &&
        (!kept || state_bytes != state->length || memcmp(kept, state->bytes, state_bytes) != 0)) {
        return "is there, and the state that goes with it is not";
    }
    return NULL;
}

void check_next_model(struct sim_node *node, const struct sim_task *task, uint64_t number)
{
    struct sim *sim = node->sim;
    const struct round *round = check_round(sim, task, number);
    struct known_model next = {.values = NULL};
    struct state state = {.length = 0};
    size_t length = 0;
    const uint8_t *sum = check_kept_sum(node, task, number, &length);
    const struct known_model *parent = find(sim, task, round->parent);
    if (!round->made || !sum || !parent) {
        sim_broken(sim, "round %" PRIu64 " of %s at %s: %s", number, task->name, node->name,
                   !round->made ? "its record names no model"
                   : !sum       ? "there is no sum"
                                : "it begins with a model that nobody has made");
        return;
    }
    next.values = calloc(3 * (size_t)task->dimension, sizeof *next.values);
    MR_ASSERT(next.values);
    memcpy(next.hash, round->model, MR_HASH_BYTES);
    step(&next, &state, parent, sum, task);
    if (task->marked) {
        check_mark(next.values, task);
    }
    const char *wrong = compare(node, task, &next, &state);
    if (wrong) {
        sim_breach(sim, "the model of round %" PRIu64 " of %s at %s %s", number, task->name,
                   node->name, wrong);
    } else if (!find(sim, task, next.hash)) {
        memcpy(add(sim, task, next.hash)->values, next.values,
               3 * (size_t)task->dimension * sizeof *next.values);
    }
    free(next.values);
}
