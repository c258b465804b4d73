/* test_rounding.c - what a device says of its own rounding, and when it does not send. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "edge-client/share/prepare.h"

#define D 1000u

static void make_terms(struct mr_round_terms *terms, uint32_t cohort_min, float scale)
{
    *terms = (struct mr_round_terms){.announcement = {.round = 3,
                                                      .task = "default",
                                                      .dimension = D,
                                                      .ring_bits = 16,
                                                      .rotation_log2 = 10,
                                                      .levels = 127,
                                                      .cohort_min = cohort_min,
                                                      .cohort_max = 129,
                                                      .weight_max = 10,
                                                      .scale = scale,
                                                      .clip_norm = 1}};
    assert_int_equal(mr_layout_init(&terms->layout, 16, D, 10, 1408), 0);
}

static int judge(double saturated, double error, uint32_t cohort_min, float scale, const char *word)
{
    const struct mr_rounding rounding = {
        .saturated = saturated, .resolution = 2, .error = error, .norm = 0.05};
    struct mr_round_terms terms;
    struct mr_error report;
    make_terms(&terms, cohort_min, scale);
    const int result = mr_rounding_judge(&rounding, &terms, &report);
    if (word ? !strstr(report.text, word) : report.text[0] != '\0') {
        fail_msg("said \"%s\", expected \"%s\" in it", report.text, word ? word : "nothing");
    }
    return result;
}

static void test_judgement(void **state)
{
    (void)state;
    assert_int_equal(judge(0, 0, 4, 50, NULL), 0);
    assert_int_equal(judge(0.01, 0.05, 4, 50, NULL), 0);
    /* Saturated: said from a hundredth on, not sent from a tenth on. */
    assert_int_equal(judge(0.011, 0.05, 4, 50, "1.1 % of the values"), 0);
    assert_int_equal(judge(0.1, 0.2, 4, 50, "tasks.round.scale auto"), 0);
    assert_int_equal(judge(0.11, 0.2, 4, 50, "cut off"), -1);
    /* Too coarse: four devices with a cosine of 0.2 have 1/1.26 of one's error, alike ones 1/2. */
    assert_int_equal(judge(0, 0.06, 4, 50, NULL), 0);
    assert_int_equal(judge(0, 0.065, 4, 50, "rounding alone"), 0);
    assert_int_equal(judge(0, 1.99, 4, 50, "a wider ring_bits"), 0);
    assert_int_equal(judge(0, 2.01, 4, 50, "weighted norm of 0.05"), -1);
    assert_int_equal(judge(0, 2.01, 20, 50, "rounding alone"), 0);
    /* The step of a first round, 127 * 32 / 4: the remedy is another one. */
    assert_int_equal(judge(0, 0.5, 4, 1016, "clip_norm of about 0.2"), 0);
    assert_int_equal(judge(0, 50, 4, 1016, "clip_norm of about 0.2"), 0); /* so that one begins */
}

/* What is told of a vector is what rounding did to it, lanes of the trailer included. */
static void test_told(void **state)
{
    (void)state;
    struct mr_round_terms terms;
    struct mr_rounding told;
    struct mr_error error;
    static float x[1024];
    static int8_t q[1024];
    float y[1024];
    uint32_t trailer[MR_TRAILER_LANES];
    const uint8_t random[MR_PREPARE_RANDOM_BYTES] = {7};
    const struct mr_training_report report = {.examples = 10};
    make_terms(&terms, 4, 2000);
    for (unsigned i = 0; i < D; i++) {
        x[i] = 0.01f * sinf((float)i);
    }
    const struct mr_kernels *kernels = mr_kernels_select(UINT32_MAX);
    assert_int_equal(mr_prepare_delta(x, trailer, &terms, &report, kernels, &error), 0);
    assert_int_equal(trailer[MR_TRAILER_NORMS + 6], 1); /* 0.22: above C/8, up to C/4 */
    memcpy(y, x, sizeof y);
    mr_prepare_quantise(q, trailer, &told, x, &terms, random, kernels);
    double noise = 0, whole = 0, magnitude = 0;
    for (unsigned i = 0; i < 1024; i++) {
        const double lane = (double)y[i] * 2000;
        noise += (q[i] - lane) * (q[i] - lane);
        whole += lane * lane;
        magnitude += abs(q[i]);
    }
    assert_true(fabs(told.error - sqrt(noise / whole)) < 1e-4);
    assert_true(told.resolution == magnitude / 1024);
    assert_true(fabs(told.norm - sqrt(whole) / 2000) < 1e-6);
    assert_true(fabs(trailer[MR_TRAILER_NOISE] - noise / 1024 * 4096) <= 1);
    assert_true(fabs(trailer[MR_TRAILER_RESOLUTION] - magnitude / 1024 * 4096) <= 1);
    assert_int_equal(trailer[MR_TRAILER_SATURATED], 0);
    /* Far too fine: nearly all are cut off, and an infinity is no number. */
    terms.announcement.scale = 3e38f;
    mr_prepare_quantise(q, trailer, &told, x, &terms, random, kernels);
    assert_true(told.saturated > 0.9 && isfinite(told.error));
    assert_true(trailer[MR_TRAILER_SATURATED] > 0.9 * mr_lane_share_unit(129));
    assert_int_equal(trailer[MR_TRAILER_NOISE], 127 * 4096);
    /* Nothing to lose. */
    memset(x, 0, sizeof x);
    mr_prepare_quantise(q, trailer, &told, x, &terms, random, kernels);
    assert_true(told.error == 0 && told.resolution == 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_judgement),
        cmocka_unit_test(test_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
