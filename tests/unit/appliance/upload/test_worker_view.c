/* test_worker_view.c - which uploads the control thread takes for fast: granted a window, not
 * whole, not ended, and not older than a turn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "appliance/upload/session.h"
#include "appliance/upload/worker_view.h"

#define SESSIONS 8
#define BEGAN_MS 1000

static int set_up(void **state)
{
    static struct mr_worker_view view;

    *state = &view;
    return mr_worker_view_open(&view, 0, SESSIONS, SESSIONS);
}

static int tear_down(void **state)
{
    mr_worker_view_close(*state);
    return 0;
}

/* An upload of that round, which has a window. */
static struct mr_worker_view_entry *grant(struct mr_worker_view *view, uint8_t round,
                                          uint64_t now_ms)
{
    const uint64_t id = mr_worker_view_admit(view, round, 1, now_ms);

    assert_int_not_equal(id, 0);
    mr_worker_view_granted(view, id);
    return mr_worker_view_find(view, id);
}

/* They leave in any order, each once. */
static void test_left_in_any_order(void **state)
{
    struct mr_worker_view *view = *state;
    struct mr_worker_view_entry *entries[5];

    for (unsigned i = 0; i < 5; i++) {
        entries[i] = grant(view, 0, BEGAN_MS + i);
    }
    assert_int_not_equal(mr_worker_view_admit(view, 0, 1, BEGAN_MS), 0); /* without a window */
    assert_int_equal(view->fast, 5);
    assert_int_equal(view->receiving, 6);
    mr_worker_view_staged(view, entries[2]); /* from the middle */
    mr_worker_view_staged(view, entries[2]);
    assert_int_equal(view->fast, 4);
    assert_true(mr_worker_view_ended(view, entries[2])); /* committed */
    assert_int_equal(view->fast, 4);
    assert_true(mr_worker_view_ended(view, entries[0])); /* the oldest */
    assert_true(mr_worker_view_ended(view, entries[4])); /* the newest */
    assert_int_equal(view->fast, 2);
    assert_int_equal(mr_worker_view_age(view, BEGAN_MS + 1), MR_WINDOW_TURN_MS);
    mr_worker_view_staged(view, entries[1]);
    mr_worker_view_staged(view, entries[3]);
    assert_int_equal(view->fast, 0);
    assert_int_equal(mr_worker_view_age(view, BEGAN_MS + 10000), UINT32_MAX);
    entries[0] = grant(view, 0, BEGAN_MS + 20000); /* and the list can be used again */
    assert_int_equal(mr_worker_view_age(view, BEGAN_MS + 20001), MR_WINDOW_TURN_MS - 1);
}

static void test_a_turn_and_no_longer(void **state)
{
    struct mr_worker_view *view = *state;

    for (unsigned i = 0; i < 3; i++) {
        grant(view, 0, BEGAN_MS + 10 * i);
    }
    assert_int_equal(mr_worker_view_age(view, BEGAN_MS + MR_WINDOW_TURN_MS - 1), 1);
    assert_int_equal(view->fast, 3);
    assert_int_equal(mr_worker_view_age(view, BEGAN_MS + MR_WINDOW_TURN_MS), 10);
    assert_int_equal(view->fast, 2);
    assert_int_equal(view->receiving, 3); /* it is still under way */
    assert_int_equal(mr_worker_view_age(view, BEGAN_MS + MR_WINDOW_TURN_MS + 20), UINT32_MAX);
    assert_int_equal(view->fast, 0);
}

static void test_ends_of_rounds(void **state)
{
    struct mr_worker_view *view = *state;

    grant(view, 0, BEGAN_MS);
    grant(view, 1, BEGAN_MS + 5);
    grant(view, 0, BEGAN_MS);
    grant(view, 2, BEGAN_MS);
    assert_int_equal(mr_worker_view_end_receiving(view, 0), 2);
    assert_int_equal(view->fast, 2);
    mr_worker_view_end_round(view, 2);
    assert_int_equal(view->fast, 1);
    assert_int_equal(mr_worker_view_age(view, BEGAN_MS + 5), MR_WINDOW_TURN_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_left_in_any_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_turn_and_no_longer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ends_of_rounds, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
