/* test_recover.c - a lead or a helper that is killed after any event of a round takes up the same
 * round: the same questions, the same answers, the same sum. */
#include <stdio.h>
#include <stdlib.h>

#include "parties.h"

#define DEVICES 6

static const struct world_options plain = {.ring_bits = 16,
                                           .dimension = 100,
                                           .hubs = 3,
                                           .cohort_min = 4,
                                           .quorum = DEVICES,
                                           .deadline_ms = 600000};

/* --- devices that do not give up ------------------------------------------------------------- */

static bool get_receipts(struct world *world, unsigned device, struct mr_upload_request *request)
{
    *request = (struct mr_upload_request){.transport = MR_TRANSPORT_UDP};
    memcpy(request->announcement_hash, world->terms.hash, MR_HASH_BYTES);
    for (unsigned i = 1; i < world->options.hubs; i++) {
        struct mr_seed_request seed;
        struct reply reply = {.done = false};
        world_seed_request(world, device, 0, i, &seed);
        mr_helper_seed(world->helpers[i].core, world->terms.announcement.round,
                       world->devices[device].client_id, &world->devices[device].serial, &seed,
                       &reply);
        world_run(world);
        assert_true(reply.done);
        if (reply.code != MR_REFUSAL_NONE) {
            return false; /* killed meanwhile: the same seed again, later */
        }
        world_take_receipt(world, device, 0, i, &reply,
                           &request->receipts[request->receipt_count++]);
        reply_fini(&reply);
    }
    return true;
}

static enum mr_upload_state state_of(struct world *world, unsigned device)
{
    struct mr_upload_status status = {0};
    struct mr_refusal refusal;
    const uint64_t id = world->devices[device].upload_id;
    if (id == 0 || mr_lead_upload_status(world->lead, world->terms.announcement.round,
                                         world->devices[device].client_id, id, &status,
                                         &refusal) != MR_REFUSAL_NONE) {
        return 0;
    }
    return status.state;
}

/* Asks for its upload's state first; joins again, with the same attempt, if the lead lost it. */
static void push(struct world *world, unsigned device)
{
    struct world_device *own = &world->devices[device];
    struct mr_upload_request request;
    struct reply reply = {.done = false};
    if (state_of(world, device) == 0) {
        if (!get_receipts(world, device, &request)) {
            return;
        }
        world_admit(world, device, &request, &reply);
        world_run(world);
        assert_true(reply.done);
        if (reply.code != MR_REFUSAL_NONE) {
            return;
        }
        own->upload_id = reply.grant.upload_id;
        reply_fini(&reply);
    }
    for (unsigned i = 0; i < world->upload_count; i++) {
        if (world->uploads[i].id == own->upload_id) {
            world->uploads[i].device = device;
            if (state_of(world, device) == MR_UPLOAD_RECEIVING && world->uploads[i].state == 0) {
                world_stage(world, device);
            }
        }
    }
}

static bool has_ended(struct world *world)
{
    const enum mr_lead_state state = world_state(world, NULL);
    return state == MR_LEAD_PUBLISHED || state == MR_LEAD_VOID;
}

/* --- the same bytes -------------------------------------------------------------------------- */

/* What was asked and answered the first time, by step, hub and direction. */
static struct {
    uint8_t *bytes;
    size_t length;
} heard[WORLD_STEPS][WORLD_HUBS][2];

static void forget_heard(void)
{
    for (unsigned step = 0; step < WORLD_STEPS; step++) {
        for (unsigned i = 0; i < 2 * WORLD_HUBS; i++) {
            free(heard[step][i / 2][i % 2].bytes);
            heard[step][i / 2][i % 2].bytes = NULL;
        }
    }
}

