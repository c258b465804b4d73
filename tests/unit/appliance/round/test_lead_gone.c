/* test_lead_gone.c - helpers whose lead does not come back, and leads that come back too late. */
#include <stdlib.h>

#include "parties_internal.h"

#define DEVICES 4

static const struct world_options plain = {.ring_bits = 16,
                                           .dimension = 100,
                                           .hubs = 2,
                                           .cohort_min = DEVICES,
                                           .quorum = DEVICES,
                                           .deadline_ms = 600000};

static uint64_t due_of(const struct world *world)
{
    return world->announcement.deadline_unix_ms + WORLD_GRACE_MS;
}

static struct mr_helper *helper(const struct world *world)
{
    return world->helpers[1].core;
}

static void tick(struct world *world, uint64_t unix_ms)
{
    mr_helper_tick(helper(world), unix_ms);
    world_run(world);
}

static void expect_refused(struct world *world, enum mr_peer_step step, const uint8_t *body,
                           size_t length)
{
    struct reply reply = {.done = false};
    world_ask(world, 1, step, body, length, &reply);
    world_run(world);
    assert_true(reply.done);
    assert_int_equal(reply.code, MR_REFUSAL_VOID);
    assert_non_null(strstr(reply.text, "lead_gone"));
    reply_fini(&reply);
}

/* No seed for the round any more, from nobody. */
static void expect_no_seed(struct world *world)
{
    struct mr_seed_request seed;
    struct reply reply = {.done = false};
    world_seed_request(world, 9, 0, 1, &seed);
    mr_helper_seed(helper(world), world->announcement.round, world->devices[9].client_id,
                   &world->devices[9].serial, &seed, &reply);
    assert_true(reply.done);
    assert_int_equal(reply.code, MR_REFUSAL_VOID);
    assert_non_null(strstr(reply.text, "lead_gone"));
    reply_fini(&reply);
}

/* A round in which the lead's question `step` does not arrive. The helper is killed before and
 * after its patience ends, if `kill`; then the lead comes back and asks. */
static void gone_at(enum mr_peer_step step, enum mr_helper_state state, bool kill)
{
    struct world *world = world_open(&plain);
    struct mr_lead_report report;
    world->hold[step] = true;
    world_begin(world, NULL);
    world_fill(world, DEVICES);
    assert_int_equal(world_helper_state(world, 1), state);
    if (kill) {
        world_kill_helper(world, 1);
        world_run(world);
        assert_int_equal(world_helper_state(world, 1), state);
    }
    assert_int_equal(mr_helper_due_unix_ms(helper(world)), due_of(world));
    tick(world, due_of(world) - 1);
    assert_int_equal(world_helper_state(world, 1), state);
    assert_non_null(world->helpers[1].journal);
    tick(world, due_of(world));
    assert_int_equal(world_helper_state(world, 1), MR_HELPER_VOID);
    assert_int_equal(world->helpers[1].forgets, 1);
    assert_null(world->helpers[1].journal);
    assert_int_equal(mr_helper_due_unix_ms(helper(world)), UINT64_MAX);
    if (kill) {
        world_kill_helper(world, 1);
        assert_int_equal(world_helper_state(world, 1), MR_HELPER_IDLE);
    }
    expect_no_seed(world);
    expect_refused(world, step, world->held.body, world->held.length);
    world->hold[step] = false;
    world_kill_lead(world);
    world_advance(world, 1000);
    assert_int_equal(world_state(world, &report), MR_LEAD_VOID);
    assert_int_equal(report.void_kind, MR_VOID_GONE);
    assert_non_null(strstr(report.reason, "lead_gone"));
    assert_int_equal(world->stores, 0);
    world_close(world);
}

static void test_gone_after_the_freeze(void **state)
{
    (void)state;
    for (unsigned kill = 0; kill < 2; kill++) {
        gone_at(MR_PEER_FREEZE, MR_HELPER_ADMITTING, kill);
        gone_at(MR_PEER_OPEN, MR_HELPER_COMMITTED, kill);
    }
}

/* A round that was opened waits for its lead for as long as it takes: its devices could not be
 * counted again before the next model. */
static void test_gone_after_the_opening(void **state)
{
    (void)state;
    for (unsigned kill = 0; kill < 2; kill++) {
        struct world *world = world_open(&plain);
        world->hold[MR_PEER_REVEAL] = true;
        world_begin(world, NULL);
        world_fill(world, DEVICES);
        if (kill) {
            world_kill_helper(world, 1);
            world_run(world);
        }
        assert_int_equal(mr_helper_due_unix_ms(helper(world)), UINT64_MAX);
        tick(world, UINT64_MAX - 1);
        assert_int_equal(world_helper_state(world, 1), MR_HELPER_OPENED);
        world->hold[MR_PEER_REVEAL] = false;
        world_kill_lead(world);
        world_advance(world, 1000);
        assert_int_equal(world_state(world, NULL), MR_LEAD_PUBLISHED);
        world_close(world);
    }
}

