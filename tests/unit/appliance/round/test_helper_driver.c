/* test_helper_driver.c - the helper at work in this process, asked by a lead that is played from
 * the questions of a world's round: answers, files, what a restart makes of them, and what it does
 * when a file or a model is not there. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "played_lead.h"
#include "appliance/storage/files.h"
#include "base/bytes.h"

static int open_played(void **state)
{
    *state = played_open();
    return 0;
}

static int close_played(void **state)
{
    played_close(*state);
    return 0;
}

static bool has_stopped(void *context)
{
    return ((struct room *)context)->fatals > 0;
}

static bool is_back(void *context)
{
    const struct room *room = context;
    return memcmp(mr_store_current(room->shared.store), room->world->model_hash, MR_HASH_BYTES) ==
           0;
}

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
        assert_false(is_back(room));
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
        assert_true(is_back(room));
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

/* --- restarts -------------------------------------------------------------------------------- */

/* With its openings given, it expands again and answers with the same bytes; but the model that the
 * round began with is gone from its store: no next model, and a reason. */
static void test_restart_without_the_model(void **state)
{
    struct played *played = *state;
    struct room *room = played->room;
    struct reply reply;
    struct mr_error error;
    size_t length;
    uint8_t *body = played_until_reveal(played, &length);
    played_end(played);
    const struct mr_next_model_answer *next = &room->world->revealed;
    assert_int_equal(mr_store_write_model(room->shared.store, next->model_hash, next->model,
                                          next->model_bytes, "{}", &error),
                     0);
    assert_int_equal(mr_store_write_current(room->shared.store, next->model_hash, &error), 0);
    char name[8 + 2 * MR_HASH_BYTES + 16] = "models/";
    mr_hex_encode(name + 7, room->world->model_hash, MR_HASH_BYTES);
    strcat(name, ".safetensors");
    assert_int_equal(unlink(room_path(room, name)), 0);
    room_restart(room);
    played_start(played);
    assert_int_equal(played_state(played), MR_HELPER_EXPANDING);
    do { /* busy until it has expanded */
        played_ask(played, MR_PEER_REVEAL, body, length, &reply);
    } while (reply.code == MR_REFUSAL_BUSY);
    played_expect(&reply, MR_REFUSAL_INTERNAL);
    assert_string_not_equal(reply.text, "");
    assert_int_equal(played_state(played), MR_HELPER_VOID);
    free(body);
    played_end(played);
    assert_int_equal(room->fatals, 0);
}

/* As a reveal leaves it, when the hub is killed before the round's record; the model was made first
 * by a round of that announcement. */
static void store_next(const struct room *room, const uint8_t *announcement_hash)
{
    char hex[2 * MR_HASH_BYTES + 1], manifest[sizeof hex + 32];
    const struct mr_next_model_answer *next = &room->world->revealed;
    const struct mr_round_terms *terms = &room->world->terms;
    struct mr_store *store = room->shared.store;
    struct mr_error error;
    mr_hex_encode(hex, announcement_hash, MR_HASH_BYTES);
    snprintf(manifest, sizeof manifest, "{\"announcement_hash\": \"%s\"}", hex);
    assert_int_equal(mr_store_write_model(store, next->model_hash, next->model, next->model_bytes,
                                          manifest, &error),
                     0);
    assert_int_equal(mr_store_write_current(store, next->model_hash, &error), 0);
    room_put(room, "rounds/7.sum", next->sum, (size_t)terms->layout.share_bytes);
}

/* Another life of the hub, which finds that. */
static void restart_with_next(struct played *played, const uint8_t *announcement_hash)
{
    size_t length;
    free(played_until_reveal(played, &length));
    played_end(played);
    store_next(played->room, announcement_hash);
    room_restart(played->room);
    played_start(played);
}

static void give_up(struct played *played)
{
    struct reply reply;
    played_ask(played, MR_PEER_VOID, NULL, 0, &reply);
    played_expect(&reply, MR_REFUSAL_NONE);
    reply_fini(&reply);
}

static void expect_nothing_left(struct room *room)
{
    static const char *const gone[] = {"rounds/7.sum", "rounds/7.sum.tmp", "journal-0",
                                       "journal-1"};
    for (unsigned i = 0; i < sizeof gone / sizeof gone[0]; i++) {
        assert_int_equal(access(room_path(room, gone[i]), F_OK), -1);
    }
    assert_true(is_back(room));
    room_restart(room);
    assert_true(is_back(room));
    assert_int_equal(room->fatals, 0);
}

/* Killed when the next model was current and no record said so; then the round is void. */
static void test_void_after_a_reveal_of_another_life(void **state)
{
    struct played *played = *state;
    struct room *room = played->room;
    restart_with_next(played, room->world->terms.hash);
    room_put(room, "rounds/7.sum.tmp", "half", 4);
    assert_false(is_back(room));
    assert_int_equal(played_state(played), MR_HELPER_EXPANDING);
    give_up(played);
    room_run_until(room, is_back, room);
    played_end(played);
    expect_nothing_left(room);
}

/* A model that is current, and that another round made, is not the lead's to take back. */
static void test_void_leaves_another_rounds_model(void **state)
{
    const uint8_t another[MR_HASH_BYTES] = {7};
    struct played *played = *state;
    struct room *room = played->room;
    restart_with_next(played, another);
    give_up(played);
    played_end(played);
    room_restart(room);
    assert_memory_equal(mr_store_current(room->shared.store), room->world->revealed.model_hash,
                        MR_HASH_BYTES);
    assert_int_equal(room->fatals, 0);
}

