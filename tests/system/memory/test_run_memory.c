/* test_run_memory.c - a lead and a helper that start when memory runs out at any single allocation:
 * a refusal with a text, nothing left behind, and the next start is as good as any. */
#include "appliance/round/drive/lead_driver.h"
#include "tests/system/memory/failing.h"
#include "tests/unit/appliance/round/context.h"

static enum mr_lead_state expected_lead;

static void changed(void *context)
{
    (void)context;
}

static bool lead(void *context)
{
    static const struct mr_lead_listener listener = {.changed = changed};
    struct room *room = context;
    struct mr_lead_driver *run = NULL;
    struct mr_error error = {.text = ""};
    const bool good = mr_lead_driver_open(&run, &room->shared, &listener, &error) == 0;
    if (good) {
        struct mr_lead_report report;
        mr_lead_report(mr_lead_driver_core(run), &report);
        assert_int_equal(report.state, expected_lead);
        mr_lead_driver_stop(run);
        mr_lead_driver_close(run);
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
    struct mr_helper_driver *run = NULL;
    struct mr_error error = {.text = ""};
    const bool good = mr_helper_driver_open(&run, &room->shared, &listener, &error) == 0;
    if (good) {
        assert_null(mr_helper_terms(mr_helper_driver_core(run)));
        mr_helper_driver_stop(run);
        mr_helper_driver_close(run);
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

static bool has_ended(void *context)
{
    struct mr_lead_report report;
    mr_lead_report(mr_lead_driver_core(context), &report);
    const struct mr_round_summary *summary =
        mr_round_history_find(mr_lead_driver_history(context), report.round);
    return summary && strcmp(summary->state, "void") == 0;
}

/* A record that cannot be read does not make a round that has ended go on. */
static void test_lead_with_a_round(void **state)
{
    static const char record[] =
        "{\"state\": \"published\", \"model_hash\": "
        "\"0000000000000000000000000000000000000000000000000000000000000000\"}";
    static const struct mr_lead_listener listener = {.changed = changed};
    struct room *room = room_open(0);
    struct mr_lead_driver *run;
    struct mr_error error;
    struct mr_round_params params;
    struct mr_refusal refusal;
    uint64_t round;
    (void)state;
    assert_int_equal(mr_lead_driver_open(&run, &room->shared, &listener, &error), 0);
    mr_round_params_init(&params, &room->policy);
    assert_int_equal(mr_lead_driver_begin(run, &params, &round, &refusal), MR_REFUSAL_NONE);
    room_run_until(room, has_ended, run);
    mr_lead_driver_stop(run);
    room_drain(room);
    mr_lead_driver_close(run);
    room_put(room, "rounds/1.json", record, sizeof record - 1);
    room_restart(room);
    expected_lead = MR_LEAD_PUBLISHED;
    failing_each(lead, room, "a lead's start with a round");
    expected_lead = MR_LEAD_IDLE;
    assert_false(room_logged(room, "round.lost"));
    room_close(room);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lead),
        cmocka_unit_test(test_helper),
        cmocka_unit_test(test_lead_with_a_round),
    };
    failing_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
