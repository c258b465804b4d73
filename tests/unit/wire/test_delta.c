/* test_delta.c - deltas: both ways, and what is damaged. */
#include "wire_test.h"

#include <limits.h>
#include <math.h>

#include "base/bytes.h"
#include "kernels/kernels.h"
#include "wire/delta.h"
#include "wire/integer_code.h"
#include "wire/keys.h"
#include "wire/layout.h"
#include "wire/safetensors.h"
#include "wire/tensor_parts.h"

static struct mr_error error;

static uint64_t random_state = 1;

static uint32_t next_random(void)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 32);
}

/* About normal, of that deviation. */
static int32_t bell(double deviation)
{
    double sum = 0;
    for (unsigned i = 0; i < 12; i++) {
        sum += next_random() / 4294967296.0;
    }
    return (int32_t)lround((sum - 6) * deviation);
}

static struct mr_integer_scratch scratch;

/* --- models ---------------------------------------------------------------------------------- */

struct file {
    uint8_t *bytes;
    size_t length, header;
};

static struct file model_of(uint32_t count, size_t foreign)
{
    struct file file;
    const struct mr_tensor tensor = {.name = "w", .dims = {count}, .rank = 1};
    uint8_t *header = mr_safetensors_header(&tensor, 1, &file.header);
    MR_ASSERT(header);
    file.header += foreign; /* one space more: the values are at odd addresses */
    file.length = file.header + 4 * (size_t)count;
    file.bytes = malloc(file.length);
    MR_ASSERT(file.bytes);
    memset(file.bytes, ' ', file.header);
    memcpy(file.bytes, header, file.header - foreign);
    const uint64_t length = file.header - 8;
    memcpy(file.bytes, &length, 8);
    free(header);
    for (uint32_t i = 0; i < count; i++) {
        const float value = (float)bell(1000) / 8192.0f;
        memcpy(file.bytes + file.header + 4 * (size_t)i, &value, 4);
    }
    return file;
}

static struct file copy_of(const struct file *file)
{
    struct file copy = *file;
    copy.bytes = malloc(file->length);
    MR_ASSERT(copy.bytes);
    memcpy(copy.bytes, file->bytes, file->length);
    return copy;
}

static struct mr_delta_writing about(const struct file *target)
{
    return (struct mr_delta_writing){
        .base_hash = {1}, .target_hash = {2}, .target_bytes = target->length, .most = SIZE_MAX / 2};
}

#define WAYS   4    /* to apply a delta */
#define CANARY 4096 /* bytes that nobody may touch */

/* Into a place with so much room. */
static int apply_in(size_t room, const struct mr_delta_job *wanted, const struct file *target)
{
    struct mr_delta_job job = *wanted;
    const size_t length = room > target->length ? room : target->length;
    job.target = malloc(length + CANARY);
    MR_ASSERT(job.target);
    job.target_room = room;
    memset(job.target, 0xa5, length + CANARY);
    const int result = mr_delta_apply(&job, &error);
    if (result == 0) {
        memcpy(target->bytes, job.target, target->length);
    }
    for (size_t i = 0; i < CANARY; i++) {
        assert_int_equal(job.target[length + i], 0xa5);
    }
    free(job.target);
    return result;
}

/* A base that is read in pieces: not beside it, and only as often as it can be. */
struct reading {
    const struct file *base;
    unsigned left;
};

static int read_base(void *context, void *into, size_t from, size_t bytes)
{
    struct reading *reading = context;
    assert_true(from >= reading->base->header && bytes <= reading->base->length - from);
    if (reading->left == 0) {
        return -1;
    }
    reading->left--;
    memcpy(into, reading->base->bytes + from, bytes);
    return 0;
}

/* Whether a round's lanes have room where the values are to be makes no difference, nor how the
 * base is read. */
static int apply(const struct mr_delta_out *delta, const struct file *base, struct file *target,
                 const struct mr_kernels *kernels)
{
    struct reading reading = {.base = base, .left = UINT_MAX};
    struct mr_delta_job job = {.delta = delta->bytes,
                               .delta_bytes = delta->length,
                               .base = base->bytes,
                               .base_bytes = base->length,
                               .base_context = &reading,
                               .kernels = kernels};
    const size_t rooms[] = {mr_delta_room(target->length), target->length, 0,
                            mr_delta_room(target->length)};
    struct file made[WAYS];
    int results[WAYS];
    for (unsigned i = 0; i < WAYS; i++) {
        made[i] = copy_of(target);
        job.base_read = i == WAYS - 1 ? read_base : NULL;
        results[i] = apply_in(rooms[i], &job, &made[i]);
        assert_int_equal(results[i], results[0]);
        assert_memory_equal(made[i].bytes, made[0].bytes, target->length);
    }
    memcpy(target->bytes, made[0].bytes, target->length);
    for (unsigned i = 0; i < WAYS; i++) {
        free(made[i].bytes);
    }
    return results[0];
}

