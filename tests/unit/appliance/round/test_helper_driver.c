/* test_helper_driver.c - the helper at work in this process, asked by a lead that is played from
 * the questions of a world's round: answers, files, and how it stops. */
#include <stdlib.h>
#include <unistd.h>

#include "played_lead.h"
#include "appliance/storage/files.h"

/* --- a round --------------------------------------------------------------------------------- */

/* What the helper says of the round and what its record says are the same. */
static void expect_summary(const struct played *played, const char *state)
{
    const uint64_t round = played->room->world->terms.announcement.round;
    struct mr_round_summary stored;
    struct mr_error error;
    const struct mr_round_summary *live =
        mr_round_history_find(mr_helper_driver_history(played->run), round);
    assert_non_null(live);
    assert_int_equal(mr_round_record_read(played->room->shared.store, round, &stored, &error), 0);
    assert_string_equal(live->state, state);
    assert_string_equal(stored.state, state);
    assert_false(live->lead || stored.lead);
    assert_int_equal(live->admitted, stored.admitted);
    assert_true(live->admitted > 0);
    assert_int_equal(live->included, stored.included);
    assert_int_equal(live->ended_unix_ms, stored.ended_unix_ms);
    assert_int_equal(live->cohort_min, stored.cohort_min);
    assert_int_equal(live->has_metrics, stored.has_metrics);
    assert_int_equal(live->metrics.weight, stored.metrics.weight);
    assert_memory_equal(live->parent_hash, stored.parent_hash, MR_HASH_BYTES);
    assert_memory_equal(live->set_hash, stored.set_hash, MR_HASH_BYTES);
    assert_memory_equal(live->model_hash, stored.model_hash, MR_HASH_BYTES);
    assert_string_equal(live->reason, stored.reason);
    assert_true(live->ended_unix_ms && stored.ended_unix_ms);
}

static bool has_kept(void *context)
{
    return room_logged(context, "helper.record_kept task=default round=7 refused=void");
}

/* A file of the data folder, malloc'd and ended by a NUL. */
static char *read_text(const struct room *room, const char *name, size_t *length)
{
    uint8_t *bytes;
    struct mr_error error = {.text = ""};
    if (mr_file_read(room_path(room, name), &bytes, length, &error) != 0) {
        fail_msg("%s: %s", name, error.text);
    }
    return (char *)bytes;
}

/* The same bytes as before. */
static void expect_file(const struct room *room, const char *name, const char *before, size_t bytes)
{
    size_t length;
    char *now = read_text(room, name, &length);
    assert_int_equal(length, bytes);
    assert_memory_equal(now, before, length);
    free(now);
}

/* The same model as the world's hubs made. Its lead cannot give the round up afterwards: what this
 * hub opened and computed stays current and on record, with model and sum. */
static void test_a_round_and_its_end(void **state)
{
    struct played *played = *state;
    struct room *room = played->room;
    struct reply reply;
    size_t length;
    struct mr_peer_model model;
    struct mr_error error;
    uint8_t *body = played_until_reveal(played, &length);
    played_ask(played, MR_PEER_REVEAL, body, length, &reply);
    played_expect(&reply, MR_REFUSAL_NONE);
    assert_int_equal(mr_peer_model_decode(&model, (char *)reply.body, reply.length, &error), 0);
    assert_memory_equal(model.model_hash, room->world->revealed.model_hash, MR_HASH_BYTES);
    assert_memory_equal(mr_store_current(room->shared.store), model.model_hash, MR_HASH_BYTES);
    char *record;
    assert_int_equal(mr_store_read_round(room->shared.store, room->world->terms.announcement.round,
                                         &record, &error),
                     0);
    assert_non_null(strstr(record, "\"state\": \"revealed\""));
    expect_summary(played, "revealed");
    assert_false(room_logged(room, "weight_max"));
    reply_fini(&reply);
    char *sum = read_text(room, "rounds/7.sum", &length);
    for (unsigned life = 0; life < 2; life++) {
        played_ask(played, MR_PEER_VOID, NULL, 0, &reply);
        played_expect(&reply, MR_REFUSAL_WRONG_ROUND);
        assert_non_null(strstr(reply.text, "round 7 is not to be taken back"));
        reply_fini(&reply);
        assert_int_equal(played_state(played), MR_HELPER_DONE);
        assert_false(played_is_back(room));
        expect_summary(played, "revealed");
        played_end(played);
        assert_int_equal(room->fatals, 0);
        room_restart(room);
        played_start(played);
    }
    free(body);
    expect_file(room, "rounds/7.json", record, strlen(record));
    expect_file(room, "rounds/7.sum", sum, length);
    free(record);
    free(sum);
    played_end(played);
}

