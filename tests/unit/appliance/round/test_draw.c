/* The draw among honest hubs, over crashes between any two steps. */
#include <string.h>

#include "appliance/privacy/facts.h"
#include "parties_drawing.h"

static const struct world_options *const drawing = &world_drawing;

/* The first eight of the list, a bit for each. */
static uint32_t first_eight(const struct world *world)
{
    uint32_t first = 0;
    for (unsigned i = 0; i < 12; i++) {
        unsigned before = 0;
        for (unsigned j = 0; j < 12; j++) {
            before += memcmp(world->devices[j].client_id, world->devices[i].client_id,
                             MR_CLIENT_ID_BYTES) < 0;
        }
        first |= before < 8 ? 1u << i : 0;
    }
    return first;
}

static void test_eight_of_twelve(void **state)
{
    struct world *world = drawing_begin(state, 12);
    struct mr_lead_report report;
    assert_int_equal(world->asked[MR_PEER_DRAW], 0);
    world_advance(world, 999);
    assert_int_equal(world_state(world, &report), MR_LEAD_OPEN);
    assert_int_equal(report.listed, 0);
    world_advance(world, 1);
    assert_int_equal(world_state(world, &report), MR_LEAD_OPEN);
    assert_int_equal(world->asked[MR_PEER_DRAW], 2);
    assert_int_equal(report.listed, 12);
    assert_int_equal(report.drawn, 8);
    const uint32_t members = drawing_let_in(world, 12);
    assert_int_equal(__builtin_popcount(members), 8);
    assert_int_not_equal(members, 0xff); /* not the first that came, with these values */
    assert_int_not_equal(members, first_eight(world));
    drawing_stage(world, members);
    drawing_expect_published(world, 8);
    world_check_sum(world, members, world->revealed.sum);
}

/* A crash before the list is durable lets the lead make another: till then nobody hears of it, its
 * own transcript included. */
static void test_list_is_told_when_durable(void **state)
{
    struct world *world = drawing_begin(state, 12);
    struct mr_round_facts facts;
    world->now_ms += 1000;
    mr_lead_tick(world->lead, world->now_ms);
    assert_int_equal(world_state(world, NULL), MR_LEAD_DRAWING);
    assert_int_equal(world->asked[MR_PEER_DRAW], 0);
    mr_lead_facts(world->lead, &facts);
    assert_null(facts.list);
    world_run(world);
    assert_int_equal(world->asked[MR_PEER_DRAW], 2);
    mr_lead_facts(world->lead, &facts);
    assert_non_null(facts.list);
}

/* As many as there is room for: nobody waits for more. */
static void test_full_list(void **state)
{
    struct world *world = drawing_begin(state, WORLD_DEVICES);
    struct mr_lead_report report;
    world_advance(world, 0);
    world_state(world, &report);
    assert_int_equal(report.listed, WORLD_DEVICES);
    drawing_stage(world, drawing_let_in(world, WORLD_DEVICES));
    drawing_expect_published(world, 8);
}

/* All of them are drawn, and the round closes when they are all there. */
static void test_fewer_than_places(void **state)
{
    struct world *world = drawing_begin(state, 5);
    world_advance(world, 1000);
    const uint32_t members = drawing_let_in(world, 5);
    assert_int_equal(members, 0x1f);
    drawing_stage(world, members);
    drawing_expect_published(world, 5);
}

/* The list waits for the least number of devices, at most until the deadline. */
static void test_too_few(void **state)
{
    struct world *world = drawing_begin(state, 3);
    world_advance(world, 5000);
    assert_int_equal(world->asked[MR_PEER_DRAW], 0);
    drawing_make_ready(world, 3);
    world_advance(world, 0);
    assert_int_equal(world->asked[MR_PEER_DRAW], 2);
    world_advance(world, 10000);
    world_expect_void(world, MR_VOID_COHORT, "0 uploads");
}