/* --- sums ------------------------------------------------------------------------------------ */

struct round {
    struct mr_delta_step step;
    struct mr_mask_stream signs;
    struct mr_layout layout;
    uint32_t *lanes; /* two's complement */
};

static void lanes_of(void *context, int32_t *out, uint32_t first, uint32_t count)
{
    const struct round *round = context;
    memcpy(out, round->lanes + first, count * sizeof *out);
}

static struct round round_of(uint32_t dimension, uint8_t rotation_log2, float factor)
{
    struct round round;
    uint8_t seed[32] = {7};
    MR_ASSERT(mr_layout_init(&round.layout, 32, dimension, rotation_log2, 1408) == 0);
    round.step = (struct mr_delta_step){
        .factor = factor, .rotation_log2 = rotation_log2, .lanes = round.layout.lanes};
    if (rotation_log2) {
        MR_ASSERT(mr_rotation_derive(&round.signs, seed, 9) == 0);
        memcpy(round.step.sign_key, round.signs.round_keys[0], 16);
        memcpy(round.step.sign_counter, round.signs.counter, 16);
    }
    round.lanes = malloc(round.layout.lanes * sizeof *round.lanes);
    MR_ASSERT(round.lanes);
    for (uint32_t i = 0; i < round.layout.lanes; i++) {
        round.lanes[i] = (uint32_t)bell(80);
    }
    return round;
}

/* What a hub does with the opened sum (docs/wire-format.md, "Next model"). */
static void add_round(struct file *file, const struct round *round, uint32_t dimension)
{
    const struct mr_kernels *kernels = mr_kernels_select(MR_CPU_SCALAR);
    const size_t lanes = round->layout.lanes;
    float *update = malloc(lanes * sizeof *update), *values = malloc(4 * (size_t)dimension);
    uint8_t *bits = malloc(lanes / 8);
    MR_ASSERT(update && values && bits);
    kernels->centre_w32(update, round->lanes, round->step.factor, lanes);
    if (round->step.rotation_log2) {
        kernels->mask_expand(bits, &round->signs, 0, lanes / 8);
        kernels->hadamard(update, lanes, round->layout.rotation_block);
        kernels->flip_signs(update, bits, lanes);
    }
    memcpy(values, file->bytes + file->header, 4 * (size_t)dimension);
    kernels->axpy(values, 1.0f, update, dimension);
    memcpy(file->bytes + file->header, values, 4 * (size_t)dimension);
    free(update);
    free(values);
    free(bits);
}

/* Each step in a delta of its own, joined: what was written of all of them. */
static void check_joined(const struct mr_delta_out *whole, struct mr_delta_writing writing,
                         const struct mr_delta_source *sources, unsigned steps)
{
    struct mr_delta_out single[MR_DELTA_STEPS_MAX], joined;
    struct mr_delta_part parts[MR_DELTA_STEPS_MAX];
    for (unsigned i = 0; i < steps; i++) {
        assert_int_equal(mr_delta_write_sums(&single[i], &writing, &sources[i], 1), 0);
        assert_int_equal(mr_delta_steps(single[i].bytes, single[i].length), 1);
        parts[i] = (struct mr_delta_part){single[i].bytes, single[i].length};
    }
    writing.most = whole->length;
    assert_int_equal(mr_delta_join(&joined, &writing, parts, steps), 0);
    assert_int_equal(mr_delta_steps(joined.bytes, joined.length), steps);
    assert_int_equal(joined.length, whole->length);
    assert_memory_equal(joined.bytes, whole->bytes, whole->length);
    free(joined.bytes);
    writing.most--;
    assert_int_equal(mr_delta_join(&joined, &writing, parts, steps), 1);
    assert_null(joined.bytes);
    for (unsigned i = 0; i < steps; i++) {
        free(single[i].bytes);
    }
}

