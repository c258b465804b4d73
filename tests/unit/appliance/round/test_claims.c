/* test_claims.c - what a helper has claimed and keeps in the hub's ledger of released sets, over
 * restarts and until its round is over. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "appliance/task/budget.h"
#include "appliance/task/released.h"
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

/* Killed between the journal of a round that it signs and the word that it is signed: a set that is
 * taken before the next start has made up for that is this round's, and stays claimed. */
static void test_claimed_while_it_signs_again(void **state)
{
    struct played *played = *state;
    struct room *room = played->room;
    size_t length;
    played_start(played);
    played_admit(played);
    played_end(played);
    assert_int_equal(unlink(room_path(room, "signed-round")), 0);
    room_restart(room);
    played_start(played);
    assert_int_equal(played_state(played), MR_HELPER_ADMITTING);
    free(played_openings(played, &length)); /* the freeze comes before the disk has answered */
    played_end(played);
    assert_int_equal(room->fatals, 0);
}

/* What is left for a round of another task. */
static bool other_may_spend(const struct played *played, unsigned device)
{
    const struct world *world = played->room->world;
    const struct mr_privacy_terms *terms = &world->terms.announcement.privacy;
    struct mr_budget_debit debit = {.rho = terms->rho, .budget = terms->rho, .unix_ms = 1};
    struct mr_error error;
    uint64_t left;
    memcpy(debit.pool, terms->pool, sizeof debit.pool);
    const int may = mr_released_may_spend(played->room->shared.released, &debit, "other",
                                          world->devices[device].client_id, &left, &error);
    assert_in_range(may, 0, 1);
    return may == 1;
}

static bool is_void(void *context)
{
    struct played *played = context;
    return played_state(played) == MR_HELPER_VOID && other_may_spend(played, 0);
}

/* A device that is admitted has its budget kept for that round, over a restart, until it is over.
 */
static void test_budget_is_kept(void **state)
{
    struct played *played = played_open_noised();
    (void)state;
    played_start(played);
    assert_true(other_may_spend(played, 0));
    played_admit(played);
    assert_false(other_may_spend(played, 0));
    assert_true(other_may_spend(played, WORLD_DEVICES - 1)); /* which is in no round */
    played_end(played);
    assert_true(other_may_spend(played, 0)); /* as a task that is taken away */
    room_restart(played->room);
    played_start(played);
    assert_int_equal(played_state(played), MR_HELPER_ADMITTING);
    assert_false(other_may_spend(played, 0));
    assert_true(other_may_spend(played, WORLD_DEVICES - 1));
    assert_true(mr_helper_leave(mr_helper_driver_core(played->run), "test"));
    room_run_until(played->room, is_void, played);
    played_close(played);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_claimed_while_it_signs_again, open_played,
                                        close_played),
        cmocka_unit_test(test_budget_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
