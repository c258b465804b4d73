/* test_requantise.c - steps of few levels: to the last bit on every architecture, nothing lost over
 * many of them, and what waits stays small whatever comes. The hashes were computed by
 * tests/oracle/requantise_oracle.py. */
#include <math.h>
#include <openssl/sha.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "appliance/model/requantise.h"
#include "base/bytes.h"

#define D      257u
#define LANES  320u
#define ROUNDS 6u

static const char *const wanted[] = {
#include "tests/unit/appliance/model/requantised_hashes.inc"
};

static const struct {
    uint8_t bits;
    uint32_t block;
} cases[] = {{8, 64}, {4, 64}, {4, 1}};

/* A small generator that any language repeats; values of many sizes, subnormal ones among them. */
static float next_value(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    const int32_t mantissa = (int32_t)(*seed >> 8) - (1 << 23);
    *seed = *seed * 1664525u + 1013904223u;
    return ldexpf((float)mantissa,
                  -24 - (int)((*seed >> 24) % 12) * ((*seed >> 16) % 8 == 0 ? 10 : 1));
}

static double norm_of(const float *values, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += (double)values[i] * (double)values[i];
    }
    return sqrt(sum);
}

/* One task's state from step to step. */
struct line {
    struct mr_requantiser requantiser;
    uint8_t signs[LANES / 8];
    uint8_t *state;
    size_t bytes;
    float step[LANES];
};

static void begin(struct line *line, unsigned c, const struct mr_kernels *kernels)
{
    *line = (struct line){.requantiser = {.kernels = kernels,
                                          .bits = cases[c].bits,
                                          .count = D,
                                          .lanes = LANES,
                                          .block = cases[c].block}};
    for (unsigned i = 0; i < LANES / 8; i++) {
        line->signs[i] = (uint8_t)(151 * i + 7);
    }
    line->requantiser.signs = cases[c].block > 1 ? line->signs : NULL;
    line->bytes = mr_requantised_bytes(&line->requantiser);
}

/* Takes the step that is in `step`. */
static void take(struct line *line)
{
    uint8_t *next = malloc(line->bytes);
    mr_requantised_begin(next, &line->requantiser, line->state, line->bytes);
    mr_requantise(next, line->step, &line->requantiser);
    assert_true(mr_requantised_fits(next, line->bytes, D));
    free(line->state);
    line->state = next;
}

static const float *residual(const struct line *line)
{
    return (const float *)(const void *)(line->state + 64);
}

static void assert_hash(const void *bytes, size_t length, const char *hex)
{
    uint8_t hash[SHA256_DIGEST_LENGTH];
    char found[2 * sizeof hash + 1];
    SHA256(bytes, length, hash);
    mr_hex_encode(found, hash, sizeof hash);
    assert_string_equal(found, hex);
}

static void test_to_the_last_bit(void **unused)
{
    static const enum mr_cpu_level levels[] = {MR_CPU_SCALAR, MR_CPU_AVX2, MR_CPU_AVX512,
                                               MR_CPU_NEON};
    (void)unused;
    for (unsigned c = 0; c < 3; c++) {
        for (unsigned level = 0; level < 4; level++) {
            float steps[ROUNDS * D];
            struct line line;
            uint32_t seed = 1;
            begin(&line, c, mr_kernels_at(levels[level]));
            for (unsigned round = 0; line.requantiser.kernels && round < ROUNDS; round++) {
                for (unsigned i = 0; i < D; i++) {
                    line.step[i] = next_value(&seed);
                }
                take(&line);
                memcpy(steps + (size_t)round * D, line.step, D * sizeof *steps);
            }
            if (line.requantiser.kernels) {
                assert_hash(steps, sizeof steps, wanted[2 * c]);
                assert_hash(line.state, line.bytes, wanted[2 * c + 1]);
            }
            free(line.state);
        }
    }
}

/* What was wanted of all steps is what was taken of them and what waits. Without the residual a
 * step below half a level would never be taken. */