static void try_sums(uint32_t dimension, uint8_t rotation_log2, unsigned steps, size_t foreign)
{
    static const enum mr_cpu_level levels[] = {MR_CPU_SCALAR, MR_CPU_AVX2, MR_CPU_AVX512,
                                               MR_CPU_NEON};
    struct file base = model_of(dimension, foreign), target = copy_of(&base);
    struct round rounds[MR_DELTA_STEPS_MAX];
    struct mr_delta_source sources[MR_DELTA_STEPS_MAX];
    for (unsigned i = 0; i < steps; i++) {
        rounds[i] = round_of(dimension, rotation_log2, 1e-4f / (float)(i + 1));
        add_round(&target, &rounds[i], dimension);
        sources[i] = (struct mr_delta_source){rounds[i].step, lanes_of, &rounds[i]};
    }
    const struct mr_delta_writing writing = about(&target);
    struct mr_delta_out delta;
    assert_int_equal(mr_delta_write_sums(&delta, &writing, sources, steps), 0);
    check_joined(&delta, writing, sources, steps);
    for (unsigned i = 0; i < 4; i++) {
        const struct mr_kernels *kernels = mr_kernels_at(levels[i]);
        struct file made = copy_of(&target);
        memset(made.bytes, 0xa5, made.length);
        if (kernels) {
            if (apply(&delta, &base, &made, kernels) != 0) {
                fail_msg("%s", error.text);
            }
            assert_memory_equal(made.bytes, target.bytes, target.length);
        }
        free(made.bytes);
    }
    for (unsigned i = 0; i < steps; i++) {
        free(rounds[i].lanes);
    }
    free(delta.bytes);
    free(base.bytes);
    free(target.bytes);
}

static void test_sums(void **state)
{
    (void)state;
    try_sums(1, 0, 1, 0);
    try_sums(1000, 6, 1, 0);
    try_sums(1000, 6, 3, 1);
    try_sums(70000, 16, 1, 0);
    try_sums(70000, 10, 1, 0); /* three pieces of the base */
    try_sums(40000, 0, 2, 3);
    /* More blocks than a group holds, and a last group that is smaller. */
    try_sums(17 * 65536 + 100, 16, 1, 0);
    try_sums(MR_DELTA_GROUP_LANES + 5, 10, 2, 0);
}

/* A base of which only the first piece can be read. */
static void test_base_unread(void **state)
{
    enum { DIMENSION = 70000 };
    struct file base = model_of(DIMENSION, 0);
    struct round round = round_of(DIMENSION, 10, 1e-4f);
    const struct mr_delta_source source = {round.step, lanes_of, &round};
    const struct mr_delta_writing writing = about(&base);
    struct reading reading = {.base = &base, .left = 1};
    struct mr_delta_out delta;
    (void)state;
    assert_int_equal(mr_delta_write_sums(&delta, &writing, &source, 1), 0);
    const struct mr_delta_job job = {.delta = delta.bytes,
                                     .delta_bytes = delta.length,
                                     .base = base.bytes,
                                     .base_bytes = base.length,
                                     .base_read = read_base,
                                     .base_context = &reading,
                                     .kernels = mr_kernels_select(UINT32_MAX)};
    assert_int_equal(apply_in(mr_delta_room(base.length), &job, &base), -1);
    assert_non_null(strstr(error.text, "cannot be read"));
    assert_int_equal(reading.left, 0);
    free(round.lanes);
    free(delta.bytes);
    free(base.bytes);
}