static void compare(struct world *world, struct passage *passage)
{
    (void)world;
    if (passage->answer && passage->status != 200) {
        if (passage->status != 0 && passage->status != 503) { /* nobody ever refuses */
            fail_msg("hub %u refuses step %u: %.*s (event %u)", passage->peer, passage->step,
                     (int)passage->length, (char *)passage->body, world->turns);
        }
        return;
    }
    if (passage->length == 0) {
        return;
    }
    const unsigned way = passage->answer;
    uint8_t **bytes = &heard[passage->step][passage->peer][way].bytes;
    if (!*bytes) {
        *bytes = malloc(passage->length);
        memcpy(*bytes, passage->body, passage->length);
        heard[passage->step][passage->peer][way].length = passage->length;
    }
    assert_int_equal(heard[passage->step][passage->peer][way].length, passage->length);
    assert_memory_equal(*bytes, passage->body, passage->length);
}

/* --- killed after every event ---------------------------------------------------------------- */

/* A whole round with `victim` killed after event `at`, and once more `again` events later (0: no);
 * returns the events it took. */
static unsigned round_with_kill(const struct world_options *options, unsigned victim, unsigned at,
                                unsigned again)
{
    struct world *world = world_open(options);
    bool told[DEVICES] = {false};
    world->tamper = compare;
    world->victim = victim;
    world->kill_at = at;
    world->again = again;
    world_begin(world, NULL);
    for (unsigned i = 0; i < 400 && !has_ended(world); i++) {
        for (unsigned device = 0; device < DEVICES; device++) {
            push(world, device);
        }
        world_advance(world, 100);
        for (unsigned device = 0; device < DEVICES; device++) {
            const bool committed = state_of(world, device) == MR_UPLOAD_COMMITTED;
            assert_true(committed || !told[device]); /* once told, for ever */
            told[device] |= committed;
        }
    }
    struct mr_lead_report report;
    if (world_state(world, &report) != MR_LEAD_PUBLISHED) {
        fail_msg("hub %u killed after event %u (and %u): the lead is %s (%s)", victim, at, again,
                 mr_lead_state_name(report.state), report.reason);
    }
    assert_int_equal(report.included, DEVICES);
    if (world->revealed.sum) { /* else the lead was killed after it had published */
        world_check_sum(world, (1u << DEVICES) - 1, world->revealed.sum);
    }
    assert_int_equal(world->ledger.count, 1);
    for (unsigned i = 1; i < world->options.hubs; i++) {
        assert_memory_equal(world->helpers[i].model_hash, report.model_hash, MR_HASH_BYTES);
        assert_int_equal(world->helpers[i].ledger.count, 1);
    }
    const unsigned turns = world->turns;
    world_close(world);
    forget_heard();
    return turns;
}

static unsigned kill_after_every_event(const struct world_options *options, unsigned again_end)
{
    unsigned kills = 0;
    for (unsigned victim = 0; victim < options->hubs; victim++) {
        const unsigned turns = round_with_kill(options, victim, 0, 0);
        print_message("hub %u: killed after each of %u events\n", victim, turns);
        assert_true(turns > 40);
        for (unsigned at = 1; at <= turns; at++) {
            for (unsigned again = 0; again < again_end; again += 1 + again / 3) {
                round_with_kill(options, victim, at, again);
                kills += again > 0 ? 2 : 1;
            }
        }
    }
    return kills;
}

static void test_killed_after_every_event(void **state)
{
    (void)state;
    kill_after_every_event(&plain, 9);
}

/* Between the debit, the draw, the commitment and the answer, of every hub: the same bytes again,
 * each set is paid for once, and each hub's noise is in the sum once. */
static void test_noise_is_drawn_once(void **state)
{
    (void)state;
    struct world_options noised = plain;
    noised.noised = true;
    const unsigned kills = kill_after_every_event(&noised, 2);
    print_message("%u kills\n", kills);
    assert_true(kills >= 500);
}

/* --- what a killed hub must not do ----------------------------------------------------------- */

static void ask(struct world *world, enum mr_peer_step step, const uint8_t *body, size_t length,
                enum mr_refusal_code expected, struct reply *reply)
{
    *reply = (struct reply){.done = false};
    world_ask(world, 1, step, body, length, reply);
    world_run(world);
    assert_true(reply->done);
    assert_int_equal(reply->code, expected);
}

