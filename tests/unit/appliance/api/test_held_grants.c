/* test_held_grants.c - requests that wait for a window: in which order, for how long, and what is
 * looked at meanwhile. A request is a name to the queue, and here a number has it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "appliance/api/held_grants.h"

#define MANY 1000u

struct scene {
    struct mr_loop *loop;
    struct mr_held_grants *held;
    uint32_t rooms;   /* free windows */
    uint32_t hold_ms; /* what is said where there is none */
    unsigned asked;   /* how often it was asked for one */
    unsigned answers[MANY + 1], answered;
    unsigned refused;
    unsigned until; /* the loop runs until so many are answered */
    uint8_t names[MANY + 1];
};

static struct mr_request *request(struct scene *scene, unsigned i)
{
    return (struct mr_request *)(void *)&scene->names[i];
}

static uint32_t hold_ms(void *context, struct mr_request *request)
{
    struct scene *scene = context;

    (void)request;
    scene->asked++;
    return scene->rooms > 0 ? 0 : scene->hold_ms;
}

static void answer(void *context, struct mr_request *request)
{
    struct scene *scene = context;

    scene->rooms -= scene->rooms > 0;
    scene->answers[scene->answered++] = (unsigned)((uint8_t *)(void *)request - scene->names);
    if (scene->answered == scene->until) {
        mr_loop_stop(scene->loop);
    }
}

static void refuse(void *context, struct mr_request *request)
{
    struct scene *scene = context;

    (void)request;
    scene->refused++;
}

static int set_up(void **state)
{
    static struct scene scene;
    static const struct mr_held_ops ops = {.hold_ms = hold_ms, .answer = answer, .refuse = refuse};
    struct mr_error error;

    memset(&scene, 0, sizeof scene);
    scene.hold_ms = 1000000;
    *state = &scene;
    if (mr_loop_open(&scene.loop, &error) != 0) {
        return -1;
    }
    scene.held = mr_held_grants_open(scene.loop, &ops, &scene);
    return scene.held ? 0 : -1;
}

static int tear_down(void **state)
{
    struct scene *scene = *state;

    mr_held_grants_close(scene->held);
    mr_loop_close(scene->loop);
    return 0;
}

static void keep(struct scene *scene, unsigned first, unsigned end)
{
    for (unsigned i = first; i < end; i++) {
        assert_true(mr_held_grants_keep(scene->held, request(scene, i)));
    }
}

static void expect_answered_in_order(const struct scene *scene, unsigned count)
{
    assert_int_equal(scene->answered, count);
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(scene->answers[i], i);
    }
}

static void expect_metric(const struct scene *scene, const char *line)
{
    struct mr_metrics metrics;

    mr_metrics_init(&metrics);
    mr_held_grants_metrics(scene->held, &metrics);
    assert_int_equal(metrics.failed, 0);
    assert_non_null(strstr(metrics.text, line));
    mr_metrics_fini(&metrics);
}

static void test_room_keeps_nobody(void **state)
{
    struct scene *scene = *state;

    scene->rooms = 1;
    assert_false(mr_held_grants_keep(scene->held, request(scene, 0)));
    assert_false(mr_held_grants_keep(NULL, request(scene, 0))); /* a hub that stops has no queue */
    expect_metric(scene, "\nmillrace_upload_grants_held_total 0\n");
}

/* As many as there is room for, in the order of asking; nobody beyond the first that has to go on
 * waiting is looked at. */
static void test_first_come_first_served(void **state)
{
    struct scene *scene = *state;

    keep(scene, 0, MANY / 2);
    for (unsigned i = 1; i <= 10; i++) {
        scene->rooms = 3;
        scene->asked = 0;
        mr_held_grants_look(scene->held);
        expect_answered_in_order(scene, 3 * i);
        assert_int_equal(scene->asked, 4);
    }
    keep(scene, MANY / 2, MANY); /* the ring grows where it has gone round */
    expect_metric(scene, "\nmillrace_upload_grants_waiting 970\n");
    scene->rooms = MANY;
    mr_held_grants_look(scene->held);
    expect_answered_in_order(scene, MANY);
    expect_metric(scene, "\nmillrace_upload_grants_waiting 0\n");
    expect_metric(scene, "\nmillrace_upload_grants_held_total 1000\n");
    expect_metric(scene, "\nmillrace_upload_grants_timed_out_total 0\n");
}

/* Room that the queue has not been told of is not the newcomer's. */
static void test_newcomers_stand_behind(void **state)
{
    struct scene *scene = *state;

    keep(scene, 0, 1);
    scene->rooms = 2;
    keep(scene, 1, 2);
    assert_int_equal(scene->answered, 0);
    mr_held_grants_look(scene->held);
    expect_answered_in_order(scene, 2);
}

/* Room that comes with time alone: the plane says when to ask again. */
static void test_asked_again_in_time(void **state)
{
    struct scene *scene = *state;

    scene->hold_ms = 1;
    keep(scene, 0, 2);
    scene->asked = 0;
    scene->until = 2;
    mr_loop_run(scene->loop);
    expect_answered_in_order(scene, 2);
    assert_true(scene->asked > 10); /* again and again, until their time was up */
}

/* Nobody says that there is room: answered all the same, and no sooner than that. */
static void test_time_is_up(void **state)
{
    struct scene *scene = *state;
    const uint64_t began_ms = mr_loop_now_ms(scene->loop);

    keep(scene, 0, 3);
    scene->until = 3;
    mr_loop_run(scene->loop);
    assert_true(mr_loop_now_ms(scene->loop) - began_ms >= MR_HOLD_GRANT_MS_MAX);
    expect_answered_in_order(scene, 3);
    expect_metric(scene, "\nmillrace_upload_grants_timed_out_total 3\n");
    keep(scene, 3, 4); /* a queue that was emptied so is as good as new */
    scene->rooms = 1;
    mr_held_grants_look(scene->held);
    expect_answered_in_order(scene, 4);
}

static void test_a_stop_refuses(void **state)
{
    struct scene *scene = *state;

    keep(scene, 0, 100);
    mr_held_grants_close(scene->held);
    scene->held = NULL;
    assert_int_equal(scene->refused, 100);
    assert_int_equal(scene->answered, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_room_keeps_nobody, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_first_come_first_served, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_newcomers_stand_behind, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_asked_again_in_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_time_is_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_stop_refuses, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
