/* test_rounding.c - an update arrives as it left: the whole way of a delta, from a device's vector
 * to the next model, for the sizes, weights and shapes that models have. Figures: the study behind
 * docs/decisions/0023-quantiser.md. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/system/rounding/cohort.h"

#define SPREAD 1.4 /* 5 % and 95 % of the devices have weights a factor of 100 apart */

/* The user's case: four devices, the same delta of norm 0.5, 100 examples each. */
#define LANES (41 << 15) /* an odd number of blocks */
static const struct cohort_plan four = {.deltas = COHORT_GAUSS,
                                        .dimension = 1310720,
                                        .devices = 4,
                                        .norm = 0.5,
                                        .common = 1,
                                        .ring_bits = 16,
                                        .cohort_max = 64,
                                        .headroom = 4,
                                        .clip_norm = 1};

static void near(double got, double want, double by, const char *what)
{
    if (!(fabs(got - want) <= by)) {
        fail_msg("%s: %g, wanted %g within %g", what, got, want, by);
    }
}

static void below(double got, double bound, const char *what)
{
    if (!(got <= bound)) {
        fail_msg("%s: %g, at most %g wanted", what, got, bound);
    }
}

/* The first round knows nothing of the norms, and costs 13 %; the second 0.7 %. */
static void test_four_devices(void **state)
{
    (void)state;
    struct cohort *cohort = cohort_open(&four, 1);
    struct cohort_result result;
    struct mr_error report;
    cohort_round(cohort, &result);
    near((double)result.scale, 36801.08, 0.01, "first scale");
    near(result.error, 0.1269, 0.001, "first error");
    near(result.metrics.error, result.error, 0.003, "the hubs' estimate");
    assert_int_equal(mr_rounding_judge(&result.first, &result.terms, &report), 0);
    assert_non_null(strstr(report.text, "rounding alone"));
    cohort_round(cohort, &result);
    near((double)result.scale, 700226, 1, "second scale");
    near(result.error, 0.00676, 0.0002, "second error");
    near(result.metrics.error, result.error, 0.0005, "the hubs' estimate");
    below(result.metrics.saturated, 1e-4, "saturated");
    near(result.metrics.resolution, 24.1, 0.3, "mean |q|");
    near(result.first.resolution, 24.1, 0.3, "mean |q| of a device");
    assert_int_equal(mr_rounding_judge(&result.first, &result.terms, &report), 0);
    assert_string_equal(report.text, "");
    cohort_close(cohort);
}

/* Layers of sizes 1, 0.1, 0.01, 0.001: as good as one, since each block has its part of each. */
static void test_uneven_layers(void **state)
{
    (void)state;
    struct cohort *cohort = cohort_open(&four, 2);
    struct cohort_result result;
    for (uint32_t i = 0; i < four.dimension; i++) {
        cohort->base[i] = (float)(cohort_normal(cohort) * pow(0.1, i / (four.dimension / 4)));
    }
    cohort_round(cohort, &result);
    cohort_round(cohort, &result);
    near(result.error, 0.0068, 0.0003, "interleaved");
    cohort_close(cohort);
}

/* A layer whose outputs lie side by side, and of 64 one moves: its values are 64 places apart. Of
 * sixteen blocks they would be in one, whose lanes would be four times what the step is for. */
static void test_one_output(void **state)
{
    (void)state;
    struct cohort_plan plan = four;
    struct cohort_result result;
    plan.dimension = 1u << 18;
    struct cohort *cohort = cohort_open(&plan, 9);
    for (uint32_t i = 0; i < plan.dimension; i++) {
        cohort->base[i] = (float)(cohort_normal(cohort) * (i % 64 == 5 ? 20 : 1));
    }
    cohort_round(cohort, &result);
    cohort_round(cohort, &result);
    below(result.error, 0.01, "one output of 64");
    cohort_close(cohort);
}

/* One vector at steps from far too coarse to far too fine. */
static void test_own_error(void **state)
{
    (void)state;
    static const struct {
        double sigma, error;
    } rows[] = {{0.04, 4.35}, {1, 0.408}, {8, 0.0511}, {31.75, 0.0131}, {63.5, 0.108}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct cohort_plan plan = four;
        struct cohort_result result;
        plan.devices = 2;
        plan.fixed_scale = (float)(rows[i].sigma * sqrt(LANES) / 0.05);
        struct cohort *cohort = cohort_open(&plan, 3 + i);
        cohort_round(cohort, &result);
        near(result.first.error, rows[i].error, 0.03 * rows[i].error, "own error");
        cohort_close(cohort);
    }
}