/* Its lead has this hub's opening and says that the round is void: that it was opened, and for
 * whom, stays on record, whatever the lead says next. */
static void test_void_after_the_opening(void **state)
{
    struct played *played = *state;
    struct room *room = played->room;
    struct mr_error error;
    struct reply reply;
    size_t length;
    free(played_until_reveal(played, &length));
    played_ask(played, MR_PEER_VOID, NULL, 0, &reply);
    played_expect(&reply, MR_REFUSAL_NONE);
    reply_fini(&reply);
    played_end(played);
    char *record;
    assert_int_equal(mr_store_read_round(room->shared.store, 7, &record, &error), 0);
    assert_int_equal(mr_stored_end_of(record), MR_STORED_END_VOID);
    assert_non_null(strstr(record, "\"opened\": true"));
    assert_non_null(strstr(record, "\"set_hash\""));
    assert_non_null(strstr(record, "\"included\": 4"));
    assert_non_null(strstr(record, "\"client_id\""));
    room_restart(room);
    played_start(played);
    assert_int_equal(played_state(played), MR_HELPER_IDLE);
    for (enum mr_peer_step step = MR_PEER_PROPOSE; step <= MR_PEER_VOID; step++) {
        played_ask(played, step, played->asked[step].body, played->asked[step].length, &reply);
        assert_int_not_equal(reply.code, MR_REFUSAL_NONE);
        reply_fini(&reply);
    }
    expect_file(room, "rounds/7.json", record, strlen(record));
    free(record);
    played_end(played);
}

static void give_up_while_revealing(struct played *played, bool stores)
{
    struct room *room = played->room;
    struct reply reveal, reply;
    size_t length;
    uint8_t *body = played_until_reveal(played, &length);
    played_put(played, MR_PEER_REVEAL, body, length, &reveal);
    if (stores) {
        room_run_until_made(room);
    }
    assert_int_equal(played_state(played), MR_HELPER_REVEALING);
    played_ask(played, MR_PEER_VOID, NULL, 0, &reply);
    played_expect(&reply, MR_REFUSAL_NONE);
    assert_true(reveal.done);
    played_expect(&reveal, MR_REFUSAL_VOID);
    reply_fini(&reply);
    free(body);
}

/* Given up while the model is stored: it stays what it is, and so does its record. */
static void test_void_while_revealing(void **state)
{
    struct played *played = *state;
    struct room *room = played->room;
    give_up_while_revealing(played, true);
    room_run_until(room, has_kept, room);
    expect_summary(played, "revealed");
    assert_int_equal(access(room_path(room, "rounds/7.sum"), F_OK), 0);
    played_end(played);
    for (unsigned life = 0; life < 2; life++) {
        assert_memory_equal(mr_store_current(room->shared.store), room->world->revealed.model_hash,
                            MR_HASH_BYTES);
        room_restart(room);
    }
    assert_int_equal(room->fatals, 0);
}

static bool has_no_journal(void *context)
{
    return access(room_path(context, "journal-0"), F_OK) != 0 &&
           access(room_path(context, "journal-1"), F_OK) != 0;
}

/* Given up while the model is computed: nothing of it is stored, and the record says void. */
static void test_void_while_computing(void **state)
{
    struct played *played = *state;
    struct room *room = played->room;
    give_up_while_revealing(played, false);
    room_run_until(room, has_no_journal, room);
    room_drain(room);
    expect_summary(played, "void");
    played_end(played);
    for (unsigned life = 0; life < 2; life++) {
        assert_true(played_is_back(room));
        room_restart(room);
    }
    assert_int_equal(room->made, 0);
    assert_int_equal(room->fatals, 0);
}

