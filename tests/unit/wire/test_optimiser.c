/* test_optimiser.c - server optimisers: their numbers to the last bit on every architecture, their
 * rules, and how far they reach. The hashes were computed by tests/oracle/optimiser_vectors.py. */
#include <math.h>
#include <openssl/sha.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "wire/optimiser.h"

#define D      257u
#define ROUNDS 6u

/* A small generator that any language repeats; values of many sizes, subnormal ones among them. */
static float next_value(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    const int32_t mantissa = (int32_t)(*seed >> 8) - (1 << 23);
    *seed = *seed * 1664525u + 1013904223u;
    return ldexpf((float)mantissa,
                  -24 - (int)((*seed >> 24) % 12) * ((*seed >> 16) % 8 == 0 ? 10 : 1));
}

static const struct mr_optimiser optimisers[] = {
    {.kind = MR_OPTIMISER_FEDAVG, .learning_rate = 0.7f},
    {.kind = MR_OPTIMISER_FEDAVGM, .learning_rate = 0.7f, .beta1 = 0.9f},
    {.kind = MR_OPTIMISER_FEDADAM,
     .learning_rate = 0.01f,
     .beta1 = 0.9f,
     .beta2 = 0.99f,
     .tau = 1e-3f},
    {.kind = MR_OPTIMISER_FEDYOGI,
     .learning_rate = 0.01f,
     .beta1 = 0.9f,
     .beta2 = 0.99f,
     .tau = 1e-3f},
};

/* SHA-256 of all steps, then of the last state. */
static const char *const wanted[] = {
#include "tests/unit/wire/optimiser_hashes.inc"
};

static double norm_of(const float *values, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += (double)values[i] * (double)values[i];
    }
    return sqrt(sum);
}

static void play(const struct mr_optimiser *optimiser, char steps_hex[65], char state_hex[65])
{
    const size_t bytes = mr_optimiser_state_bytes(optimiser->kind, D);
    uint8_t *state = bytes ? malloc(bytes) : NULL, hash[SHA256_DIGEST_LENGTH];
    float *steps = malloc(ROUNDS * D * sizeof *steps);
    uint32_t seed = 1;
    double most = 0;
    if (state) {
        mr_optimiser_state_begin(state, optimiser, D);
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        float *update = steps + (size_t)round * D;
        for (unsigned i = 0; i < D; i++) {
            update[i] = next_value(&seed);
        }
        const double norm = norm_of(update, D);
        most = norm > most ? norm : most;
        mr_optimiser_step(optimiser, state, update, D);
        const double rate = (double)optimiser->learning_rate;
        const double reach = mr_optimiser_reach(optimiser, most, D, false);
        const double step = norm_of(update, D) * (state ? 1 : rate);
        assert_true(step <= reach * (1 + 1e-6));
    }
    SHA256((const uint8_t *)steps, ROUNDS * D * sizeof *steps, hash);
    mr_hex_encode(steps_hex, hash, sizeof hash);
    state_hex[0] = '\0';
    if (state) {
        assert_true(mr_optimiser_state_fits(state, bytes, optimiser->kind, D));
        SHA256(state, bytes, hash);
        mr_hex_encode(state_hex, hash, sizeof hash);
    }
    free(steps);
    free(state);
}

static void test_to_the_last_bit(void **unused)
{
    (void)unused;
    char steps[65], state[65];
    for (unsigned i = 0; i < 4; i++) {
        play(&optimisers[i], steps, state);
        assert_string_equal(steps, wanted[2 * i]);
        assert_string_equal(state, wanted[2 * i + 1]);
    }
}

