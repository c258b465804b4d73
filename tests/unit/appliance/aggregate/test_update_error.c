/* test_update_error.c - what is told of an update's error by rounding, where one can say by hand
 * what it is: devices that are all alike. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "appliance/aggregate/opened_sum.h"

#define DEVICES 20

/* Of so many devices, each `each` steps off in the mean square; `saturated` of the lanes are cut
 * off and the rest is whole steps. The sum's own mean square is `mean_square`. */
static double told(double each, double saturated, double resolution, double mean_square)
{
    struct mr_round_terms terms = {.announcement = {.cohort_max = 64, .levels = 127}};
    struct mr_vector_sum sum = {.trailer = {[MR_TRAILER_COUNT] = DEVICES}};
    struct mr_round_metrics metrics = {
        .saturated = saturated, .resolution = resolution, .noise = DEVICES * each};
    mr_round_metrics_judge(&metrics, &sum, &terms, mean_square);
    return metrics.error;
}

static void close_to(double value, double expected)
{
    if (fabs(value - expected) > 1e-2 * expected) {
        fail_msg("%.6f, not %.6f", value, expected);
    }
}

/* By chance: squares add up. */
static void test_rounded(void **state)
{
    (void)state;
    const double noise = DEVICES * 0.1;
    close_to(told(0.1, 0, 10, 400 + noise), sqrt(noise / 400));
}

/* Cut off at the levels, alike on all devices: errors add up, as the update does. A little of that
 * beside a large update, and so much that no saturation need be told. */
static void test_cut_off(void **state)
{
    (void)state;
    const double few = 0.5, rounded = 1.0 / 6; /* of which rounding explains a sixth */
    const double noise = DEVICES * few + (DEVICES - 1) * DEVICES * (few - rounded);
    close_to(told(few, 0.01, 10, 1e6), sqrt(noise / (1e6 - noise)));
    const double much = 3, all = DEVICES * much + (DEVICES - 1) * DEVICES * (much - rounded);
    close_to(told(much, 0.001, 10, 1e6), sqrt(all / (1e6 - all)));
}

/* A few large devices of many: each lost others. */
static void test_cut_off_apart(void **state)
{
    (void)state;
    const double noise = DEVICES * 0.5;
    close_to(told(0.5, 0.001, 10, 1e6), sqrt(noise / (1e6 - noise)));
}

static void test_nothing(void **state)
{
    (void)state;
    assert_true(told(0.1, 0, 0.1, 0) == 1);
    assert_true(isnan(told(NAN, 0, 10, 400)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rounded),
        cmocka_unit_test(test_cut_off),
        cmocka_unit_test(test_cut_off_apart),
        cmocka_unit_test(test_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
