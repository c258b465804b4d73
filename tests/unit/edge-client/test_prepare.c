/* test_prepare.c - from delta to shares: weight, clip, rotate, round, mask; at every kernel level.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "edge-client/share/prepare.h"
#include "edge-client/trainer/sgd.h"
#include "appliance/aggregate/sum.h"
#include "wire/announcement_privacy.h"
#include "wire/share.h"

static const enum mr_cpu_level levels[] = {MR_CPU_SCALAR, MR_CPU_AVX2, MR_CPU_AVX512, MR_CPU_NEON};

static void make_terms(struct mr_round_terms *terms, uint8_t ring_bits, uint32_t dimension,
                       uint8_t rotation_log2, unsigned hubs)
{
    memset(terms, 0, sizeof *terms);
    struct mr_announcement *a = &terms->announcement;
    a->round = 9;
    strcpy(a->task, "default");
    a->dimension = dimension;
    a->ring_bits = ring_bits;
    a->rotation_log2 = rotation_log2;
    a->levels = 127;
    a->cohort_min = 2;
    a->cohort_max = 100;
    a->weight_max = 10;
    a->scale = 50;
    a->clip_norm = 1e6f;
    a->hub_count = (uint8_t)hubs;
    memset(a->rotation_seed, 0x5a, sizeof a->rotation_seed);
    memset(terms->hash, 0xc3, sizeof terms->hash);
    for (unsigned i = 0; i < hubs; i++) {
        a->hubs[i].index = (uint16_t)(10 + i);
    }
    assert_int_equal(mr_layout_init(&terms->layout, ring_bits, dimension, rotation_log2, 1408), 0);
}

static float *make_delta(const struct mr_round_terms *terms, float size)
{
    struct mr_sgd_random random = {.state = 4};
    float *x = aligned_alloc(64, terms->layout.lanes * sizeof *x);
    for (uint32_t i = 0; i < terms->layout.lanes; i++) { /* padding holds rubbish on purpose */
        x[i] = size * ((float)mr_sgd_random_below(&random, 20001) / 10000 - 1);
    }
    return x;
}

static double norm(const float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += (double)x[i] * x[i];
    }
    return sqrt(sum);
}

static const struct mr_kernels *best(void)
{
    return mr_kernels_select(UINT32_MAX);
}

static void test_weight_and_trailer(void **state)
{
    (void)state;
    struct mr_round_terms terms;
    uint32_t trailer[MR_TRAILER_LANES];
    make_terms(&terms, 16, 100, 0, 2);
    float *x = make_delta(&terms, 1);
    float *before = make_delta(&terms, 1);
    double drift = norm(x, 100);
    struct mr_training_report report = {.examples = 4, .loss = 1.2345f};
    assert_int_equal(mr_prepare_delta(x, trailer, &terms, &report, best(), NULL), 0);
    for (uint32_t i = 0; i < 100; i++) {
        assert_true(x[i] == before[i] * 0.4f);
    }
    for (uint32_t i = 100; i < terms.layout.lanes; i++) {
        assert_true(x[i] == 0);
    }
    assert_int_equal(trailer[MR_TRAILER_COUNT], 1);
    assert_int_equal(trailer[MR_TRAILER_WEIGHT], 4);
    assert_int_equal(trailer[MR_TRAILER_EXAMPLES], 4);
    assert_int_equal(trailer[MR_TRAILER_LOSS_MILLI], 1235); /* 1234.5 in float is above the half */
    assert_int_equal(trailer[MR_TRAILER_DRIFT_MILLI], (uint32_t)nearbyint(drift * 1000));
    for (unsigned i = MR_TRAILER_SATURATED; i < MR_TRAILER_LANES; i++) {
        assert_int_equal(trailer[i], i == MR_TRAILER_NORMS); /* far below this clip_norm */
    }

    memcpy(x, before, 100 * sizeof *x); /* more examples than weight_max: whole weight, no more */
    report = (struct mr_training_report){.examples = 5000000, .loss = NAN};
    assert_int_equal(mr_prepare_delta(x, trailer, &terms, &report, best(), NULL), 0);
    assert_true(x[3] == before[3]);
    assert_int_equal(trailer[MR_TRAILER_WEIGHT], 10);
    assert_int_equal(trailer[MR_TRAILER_EXAMPLES], MR_TRAILER_VALUE_MAX);
    assert_int_equal(trailer[MR_TRAILER_LOSS_MILLI], MR_TRAILER_VALUE_MAX);
    free(x);
    free(before);
}