/* The same sums on a model of which the middle is frozen: the others move as without it. */
static void test_sums_of_some(void **state)
{
    (void)state;
    enum { DIMENSION = 3000, AT = 1111, FROZEN = 77 };
    struct file plain = model_of(DIMENSION, 0), target = copy_of(&plain);
    const struct mr_tensor tensors[] = {
        {.name = "a", .dims = {AT}, .rank = 1},
        {.name = "rest", .dims = {FROZEN}, .rank = 1},
        {.name = "b", .dims = {DIMENSION - AT}, .rank = 1},
    };
    struct file whole = {.bytes = mr_safetensors_header(tensors, 3, &whole.header)}, base;
    whole.length = whole.header + 4 * (DIMENSION + FROZEN);
    whole.bytes = realloc(whole.bytes, whole.length);
    uint8_t *values = whole.bytes + whole.header;
    memcpy(values, plain.bytes + plain.header, 4 * AT);
    memset(values + 4 * AT, 0x42, 4 * FROZEN);
    memcpy(values + 4 * (AT + FROZEN), plain.bytes + plain.header + 4 * AT, 4 * (DIMENSION - AT));
    base.bytes = mr_safetensors_rename(whole.bytes, whole.length, MR_FROZEN_MEMBER, "rest",
                                       &base.length, &error);
    base.header = base.length - 4 * (DIMENSION + FROZEN);
    struct round round = round_of(DIMENSION, 6, 1e-4f);
    add_round(&target, &round, DIMENSION);
    const struct mr_delta_source source = {round.step, lanes_of, &round};
    struct file made = copy_of(&base);
    const struct mr_delta_writing writing = about(&made);
    struct mr_delta_out delta;
    assert_int_equal(mr_delta_write_sums(&delta, &writing, &source, 1), 0);
    if (apply(&delta, &base, &made, mr_kernels_select(UINT32_MAX)) != 0) {
        fail_msg("%s", error.text);
    }
    const uint8_t *got = made.bytes + made.header, *want = target.bytes + target.header;
    assert_memory_equal(made.bytes, base.bytes, base.header);
    assert_memory_equal(got, want, 4 * AT);
    assert_memory_equal(got + 4 * AT, values + 4 * AT, 4 * FROZEN);
    assert_memory_equal(got + 4 * (AT + FROZEN), want + 4 * AT, 4 * (DIMENSION - AT));
    free(round.lanes);
    free(delta.bytes);
    free(plain.bytes);
    free(target.bytes);
    free(whole.bytes);
    free(base.bytes);
    free(made.bytes);
}

/* --- changes --------------------------------------------------------------------------------- */

static void try_changes(uint32_t dimension, uint32_t one_in, bool other_header)
{
    struct file base = model_of(dimension, 0), target = copy_of(&base);
    if (other_header) {
        free(target.bytes);
        target = model_of(dimension, 5);
        memcpy(target.bytes + target.header, base.bytes + base.header, 4 * (size_t)dimension);
    }
    for (uint32_t i = 0; i < dimension; i++) {
        if (one_in && next_random() % one_in == 0) {
            const uint32_t bits = next_random();
            memcpy(target.bytes + target.header + 4 * (size_t)i, &bits, 4);
        }
    }
    struct mr_delta_writing writing = about(&target);
    writing.header = other_header ? target.bytes : NULL;
    writing.header_bytes = other_header ? (uint32_t)target.header : 0;
    struct mr_delta_out delta;
    assert_int_equal(mr_delta_write_changes(&delta, &writing, base.bytes + base.header,
                                            target.bytes + target.header, dimension),
                     0);
    struct file made = copy_of(&target);
    memset(made.bytes, 0xa5, made.length);
    if (apply(&delta, &base, &made, mr_kernels_select(UINT32_MAX)) != 0) {
        fail_msg("%s", error.text);
    }
    assert_memory_equal(made.bytes, target.bytes, target.length);
    free(made.bytes);
    const double estimate = (double)mr_delta_changes_estimate(
        base.bytes + base.header, target.bytes + target.header, dimension);
    assert_true(estimate < 1.1 * (double)delta.length);
    assert_true(one_in == 0 || one_in > 2 || estimate > 0.9 * (double)delta.length);
    /* One byte less is too long. */
    writing.most = delta.length - 1;
    struct mr_delta_out none;
    assert_int_equal(mr_delta_write_changes(&none, &writing, base.bytes + base.header,
                                            target.bytes + target.header, dimension),
                     1);
    assert_null(none.bytes);
    free(delta.bytes);
    free(base.bytes);
    free(target.bytes);
}

static void test_changes(void **state)
{
    (void)state;
    try_changes(5000, 0, false);
    try_changes(5000, 0, true);
    try_changes(50000, 100, false);
    try_changes(100000, 1, false);
    try_changes(200000, 2, true);
    static const float rising[] = {-INFINITY, -2, -1e-40f, -0.0f, 0.0f, 1e-40f, 2, INFINITY};
    for (unsigned i = 0; i < 8; i++) {
        uint32_t a, b;
        memcpy(&a, &rising[i], 4);
        memcpy(&b, &rising[i < 7 ? i + 1 : i], 4);
        assert_true(i == 7 || (int32_t)mr_delta_rank(a) < (int32_t)mr_delta_rank(b));
        assert_int_equal(mr_delta_rank(mr_delta_rank(a)), a);
    }
}

