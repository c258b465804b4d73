/* test_quantiser.c - the rule that chooses a round's quantiser, in values worked out by the study
 * (docs/decisions/0023-quantiser.md). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire/quantiser.h"

#define D (1310720u) /* 40 blocks of 2^15, and one more */

static const struct mr_norm_memory nothing = {.devices = 0};

static void test_levels(void **state)
{
    (void)state;
    static const struct {
        uint8_t ring_bits;
        uint32_t cohort_max, headroom;
        unsigned levels;
        double range; /* two digits */
    } rows[] = {
        {8, 30, 1, 4, 2.86},  {12, 100, 1, 20, 3.975}, {12, 250, 1, 8, 3.74},
        {16, 258, 1, 127, 4}, {8, 250, 1, 0, 0},       {16, 129, 2, 127, 4},
        {16, 130, 2, 126, 4}, {16, 258, 2, 63, 4},     {16, 16383, 2, 1, 3.75},
        {16, 16384, 2, 0, 0}, {32, 2, 64, 127, 3.92},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const uint8_t levels =
            mr_quantiser_levels(rows[i].ring_bits, rows[i].cohort_max, rows[i].headroom);
        assert_int_equal(levels, rows[i].levels);
        if (levels > 0) {
            const double range = mr_quantiser_first_range(levels, rows[i].cohort_max);
            assert_true(fabs(range - rows[i].range) < 0.005);
            assert_true(mr_quantiser_cohort_max(rows[i].ring_bits, levels, rows[i].headroom) >=
                        rows[i].cohort_max);
        }
    }
}

/* Fewer levels than the ring holds, never more. */
static void test_levels_asked(void **state)
{
    (void)state;
    assert_int_equal(mr_quantiser_levels_asked(12, 30, 4, 0), 17);
    assert_int_equal(mr_quantiser_levels_asked(12, 30, 4, 255), 17);
    assert_int_equal(mr_quantiser_levels_asked(12, 30, 4, 1), 1);
    assert_int_equal(mr_quantiser_levels_asked(12, 30, 4, 17), 17);
    assert_int_equal(mr_quantiser_levels_asked(12, 30, 4, 18), 0);
    assert_int_equal(mr_quantiser_levels_asked(8, 32, 4, 1), 0);
}

/* The narrowest ring for the levels, or for the error. */
static void test_ring(void **state)
{
    (void)state;
    static const struct {
        struct mr_ring_question question;
        uint8_t ring;
    } rows[] = {
        {{.cohort_max = 31, .headroom = 4, .devices = 20, .levels = 1}, 8},
        {{.cohort_max = 32, .headroom = 4, .devices = 20, .levels = 1}, 10},
        {{.cohort_max = 30, .headroom = 4, .devices = 20, .levels = 7}, 12},
        {{.cohort_max = 30, .headroom = 4, .devices = 20, .levels = 127}, 16},
        {{.cohort_max = 65, .headroom = 4, .devices = 20, .levels = 127}, 24},
        {{.cohort_max = 64, .headroom = 64, .devices = 20, .levels = 1}, 16},
        {{.cohort_max = UINT32_MAX, .headroom = 4, .devices = 2, .levels = 1}, 0},
        {{.cohort_max = UINT32_MAX, .headroom = 4, .devices = 2, .error_most = 1}, 0},
        {{.cohort_max = 30, .headroom = 4, .devices = 20, .error_most = 1}, 8},
        {{.cohort_max = 30, .headroom = 4, .devices = 20, .error_most = 0.16}, 10},
        {{.cohort_max = 30, .headroom = 4, .devices = 20, .error_most = 0.05}, 12},
        {{.cohort_max = 30, .headroom = 4, .devices = 20, .error_most = 0.01}, 16},
        /* No ring does: the narrowest of those with all levels. */
        {{.cohort_max = 30, .headroom = 4, .devices = 20, .error_most = 1e-6}, 16},
        {{.cohort_max = 1000, .headroom = 4, .devices = 2, .error_most = 1e-6}, 24},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const uint8_t ring = mr_quantiser_ring(&rows[i].question);
        if (ring != rows[i].ring) {
            fail_msg("row %zu: a ring of %u bits", i, ring);
        }
        if (ring > 0) {
            assert_true(mr_quantiser_levels(ring, rows[i].question.cohort_max,
                                            rows[i].question.headroom) >= 1);
        }
    }
}

