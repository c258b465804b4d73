/* test_helper_updated.c - a helper that starts with the journal of another version of Millrace,
 * asked before by a lead that is played. */
#include <stdlib.h>
#include <unistd.h>

#include "played_lead.h"

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

static void age_journal(const struct room *room)
{
    room_age(room, "journal-0");
    room_age(room, "journal-1");
}

/* In a round: it gave receipts, and would not know of them. */
static void test_in_a_round(void **state)
{
    struct played *played = *state;
    struct room *room = played->room;
    struct mr_helper_driver *none;
    struct mr_error error = {.text = ""};
    played_start(played);
    played_admit(played);
    played_end(played);
    age_journal(room);
    room_restart(room);
    assert_int_equal(mr_helper_driver_open(&none, &room->shared, &played_listener, &error), -1);
    assert_non_null(strstr(error.text, "round 7 has not ended, and journal-0 and journal-1"));
    room_drain(room);
    unlink(room_path(room, "journal-0"));
    unlink(room_path(room, "journal-1"));
    room_restart(room);
    played_start(played);
    assert_int_equal(played_state(played), MR_HELPER_IDLE);
    played_end(played);
}

/* Between two rounds nothing is lost, and nobody is told that something was. */
static void test_after_the_end(void **state)
{
    struct played *played = *state;
    struct room *room = played->room;
    struct reply reply;
    size_t length;
    uint8_t *body = played_until_reveal(played, &length);
    played_ask(played, MR_PEER_REVEAL, body, length, &reply);
    played_expect(&reply, MR_REFUSAL_NONE);
    reply_fini(&reply);
    free(body);
    played_end(played);
    age_journal(room);
    room_restart(room);
    played_start(played);
    assert_false(room_logged(room, "helper.lost"));
    assert_int_equal(played_state(played), MR_HELPER_IDLE);
    played_end(played);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, open_played, close_played)
    const struct CMUnitTest tests[] = {
        T(test_in_a_round),
        T(test_after_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