/* --- what is damaged ------------------------------------------------------------------------- */

/* Each byte of the head, and some of the others, changed: refused, or it makes something else. The
 * sanitizers watch that nothing is touched beside the target. */
static void damage(const struct mr_delta_out *delta, const struct file *base,
                   const struct file *target)
{
    struct file made = copy_of(target);
    for (size_t cut = 0; cut < delta->length; cut += cut < 200 ? 1 : 997) {
        struct mr_delta_out part = {.bytes = malloc(cut + !cut), .length = cut};
        MR_ASSERT(part.bytes);
        memcpy(part.bytes, delta->bytes, cut);
        assert_int_equal(apply(&part, base, &made, mr_kernels_select(UINT32_MAX)), -1);
        free(part.bytes);
    }
    for (size_t at = 0; at < delta->length; at += at < 200 ? 1 : 499) {
        if (at >= 70 && at < 78) {
            continue; /* the size is the caller's to bound before */
        }
        delta->bytes[at] ^= 0x41;
        (void)apply(delta, base, &made, mr_kernels_select(UINT32_MAX));
        delta->bytes[at] ^= 0x41;
    }
    free(made.bytes);
}

static void refused(struct mr_delta_out *delta, const struct file *base, struct file *target,
                    const char *word)
{
    assert_int_equal(apply(delta, base, target, mr_kernels_select(UINT32_MAX)), -1);
    if (!strstr(error.text, word)) {
        fail_msg("expected \"%s\" in \"%s\"", word, error.text);
    }
}

static void test_damaged(void **state)
{
    (void)state;
    struct file base = model_of(1000, 0), target = copy_of(&base);
    struct round round = round_of(1000, 6, 1e-4f);
    struct mr_delta_source source = {round.step, lanes_of, &round};
    struct mr_delta_writing writing = about(&target);
    struct mr_delta_out delta;
    assert_int_equal(mr_delta_write_sums(&delta, &writing, &source, 1), 0);
    damage(&delta, &base, &target);
    delta.bytes[MR_DELTA_HEAD_BYTES] = 0;
    refused(&delta, &base, &target, "steps");
    delta.bytes[MR_DELTA_HEAD_BYTES] = 1;
    delta.bytes[MR_DELTA_HEAD_BYTES + 1 + 4] = 17;
    refused(&delta, &base, &target, "lanes of another model");
    delta.bytes[MR_DELTA_HEAD_BYTES + 1 + 4] = 6;
    mr_be32_put(delta.bytes + MR_DELTA_HEAD_BYTES + 1 + 5, UINT32_MAX); /* a bomb */
    refused(&delta, &base, &target, "lanes of another model");
    free(delta.bytes);
    memset(target.bytes + target.header + 400, 1, 800);
    assert_int_equal(mr_delta_write_changes(&delta, &writing, base.bytes + base.header,
                                            target.bytes + target.header, 1000),
                     0);
    damage(&delta, &base, &target);
    /* The first of 200 values is moved so that the last lies beyond the model's end. */
    assert_int_equal(delta.bytes[MR_DELTA_HEAD_BYTES + 4], MR_INTEGER_SHORT);
    free(delta.bytes);
    uint32_t gaps[2] = {999, 0};
    delta.bytes = calloc(1, MR_DELTA_HEAD_BYTES + 4 + 18);
    MR_ASSERT(delta.bytes);
    memcpy(delta.bytes, "MRDL\0\2", 6);
    mr_be64_put(delta.bytes + 70, target.length);
    delta.bytes[78] = MR_DELTA_CHANGES;
    mr_be32_put(delta.bytes + MR_DELTA_HEAD_BYTES, 2);
    delta.length = MR_DELTA_HEAD_BYTES + 4;
    delta.length += mr_integer_write(delta.bytes + delta.length, gaps, 2, &scratch);
    gaps[0] = 0;
    delta.length += mr_integer_write(delta.bytes + delta.length, gaps, 2, &scratch);
    refused(&delta, &base, &target, "beyond the model's last");
    free(delta.bytes);
    free(round.lanes);
    free(base.bytes);
    free(target.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base_unread),  cmocka_unit_test(test_sums),
        cmocka_unit_test(test_sums_of_some), cmocka_unit_test(test_changes),
        cmocka_unit_test(test_damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