/* Equal updates: the closed form. */
static void test_numbers(void **unused)
{
    (void)unused;
    const struct mr_optimiser momentum = {
        .kind = MR_OPTIMISER_FEDAVGM, .learning_rate = 1, .beta1 = 0.5f};
    _Alignas(4) uint8_t state[64 + 8];
    mr_optimiser_state_begin(state, &momentum, 1);
    const float expected[] = {1.0f, 1.5f, 1.75f, 1.875f};
    for (unsigned i = 0; i < 4; i++) {
        float update = 1;
        mr_optimiser_step(&momentum, state, &update, 1);
        assert_true(update >= expected[i] && update <= expected[i]);
    }
    for (unsigned kind = MR_OPTIMISER_FEDADAM; kind <= MR_OPTIMISER_FEDYOGI; kind++) {
        const struct mr_optimiser adaptive = {.kind = (uint8_t)kind,
                                              .learning_rate = 0.1f,
                                              .beta1 = 0.9f,
                                              .beta2 = 0.99f,
                                              .tau = 1e-3f};
        mr_optimiser_state_begin(state, &adaptive, 1);
        float update = 0;
        for (unsigned i = 0; i < 2000; i++) { /* m goes to u, v to u²: the step to the rate */
            update = -3;
            mr_optimiser_step(&adaptive, state, &update, 1);
        }
        assert_true(fabsf(update + 0.1f) < 1e-4f);
    }
}

static void refused(struct mr_optimiser optimiser, const char *word)
{
    struct mr_error error;
    assert_int_equal(mr_optimiser_check(&optimiser, &error), -1);
    assert_ptr_equal(strstr(error.text, word), error.text);
}

static void test_rules(void **unused)
{
    (void)unused;
    struct mr_error error;
    for (unsigned i = 0; i < 4; i++) {
        const struct mr_optimiser good = optimisers[i];
        assert_int_equal(mr_optimiser_check(&good, &error), 0);
        assert_int_equal(mr_optimiser_named(mr_optimiser_name(i)), i);
        struct mr_optimiser bad = good;
        bad.learning_rate = -1;
        refused(bad, "learning_rate");
        bad = good;
        bad.beta1 = i == 0 ? -0.0f : 1;
        refused(bad, "beta1");
        bad = good;
        bad.beta1 = NAN;
        refused(bad, "beta1");
        bad = good;
        bad.beta2 = i < 2 ? -0.0f : 1;
        refused(bad, "beta2");
        bad = good;
        bad.tau = i < 2 ? 1e-3f : 1e-20f; /* whose square is a subnormal */
        refused(bad, i < 2 ? "beta2 and tau" : "tau");
        bad = good;
        bad.beta1 = 0.999f;
        if (i >= 2) {
            refused(bad, "beta2");
        }
    }
    refused((struct mr_optimiser){.kind = 4, .learning_rate = 1}, "optimiser");
    refused((struct mr_optimiser){.learning_rate = 1, .requantise = 2}, "requantise");
    assert_false(mr_optimiser_has_state(&(struct mr_optimiser){.learning_rate = 1}));
    assert_true(mr_optimiser_has_state(&(struct mr_optimiser){.requantise = 8}));
    assert_null(mr_optimiser_name(4));
    assert_int_equal(mr_optimiser_named("adam"), MR_OPTIMISER_KINDS);
}

static void test_states_that_do_not_fit(void **unused)
{
    (void)unused;
    const size_t bytes = mr_optimiser_state_bytes(MR_OPTIMISER_FEDADAM, D);
    uint8_t *state = malloc(bytes);
    const float infinite = INFINITY;
    mr_optimiser_state_begin(state, &optimisers[2], D);
    assert_true(mr_optimiser_state_fits(state, bytes, MR_OPTIMISER_FEDADAM, D));
    assert_false(mr_optimiser_state_fits(state, bytes, MR_OPTIMISER_FEDYOGI, D));
    assert_false(mr_optimiser_state_fits(state, bytes, MR_OPTIMISER_FEDADAM, D - 1));
    assert_false(mr_optimiser_state_fits(state, bytes - 4, MR_OPTIMISER_FEDADAM, D));
    assert_false(mr_optimiser_state_fits(state, bytes, MR_OPTIMISER_FEDAVG, D));
    state[20] = 1;
    assert_false(mr_optimiser_state_fits(state, bytes, MR_OPTIMISER_FEDADAM, D));
    state[20] = 0;
    memcpy(state + bytes - 4, &infinite, 4);
    assert_false(mr_optimiser_state_fits(state, bytes, MR_OPTIMISER_FEDADAM, D));
    free(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_to_the_last_bit),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_states_that_do_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
