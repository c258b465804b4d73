/* test_round_memory.c - whole rounds when memory runs out at any single allocation of the lead or a
 * helper: a device is refused and comes again, or the round is void with a reason, and never is a
 * sum published that is not the sum of its set. */
#include <stdlib.h>

#include "tests/system/memory/failing.h"
#include "tests/unit/appliance/round/parties_internal.h"

#define DEVICES 3

static const struct world_options small = {.ring_bits = 16,
                                           .rotation_log2 = 6,
                                           .dimension = 50,
                                           .hubs = 2,
                                           .cohort_min = DEVICES,
                                           .quorum = DEVICES,
                                           .deadline_ms = 600000};

/* --- the world's own work is spared ---------------------------------------------------------- */

static void spared_commit(void *context, const struct mr_commit_state *state)
{
    const bool before = failing_spare(true);
    world_lead_ops.commit(context, state);
    failing_spare(before);
}

static void spared_store(void *context, const struct mr_publication *publication)
{
    const bool before = failing_spare(true);
    world_lead_ops.store(context, publication);
    failing_spare(before);
}

static void spared_save(void *context, const struct mr_journal_state *state)
{
    const bool before = failing_spare(true);
    world_helper_ops.save(context, state);
    failing_spare(before);
}

static struct mr_lead_ops lead_ops;
static struct mr_helper_ops helper_ops;

static struct world *open_world(tamper_fn tamper)
{
    struct world_options options = small;
    lead_ops = world_lead_ops;
    lead_ops.commit = spared_commit;
    lead_ops.store = spared_store;
    helper_ops = world_helper_ops;
    helper_ops.save = spared_save;
    options.lead_ops = &lead_ops;
    options.helper_ops = &helper_ops;
    struct world *world = world_open(&options);
    world->tamper = tamper;
    return world;
}

/* --- devices that come again ----------------------------------------------------------------- */

/* Its seed to the helper; false when that was refused. */
static bool seed(struct world *world, unsigned device, struct mr_upload_request *request)
{
    struct mr_seed_request seed;
    struct reply reply = {.done = false};
    const bool spared = failing_spare(true);
    world_seed_request(world, device, 0, 1, &seed);
    failing_spare(spared);
    *request = (struct mr_upload_request){.transport = MR_TRANSPORT_UDP};
    memcpy(request->announcement_hash, world->terms.hash, MR_HASH_BYTES);
    mr_helper_seed(world->helpers[1].core, world->terms.announcement.round,
                   world->devices[device].client_id, &world->devices[device].serial, &seed, &reply);
    world_run(world);
    assert_true(reply.done);
    if (reply.code == MR_REFUSAL_NONE) {
        const bool before = failing_spare(true);
        world_take_receipt(world, device, 0, 1, &reply,
                           &request->receipts[request->receipt_count++]);
        failing_spare(before);
    }
    const bool good = reply.code == MR_REFUSAL_NONE;
    if (!good) {
        assert_string_not_equal(reply.text, "");
    }
    reply_fini(&reply);
    return good;
}

/* Whether its share is at the lead's plane. */
static bool upload(struct world *world, unsigned device)
{
    struct mr_upload_request request;
    struct reply reply = {.done = false};
    if (!seed(world, device, &request)) {
        return false;
    }
    world_admit(world, device, &request, &reply);
    world_run(world);
    assert_true(reply.done);
    if (reply.code != MR_REFUSAL_NONE) {
        assert_string_not_equal(reply.text, "");
        return false;
    }
    world->devices[device].upload_id = reply.grant.upload_id;
    world_find_upload(world, reply.grant.upload_id)->device = device;
    reply_fini(&reply);
    world_stage(world, device);
    return true;
}

/* Once again after a refusal; after two of the same the round is given up. */
static bool upload_all(struct world *world)
{
    for (unsigned i = 0; i < DEVICES; i++) {
        if (!upload(world, i) && !upload(world, i)) {
            return false;
        }
    }
    return true;
}

/* --- a round --------------------------------------------------------------------------------- */

/* Released is the sum of all, everywhere, or nothing and a reason. */
static bool outcome(struct world *world)
{
    struct mr_lead_report report;
    const enum mr_lead_state state = world_state(world, &report);
    if (state == MR_LEAD_PUBLISHED) {
        world_check_sum(world, (1u << DEVICES) - 1, world->revealed.sum);
        assert_memory_equal(world->helpers[1].model_hash, world->revealed.model_hash,
                            MR_HASH_BYTES);
        assert_int_equal(world_helper_state(world, 1), MR_HELPER_DONE);
        return true;
    }
    if (state == MR_LEAD_VOID) {
        assert_string_not_equal(report.reason, "");
        assert_int_equal(world->stores, 0);
    }
    assert_true(world->asked[MR_PEER_REVEAL] <= 1 || state != MR_LEAD_OPEN);
    return false;
}

