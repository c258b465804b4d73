/* test_step_bound.c - the rule for step_max, from the rounds that were opened before. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "appliance/round/drive/step_bound.h"

struct scene {
    struct mr_round_history history;
    struct mr_announcement announcement;
    uint64_t round; /* the last one */
};

static void scene_open(struct scene *scene)
{
    *scene = (struct scene){
        .announcement = {.weight_max = 1000, .clip_norm = 2, .scale = 50, .levels = 127}};
    scene->history.list = calloc(MR_ROUND_HISTORY_MAX, sizeof *scene->history.list);
    assert_non_null(scene->history.list);
}

static void opened(struct scene *scene, double step)
{
    struct mr_round_summary *summary = mr_round_history_current(&scene->history, ++scene->round);
    summary->has_metrics = true;
    summary->metrics.step = step;
}

static void voided(struct scene *scene)
{
    (void)mr_round_history_current(&scene->history, ++scene->round);
}

static double bound(struct scene *scene)
{
    scene->announcement.optimiser = (struct mr_optimiser){.learning_rate = 0.5f};
    scene->announcement.round = scene->round + 1;
    const struct mr_step_rule rule = {
        .announcement = &scene->announcement, .lanes = 10000, .history = &scene->history};
    return (double)mr_step_bound(&rule);
}

/* Nothing is known of the weights: what honest devices can make at most. */
static void test_first_round(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene);
    assert_true(bound(&scene) == 0.5 * 1000 * (2 + 100.0 / 50));
    voided(&scene);
    assert_true(bound(&scene) == 0.5 * 1000 * (2 + 100.0 / 50));
    scene.announcement.clip_norm = 3e38f;
    assert_true(bound(&scene) < INFINITY);
    scene.announcement.clip_norm = 1.2e-38f;
    scene.announcement.scale = 3e38f;
    assert_true(isnormal((float)bound(&scene)));
    free(scene.history.list);
}

static void test_four_times_the_median(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene);
    opened(&scene, 6);
    assert_true(bound(&scene) == 24);
    opened(&scene, 3); /* of two the larger */
    assert_true(bound(&scene) == 24);
    opened(&scene, 2);
    assert_true(bound(&scene) == 12);
    for (unsigned i = 0; i < 8; i++) {
        opened(&scene, 1.5);
    }
    assert_true(bound(&scene) == 6);
    /* A device that takes every step it can widens it after five rounds, not before. */
    for (unsigned i = 0; i < 3; i++) {
        opened(&scene, bound(&scene));
        assert_true(bound(&scene) == 6);
    }
    opened(&scene, bound(&scene));
    assert_true(bound(&scene) == 24);
    free(scene.history.list);
}

/* Updates that have nothing in common make longer steps where they are fewer. */
static void test_a_small_set_after_large_ones(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene);
    scene.announcement.cohort_min = 4;
    opened(&scene, 6);
    mr_round_history_current(&scene.history, scene.round)->included = 64;
    assert_true(bound(&scene) == 4 * 6 * 4);
    mr_round_history_current(&scene.history, scene.round)->included = 4;
    assert_true(bound(&scene) == 24);
    mr_round_history_current(&scene.history, scene.round)->included = 3; /* of another cohort_min */
    assert_true(bound(&scene) == 24);
    free(scene.history.list);
}

/* Whatever the steps before: the norms that the scale is made for may make a step, up to C. */
static void test_the_scale_has_its_step(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene);
    opened(&scene, 0); /* a model that stood still may move again */
    scene.announcement.scale = 127 * 100 / 4.0f;
    assert_true(bound(&scene) == 0.5 * 1);
    scene.announcement.scale /= 1.5f; /* the norms rise, and the scale follows */
    assert_true(fabs(bound(&scene) - 0.5 * 1.5) < 1e-6);
    scene.announcement.scale /= 1000;
    assert_true(bound(&scene) == 0.5 * 2);
    voided(&scene);
    assert_true(bound(&scene) == 0.5 * 2);
    opened(&scene, 5);
    assert_true(bound(&scene) == 20);
    for (unsigned i = 0; i < 300; i++) { /* the history is a ring */
        voided(&scene);
    }
    opened(&scene, 3);
    assert_true(bound(&scene) == 12);
    free(scene.history.list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_round),
        cmocka_unit_test(test_four_times_the_median),
        cmocka_unit_test(test_a_small_set_after_large_ones),
        cmocka_unit_test(test_the_scale_has_its_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
