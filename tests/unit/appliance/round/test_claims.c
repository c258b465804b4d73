/* test_claims.c - what a hub has claimed and keeps in the hub's ledger of released sets, over
 * restarts and until its round is over. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "appliance/round/drive/lead_driver.h"
#include "appliance/round/drive/lead_log.h"
#include "appliance/task/budget.h"
#include "appliance/task/released.h"
#include "played_lead.h"

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

/* --- a lead ---------------------------------------------------------------------------------- */

static void changed(void *context)
{
    (void)context;
}

/* The commit log of the world's lead, as that lead left it, is the room's. */
static void leave_log(struct room *room)
{
    const struct world *world = room->world;
    struct mr_disk_file *disk;
    struct mr_commit_log *log;
    struct mr_commit_read nothing, read;
    struct mr_error error;
    assert_int_equal(mr_commit_state_parse(&read, world->log, world->log_bytes, &error), 0);
    assert_int_equal(read.state.included_count, 3);
    assert_int_equal(mr_disk_file_open(&disk, room->dir, &error), 0);
    assert_int_equal(mr_lead_log_open(&log, mr_disk_file_ops(disk), &nothing, &error), 1);
    assert_int_equal(mr_lead_log_write(log, &read.state, &error), 0);
    mr_commit_log_close(log);
    mr_disk_file_close(disk);
    mr_commit_read_fini(&read);
    assert_int_equal(mr_store_write_signed(room->shared.store, world->terms.announcement.round,
                                           world->terms.hash, &error),
                     0);
}

/* A lead that starts again keeps the budget of those whose uploads it has committed. */
static void test_budget_is_kept_by_a_lead(void **state)
{
    static const struct mr_lead_listener listener = {.changed = changed};
    struct played played = {.room = room_open_noised(0)};
    struct mr_lead_driver *run;
    struct mr_error error = {.text = ""};
    (void)state;
    world_begin(played.room->world, NULL);
    world_fill(played.room->world, 3);
    world_advance(played.room->world, 100);
    leave_log(played.room);
    room_restart(played.room);
    assert_true(other_may_spend(&played, 0));
    if (mr_lead_driver_open(&run, &played.room->shared, &listener, &error) != 0) {
        fail_msg("%s", error.text);
    }
    assert_true(room_logged(played.room, "round.recovered task=default round=7 state=open"));
    for (unsigned device = 0; device < 4; device++) {
        assert_int_equal(other_may_spend(&played, device), device >= 3);
    }
    mr_lead_driver_stop(run);
    room_drain(played.room);
    mr_lead_driver_close(run);
    room_close(played.room);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_claimed_while_it_signs_again, played_setup,
                                        played_teardown),
        cmocka_unit_test(test_budget_is_kept),
        cmocka_unit_test(test_budget_is_kept_by_a_lead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