/* Given up while the set is expanded: no commitment ever leaves. */
static void test_void_while_expanding(void **state)
{
    struct played *played = *state;
    struct room *room = played->room;
    struct reply freeze, reply;
    played_start(played);
    played_admit(played);
    played_put(played, MR_PEER_FREEZE, played->asked[MR_PEER_FREEZE].body,
               played->asked[MR_PEER_FREEZE].length, &freeze);
    assert_int_equal(played_state(played), MR_HELPER_EXPANDING);
    played_ask(played, MR_PEER_VOID, NULL, 0, &reply);
    played_expect(&reply, MR_REFUSAL_NONE);
    assert_true(freeze.done);
    played_expect(&freeze, MR_REFUSAL_VOID);
    reply_fini(&reply);
    played_ask_same(played, MR_PEER_FREEZE, &freeze);
    played_expect(&freeze, MR_REFUSAL_VOID);
    played_end(played);
    assert_int_equal(room->fatals, 0);
}

/* --- stopping -------------------------------------------------------------------------------- */

/* A task that is removed: who waits hears it at once, not when its threads have ended. */
static void test_dismissed(void **state)
{
    struct played *played = *state;
    struct reply reveal;
    size_t length;
    uint8_t *body = played_until_reveal(played, &length);
    mr_helper_driver_halt(played->run);
    played_put(played, MR_PEER_REVEAL, body, length, &reveal);
    assert_false(reveal.done);
    mr_helper_dismiss(mr_helper_driver_core(played->run), MR_REFUSAL_NO_TASK, "not served");
    assert_true(reveal.done);
    played_expect(&reveal, MR_REFUSAL_NO_TASK);
    reply_fini(&reveal);
    free(body);
    played_end(played);
}

/* What a lead is refused is told here as well, and counted; that it comes back later is not news.
 */
static void test_refusals_are_told(void **state)
{
    struct played *played = *state;
    struct mr_refusal refusal;
    struct mr_metrics metrics;
    played_start(played);
    mr_refuse(&refusal, MR_REFUSAL_BUSY, "the same question is being worked on");
    mr_helper_driver_refused(played->run, 10, &refusal);
    mr_refuse(&refusal, MR_REFUSAL_BELOW_COHORT_MINIMUM, "cohort_min 3 is below this hub's own 4");
    mr_helper_driver_refused(played->run, 10, &refusal);
    mr_helper_driver_refused(played->run, 10, &refusal);
    assert_true(room_logged(played->room, " warn helper.refused task=default hub=10 "
                                          "code=below_cohort_minimum why=\"cohort_min 3 is below"));
    assert_false(room_logged(played->room, "code=busy"));
    mr_metrics_init(&metrics);
    mr_helper_driver_metrics(&played->run, 1, &metrics);
    assert_non_null(strstr(metrics.text, "\nmillrace_helper_refusals_total{task=\"default\","
                                         "code=\"below_cohort_minimum\"} 2\n"));
    mr_metrics_fini(&metrics);
    played_end(played);
}

/* Questions that come while the hub stops find nobody: busy at the end, nothing written. */
static void test_questions_while_stopping(void **state)
{
    struct played *played = *state;
    struct room *room = played->room;
    struct reply reveal, reply;
    size_t length;
    uint8_t *body = played_until_reveal(played, &length);
    mr_helper_driver_stop(played->run);
    played_put(played, MR_PEER_REVEAL, body, length, &reveal);
    room_drain(room);
    assert_false(reveal.done);
    mr_helper_driver_close(played->run);
    played->run = NULL;
    played_expect(&reveal, MR_REFUSAL_BUSY);
    assert_string_equal(reveal.text, "the hub is stopping");
    assert_true(played_is_back(room));

    room_restart(room); /* and what was answered before is still there */
    played_start(played);
    mr_helper_driver_stop(played->run);
    played_put(played, MR_PEER_VOID, NULL, 0, &reply);
    room_drain(room);
    assert_false(reply.done);
    mr_helper_driver_close(played->run);
    played->run = NULL;
    played_expect(&reply, MR_REFUSAL_BUSY);
    reply_fini(&reply);
    room_restart(room);
    played_start(played);
    assert_int_equal(played_state(played), MR_HELPER_EXPANDING); /* not forgotten */
    free(body);
    played_end(played);
    assert_int_equal(room->fatals, 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, played_setup, played_teardown)
    const struct CMUnitTest tests[] = {
        T(test_a_round_and_its_end),  T(test_void_after_the_opening),
        T(test_void_while_revealing), T(test_void_while_computing),
        T(test_void_while_expanding), T(test_dismissed),
        T(test_refusals_are_told),    T(test_questions_while_stopping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