struct row {
    enum cohort_deltas deltas;
    uint32_t dimension, devices;
    double spread, bound; /* of the second round's error */
};

/* Cosine 0.2 between devices, as in the study, whose figures the bounds are (M opt), with room. */
static void test_shapes(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {COHORT_GAUSS, 703, 4, 0, 0.025},          {COHORT_HEAVY, 703, 4, 0, 0.025},
        {COHORT_SPARSE, 703, 30, 0, 0.015},        {COHORT_LAYERS, 703, 30, 0, 0.015},
        {COHORT_GAUSS, 703, 30, SPREAD, 0.05},     {COHORT_LAYERS, 703, 30, SPREAD, 0.05},
        {COHORT_HEAVY, 100000, 4, 0, 0.025},       {COHORT_SPARSE, 100000, 4, 0, 0.025},
        {COHORT_LAYERS, 100000, 4, 0, 0.025},      {COHORT_HEAVY, 100000, 30, SPREAD, 0.05},
        {COHORT_SPARSE, 100000, 30, SPREAD, 0.05}, {COHORT_LAYERS, 100000, 30, SPREAD, 0.05},
        {COHORT_HEAVY, 1300000, 4, 0, 0.025},      {COHORT_LAYERS, 1300000, 4, 0, 0.025},
        {COHORT_SPARSE, 1300000, 4, 0, 0.025},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct cohort_plan plan = four;
        struct cohort_result first, second;
        char what[80];
        plan.deltas = rows[i].deltas;
        plan.dimension = rows[i].dimension;
        plan.devices = rows[i].devices;
        plan.spread = rows[i].spread;
        plan.common = 0.2;
        struct cohort *cohort = cohort_open(&plan, 10 + i);
        cohort_round(cohort, &first);
        cohort_round(cohort, &second);
        snprintf(what, sizeof what, "row %zu: first %.4f (told %.4f), second (told %.4f)", i,
                 first.error, first.metrics.error, second.metrics.error);
        print_message("%s %.4f, saturated %.2g\n", what, second.error, second.metrics.saturated);
        below(second.error, rows[i].bound, what);
        near(first.metrics.error, first.error, 0.15 * first.error, what);
        /* Saturation of equal devices adds up, and is not in the estimate: it is told apart. */
        assert_true(second.metrics.error > 0.5 * second.error);
        cohort_close(cohort);
    }
}

/* Small rings: the levels pay, not the bound. */
static void test_levels_pay(void **state)
{
    (void)state;
    struct cohort_plan plan = four;
    struct cohort_result result;
    plan.dimension = 100000;
    plan.cohort_max = 2000; /* 4 levels */
    plan.devices = 30;
    struct cohort *cohort = cohort_open(&plan, 40);
    cohort_round(cohort, &result);
    cohort_round(cohort, &result);
    assert_int_equal(result.terms.announcement.levels, 4);
    below(result.error, 0.09, "four levels");
    near(result.metrics.error, result.error, 0.3 * result.error, "the hubs' estimate");
    assert_true(result.metrics.error > MR_ROUNDING_ERROR_WARN);
    cohort_close(cohort);
}

/* What was the default once, and what is far too fine: refused by the device, and told by the sum.
 */
static void test_wrong_scales(void **state)
{
    (void)state;
    static const float scales[] = {1e3f, 1e9f};
    for (size_t i = 0; i < 2; i++) {
        struct cohort_plan plan = four;
        struct cohort_result result;
        struct mr_error report;
        plan.dimension = 1310720;
        plan.fixed_scale = scales[i];
        struct cohort *cohort = cohort_open(&plan, 50 + i);
        cohort_round(cohort, &result);
        assert_int_equal(mr_rounding_judge(&result.first, &result.terms, &report), -1);
        assert_non_null(strstr(report.text, "tasks.round.scale auto"));
        assert_true(result.metrics.error > MR_ROUNDING_ERROR_WARN ||
                    result.metrics.saturated > MR_SATURATED_WARN);
        cohort_close(cohort);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_four_devices), cmocka_unit_test(test_uneven_layers),
        cmocka_unit_test(test_one_output),   cmocka_unit_test(test_own_error),
        cmocka_unit_test(test_shapes),       cmocka_unit_test(test_levels_pay),
        cmocka_unit_test(test_wrong_scales),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