static void test_rotation(void **state)
{
    (void)state;
    static const struct {
        uint32_t dimension;
        uint8_t log2;
    } rows[] = {{1, 6},         {10, 6},        {64, 6},
                {100, 6},       {300, 6},       {703, 6},
                {1000, 10},     {70000, 11},    {D, 15},
                {199270, 13},   {100000, 12},   {1000000, 15},
                {1300000, 14},  {1100000, 16},  {65536, 16},
                {1u << 17, 12}, {1u << 20, 15}, {MR_LEVELS_MAX, 7},
                {1u << 30, 16}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(mr_quantiser_rotation_log2(rows[i].dimension), rows[i].log2);
    }
}

static struct mr_quantiser quantiser_of(uint32_t lanes, uint64_t round)
{
    return (struct mr_quantiser){
        .levels = 127, .lanes = lanes, .cohort_max = 258, .clip_norm = 1, .round = round};
}

static void test_first_scale(void **state)
{
    (void)state;
    struct mr_quantiser quantiser = quantiser_of(D, 1);
    assert_true(fabs((double)mr_quantiser_scale(&quantiser, &nothing) - 36349.52) < 0.01);
    quantiser = quantiser_of(1024, 1);
    assert_true(mr_quantiser_scale(&quantiser, &nothing) == 1016.0f);
    quantiser.clip_norm = 0.25f;
    assert_true(mr_quantiser_scale(&quantiser, &nothing) == 4064.0f);
}

/* Four devices of norm 0.05: the bin below 2^-4, whose norm is the grid's 2^-4.25. */
static void test_next_scale(void **state)
{
    (void)state;
    struct mr_norm_memory memory = nothing;
    uint32_t counts[MR_NORM_BINS] = {0};
    counts[mr_norm_bin(0.05, 1)] = 4;
    mr_norm_memory_add(&memory, counts, 1, 1);
    struct mr_quantiser quantiser = quantiser_of(D, 2);
    assert_true(fabs(mr_quantiser_reach(&quantiser, &memory) - 0.052556) < 1e-6);
    assert_true(fabs((double)mr_quantiser_scale(&quantiser, &memory) - 691634) < 1);
    /* Rounds that opened nothing widen it, up to clip_norm. */
    quantiser.round = 3;
    assert_true(fabs(mr_quantiser_reach(&quantiser, &memory) - 2 * 0.052556) < 1e-5);
    quantiser.round = 1000000;
    assert_true(mr_quantiser_reach(&quantiser, &memory) == 1);
    /* A tighter clip_norm bounds what the older norms can have been. */
    quantiser = (struct mr_quantiser){
        .levels = 127, .lanes = D, .cohort_max = 258, .clip_norm = 0.01f, .round = 2};
    assert_true(fabs(mr_quantiser_reach(&quantiser, &memory) - 0.01) < 1e-6);
}

static void test_bins(void **state)
{
    (void)state;
    assert_int_equal(mr_norm_bin(0, 2), 0);
    assert_int_equal(mr_norm_bin(2.0 / 256, 2), 0);
    assert_int_equal(mr_norm_bin(2.0 / 256 * 1.0001, 2), 1);
    assert_int_equal(mr_norm_bin(0.5, 2), 6);
    assert_int_equal(mr_norm_bin(1.0, 2), 7);
    assert_int_equal(mr_norm_bin(1.0001, 2), 8);
    assert_int_equal(mr_norm_bin(1e30, 2), 8);
}

