/* test_second_sets.c - nobody's device comes to be in two opened sets on one model: what is written
 * down before what, what is refused, and what a crash between the two makes of it. */
#include <stdlib.h>

#include "parties_internal.h"

#define DEVICES 6

static const struct world_options plain = {.ring_bits = 16,
                                           .dimension = 100,
                                           .hubs = 2,
                                           .cohort_min = 4,
                                           .quorum = DEVICES,
                                           .deadline_ms = 600000};

/* A disk on which a record of the ledger takes until it is let go. */
static bool held;
static struct world_helper *asked;

static void slow_release(void *context)
{
    if (held) {
        asked = context;
    } else {
        world_helper_ops.release(context);
    }
}

static void slow_lead_release(void *context)
{
    if (!held) {
        world_lead_ops.release(context);
    }
}

static struct mr_helper_ops helper_ops;
static struct mr_lead_ops lead_ops;

static struct world *open_slow(void)
{
    struct world_options options = plain;
    helper_ops = world_helper_ops;
    helper_ops.release = slow_release;
    lead_ops = world_lead_ops;
    lead_ops.release = slow_lead_release;
    options.helper_ops = &helper_ops;
    options.lead_ops = &lead_ops;
    held = false;
    asked = NULL;
    return world_open(&options);
}

/* --- before what ----------------------------------------------------------------------------- */

static void test_no_opening_before_the_ledger(void **state)
{
    (void)state;
    struct world *world = open_slow();
    struct reply reply = {.done = false};
    world->hold[MR_PEER_OPEN] = true;
    world_begin(world, NULL);
    world_fill(world, DEVICES);
    held = true;
    world_ask(world, 1, MR_PEER_OPEN, world->held.body, world->held.length, &reply);
    world_run(world);
    assert_false(reply.done); /* the journal has it, the ledger not yet */
    assert_int_equal(world_helper_state(world, 1), MR_HELPER_COMMITTED);
    assert_ptr_equal(asked, &world->helpers[1]);
    world_helper_ops.release(asked);
    world_run(world);
    assert_true(reply.done);
    assert_int_equal(reply.code, MR_REFUSAL_NONE);
    assert_int_equal(world->helpers[1].ledger.count, 1);
    assert_int_equal(world_helper_state(world, 1), MR_HELPER_OPENED);
    reply_fini(&reply);
    world_close(world);
}

/* Killed between journal and ledger: nothing has left; the next life writes it before anything. */
static void test_killed_before_the_ledger(void **state)
{
    (void)state;
    struct world *world = open_slow();
    struct reply reply = {.done = false};
    world->hold[MR_PEER_OPEN] = true;
    world_begin(world, NULL);
    world_fill(world, DEVICES);
    held = true;
    world_ask(world, 1, MR_PEER_OPEN, world->held.body, world->held.length, &reply);
    world_run(world);
    world_kill_helper(world, 1);
    world_run(world);
    assert_int_equal(world->helpers[1].ledger.count, 0);
    struct reply again = {.done = false};
    world_ask(world, 1, MR_PEER_OPEN, world->held.body, world->held.length, &again);
    world_run(world);
    assert_true(again.done);
    assert_int_equal(again.code, MR_REFUSAL_BUSY);
    reply_fini(&again);
    world_helper_ops.release(asked);
    world_run(world);
    assert_int_equal(world->helpers[1].ledger.count, 1);
    world_ask(world, 1, MR_PEER_OPEN, world->held.body, world->held.length, &again);
    world_run(world);
    assert_int_equal(again.code, MR_REFUSAL_NONE);
    reply_fini(&again);
    world_close(world);
}

static void test_no_question_before_the_leads_ledger(void **state)
{
    (void)state;
    struct world *world = open_slow();
    world_begin(world, NULL);
    for (unsigned i = 0; i < DEVICES; i++) {
        world_join(world, i, 0);
    }
    held = true;
    for (unsigned i = 0; i < DEVICES; i++) {
        world_stage(world, i);
    }
    assert_int_equal(world_state(world, NULL), MR_LEAD_OPENING);
    assert_int_equal(world->asked[MR_PEER_OPEN], 0);
    assert_int_equal(world->ledger.count, 0);
    held = false;
    world_lead_ops.release(world);
    world_run(world);
    assert_int_equal(world_state(world, NULL), MR_LEAD_PUBLISHED);
    assert_int_equal(world->ledger.count, 1);
    world_close(world);
}

/* --- what is refused ------------------------------------------------------------------------- */

static void next_round(struct world *world)
{
    uint8_t bytes[MR_ANNOUNCEMENT_MAX];
    struct mr_error error;
    world->announcement.round++;
    const size_t length = mr_announcement_encode(bytes, &world->announcement);
    assert_int_equal(mr_round_terms_decode(&world->terms, bytes, length, &error), 0);
    mr_next_model_answer_fini(&world->revealed);
    world->end = (struct mr_lead_end){.published = false};
}

static enum mr_refusal_code seed(struct world *world, unsigned device)
{
    struct mr_seed_request request;
    struct reply reply = {.done = false};
    world_seed_request(world, device, 0, 1, &request);
    mr_helper_seed(world->helpers[1].core, world->announcement.round,
                   world->devices[device].client_id, &world->devices[device].serial, &request,
                   &reply);
    world_run(world);
    assert_true(reply.done);
    const enum mr_refusal_code code = reply.code;
    reply_fini(&reply);
    return code;
}

