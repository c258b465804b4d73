/* test_run_memory.c - a lead and a helper that start when memory runs out at any single allocation:
 * a refusal with a text, nothing left behind, and the next start is as good as any. */
#include "tests/failing/failing.h"
#include "tests/round/room.h"

static void changed(void *context)
{
    (void)context;
}

static bool lead(void *context)
{
    static const struct mr_lead_listener listener = {.changed = changed};
    struct room *room = context;
    struct mr_lead_run *run = NULL;
    struct mr_error error = {.text = ""};
    const bool good = mr_lead_run_open(&run, &room->shared, &listener, &error) == 0;
    if (good) {
        struct mr_lead_report report;
        mr_lead_report(mr_lead_run_core(run), &report);
        assert_int_equal(report.state, MR_LEAD_IDLE);
        mr_lead_run_stop(run);
        mr_lead_run_close(run);
    } else {
        assert_null(run);
        assert_string_not_equal(error.text, "");
    }
    return good;
}

static bool helper(void *context)
{
    static const struct mr_helper_listener listener = {.context = NULL};
    struct room *room = context;
    struct mr_helper_run *run = NULL;
    struct mr_error error = {.text = ""};
    const bool good = mr_helper_run_open(&run, &room->shared, &listener, &error) == 0;
    if (good) {
        assert_null(mr_helper_terms(mr_helper_run_core(run)));
        mr_helper_run_stop(run);
        mr_helper_run_close(run);
    } else {
        assert_null(run);
        assert_string_not_equal(error.text, "");
    }
    return good;
}

static void test_lead(void **state)
{
    struct room *room = room_open(0);
    (void)state;
    failing_each(lead, room, "a lead's start");
    assert_int_equal(room->fatals, 0);
    room_close(room);
}

static void test_helper(void **state)
{
    struct room *room = room_open(1);
    (void)state;
    failing_each(helper, room, "a helper's start");
    assert_int_equal(room->fatals, 0);
    room_close(room);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lead),
        cmocka_unit_test(test_helper),
    };
    failing_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