/* Killed when the record said void, and the rest was still there. */
static void test_killed_while_it_forgets(void **state)
{
    struct played *played = *state;
    struct room *room = played->room;
    struct mr_error error;
    size_t length;
    free(played_until_reveal(played, &length));
    played_end(played);
    assert_int_equal(mr_store_write_round(room->shared.store, 7,
                                          "{\"state\": \"void\", \"reason\": \"so it was\"}", NULL,
                                          0, &error),
                     0);
    store_next(room, room->world->terms.hash);
    room_restart(room);
    played_start(played);
    assert_int_equal(played_state(played), MR_HELPER_IDLE);
    assert_true(is_back(room));
    played_end(played);
    expect_nothing_left(room);
}

/* A journal of a round before the one that was signed last: lost, and wiped. */
static void test_journal_of_another_round(void **state)
{
    struct played *played = *state;
    struct room *room = played->room;
    struct mr_error error;
    const uint64_t round = room->world->terms.announcement.round;
    const uint8_t hash[MR_HASH_BYTES] = {7};
    for (uint64_t later = 0; later < 2; later++) { /* another announcement of it, another round */
        played_start(played);
        if (later) { /* signed the first time */
            struct reply reply;
            played_ask_same(played, MR_PEER_PROPOSE, &reply);
            played_expect(&reply, MR_REFUSAL_WRONG_ANNOUNCEMENT);
            played_end(played);
            unlink(room_path(room, "signed-round"));
            room_restart(room);
            played_start(played);
        }
        played_admit(played);
        played_end(played);
        assert_int_equal(mr_store_write_signed(room->shared.store, round + later, hash, &error), 0);
        room_restart(room);
        played_start(played);
        assert_int_equal(played_state(played), MR_HELPER_IDLE);
        assert_true(room_logged(
            room, "helper.lost task=default round=7 why=\"the journal is of another round"));
        assert_int_equal(access(room_path(room, "journal-0"), F_OK), -1);
        assert_int_equal(access(room_path(room, "journal-1"), F_OK), -1);
        played_end(played);
    }
}

static void test_what_it_cannot_start_with(void **state)
{
    struct played *played = *state;
    struct room *room = played->room;
    struct mr_helper_driver *none;
    struct mr_error error = {.text = ""};
    assert_int_equal(mkdir(room_path(room, "journal-1"), 0700), 0);
    assert_int_equal(mr_helper_driver_open(&none, &room->shared, &played_listener, &error), -1);
    assert_non_null(strstr(error.text, "journal-1"));
    room_drain(room);
}

/* --- a disk that does not take it ------------------------------------------------------------ */

/* Nothing is answered; the hub stops. */
static void test_files_that_are_not_durable(void **state)
{
    struct played *played = *state;
    struct room *room = played->room;
    struct reply reply;
    played_start(played);
    assert_int_equal(mkdir(room_path(room, "journal-1"), 0700), 0);
    played_put(played, MR_PEER_PROPOSE, played->asked[MR_PEER_PROPOSE].body,
               played->asked[MR_PEER_PROPOSE].length, &reply);
    room_run_until(room, has_stopped, room);
    assert_non_null(strstr(room->fatal, "cannot make the round's journal durable"));
    assert_false(reply.done);
    played_end(played);
    played_expect(&reply, MR_REFUSAL_BUSY);
}

static void test_model_that_is_not_durable(void **state)
{
    struct played *played = *state;
    struct room *room = played->room;
    struct reply reply;
    size_t length;
    uint8_t *body = played_until_reveal(played, &length);
    assert_int_equal(mkdir(room_path(room, "rounds/7.json"), 0700), 0);
    played_put(played, MR_PEER_REVEAL, body, length, &reply);
    room_run_until(room, has_stopped, room);
    assert_non_null(strstr(room->fatal, "cannot store the next model"));
    assert_false(reply.done);
    free(body);
    played_end(played);
    played_expect(&reply, MR_REFUSAL_BUSY);
    struct mr_helper_driver *none;
    struct mr_error error = {.text = ""};
    room_restart(room); /* nor is it known whether the round was given up */
    assert_int_equal(mr_helper_driver_open(&none, &room->shared, &played_listener, &error), -1);
    assert_non_null(strstr(error.text, "7.json"));
    room_drain(room);
}

static void test_model_before_that_is_not_durable(void **state)
{
    struct played *played = *state;
    struct room *room = played->room;
    struct reply reply;
    restart_with_next(played, room->world->terms.hash);
    unlink(room_path(room, "current"));
    assert_int_equal(mkdir(room_path(room, "current"), 0700), 0);
    played_put(played, MR_PEER_VOID, NULL, 0, &reply);
    room_run_until(room, has_stopped, room);
    assert_non_null(strstr(room->fatal, "cannot make durable that the round is void"));
    assert_non_null(strstr(room->fatal, "current"));
    assert_false(reply.done); /* what is not durable is not said */
    played_end(played);
    played_expect(&reply, MR_REFUSAL_BUSY);
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
    assert_true(is_back(room));

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
#define T(name) cmocka_unit_test_setup_teardown(name, open_played, close_played)
    const struct CMUnitTest tests[] = {
        T(test_a_round_and_its_end),
        T(test_void_after_the_opening),
        T(test_void_while_revealing),
        T(test_void_while_computing),
        T(test_void_while_expanding),
        T(test_restart_without_the_model),
        T(test_void_after_a_reveal_of_another_life),
        T(test_void_leaves_another_rounds_model),
        T(test_killed_while_it_forgets),
        T(test_journal_of_another_round),
        T(test_what_it_cannot_start_with),
        T(test_files_that_are_not_durable),
        T(test_model_that_is_not_durable),
        T(test_model_before_that_is_not_durable),
        T(test_dismissed),
        T(test_refusals_are_told),
        T(test_questions_while_stopping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
