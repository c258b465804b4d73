/* Whom a set may leave out: the helper's rules, by number and by order. */
#include "parties_internal.h"

static const struct world_options quorum_is_said = {.ring_bits = 16,
                                                    .dimension = 100,
                                                    .hubs = WORLD_HUBS,
                                                    .cohort_min = 4,
                                                    .quorum = 6,
                                                    .quorum_announced = true,
                                                    .deadline_ms = 10000};

/* Twelve devices have brought their seeds to helper 1, in the order of their numbers. */
static struct world *admitted(void **state, uint32_t share_percent, uint32_t passed_over_percent)
{
    struct world *world = *state;
    const struct mr_helper_policy policy = {.cohort_min = 3,
                                            .share_percent = share_percent,
                                            .passed_over_percent = passed_over_percent,
                                            .share_bytes_max = 1 << 20,
                                            .lead_grace_ms = WORLD_GRACE_MS,
                                            .deadline_ahead_ms = WORLD_AHEAD_MS};
    struct mr_upload_request request;
    mr_helper_set_policy(world->helpers[1].core, &policy);
    assert_int_equal(world_begin(world, NULL), MR_REFUSAL_NONE);
    for (unsigned i = 0; i < 12; i++) {
        world_receipts(world, i, 0, &request);
    }
    return world;
}

/* The set of devices first..first+count-1, put to helper 1. */
static void freeze(struct world *world, unsigned first, unsigned count,
                   enum mr_refusal_code expected)
{
    struct reply reply = {.done = false};
    unsigned devices[WORLD_DEVICES];
    uint8_t body[1024];
    for (unsigned i = 0; i < count; i++) {
        devices[i] = first + i;
    }
    world_ask(world, 1, MR_PEER_FREEZE, body, world_freeze_body(world, body, devices, count, 1),
              &reply);
    world_run(world);
    assert_true(reply.done);
    if (reply.code != expected) {
        fail_msg("%u devices from %u on: %s \"%s\"", count, first, mr_refusal_name(reply.code),
                 reply.text);
    }
    reply_fini(&reply);
}

/* Where no quorum is said, all that were admitted count. */
static void test_share(void **state)
{
    struct world *world = admitted(state, 50, 0);
    freeze(world, 0, 5, MR_REFUSAL_SET_LEAVES_OUT);
    freeze(world, 0, 6, MR_REFUSAL_NONE);
}

/* A round that has its quorum leaves out whoever is late; one below it has run to its deadline. */
static void test_share_and_quorum(void **state)
{
    struct world *world = admitted(state, 80, 0);
    freeze(world, 0, 5, MR_REFUSAL_SET_LEAVES_OUT);
    freeze(world, 0, 6, MR_REFUSAL_NONE);
}

/* Of six in a set the first three are early: four others before them are 57 % of seven. */
static void test_passed_over(void **state)
{
    struct world *world = admitted(state, 0, 57);
    struct mr_helper_report report;
    freeze(world, 5, 6, MR_REFUSAL_SET_LEAVES_OUT);
    freeze(world, 4, 6, MR_REFUSAL_NONE);
    mr_helper_report(world->helpers[1].core, &report);
    assert_int_equal(report.left_out, 6);
    assert_int_equal(report.passed_over, 4);
}

/* The order is that of the first seeds, also in another process. */
static void test_order_over_a_crash(void **state)
{
    struct world *world = admitted(state, 0, 57);
    struct mr_upload_request request;
    world_receipts(world, 0, 1, &request); /* a second attempt changes nothing of it */
    world_kill_helper(world, 1);
    world_run(world);
    struct mr_helper_report report;
    freeze(world, 4, 6, MR_REFUSAL_NONE);
    mr_helper_report(world->helpers[1].core, &report);
    assert_int_equal(report.left_out, 6);
    assert_int_equal(report.passed_over, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_share, &world_plain),
        WORLD_TEST(test_share_and_quorum, &quorum_is_said),
        WORLD_TEST(test_passed_over, &world_plain),
        WORLD_TEST(test_order_over_a_crash, &world_plain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