static void test_memory(void **state)
{
    (void)state;
    struct mr_norm_memory memory = nothing;
    const uint32_t first[MR_NORM_BINS] = {[3] = 100}, then[MR_NORM_BINS] = {[5] = 30};
    mr_norm_memory_add(&memory, first, 1, 4);
    mr_norm_memory_add(&memory, then, 1, 6);
    assert_true(fabs(memory.counts[3] - 70) < 1e-9 && memory.counts[5] == 30);
    assert_int_equal(memory.devices, 30);
    assert_int_equal(memory.round, 6);
    /* Edges of another clip_norm: the older counts mean other norms. */
    mr_norm_memory_add(&memory, then, 2, 7);
    assert_true(memory.counts[3] == 0 && memory.counts[5] == 30 && memory.clip_norm == 2);
}

/* One liar of a hundred does not move the step; of four it does, up to clip_norm. */
static void test_one_word_is_not_heard(void **state)
{
    (void)state;
    const struct mr_quantiser quantiser = quantiser_of(D, 2);
    struct mr_norm_memory honest = nothing, lied = nothing;
    const uint32_t all[MR_NORM_BINS] = {[4] = 100}, liar[MR_NORM_BINS] = {[4] = 99, [8] = 1};
    mr_norm_memory_add(&honest, all, 1, 1);
    mr_norm_memory_add(&lied, liar, 1, 1);
    assert_true(mr_quantiser_reach(&quantiser, &lied) == mr_quantiser_reach(&quantiser, &honest));
    const uint32_t few[MR_NORM_BINS] = {[4] = 3, [8] = 1};
    struct mr_norm_memory heard = nothing;
    mr_norm_memory_add(&heard, few, 1, 1);
    assert_true(mr_quantiser_reach(&quantiser, &heard) > mr_quantiser_reach(&quantiser, &honest));
    assert_true(mr_quantiser_reach(&quantiser, &heard) <= 1);
}

/* Hubs compare with room for one step of the grid, and no more. */
static void test_agreement(void **state)
{
    (void)state;
    assert_true(mr_quantiser_agrees(1000, 1000));
    assert_true(mr_quantiser_agrees(1000 * 1.18920711f, 1000));
    assert_true(mr_quantiser_agrees(1000 / 1.18920711f, 1000));
    assert_false(mr_quantiser_agrees(1200, 1000));
    assert_false(mr_quantiser_agrees(800, 1000));
}

/* As the study's part 5, at a cosine of 0.2. */
static void test_best_error(void **state)
{
    (void)state;
    static const struct {
        uint8_t levels;
        uint32_t devices;
        double error;
    } rows[] = {
        {127, 4, 0.0103}, {127, 30, 0.005}, {31, 4, 0.036}, {4, 30, 0.112}, {2, 250, 0.0872}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const double error = mr_quantiser_best_error(rows[i].levels, rows[i].devices);
        assert_true(fabs(error - rows[i].error) < 0.2 * rows[i].error);
    }
}

/* No sum of a whole cohort leaves its lane. */
static void test_lanes_hold(void **state)
{
    (void)state;
    static const uint32_t cohorts[] = {2, 129, 258, 4096, 66052, 16909320, INT32_MAX};
    for (size_t i = 0; i < sizeof cohorts / sizeof *cohorts; i++) {
        const uint32_t n = cohorts[i];
        const uint8_t levels = mr_quantiser_levels(32, n, 1);
        assert_true((uint64_t)mr_lane_share_unit(n) * n <= UINT32_MAX);
        assert_true((uint64_t)mr_lane_mean_unit(n, levels) * levels * n <= UINT32_MAX);
        assert_true(mr_lane_share_unit(n) >= 2 && mr_lane_mean_unit(n, levels) >= 2);
    }
    assert_int_equal(mr_lane_mean_unit(129, 127), 4096);
    assert_int_equal(mr_lane_share_unit(4096), 1048575);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_levels_asked),
        cmocka_unit_test(test_ring),
        cmocka_unit_test(test_rotation),
        cmocka_unit_test(test_first_scale),
        cmocka_unit_test(test_next_scale),
        cmocka_unit_test(test_bins),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_one_word_is_not_heard),
        cmocka_unit_test(test_agreement),
        cmocka_unit_test(test_best_error),
        cmocka_unit_test(test_lanes_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