static void test_another_set_after_a_crash(void **state)
{
    struct world *world = *state;
    static const unsigned set[] = {0, 1, 2, 3, 4}, less[] = {0, 1, 2, 3};
    uint8_t body[1024], other[1024];
    struct reply first, again;
    world_begin(world, NULL);
    for (unsigned i = 0; i < 5; i++) {
        world_join(world, i, 0);
    }
    const size_t length = world_freeze_body(world, body, set, 5, 9);
    const size_t other_length = world_freeze_body(world, other, less, 4, 9);
    ask(world, MR_PEER_FREEZE, body, length, MR_REFUSAL_NONE, &first);
    world_kill_helper(world, 1);
    ask(world, MR_PEER_FREEZE, other, other_length, MR_REFUSAL_SET_CONFLICT, &again);
    ask(world, MR_PEER_FREEZE, body, length, MR_REFUSAL_NONE, &again);
    assert_memory_equal(first.body, again.body, MR_COMMITMENT_BYTES);
    reply_fini(&first);
    reply_fini(&again);
}

/* The set counts from the moment that it is on the disk, answered or not. */
static void test_killed_before_the_answer(void **state)
{
    struct world *world = *state;
    static const unsigned set[] = {0, 1, 2, 3}, other[] = {1, 2, 3, 4};
    uint8_t body[1024], second[1024];
    struct reply lost = {.done = false}, reply;
    world_begin(world, NULL);
    for (unsigned i = 0; i < 5; i++) {
        world_join(world, i, 0);
    }
    const size_t length = world_freeze_body(world, body, set, 4, 9);
    const size_t second_length = world_freeze_body(world, second, other, 4, 9);
    world->helpers[1].slow_disk = true;
    world_ask(world, 1, MR_PEER_FREEZE, body, length, &lost);
    world_run(world);
    assert_false(lost.done); /* nothing leaves before the sync */
    assert_int_equal(world->helpers[1].expansions, 0);
    world_kill_helper(world, 1);
    reply_fini(&lost);
    world_sync(world, 1);
    ask(world, MR_PEER_FREEZE, second, second_length, MR_REFUSAL_SET_CONFLICT, &reply);
    ask(world, MR_PEER_FREEZE, body, length, MR_REFUSAL_NONE, &reply);
    reply_fini(&reply);
}

static void test_receipts_wait_for_the_disk(void **state)
{
    struct world *world = *state;
    struct reply replies[3] = {{.done = false}};
    world_begin(world, NULL);
    world->helpers[1].slow_disk = true;
    for (unsigned i = 0; i < 3; i++) {
        struct mr_seed_request seed;
        world_seed_request(world, i % 2, 0, 1, &seed); /* the third is the first again */
        mr_helper_seed(world->helpers[1].core, 7, world->devices[i % 2].client_id,
                       &world->devices[i % 2].serial, &seed, &replies[i]);
        world_run(world);
        assert_false(replies[i].done);
    }
    world_sync(world, 1);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(replies[i].done);
        assert_int_equal(replies[i].code, MR_REFUSAL_NONE);
        reply_fini(&replies[i]);
    }
}

static void test_seeds_are_gone_when_the_round_is(void **state)
{
    struct world *world = *state;
    uint8_t seed[MR_SEED_BYTES];
    struct reply reply;
    world_begin(world, NULL);
    world_fill(world, DEVICES);
    assert_int_equal(world_state(world, NULL), MR_LEAD_PUBLISHED);
    for (unsigned i = 1; i < world->options.hubs; i++) {
        const struct world_helper *helper = &world->helpers[i];
        for (unsigned device = 0; device < DEVICES; device++) {
            world_seed(seed, device, 0, i);
            assert_null(memmem(helper->journal, helper->journal_bytes, seed, MR_SEED_BYTES));
        }
    }
    /* Its model is computed: that is not for the lead to take back. */
    ask(world, MR_PEER_VOID, NULL, 0, MR_REFUSAL_WRONG_ROUND, &reply);
    reply_fini(&reply);
    assert_int_equal(world_helper_state(world, 1), MR_HELPER_DONE);
    assert_non_null(world->helpers[1].journal);
}

static void test_nothing_is_left_of_a_void_round(void **state)
{
    struct world *world = *state;
    struct reply reply;
    world_begin(world, NULL);
    world_join(world, 0, 0);
    ask(world, MR_PEER_VOID, NULL, 0, MR_REFUSAL_NONE, &reply);
    reply_fini(&reply);
    assert_null(world->helpers[1].journal);
}

