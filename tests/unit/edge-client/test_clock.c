/* test_clock.c - a device whose clock is wrong takes part all the same: deadlines are the lead's,
 * and it tells how far off it is. Whatever a lead says of the time left, the device comes to an
 * end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/edge-client/scene.h"

#define DAY_MS INT64_C(86400000)

/* What the trainer was told, by the device's own clock. */
static struct {
    struct fake *fake;
    int64_t left_ms;
    int64_t jump_ms; /* so far its wall clock is set while it trains */
} told;

static enum mre_trained train(void *context, const struct mre_task *task, float *vector,
                              struct mre_report *report)
{
    struct fake *fake = told.fake;
    told.left_ms = (int64_t)(task->deadline_unix_ms - fake_hubs_ms(fake)) - fake->clock_ahead_ms;
    fake->clock_ahead_ms += told.jump_ms;
    return scene_train(context, task, vector, report);
}

static void play(struct scene *s, int64_t ahead_ms, int64_t jump_ms)
{
    s->fake.tells_time_left = true;
    s->fake.clock_ahead_ms = ahead_ms;
    told.fake = &s->fake;
    told.jump_ms = jump_ms;
    assert_int_equal(scene_play(s, MRE_TRANSPORT_AUTO, train), MRE_COMMITTED);
    assert_int_equal(s->outcome.clock_ahead_ms, ahead_ms);
    assert_in_range(told.left_ms, 50000, 60000);
}

static void test_wrong_clocks(void **state)
{
    static const int64_t ahead_ms[] = {0,           61000,          -61000, 3650 * DAY_MS,
                                       -2 * DAY_MS, -18000 * DAY_MS};
    for (unsigned i = 0; i < sizeof ahead_ms / sizeof ahead_ms[0]; i++) {
        SCENE(s);
        play(&s, ahead_ms[i], 0);
        fake_fini(&s.fake);
    }
}

/* NTP comes in the middle of a round. */
static void test_clock_that_is_set(void **state)
{
    static const int64_t jump_ms[] = {DAY_MS, -DAY_MS, 18000 * DAY_MS};
    for (unsigned i = 0; i < sizeof jump_ms / sizeof jump_ms[0]; i++) {
        SCENE(s);
        play(&s, 0, jump_ms[i]);
        fake_fini(&s.fake);
    }
}

/* A lead that says nothing of the time left: the device's own clock has to do. */
static void test_lead_that_does_not_tell(void **state)
{
    SCENE(s);
    s.fake.clock_ahead_ms = 61000;
    assert_int_equal(scene_play(&s, MRE_TRANSPORT_AUTO, scene_train), MRE_CLOSED);
    assert_int_equal(s.outcome.clock_ahead_ms, 0); /* not known */
    assert_int_equal(s.trained, 0);
    fake_fini(&s.fake);
}

/* A deadline that has passed by the lead's own word is one that has passed. */
static void test_no_time_left(void **state)
{
    SCENE(s);
    s.fake.tells_time_left = true;
    s.fake.clock_ahead_ms = -DAY_MS;
    s.fake.announcement.deadline_unix_ms = fake_hubs_ms(&s.fake);
    fake_announce(&s.fake);
    assert_int_equal(scene_play(&s, MRE_TRANSPORT_AUTO, scene_train), MRE_CLOSED);
    assert_int_equal(s.trained, 0);
    fake_fini(&s.fake);
}

/* No device is kept for ever: a week is the most that is believed. */
static void test_lead_that_says_too_much(void **state)
{
    SCENE(s);
    s.fake.tells_time_left = true;
    s.fake.time_left_ms = 900000000000000000u;
    s.fake.hold_staged = true; /* never committed */
    const uint64_t began_us = s.fake.now_us;
    assert_int_not_equal(scene_play(&s, MRE_TRANSPORT_AUTO, scene_train), MRE_COMMITTED);
    assert_true(s.fake.now_us - began_us < (uint64_t)8 * DAY_MS * 1000);
    fake_fini(&s.fake);
}

/* Certificates that do not hold yet are waited for, and the clock is named. */
static void test_certificates_that_do_not_hold_yet(void **state)
{
    SCENE(s);
    s.fake.refuse_certificate = true;
    s.fake.refuse_why = "we do not accept its certificate: certificate is not yet valid";
    s.fake.clock_ahead_ms = -(int64_t)fake_hubs_ms(&s.fake); /* 1970 */
    assert_int_equal(scene_play(&s, MRE_TRANSPORT_AUTO, scene_train), MRE_UNREACHABLE);
    assert_string_equal(s.outcome.code, "clock");
    assert_non_null(strstr(s.outcome.text, "clock says Thu, 01 Jan 1970 00:00:0"));
    fake_fini(&s.fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrong_clocks),
        cmocka_unit_test(test_clock_that_is_set),
        cmocka_unit_test(test_lead_that_does_not_tell),
        cmocka_unit_test(test_no_time_left),
        cmocka_unit_test(test_lead_that_says_too_much),
        cmocka_unit_test(test_certificates_that_do_not_hold_yet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