/* Whoever comes when the list is closed finds the round closed, at the helper and at the lead. */
static void test_late(void **state)
{
    struct world *world = drawing_begin(state, 12);
    struct mr_seed_request seed;
    struct reply reply = {.done = false};
    world_receipts(world, 13, 0, &drawing_requests[13]);
    world_advance(world, 1000);
    assert_int_equal(drawing_ask_again(world, 13, &reply), MR_REFUSAL_CLOSED);
    world_seed_request(world, 14, 0, 1, &seed);
    reply = (struct reply){.done = false};
    mr_helper_seed(world->helpers[1].core, world->terms.announcement.round,
                   world->devices[14].client_id, &world->devices[14].serial, &seed, &reply);
    assert_int_equal(reply.code, MR_REFUSAL_CLOSED);
}

/* One that is drawn may try again, and its second attempt counts. */
static void test_second_attempt(void **state)
{
    struct world *world = drawing_begin(state, 12);
    world_advance(world, 1000);
    const uint32_t members = drawing_let_in(world, 12);
    const unsigned one = (unsigned)__builtin_ctz(members);
    world_plane_tell(world, MR_PLANE_EXPIRED, world->devices[one].upload_id);
    world_run(world);
    world_join(world, one, 1);
    drawing_stage(world, members);
    drawing_expect_published(world, 8);
    world_check_sum(world, members, world->revealed.sum);
}

/* --- crashes --------------------------------------------------------------------------------- */

static void kill_hub(struct world *world, unsigned victim)
{
    if (victim == 0) {
        world_kill_lead(world);
    } else {
        world_kill_helper(world, victim);
    }
    world_run(world);
}

enum step { REGISTERING, LISTED, DRAWN, FROZEN, OPENING, STEPS };

/* That hub dies at that step; who is drawn. */
static uint32_t survive(enum step step, unsigned victim)
{
    struct world *world = world_open(&world_drawing);
    void *prestate = world;
    drawing_begin(&prestate, 12);
    if (step == REGISTERING) { /* what the lead knew of who is ready is gone with it */
        kill_hub(world, victim);
        for (unsigned i = 0; i < 12; i++) {
            drawing_make_ready(world, i);
        }
    }
    world->unreachable = step == LISTED ? 2 : 0; /* durable at the lead, and at no helper */
    world_advance(world, step == REGISTERING ? 5000 : 1000);
    if (step == LISTED) {
        assert_int_equal(world_state(world, NULL), MR_LEAD_DRAWING);
    }
    if (step == LISTED || step == DRAWN) {
        kill_hub(world, victim);
        world_advance(world, 1000);
    }
    const uint32_t members = drawing_let_in(world, 12);
    assert_int_equal(__builtin_popcount(members), 8);
    drawing_stage(world, members & (members - 1));
    world->unreachable = step == FROZEN ? 2 : 0;
    world->kill_at = step == OPENING ? world->turns + 24 : 0;
    world->victim = victim;
    drawing_stage(world, members & -members);
    if (step == FROZEN) {
        assert_int_equal(world_state(world, NULL), MR_LEAD_COMMITTING);
        kill_hub(world, victim);
    }
    world_advance(world, 120000);
    drawing_expect_published(world, 8);
    world_close(world);
    return members;
}

/* The same devices are drawn as if no hub had died. */
static void test_crashes(void **state)
{
    (void)state;
    const uint32_t expected = survive(STEPS, 0);
    for (enum step step = REGISTERING; step < STEPS; step++) {
        for (unsigned victim = 0; victim < WORLD_HUBS; victim++) {
            const uint32_t members = survive(step, victim);
            assert_int_equal(members, expected);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_eight_of_twelve, drawing),
        WORLD_TEST(test_list_is_told_when_durable, drawing),
        WORLD_TEST(test_full_list, drawing),
        WORLD_TEST(test_fewer_than_places, drawing),
        WORLD_TEST(test_too_few, drawing),
        WORLD_TEST(test_late, drawing),
        WORLD_TEST(test_second_attempt, drawing),
        cmocka_unit_test(test_crashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