static bool whole_round(void *context)
{
    struct mr_refusal refusal;
    failing_spare(true);
    struct world *world = open_world(NULL);
    failing_spare(false);
    (void)context;
    if (world_begin(world, &refusal) != MR_REFUSAL_NONE) {
        assert_string_not_equal(refusal.text, "");
    } else if (world_state(world, NULL) == MR_LEAD_OPEN && upload_all(world)) {
        world_advance(world, 30000);
    }
    failing_spare(true);
    const bool published = outcome(world);
    world_close(world);
    return published;
}

static void test_whole_round(void **state)
{
    (void)state;
    failing_each(whole_round, NULL, "a round");
}

/* A device that starts over while its first upload is under way: granted, or busy, and then the
 * first one goes on. */
static bool second_attempt(void *context)
{
    struct mr_upload_request request;
    struct reply reply = {.done = false};
    (void)context;
    failing_spare(true);
    struct world *world = open_world(NULL);
    world_begin(world, NULL);
    world_join(world, 0, 0);
    const uint64_t first = world->devices[0].upload_id;
    world_receipts(world, 0, 1, &request);
    failing_spare(false);
    world_admit(world, 0, &request, &reply);
    world_run(world);
    failing_spare(true);
    assert_true(reply.done);
    const bool granted = reply.code == MR_REFUSAL_NONE;
    if (!granted) { /* or a receipt that could not be checked */
        assert_true(reply.code == MR_REFUSAL_BUSY || reply.code == MR_REFUSAL_BAD_RECEIPT);
    }
    const struct mr_upload_status status = world_status(world, 0, first);
    assert_true(status.state == MR_UPLOAD_RECEIVING || status.reason == MR_REASON_SUPERSEDED);
    assert_true(!granted || status.state == MR_UPLOAD_REFUSED);
    reply_fini(&reply);
    world_close(world);
    return granted;
}

static void test_second_attempt(void **state)
{
    (void)state;
    failing_each(second_attempt, NULL, "a second attempt");
}

/* --- questions that are asked again ---------------------------------------------------------- */

/* What the lead asked and heard. */
static struct passage first[WORLD_STEPS][2];

static void keep(struct world *world, struct passage *passage)
{
    struct passage *one = &first[passage->step][passage->answer];
    (void)world;
    free(one->body);
    *one = *passage;
    one->body = malloc(passage->length + 1);
    assert_non_null(one->body);
    memcpy(one->body, passage->body, passage->length);
}

struct again {
    struct world *world;
    enum mr_peer_step step;
};

/* The same bytes, or a refusal that changes nothing. */
static bool ask_again(void *context)
{
    const struct again *again = context;
    const struct passage *question = &first[again->step][0], *answer = &first[again->step][1];
    struct reply reply = {.done = false};
    world_ask(again->world, 1, again->step, question->body, question->length, &reply);
    assert_true(reply.done);
    const bool good = reply.code == MR_REFUSAL_NONE;
    if (good) {
        assert_int_equal(reply.length, answer->length);
        assert_memory_equal(reply.body, answer->body, answer->length);
    } else {
        assert_string_not_equal(reply.text, "");
    }
    assert_int_equal(world_helper_state(again->world, 1), MR_HELPER_DONE);
    reply_fini(&reply);
    return good;
}

/* A seed that is on record is answered with the same receipt, or refused and still on record. */
static bool seed_again(void *context)
{
    struct mr_upload_request request;
    return seed(context, 0, &request);
}

static void test_asked_again(void **state)
{
    static const char *const names[] = {"propose again", "freeze again", "open again",
                                        "reveal again"};
    struct again again = {.world = open_world(keep)};
    (void)state;
    world_begin(again.world, NULL);
    world_join(again.world, 0, 0);
    failing_each(seed_again, again.world, "a seed again");
    world_stage(again.world, 0);
    for (unsigned i = 1; i < DEVICES; i++) {
        world_join(again.world, i, 0);
        world_stage(again.world, i);
    }
    world_advance(again.world, 30000);
    assert_true(outcome(again.world));
    for (; again.step < MR_PEER_VOID; again.step++) {
        failing_each(ask_again, &again, names[again.step]);
    }
    world_close(again.world);
    for (unsigned i = 0; i < 2 * WORLD_STEPS; i++) {
        free(first[i / 2][i % 2].body);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_round),
        cmocka_unit_test(test_second_attempt),
        cmocka_unit_test(test_asked_again),
    };
    failing_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