static void test_clip(void **state)
{
    (void)state;
    struct mr_round_terms terms;
    uint32_t trailer[MR_TRAILER_LANES];
    struct mr_training_report report = {.examples = 10};
    make_terms(&terms, 16, 1000, 0, 2);
    terms.announcement.clip_norm = 2;
    float *x = make_delta(&terms, 1);
    double before = norm(x, 1000);
    assert_true(before > 2);
    assert_int_equal(mr_prepare_delta(x, trailer, &terms, &report, best(), NULL), 0);
    assert_true(fabs(norm(x, 1000) - 2) < 1e-5);
    float *small = make_delta(&terms, 1e-3f), *same = make_delta(&terms, 1e-3f);
    assert_int_equal(mr_prepare_delta(small, trailer, &terms, &report, best(), NULL), 0);
    assert_memory_equal(small, same, 1000 * sizeof *small); /* inside the ball: untouched */
    free(x);
    free(small);
    free(same);
}

static void test_not_finite_is_refused(void **state)
{
    (void)state;
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    struct mr_round_terms terms;
    uint32_t trailer[MR_TRAILER_LANES];
    struct mr_error error;
    struct mr_training_report report = {.examples = 10};
    make_terms(&terms, 16, 333, 6, 2);
    for (size_t l = 0; l < sizeof levels / sizeof *levels; l++) {
        const struct mr_kernels *kernels = mr_kernels_at(levels[l]);
        for (size_t b = 0; kernels && b < 3; b++) {
            for (uint32_t at = 0; at < 333; at += 83) {
                float *x = make_delta(&terms, 1);
                x[at] = bad[b];
                error.text[0] = 0;
                assert_int_equal(mr_prepare_delta(x, trailer, &terms, &report, kernels, &error),
                                 -1);
                assert_non_null(strstr(error.text, "NaN"));
                free(x);
            }
        }
    }
    float *x = make_delta(&terms, 1);
    report.examples = 0;
    assert_int_equal(mr_prepare_delta(x, trailer, &terms, &report, best(), &error), -1);
    free(x);
}

/* The mean over many roundings tends to the value: five standard errors at a fixed seed. */
static void test_rounding_is_unbiased(void **state)
{
    (void)state;
    enum { RUNS = 400, D = 512 };
    struct mr_round_terms terms;
    uint32_t trailer[MR_TRAILER_LANES] = {0};
    make_terms(&terms, 16, D, 0, 2);
    float *x = make_delta(&terms, 1);
    struct mr_rounding rounding;
    int8_t q[D];
    double sum[D] = {0}, all = 0;
    struct mr_sgd_random random = {.state = 99};
    for (unsigned run = 0; run < RUNS; run++) {
        uint8_t seed[MR_PREPARE_RANDOM_BYTES];
        for (size_t i = 0; i < sizeof seed; i++) {
            seed[i] = (uint8_t)mr_sgd_random_next(&random);
        }
        mr_prepare_quantise(q, trailer, &rounding, x, &terms, seed, best());
        for (unsigned i = 0; i < D; i++) {
            double exact = (double)(x[i] * terms.announcement.scale);
            assert_true(fabs(q[i] - exact) < 1);
            sum[i] += q[i] - exact;
        }
    }
    for (unsigned i = 0; i < D; i++) {
        assert_true(fabs(sum[i]) < 5 * 0.5 * sqrt(RUNS));
        all += sum[i];
    }
    assert_true(fabs(all) < 5 * 0.5 * sqrt((double)RUNS * D));
    assert_int_equal(trailer[MR_TRAILER_SATURATED], 0);
    assert_int_equal(rounding.clipped, 0);
    free(x);
}

