/* test_waiting.c - rounds that were opened and have no end yet: nobody gives them up for time, a
 * hub's word or an operator's ends them. */
#include <stdlib.h>

#include "parties.h"

/* Somebody may have opened: the round waits for as long as it takes, also over a restart. */
static void test_no_end_for_time_once_openings_are_asked_for(void **state)
{
    (void)state;
    for (enum mr_peer_step step = MR_PEER_OPEN; step <= MR_PEER_REVEAL; step++) {
        struct world *world = world_open(&world_plain);
        struct mr_lead_report report;
        world_begin(world, NULL);
        world->hold[step] = true;
        world_fill(world, 6);
        world->hold[step] = false;
        world->unreachable = 1000000;
        for (unsigned life = 0; life < 2; life++) {
            world_kill_lead(world);
            world_advance(world, 24 * 3600 * 1000);
            assert_int_equal(world_state(world, &report), MR_LEAD_COMMITTING);
            assert_true(report.opened);
            assert_non_null(strstr(report.waits_for, "hub 11 (hub-1), freeze: "));
            /* It asks now and then, not all the time. */
            assert_in_range(world->asked[MR_PEER_FREEZE], 2 * 24 * 120 * life,
                            2 * 24 * 130 * (life + 1));
        }
        world->unreachable = 0;
        world_advance(world, 60000);
        assert_int_equal(world_state(world, NULL), MR_LEAD_PUBLISHED);
        world_close(world);
    }
}

static void refuse_reveals(struct world *world, struct passage *passage)
{
    if (!passage->answer && passage->step == MR_PEER_REVEAL && passage->peer == 2) {
        passage->length--;
    }
    (void)world;
}

/* … but a hub's own word ends it. */
static void test_a_refusal_ends_it(void **state)
{
    struct world *world = *state;
    world->tamper = refuse_reveals;
    world_begin(world, NULL);
    world_fill(world, 6);
    world_expect_void(world, MR_VOID_PEER, "bad_opening");
}

static unsigned limited;

static void limit_proposals(struct world *world, struct passage *passage)
{
    (void)world;
    if (passage->answer && passage->step == MR_PEER_PROPOSE && limited < 4) {
        passage->status = 429;
        limited++;
    }
}

/* A helper that takes no more proposals for a moment is asked once more. */
static void test_too_many_proposals(void **state)
{
    struct world *world = *state;
    world->tamper = limit_proposals;
    world_begin(world, NULL);
    world_advance(world, 1000);
    assert_int_equal(world_state(world, NULL), MR_LEAD_OPEN);
    assert_int_equal(limited, 4);
}

/* The operator may end it, who is told what that costs. */
static void test_the_operator_gives_up(void **state)
{
    (void)state;
    static const struct {
        enum mr_peer_step held;
        bool opened;
    } cases[] = {{MR_PEER_PROPOSE, false},
                 {MR_PEER_FREEZE, false},
                 {MR_PEER_OPEN, true},
                 {MR_PEER_REVEAL, true}};
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct world *world = world_open(&world_plain);
        struct mr_refusal refusal;
        world->hold[cases[i].held] = true;
        world_begin(world, NULL);
        if (cases[i].held != MR_PEER_PROPOSE) {
            world_fill(world, 6);
        }
        assert_int_equal(mr_lead_give_up(world->lead, 8, true, world->now_ms, &refusal),
                         MR_REFUSAL_WRONG_ROUND);
        assert_int_equal(mr_lead_give_up(world->lead, 7, false, world->now_ms, &refusal),
                         cases[i].opened ? MR_REFUSAL_RELEASED : MR_REFUSAL_NONE);
        if (cases[i].opened) {
            assert_non_null(strstr(refusal.text, "its 6 devices cannot be counted"));
            assert_int_equal(mr_lead_give_up(world->lead, 7, true, world->now_ms, &refusal),
                             MR_REFUSAL_NONE);
        }
        world_run(world);
        world_expect_void(world, MR_VOID_OPERATOR, "this hub's operator gave the round up");
        assert_int_equal(mr_lead_give_up(world->lead, 7, true, world->now_ms, &refusal),
                         MR_REFUSAL_WRONG_ROUND);
        for (unsigned hub = 1; hub < 3 && cases[i].held != MR_PEER_PROPOSE; hub++) {
            assert_int_equal(world_helper_state(world, hub), MR_HELPER_VOID);
        }
        world_close(world);
    }
}

/* What a hub's operator leaves is void, and what is done is done. */
static void test_the_operator_of_a_helper(void **state)
{
    struct world *world = *state;
    struct mr_helper_report report;
    struct mr_helper *core = world->helpers[1].core;
    assert_true(mr_helper_leave(core, "gone on"));
    assert_int_equal(world_helper_state(world, 1), MR_HELPER_IDLE);
    world->hold[MR_PEER_REVEAL] = true;
    world_begin(world, NULL);
    world_fill(world, 6);
    assert_true(mr_helper_leave(core, "gone on"));
    assert_false(mr_helper_leave(core, "gone on")); /* not durable yet */
    world_run(world);
    mr_helper_report(core, &report);
    assert_int_equal(report.state, MR_HELPER_VOID);
    assert_string_equal(report.reason, "by_operator: gone on");
    assert_true(report.opened);
    assert_true(mr_helper_leave(core, "gone on"));
    assert_int_equal(world->helpers[1].forgets, 1);
}

int main(void)
{
#define T(name) WORLD_TEST(name, &world_plain)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_end_for_time_once_openings_are_asked_for),
        T(test_a_refusal_ends_it),
        T(test_too_many_proposals),
        cmocka_unit_test(test_the_operator_gives_up),
        T(test_the_operator_of_a_helper),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