/* In another round on the same model: its seed, its upload, also after a restart of both. */
static void test_a_device_that_was_opened(void **state)
{
    struct world *world = *state;
    world_begin(world, NULL);
    world_fill(world, DEVICES);
    assert_int_equal(world_state(world, NULL), MR_LEAD_PUBLISHED);
    next_round(world);
    assert_int_equal(world_begin(world, NULL), MR_REFUSAL_NONE);
    for (unsigned life = 0; life < 2; life++) {
        for (unsigned device = 0; device < DEVICES; device++) {
            struct mr_upload_request request = {.attempt = 0};
            struct reply reply = {.done = false};
            assert_int_equal(seed(world, device), MR_REFUSAL_RELEASED);
            memcpy(request.announcement_hash, world->terms.hash, MR_HASH_BYTES);
            world_admit(world, device, &request, &reply);
            assert_int_equal(reply.code, MR_REFUSAL_RELEASED);
            reply_fini(&reply);
        }
        assert_int_equal(seed(world, DEVICES + life), MR_REFUSAL_NONE);
        world_kill_helper(world, 1);
        world_kill_lead(world);
        world_run(world);
    }
}

/* The other round became known only after the seeds were here: then at the freeze. */
static void test_a_set_that_was_opened(void **state)
{
    struct world *world = *state;
    world->hold[MR_PEER_FREEZE] = true;
    world_begin(world, NULL);
    world_fill(world, DEVICES);
    struct world_set *other = &world->helpers[1].ledger.sets[world->helpers[1].ledger.count++];
    memcpy(other->parent, world->model_hash, MR_HASH_BYTES);
    memcpy(other->clients[0], world->devices[3].client_id, MR_CLIENT_ID_BYTES);
    other->count = 1;
    struct reply reply = {.done = false};
    world_ask(world, 1, MR_PEER_FREEZE, world->held.body, world->held.length, &reply);
    world_run(world);
    assert_int_equal(reply.code, MR_REFUSAL_RELEASED);
    assert_int_equal(world->helpers[1].expansions, 0);
    assert_int_equal(world_helper_state(world, 1), MR_HELPER_ADMITTING);
    reply_fini(&reply);
    other->parent[0] ^= 1; /* on another model it is no matter */
    world_ask(world, 1, MR_PEER_FREEZE, world->held.body, world->held.length, &reply);
    world_run(world);
    assert_int_equal(reply.code, MR_REFUSAL_NONE);
    reply_fini(&reply);
}

/* A lead finds it by itself, before anybody is asked. */
static void test_a_set_that_the_lead_may_not_open(void **state)
{
    struct world *world = *state;
    world_begin(world, NULL);
    for (unsigned i = 0; i < DEVICES; i++) {
        world_join(world, i, 0);
    }
    struct world_set *other = &world->ledger.sets[world->ledger.count++];
    memcpy(other->parent, world->model_hash, MR_HASH_BYTES);
    memcpy(other->clients[0], world->devices[3].client_id, MR_CLIENT_ID_BYTES);
    other->count = 1;
    for (unsigned i = 0; i < DEVICES; i++) {
        world_stage(world, i);
    }
    world_expect_void(world, MR_VOID_RELEASED, "released_set: a device of the set");
    assert_int_equal(world->asked[MR_PEER_FREEZE], 0);
}

/* A journal that says another set than the ledger is none to go on with. */
static void test_a_journal_against_the_ledger(void **state)
{
    struct world *world = *state;
    struct mr_journal_read read;
    struct mr_error error = {.text = ""};
    world->hold[MR_PEER_OPEN] = true;
    world_begin(world, NULL);
    world_fill(world, DEVICES);
    struct world_helper *helper = &world->helpers[1];
    struct world_set *other = &helper->ledger.sets[helper->ledger.count++];
    *other = helper->ledger.claim; /* the same round, and another set of it */
    other->set_hash[0] ^= 1;
    assert_int_equal(mr_journal_state_parse(&read, helper->journal, helper->snapshot_bytes, &error),
                     0);
    helper->life++;
    world_cut(world, 1);
    mr_helper_free(helper->core);
    world_new_helper(world, 1);
    assert_int_equal(mr_helper_recover(helper->core, &read, &error), 1);
    assert_non_null(strstr(error.text, "in another one"));
    mr_journal_read_fini(&read);
}

/* --- on which model -------------------------------------------------------------------------- */

static void test_a_model_that_is_not_current(void **state)
{
    struct world *world = *state;
    uint8_t current[MR_HASH_BYTES];
    struct mr_lead_report report;
    memcpy(current, world->model_hash, sizeof current);
    world->also_known = current; /* the helper has it still, and another one is current */
    world->model_hash[0] ^= 1;
    world_begin(world, NULL);
    assert_int_equal(world_state(world, &report), MR_LEAD_VOID);
    assert_int_equal(report.void_kind, MR_VOID_TERMS);
    assert_non_null(strstr(report.reason, "another model is current"));
    assert_int_equal(world_helper_state(world, 1), MR_HELPER_IDLE);
}

int main(void)
{
#define T(name) WORLD_TEST(name, &plain)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_opening_before_the_ledger),
        cmocka_unit_test(test_killed_before_the_ledger),
        cmocka_unit_test(test_no_question_before_the_leads_ledger),
        T(test_a_device_that_was_opened),
        T(test_a_set_that_was_opened),
        T(test_a_set_that_the_lead_may_not_open),
        T(test_a_journal_against_the_ledger),
        T(test_a_model_that_is_not_current),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