static void test_saturation_is_counted(void **state)
{
    (void)state;
    struct mr_round_terms terms;
    uint32_t trailer[MR_TRAILER_LANES] = {0};
    uint8_t seed[MR_PREPARE_RANDOM_BYTES] = {1};
    make_terms(&terms, 16, 70, 0, 2); /* lanes 70..127 are padding */
    float *x = aligned_alloc(64, terms.layout.lanes * sizeof *x);
    struct mr_rounding rounding;
    int8_t q[128];
    memset(q, 0x55, sizeof q);
    for (uint32_t i = 0; i < terms.layout.lanes; i++) {
        x[i] = 0;
    }
    x[3] = 3, x[4] = -3, x[5] = 2.54f, x[69] = 100; /* scale 50: 150, -150, 127, 5000 */
    mr_prepare_quantise(q, trailer, &rounding, x, &terms, seed, best());
    assert_int_equal(q[3], 127);
    assert_int_equal(q[4], -127);
    assert_int_equal(q[69], 127);
    assert_in_range(rounding.clipped, 3, 4); /* 2.54f * 50 is 127 or just above */
    for (uint32_t i = 70; i < 128; i++) {
        assert_int_equal(q[i], 0);
    }
    free(x);
}

/* The rotation must be undone by transforming and then flipping with the same stream. */
/* A round whose noise hides a vector of clip_norm, at a step so coarse that rounding lengthens it.
 */
static void add_noise(struct mr_round_terms *terms, uint64_t norms_sigma2)
{
    terms->announcement.noise_kind = MR_NOISE_HUB;
    terms->announcement.privacy = (struct mr_privacy_terms){
        .model_sigma2 = 1000, .norms_sigma2 = norms_sigma2, .weight_sigma2 = 1000};
}

/* Whatever the randomness, no vector is longer than its noise is made for; where chance does not
 * help, rounding toward zero does. */
static void test_never_longer_than_the_noise(void **state)
{
    (void)state;
    enum { LANES = 4096 };
    static int8_t q[LANES];
    const struct mr_kernels *kernels = mr_kernels_select(MR_CPU_SCALAR);
    uint32_t trailer[MR_TRAILER_LANES] = {0};
    struct mr_round_terms terms;
    struct mr_rounding rounding;
    struct mr_error report;
    make_terms(&terms, 16, LANES, 0, 2);
    terms.announcement.scale = 1;
    terms.announcement.clip_norm = 40;
    add_noise(&terms, 0);
    const uint64_t most = mr_announcement_sensitivity2(&terms.announcement, LANES, MR_NOISE_MODEL);
    float *x = make_delta(&terms, 1);
    /* Of many halves each rounds up or down: the squares are up to twice what they should be. */
    for (unsigned half = 0; half < 2; half++) {
        uint64_t longest = 0;
        for (size_t i = 0; i < LANES; i++) {
            x[i] = half ? 0.5f : (float)(40 / sqrt(LANES)) * (i % 2 ? 1.0f : -1.0f);
        }
        for (unsigned i = 0; i < 200; i++) {
            uint8_t random[MR_PREPARE_RANDOM_BYTES] = {(uint8_t)i, (uint8_t)half};
            mr_prepare_quantise(q, trailer, &rounding, x, &terms, random, kernels);
            uint64_t norm2 = 0;
            for (size_t lane = 0; lane < LANES; lane++) {
                norm2 += (uint64_t)(q[lane] * q[lane]);
            }
            assert_int_equal(norm2, rounding.norm2);
            assert_true(norm2 <= most);
            assert_int_equal(mr_rounding_judge(&rounding, &terms, &report), 0);
            longest = norm2 > longest ? norm2 : longest;
        }
        assert_true(longest > most / 2); /* by chance, not toward zero */
    }
    for (size_t i = 0; i < LANES; i++) {
        x[i] = 0.999f; /* nearly all round up */
    }
    const uint8_t random[MR_PREPARE_RANDOM_BYTES] = {7};
    mr_prepare_quantise(q, trailer, &rounding, x, &terms, random, kernels);
    assert_int_equal(rounding.norm2, 0);
    for (size_t i = 0; i < LANES; i++) {
        x[i] = i % 2 ? 1.9f : -1.9f; /* such a vector is none that was clipped */
    }
    mr_prepare_quantise(q, trailer, &rounding, x, &terms, random, kernels);
    assert_true(rounding.norm2 == LANES && most < LANES);
    assert_int_equal(mr_rounding_judge(&rounding, &terms, &report), -1);
    assert_non_null(strstr(report.text, "nothing is sent"));
    free(x);
}

