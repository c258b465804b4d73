/* test_lead_signs.c - what only a lead may say to a helper carries the signature of its pinned key:
 * a proposal, whose number may not run away, and the order to give a round up. */
#include <stdlib.h>

#include "parties.h"
#include "tests/unit/wire/pair.h"

static struct mr_helper *helper(struct world *world)
{
    return world->helpers[1].core;
}

/* --- proposals ------------------------------------------------------------------------------- */

/* Signed by another key than the lead's, whatever the certificate it came with: nothing is kept. */
static void test_only_the_lead_proposes(void **state)
{
    struct world *world = *state;
    uint8_t bytes[MR_PROPOSAL_MAX];
    const size_t length = world_proposal(world, &world->announcement, bytes);
    bytes[length - 1] ^= 1;
    world_expect(world, MR_PEER_PROPOSE, bytes, length, MR_REFUSAL_BAD_SIGNATURE);
    assert_int_equal(mr_announcement_sign(bytes + length - MR_SIGNATURE_BYTES, world->terms.hash,
                                          NULL, PAIR_OF(world->private_keys[1])),
                     0);
    world_expect(world, MR_PEER_PROPOSE, bytes, length, MR_REFUSAL_BAD_SIGNATURE);
    world_expect(world, MR_PEER_PROPOSE, bytes, length - MR_SIGNATURE_BYTES,
                 MR_REFUSAL_BAD_REQUEST);
    assert_int_equal(world->helpers[1].saves, 0);
}

static void test_numbers_do_not_run_away(void **state)
{
    struct world *world = *state;
    const uint16_t lead = world->hubs[0].index;
    const uint64_t jump = UINT64_C(1) << 20;
    struct mr_announcement next = world->announcement;
    next.round = jump + 1;
    world_expect_proposal(world, &next, lead, MR_REFUSAL_WRONG_ROUND);
    assert_int_equal(world->helpers[1].saves, 0);
    next.round = jump;
    world_expect_proposal(world, &next, lead, MR_REFUSAL_NONE);
    next.round = 2 * jump + 1;
    world_expect_proposal(world, &next, lead, MR_REFUSAL_WRONG_ROUND);
    next.round = 2 * jump;
    world_expect_proposal(world, &next, lead, MR_REFUSAL_NONE);
}

/* Given up by the lead without a word: that is on record before the next round is signed. */
static void test_a_round_that_the_lead_left(void **state)
{
    struct world *world = *state;
    const uint16_t lead = world->hubs[0].index;
    struct mr_announcement next = world->announcement;
    world_expect_proposal(world, &world->announcement, lead, MR_REFUSAL_NONE);
    assert_int_equal(world->helpers[1].forgets, 0);
    next.round++;
    world_expect_proposal(world, &next, lead, MR_REFUSAL_NONE);
    assert_int_equal(world->helpers[1].forgets, 1);
    assert_int_equal(world_helper_state(world, 1), MR_HELPER_ADMITTING);
}

/* --- void ------------------------------------------------------------------------------------ */

static void order(struct world *world, const struct mr_peer_void *message,
                  enum mr_refusal_code expected)
{
    struct reply reply = {.done = false};
    mr_helper_void(helper(world), world->hubs[0].index, 7, message, &reply);
    world_run(world);
    assert_true(reply.done);
    assert_int_equal(reply.code, expected);
    reply_fini(&reply);
}

static void test_only_the_lead_gives_up(void **state)
{
    struct world *world = *state;
    world_expect_proposal(world, &world->announcement, world->hubs[0].index, MR_REFUSAL_NONE);
    struct mr_peer_void message;
    world_void(world, "tired", &message);
    message.announcement_hash[0] ^= 1;
    order(world, &message, MR_REFUSAL_WRONG_ANNOUNCEMENT);
    world_void(world, "tired", &message);
    message.reason[0] = 'w';
    order(world, &message, MR_REFUSAL_BAD_SIGNATURE);
    world_void(world, "tired", &message);
    assert_int_equal(
        mr_void_sign(message.signature, world->terms.hash, "tired", world->private_keys[1]), 0);
    order(world, &message, MR_REFUSAL_BAD_SIGNATURE);
    assert_int_equal(world_helper_state(world, 1), MR_HELPER_ADMITTING);
    world_void(world, "tired", &message);
    order(world, &message, MR_REFUSAL_NONE);
    assert_int_equal(world_helper_state(world, 1), MR_HELPER_VOID);
}

int main(void)
{
#define T(name) WORLD_TEST(name, &world_plain)
    const struct CMUnitTest tests[] = {
        T(test_only_the_lead_proposes),
        T(test_numbers_do_not_run_away),
        T(test_a_round_that_the_lead_left),
        T(test_only_the_lead_gives_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