/* A helper without its journal: void with a reason of its own, and nothing is released. */
static void test_helper_that_lost_its_disk(void **state)
{
    struct world *world = *state;
    struct mr_lead_report report;
    world_begin(world, NULL);
    for (unsigned i = 0; i < DEVICES; i++) {
        world_join(world, i, 0);
    }
    free(world->helpers[2].journal);
    world->helpers[2].journal = NULL;
    world_kill_helper(world, 2);
    for (unsigned i = 0; i < DEVICES; i++) {
        world_stage(world, i);
    }
    assert_int_equal(world_state(world, &report), MR_LEAD_VOID);
    assert_int_equal(report.void_kind, MR_VOID_LOST);
    assert_non_null(strstr(report.reason, "round_lost"));
    assert_int_equal(world->stores, 0);
    /* … and a lead that restarts then knows that it was void. */
    world_kill_lead(world);
    assert_int_equal(world_state(world, &report), MR_LEAD_VOID);
    assert_non_null(strstr(report.reason, "round_lost"));
}

static void test_deadline_survives(void **state)
{
    struct world *world = *state;
    struct mr_lead_report report;
    world_begin(world, NULL);
    world_fill(world, 4);
    world_advance(world, plain.deadline_ms - 1000);
    world_kill_lead(world);
    assert_int_equal(world_state(world, &report), MR_LEAD_OPEN);
    assert_int_equal(report.committed, 4);
    world_advance(world, 998);
    assert_int_equal(world_state(world, NULL), MR_LEAD_OPEN);
    world_advance(world, 2);
    assert_int_equal(world_state(world, &report), MR_LEAD_PUBLISHED);
    world_check_sum(world, 0xf, world->revealed.sum);
}

static void test_deadline_passed_while_away(void **state)
{
    struct world *world = *state;
    world_begin(world, NULL);
    world_fill(world, 3);
    world_advance(world, 1000);
    world->now_ms += 2 * plain.deadline_ms;
    world_kill_lead(world);
    world_advance(world, 1);
    struct mr_lead_report report;
    assert_int_equal(world_state(world, &report), MR_LEAD_VOID);
    assert_int_equal(report.void_kind, MR_VOID_COHORT);
}

/* Counted once: a device that is in the recovered sum is not admitted again, others are. */
static void test_devices_after_a_crash(void **state)
{
    struct world *world = *state;
    struct mr_upload_request request;
    struct reply reply = {.done = false};
    world_begin(world, NULL);
    world_fill(world, 2);
    world_advance(world, 1000);
    world_join(world, 2, 0);
    world_kill_lead(world);
    assert_int_equal(world_status(world, 0, world->devices[0].upload_id).state,
                     MR_UPLOAD_COMMITTED);
    assert_int_equal(state_of(world, 2), 0);
    world_receipts(world, 0, 1, &request);
    world_admit(world, 0, &request, &reply);
    assert_int_equal(reply.code, MR_REFUSAL_ALREADY_COUNTED);
    reply_fini(&reply);
    world_join(world, 2, 0); /* the same attempt, the same receipts */
    world_stage(world, 2);
    for (unsigned i = 3; i < DEVICES; i++) {
        world_join(world, i, 0);
        world_stage(world, i);
    }
    assert_int_equal(world_state(world, NULL), MR_LEAD_PUBLISHED);
    world_check_sum(world, 0x3f, world->revealed.sum);
}

int main(void)
{
#define T(name) WORLD_TEST(name, &plain)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_killed_after_every_event),
        cmocka_unit_test(test_noise_is_drawn_once),
        T(test_another_set_after_a_crash),
        T(test_killed_before_the_answer),
        T(test_receipts_wait_for_the_disk),
        T(test_seeds_are_gone_when_the_round_is),
        T(test_nothing_is_left_of_a_void_round),
        T(test_helper_that_lost_its_disk),
        T(test_deadline_survives),
        T(test_deadline_passed_while_away),
        T(test_devices_after_a_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