/* What no noise hides is not told. */
static void test_what_is_told_with_noise(void **state)
{
    (void)state;
    const struct mr_kernels *kernels = mr_kernels_select(MR_CPU_SCALAR);
    const struct mr_training_report report = {.examples = 5, .loss = 0.5f};
    for (unsigned bins = 0; bins < 2; bins++) {
        uint32_t trailer[MR_TRAILER_LANES], told = 0;
        static int8_t q[128];
        struct mr_round_terms terms;
        struct mr_rounding rounding;
        struct mr_error error;
        const uint8_t random[MR_PREPARE_RANDOM_BYTES] = {0};
        make_terms(&terms, 16, 100, 0, 2);
        terms.announcement.clip_norm = 100;
        add_noise(&terms, bins ? 1000 : 0);
        float *x = make_delta(&terms, 0.1f);
        assert_int_equal(mr_prepare_delta(x, trailer, &terms, &report, kernels, &error), 0);
        mr_prepare_quantise(q, trailer, &rounding, x, &terms, random, kernels);
        assert_int_equal(trailer[MR_TRAILER_COUNT], 1);
        assert_int_equal(trailer[MR_TRAILER_WEIGHT], 5);
        for (unsigned lane = MR_TRAILER_EXAMPLES; lane < MR_TRAILER_NORMS; lane++) {
            assert_int_equal(trailer[lane], 0);
        }
        for (unsigned lane = MR_TRAILER_NORMS; lane < MR_TRAILER_LANES; lane++) {
            told += trailer[lane];
        }
        assert_int_equal(told, bins);
        free(x);
    }
}

static void test_rotation_is_undone(void **state)
{
    (void)state;
    struct mr_round_terms terms;
    uint32_t trailer[MR_TRAILER_LANES];
    struct mr_training_report report = {.examples = 10};
    make_terms(&terms, 16, 9000, 9, 2);
    float *x = make_delta(&terms, 1), *before = make_delta(&terms, 1);
    assert_int_equal(mr_prepare_delta(x, trailer, &terms, &report, best(), NULL), 0);
    assert_true(x[0] != before[0]);
    struct mr_mask_stream signs;
    uint8_t *bits = malloc(terms.layout.lanes / 8);
    assert_int_equal(mr_rotation_derive(&signs, terms.announcement.rotation_seed, 9), 0);
    best()->hadamard(x, terms.layout.lanes, 512);
    best()->mask_expand(bits, &signs, 0, terms.layout.lanes / 8);
    best()->flip_signs(x, bits, terms.layout.lanes);
    for (uint32_t i = 0; i < terms.layout.lanes; i++) {
        assert_true(fabsf(x[i] - (i < 9000 ? before[i] : 0)) < 1e-5f);
    }
    free(bits);
    free(x);
    free(before);
}

