/* test_unopened.c - for which rounds a hub signs that it did not open them. The ledger of released
 * sets is the other witness (liar-lost_round); here it knows of nothing. */
#include <stdio.h>
#include <string.h>

#include "appliance/round/drive/unopened.h"
#include "context.h"
#include "wire/exchange.h"

static int open_room(void **state)
{
    *state = room_open(0);
    return 0;
}

static int close_room(void **state)
{
    room_close(*state);
    return 0;
}

static struct mr_round_summary ended(const char *how)
{
    struct mr_round_summary summary = {.round = 7, .lead = true};
    snprintf(summary.state, sizeof summary.state, "%s", how);
    memset(summary.announcement_hash, 0x5a, sizeof summary.announcement_hash);
    return summary;
}

static bool is_signed(const struct room *room, const struct mr_round_summary *summary)
{
    uint8_t signature[MR_SIGNATURE_BYTES];
    return mr_round_unopened(&room->shared, summary, signature);
}

static void test_void(void **state)
{
    const struct room *room = *state;
    const struct mr_round_summary summary = ended("void");
    uint8_t signature[MR_SIGNATURE_BYTES], expected[MR_SIGNATURE_BYTES];
    assert_true(mr_round_unopened(&room->shared, &summary, signature));
    assert_int_equal(
        mr_unopened_sign(expected, summary.announcement_hash, room->shared.private_key), 0);
    assert_memory_equal(signature, expected, sizeof expected);
}

/* It asked for the openings and gave the round up when they did not come: some may be out. */
static void test_may_be_open(void **state)
{
    struct mr_round_summary summary = ended("void");
    summary.opened = true;
    assert_false(is_signed(*state, &summary));
}

static void test_others(void **state)
{
    static const char *const states[] = {"published", "revealed", "open", "committed"};
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        const struct mr_round_summary summary = ended(states[i]);
        assert_false(is_signed(*state, &summary));
    }
    struct mr_round_summary nameless = ended("void");
    memset(nameless.announcement_hash, 0, sizeof nameless.announcement_hash);
    assert_false(is_signed(*state, &nameless));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_void, open_room, close_room),
        cmocka_unit_test_setup_teardown(test_may_be_open, open_room, close_room),
        cmocka_unit_test_setup_teardown(test_others, open_room, close_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
