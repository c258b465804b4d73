/* test_helper_restart.c - a helper that starts again, asked by a lead that is played: what it makes
 * of the files that it finds, and what it does when a file or a model is not there. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "played_lead.h"
#include "base/bytes.h"

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
    assert_true(played_is_back(room));
    room_restart(room);
    assert_true(played_is_back(room));
    assert_int_equal(room->fatals, 0);
}

/* Killed when the next model was current and no record said so; then the round is void. */
static void test_void_after_a_reveal_of_another_life(void **state)
{
    struct played *played = *state;
    struct room *room = played->room;
    restart_with_next(played, room->world->terms.hash);
    room_put(room, "rounds/7.sum.tmp", "half", 4);
    assert_false(played_is_back(room));
    assert_int_equal(played_state(played), MR_HELPER_EXPANDING);
    give_up(played);
    room_run_until(room, played_is_back, room);
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
    assert_true(played_is_back(room));
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
    room_run_until(room, room_has_stopped, room);
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
    room_run_until(room, room_has_stopped, room);
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
    room_run_until(room, room_has_stopped, room);
    assert_non_null(strstr(room->fatal, "cannot make durable that the round is void"));
    assert_non_null(strstr(room->fatal, "current"));
    assert_false(reply.done); /* what is not durable is not said */
    played_end(played);
    played_expect(&reply, MR_REFUSAL_BUSY);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, played_setup, played_teardown)
    const struct CMUnitTest tests[] = {
        T(test_restart_without_the_model),        T(test_void_after_a_reveal_of_another_life),
        T(test_void_leaves_another_rounds_model), T(test_killed_while_it_forgets),
        T(test_journal_of_another_round),         T(test_what_it_cannot_start_with),
        T(test_files_that_are_not_durable),       T(test_model_that_is_not_durable),
        T(test_model_before_that_is_not_durable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