/* share + every helper's mask = the lifted vector and trailer, exactly. */
static void check_sharing(uint8_t ring_bits, unsigned hubs, const struct mr_kernels *kernels)
{
    struct mr_round_terms terms;
    uint32_t trailer[MR_TRAILER_LANES] = {1, 7, 4000000000u};
    uint8_t client[16] = {3}, seeds[MR_HUBS_MAX - 1][MR_SEED_BYTES];
    make_terms(&terms, ring_bits, 1500, 0, hubs);
    size_t lanes = terms.layout.lanes, bytes = terms.layout.share_bytes;
    const size_t room = (bytes + 63) / 64 * 64;
    int8_t *q = malloc(lanes);
    uint8_t *share = aligned_alloc(64, room), *plain = aligned_alloc(64, room);
    for (size_t i = 0; i < lanes; i++) {
        q[i] = (int8_t)((int)(i % 255) - 127);
    }
    for (unsigned i = 0; i < MR_HUBS_MAX - 1; i++) {
        memset(seeds[i], (int)(i + 1), MR_SEED_BYTES);
    }
    const struct mr_share_parts parts = {.q = q,
                                         .trailer = trailer,
                                         .terms = &terms,
                                         .client_id = client,
                                         .attempt = 2,
                                         .seeds = (const uint8_t(*)[MR_SEED_BYTES])seeds};
    assert_int_equal(mr_prepare_share(share, &parts, kernels), 0);
    struct mr_vector_sum sum = {.lanes =
                                    aligned_alloc(64, mr_layout_accumulator_bytes(&terms.layout))};
    const uint8_t *one[] = {share};
    mr_sum_zero(&sum, &terms.layout);
    mr_sum_fold(&sum, &terms.layout, one, 1, kernels);
    for (unsigned i = 1; i < hubs; i++) {
        struct mr_key_scope scope = {terms.announcement.task, terms.hash, client,
                                     (uint16_t)(10 + i), 2};
        struct mr_mask_stream mask;
        assert_int_equal(mr_mask_derive(&mask, seeds[i - 1], &scope), 0);
        mr_sum_pack(plain, &terms.layout, &sum, kernels);
        mr_sum_mask(&sum, &terms.layout, &mask, kernels);
    }
    struct mr_vector_sum expected = {
        .lanes = aligned_alloc(64, mr_layout_accumulator_bytes(&terms.layout))};
    uint8_t *packed = aligned_alloc(64, room);
    mr_share_lift(packed, &terms.layout, q, trailer, mr_kernels_at(MR_CPU_SCALAR));
    one[0] = packed;
    assert_memory_not_equal(plain, packed, bytes); /* one mask short: still hidden */
    mr_sum_pack(plain, &terms.layout, &sum, kernels);
    assert_memory_equal(plain, packed, bytes);
    free(q);
    free(share);
    free(plain);
    free(packed);
    free(sum.lanes);
    free(expected.lanes);
}

static void test_sum_of_shares(void **state)
{
    (void)state;
    for (size_t l = 0; l < sizeof levels / sizeof *levels; l++) {
        for (unsigned hubs = 2; hubs <= MR_HUBS_MAX && mr_kernels_at(levels[l]); hubs++) {
            for (unsigned w = 0; w < MR_RING_WIDTHS; w++) {
                check_sharing(mr_ring_widths[w], hubs, mr_kernels_at(levels[l]));
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weight_and_trailer),
        cmocka_unit_test(test_clip),
        cmocka_unit_test(test_not_finite_is_refused),
        cmocka_unit_test(test_rounding_is_unbiased),
        cmocka_unit_test(test_saturation_is_counted),
        cmocka_unit_test(test_rotation_is_undone),
        cmocka_unit_test(test_sum_of_shares),
        cmocka_unit_test(test_never_longer_than_the_noise),
        cmocka_unit_test(test_what_is_told_with_noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
