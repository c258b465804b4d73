#include "tests/unit/wire/wire_vectors_quantiser.h"

#include <stdlib.h>

#include "base/assert.h"
#include "wire/keys.h"
#include "wire/quantiser.h"

static json_int_t whole(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    MR_ASSERT(json_is_integer(value));
    return json_integer_value(value);
}

static double real(const json_t *value)
{
    MR_ASSERT(json_is_number(value));
    return json_number_value(value);
}

/* Rounds one after the other, from number 1 on. */
static void remember(struct mr_norm_memory *memory, const json_t *rounds)
{
    size_t i;
    json_t *round;
    json_array_foreach(rounds, i, round) {
        uint32_t counts[MR_NORM_BINS];
        for (unsigned bin = 0; bin < MR_NORM_BINS; bin++) {
            counts[bin] =
                (uint32_t)json_integer_value(json_array_get(json_array_get(round, 0), bin));
        }
        mr_norm_memory_add(memory, counts, (float)real(json_array_get(round, 1)), i + 1);
    }
}

json_t *wire_vectors_quantiser(const json_t *question)
{
    struct mr_norm_memory memory = {.devices = 0};
    const json_t *rounds = json_object_get(question, "rounds");
    const uint8_t ring_bits = (uint8_t)whole(question, "ring_bits");
    const uint32_t cohort_max = (uint32_t)whole(question, "cohort_max");
    const double clip_norm = real(json_object_get(question, "clip_norm"));
    const struct mr_quantiser quantiser = {
        .levels = mr_quantiser_levels(ring_bits, cohort_max, (uint32_t)whole(question, "headroom")),
        .lanes = (uint32_t)whole(question, "lanes"),
        .cohort_max = cohort_max,
        .clip_norm = (float)clip_norm,
        .round = json_array_size(rounds) + 1 + (uint64_t)whole(question, "silent")};
    remember(&memory, rounds);
    return json_pack("{s:i, s:i, s:i, s:f}", "levels", quantiser.levels, "rotation_log2",
                     mr_quantiser_rotation_log2((uint32_t)whole(question, "dimension")), "bin",
                     (int)mr_norm_bin(real(json_object_get(question, "norm")), (float)clip_norm),
                     "scale",
                     quantiser.levels > 0 ? (double)mr_quantiser_scale(&quantiser, &memory) : 0.0);
}

void wire_vectors_rotate(float *x, const struct mr_round_terms *terms,
                         const struct mr_kernels *kernels)
{
    const struct mr_announcement *a = &terms->announcement;
    const size_t lanes = terms->layout.lanes;
    struct mr_mask_stream signs;
    uint8_t *bits = malloc(lanes / 8);
    MR_ASSERT(bits && mr_rotation_derive(&signs, a->rotation_seed, a->round) == 0);
    if (terms->layout.rotation_block > 1) {
        kernels->mask_expand(bits, &signs, 0, lanes / 8);
        kernels->flip_signs(x, bits, lanes);
        kernels->hadamard(x, lanes, terms->layout.rotation_block);
    }
    free(bits);
}
