/* test_early_stop.c - when a task's rule on a metric stops it, and that the operator's word is
 * kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <math.h>

#include "appliance/round/drive/early_stop.h"
#include "appliance/round/drive/named_metrics.h"

static char goal_high[] = "high", goal_low[] = "low", metric[] = "accuracy";
static char why[MR_EARLY_STOP_WHY];

static struct mr_config_round policy_of(char *goal)
{
    return (struct mr_config_round){
        .stop_metric = metric, .stop_goal = goal, .stop_evaluations = 3, .stop_gain = 0.0625f};
}

/* A round of that kind that told the metric of the model; rounds count from 1. */
static void tell(struct mr_round_history *history, enum mr_round_kind kind, double value)
{
    struct mr_round_summary *summary = mr_round_history_current(history, history->count + 1);
    summary->kind = (uint8_t)kind;
    summary->has_metrics = true;
    summary->metrics.metric_count = 1;
    strcpy(summary->metrics.metrics[0].name, metric);
    summary->metrics.metrics[0].mean[MR_METRIC_AFTER] =
        kind == MR_ROUND_EVALUATION ? value : 1000; /* of what was trained: does not count */
    summary->metrics.metrics[0].mean[MR_METRIC_BEFORE] =
        kind == MR_ROUND_EVALUATED_TRAINING ? value : NAN;
}

static struct mr_round_history history_of(const double *values, unsigned count)
{
    struct mr_round_history history = {.list = calloc(MR_ROUND_HISTORY_MAX, sizeof *history.list)};
    for (unsigned i = 0; i < count; i++) {
        tell(&history, MR_ROUND_TRAINING, NAN);
        tell(&history, i % 2 ? MR_ROUND_EVALUATED_TRAINING : MR_ROUND_EVALUATION, values[i]);
    }
    return history;
}

static bool stops(const double *values, unsigned count, char *goal, uint64_t after)
{
    const struct mr_config_round policy = policy_of(goal);
    struct mr_round_history history = history_of(values, count);
    const bool stopped = mr_early_stop(&history, &policy, after, why);
    mr_round_history_fini(&history);
    return stopped;
}

static void test_it_stops_where_nothing_is_better(void **state)
{
    (void)state;
    const double flat[] = {0.5, 0.5, 0.5, 0.5}, rising[] = {0.25, 0.5, 0.75, 0.875};
    const double late[] = {0.5, 0.25, 0.25, 0.5625}, missed[] = {0.5, 0.25, 0.25, 0.5624};
    const double falling[] = {0.5, 0.5, 0.4375, 0.5};
    assert_true(stops(flat, 4, goal_high, 0));
    assert_non_null(strstr(why, "accuracy"));
    assert_non_null(strstr(why, "go-on"));
    assert_false(stops(flat, 3, goal_high, 0)); /* nothing is known of before */
    assert_false(stops(rising, 4, goal_high, 0));
    assert_false(stops(late, 4, goal_high, 0));
    assert_true(stops(missed, 4, goal_high, 0));
    assert_false(stops(falling, 4, goal_low, 0));
    assert_true(stops(rising, 4, goal_low, 0));
}

/* What was evaluated before the operator's word does not count. */
static void test_it_begins_anew(void **state)
{
    (void)state;
    const double values[] = {0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5};
    assert_true(stops(values, 8, goal_high, 0));
    assert_true(stops(values, 8, goal_high, 8));
    assert_false(stops(values, 8, goal_high, 10)); /* evaluations are 12, 14 and 16 */
    assert_false(stops(values, 8, goal_high, UINT64_MAX));
}

static void test_no_rule(void **state)
{
    (void)state;
    static char other[] = "recall", none[] = "";
    const double values[] = {0.5, 0.5, 0.5, 0.5};
    struct mr_round_history history = history_of(values, 4);
    struct mr_config_round policy = policy_of(goal_high);
    policy.stop_metric = none;
    assert_false(mr_early_stop(&history, &policy, 0, why));
    policy.stop_metric = other;
    assert_false(mr_early_stop(&history, &policy, 0, why));
    policy.stop_metric = NULL;
    assert_false(mr_early_stop(&history, &policy, 0, why));
    mr_round_history_fini(&history);
}

static void test_the_word_is_kept(void **state)
{
    (void)state;
    char folder[] = "/tmp/millrace-early-stop-XXXXXX", path[128];
    struct mr_error error;
    uint64_t after = 7;
    assert_non_null(mkdtemp(folder));
    assert_int_equal(mr_early_stop_read(folder, &after, &error), 0);
    assert_int_equal(after, 0);
    assert_int_equal(mr_early_stop_write(folder, 12, &error), 0);
    assert_int_equal(mr_early_stop_read(folder, &after, &error), 0);
    assert_int_equal(after, 12);
    snprintf(path, sizeof path, "%s/stopped-after", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("12 or so\n", file);
    fclose(file);
    assert_int_equal(mr_early_stop_read(folder, &after, &error), -1);
    assert_non_null(strstr(error.text, "damaged"));
    unlink(path);
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_stops_where_nothing_is_better),
        cmocka_unit_test(test_it_begins_anew),
        cmocka_unit_test(test_no_rule),
        cmocka_unit_test(test_the_word_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