/* Proposed once more: the same hash gets no second signature, the next round does. */
static void test_the_next_round(void **state)
{
    struct world *world = *state;
    uint8_t bytes[MR_PROPOSAL_MAX];
    world_begin(world, NULL);
    tick(world, due_of(world));
    for (unsigned kill = 0; kill < 2; kill++) {
        expect_refused(world, MR_PEER_PROPOSE, bytes,
                       world_proposal(world, &world->announcement, bytes));
        world_kill_helper(world, 1);
    }
    struct mr_announcement next = world->announcement;
    struct reply reply = {.done = false};
    next.round++;
    world_ask(world, 1, MR_PEER_PROPOSE, bytes, world_proposal(world, &next, bytes), &reply);
    world_run(world);
    assert_true(reply.done);
    assert_int_equal(reply.code, MR_REFUSAL_NONE);
    reply_fini(&reply);
    assert_int_equal(world_helper_state(world, 1), MR_HELPER_ADMITTING);
}

/* Its patience ends while the masks are expanded: they are dropped, and nothing is said of them. */
static void test_gone_while_it_expands(void **state)
{
    struct world *world = *state;
    struct reply reply = {.done = false};
    world->hold[MR_PEER_FREEZE] = true;
    world_begin(world, NULL);
    world_fill(world, DEVICES);
    world->helpers[1].slow_disk = true;
    world_ask(world, 1, MR_PEER_FREEZE, world->held.body, world->held.length, &reply);
    world_run(world);
    assert_false(reply.done);
    tick(world, due_of(world));
    assert_true(reply.done);
    assert_int_equal(reply.code, MR_REFUSAL_VOID);
    reply_fini(&reply);
    world_sync(world, 1);
    assert_int_equal(world->helpers[1].expansions, 0);
    assert_int_equal(world_helper_state(world, 1), MR_HELPER_VOID);
    expect_refused(world, MR_PEER_FREEZE, world->held.body, world->held.length);
}

/* What was published stays so, for a helper as well. */
static void test_a_round_that_is_done(void **state)
{
    struct world *world = *state;
    struct mr_lead_report report;
    world_begin(world, NULL);
    world_fill(world, DEVICES);
    for (unsigned kill = 0; kill < 2; kill++) {
        assert_int_equal(mr_helper_due_unix_ms(helper(world)), UINT64_MAX);
        tick(world, UINT64_MAX - 1);
        assert_int_equal(world_helper_state(world, 1), MR_HELPER_DONE);
        assert_non_null(world->helpers[1].journal);
        world_kill_helper(world, 1);
        world_run(world);
    }
    assert_int_equal(world_state(world, &report), MR_LEAD_PUBLISHED);
}

static uint64_t clock_ms;

static uint64_t its_clock(void *context)
{
    (void)context;
    return clock_ms;
}

/* A deadline that is far ahead would keep the seeds of a round whose lead is gone. */
static void test_a_deadline_far_ahead(void **state)
{
    (void)state;
    static struct mr_helper_ops ops;
    struct world_options options = plain;
    uint8_t bytes[MR_PROPOSAL_MAX];
    ops = world_helper_ops;
    ops.unix_ms = its_clock;
    options.helper_ops = &ops;
    struct world *world = world_open(&options);
    const size_t length = world_proposal(world, &world->announcement, bytes);
    const uint64_t earliest = world->announcement.deadline_unix_ms - WORLD_AHEAD_MS;
    for (unsigned late = 0; late < 2; late++) {
        struct reply reply = {.done = false};
        clock_ms = earliest - 1 + late;
        world_ask(world, 1, MR_PEER_PROPOSE, bytes, length, &reply);
        world_run(world);
        assert_true(reply.done);
        assert_int_equal(reply.code, late ? MR_REFUSAL_NONE : MR_REFUSAL_WRONG_ANNOUNCEMENT);
        assert_int_equal(world_helper_state(world, 1), late ? MR_HELPER_ADMITTING : MR_HELPER_IDLE);
        reply_fini(&reply);
    }
    struct reply again = {.done = false};
    clock_ms = 0; /* it was set back: what was signed stays signed */
    world_ask(world, 1, MR_PEER_PROPOSE, bytes, length, &again);
    world_run(world);
    assert_int_equal(again.code, MR_REFUSAL_NONE);
    reply_fini(&again);
    world_close(world);
}

static void test_no_round_no_time(void **state)
{
    struct world *world = *state;
    assert_int_equal(mr_helper_due_unix_ms(helper(world)), UINT64_MAX);
    tick(world, UINT64_MAX - 1);
    assert_int_equal(world_helper_state(world, 1), MR_HELPER_IDLE);
    assert_int_equal(world->helpers[1].forgets, 0);
}

int main(void)
{
#define T(name) WORLD_TEST(name, &plain)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gone_after_the_freeze),
        cmocka_unit_test(test_gone_after_the_opening),
        T(test_the_next_round),
        T(test_gone_while_it_expands),
        T(test_a_round_that_is_done),
        cmocka_unit_test(test_a_deadline_far_ahead),
        T(test_no_round_no_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