static void test_nothing_is_lost(void **unused)
{
    (void)unused;
    for (unsigned c = 0; c < 3; c++) {
        double sum[D] = {0}, taken[D] = {0}, off[D];
        struct line line;
        begin(&line, c, mr_kernels_select(UINT32_MAX));
        for (unsigned round = 0; round < 100; round++) {
            for (unsigned i = 0; i < D; i++) {
                line.step[i] = i == 0 ? 1.0f : 0.001f * (float)(i % 7);
                sum[i] += (double)line.step[i];
            }
            take(&line);
            for (unsigned i = 0; i < D; i++) {
                taken[i] += (double)line.step[i];
            }
        }
        float most = 0;
        for (unsigned i = 0; i < D; i++) {
            off[i] = sum[i] - taken[i] - (double)residual(&line)[i];
            most = fabsf((float)off[i]) > most ? fabsf((float)off[i]) : most;
        }
        assert_true(most < 1e-4f);
        assert_true(fabs(taken[5] / sum[5] - 1) < 0.3); /* small ones came along */
        free(line.state);
    }
}

/* However steps look, what waits stays below r / (1 − r) of the longest, r = 2 / 127 or 1.25 / 7.
 */
static void test_what_waits_is_bounded(void **unused)
{
    (void)unused;
    for (unsigned c = 0; c < 3; c++) {
        const double r = cases[c].bits == 8 ? 2 / 127.0 : 1.25 / 7;
        struct line line;
        double longest = 0;
        uint32_t seed = 1;
        begin(&line, c, mr_kernels_select(UINT32_MAX));
        for (unsigned round = 0; round < 60; round++) {
            for (unsigned i = 0; i < D; i++) { /* one value, all alike, or of many sizes */
                line.step[i] = round % 3 == 0   ? (float)(i == 7) * 100
                               : round % 3 == 1 ? 1
                                                : next_value(&seed);
            }
            const double norm = norm_of(line.step, D);
            longest = norm > longest ? norm : longest;
            take(&line);
            assert_true(norm_of(residual(&line), D) <= longest * r / (1 - r) * (1 + 1e-5));
        }
        free(line.state);
    }
}

/* Nothing to do, and next to nothing; then nothing moves, and nothing is lost either. */
static void test_nothing(void **unused)
{
    struct line line;
    struct mr_requantised taken;
    (void)unused;
    begin(&line, 0, mr_kernels_select(UINT32_MAX));
    take(&line);
    mr_requantised_read(&taken, line.state);
    assert_true(taken.delta == 0 && taken.lanes == LANES);
    line.step[3] = 1e-44f;
    take(&line);
    assert_true(line.step[3] == 0 && residual(&line)[3] == 1e-44f);
    free(line.state);
}

/* A state of other values, cut short or damaged is not gone on from. */
static void test_states_of_others(void **unused)
{
    struct line line;
    (void)unused;
    begin(&line, 1, mr_kernels_select(UINT32_MAX));
    for (unsigned i = 0; i < D; i++) {
        line.step[i] = (float)i;
    }
    take(&line);
    assert_false(mr_requantised_fits(line.state, line.bytes, D - 1));
    assert_false(mr_requantised_fits(line.state, line.bytes - 2, D));
    assert_false(mr_requantised_fits(line.state, 63, D));
    uint8_t *fresh = malloc(line.bytes);
    static const uint8_t zeros[4 * D] = {0};
    mr_requantised_begin(fresh, &line.requantiser, line.state, line.bytes);
    assert_memory_equal(fresh + 64, line.state + 64, 4 * D);
    memset(line.state + 64, 0xff, 4); /* no number */
    assert_false(mr_requantised_fits(line.state, line.bytes, D));
    mr_requantised_begin(fresh, &line.requantiser, line.state, line.bytes);
    assert_memory_equal(fresh + 64, zeros, sizeof zeros);
    free(fresh);
    free(line.state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_to_the_last_bit),       cmocka_unit_test(test_nothing_is_lost),
        cmocka_unit_test(test_what_waits_is_bounded), cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_states_of_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
