/* test_helper.c - a helper against leads and devices that ask for too much. */
#include <stdlib.h>

#include "appliance/round/helper/helper_internal.h"
#include "parties.h"
#include "tests/unit/wire/pair.h"

static struct mr_helper *helper(struct world *world)
{
    return world->helpers[1].core;
}

/* --- proposals ------------------------------------------------------------------------------- */

static void test_policy(void **state)
{
    struct world *world = *state;
    const uint16_t lead = world->hubs[0].index;
    struct mr_announcement bad = world->announcement;
    world_expect_proposal(world, &bad, world->hubs[2].index, MR_REFUSAL_UNAUTHORISED_ROLE);
    bad.cohort_min = 2; /* this hub insists on 3 */
    world_expect_proposal(world, &bad, lead, MR_REFUSAL_BELOW_COHORT_MINIMUM);
    bad = world->announcement;
    bad.model_hash[0] ^= 1;
    world_expect_proposal(world, &bad, lead, MR_REFUSAL_WRONG_ANNOUNCEMENT);
    bad = world->announcement;
    bad.dimension++;
    world_expect_proposal(world, &bad, lead, MR_REFUSAL_WRONG_ANNOUNCEMENT);
    bad = world->announcement;
    bad.model_values = 1u << 28; /* of which devices would download a gigabyte */
    world_expect_proposal(world, &bad, lead, MR_REFUSAL_WRONG_ANNOUNCEMENT);
    bad = world->announcement;
    bad.hubs[2].public_key[0] ^= 1;
    world_expect_proposal(world, &bad, lead, MR_REFUSAL_WRONG_ANNOUNCEMENT);
    bad = world->announcement;
    bad.hub_count = 2;
    world_expect_proposal(world, &bad, lead, MR_REFUSAL_WRONG_ANNOUNCEMENT);
    world_expect(world, MR_PEER_PROPOSE, (const uint8_t *)"no announcement", 15,
                 MR_REFUSAL_BAD_REQUEST);
    assert_int_equal(world->helpers[1].last.round, 0);
    world_expect_proposal(world, &world->announcement, lead, MR_REFUSAL_NONE);
    assert_int_equal(world->helpers[1].last.round, 7);
}

static void test_one_announcement_a_round_across_restarts(void **state)
{
    struct world *world = *state;
    const uint16_t lead = world->hubs[0].index;
    struct mr_announcement other = world->announcement;
    world_expect_proposal(world, &world->announcement, lead, MR_REFUSAL_NONE);
    world_expect_proposal(world, &world->announcement, lead, MR_REFUSAL_NONE);
    other.scale *= 2;
    world_expect_proposal(world, &other, lead, MR_REFUSAL_WRONG_ANNOUNCEMENT);
    other.round = 6;
    world_expect_proposal(world, &other, lead, MR_REFUSAL_WRONG_ROUND);
    /* A new process that has lost the journal cannot know which set it answered, so it takes up
     * neither this announcement nor another of that round. */
    struct world *again = world_open(&world_plain);
    again->helpers[1].last = world->helpers[1].last;
    other.round = 7;
    world_expect_proposal(again, &other, lead, MR_REFUSAL_WRONG_ANNOUNCEMENT);
    world_expect_proposal(again, &world->announcement, lead, MR_REFUSAL_ROUND_LOST);
    other.round = 8;
    world_expect_proposal(again, &other, lead, MR_REFUSAL_NONE);
    world_close(again);
}

/* --- seeds ----------------------------------------------------------------------------------- */

static void seed(struct world *world, unsigned device, uint32_t attempt, uint8_t change,
                 struct reply *reply)
{
    struct mr_seed_request request;
    world_seed_request(world, device, attempt, 1, &request);
    request.sealed[0] ^= change;
    *reply = (struct reply){.done = false};
    mr_helper_seed(helper(world), 7, world->devices[device].client_id,
                   &world->devices[device].serial, &request, reply);
    world_run(world);
    assert_true(reply->done);
}

static void seal_for_stranger(const struct world *world, const uint8_t *client_id,
                              struct mr_seed_request *request)
{
    const struct mr_key_scope scope = {.task = world->terms.announcement.task,
                                       .announcement_hash = world->terms.hash,
                                       .client_id = client_id,
                                       .hub_index = world->hubs[1].index};
    const uint8_t some[32] = {5};
    assert_int_equal(mr_seed_seal(request, some, &scope, world->terms.seal_keys[1], some), 0);
}

static void test_seeds(void **state)
{
    struct world *world = *state;
    struct reply first, again;
    seed(world, 0, 0, 0, &first);
    assert_int_equal(first.code, MR_REFUSAL_NO_ROUND);
    world_begin(world, NULL);
    seed(world, 0, 0, 0, &first);
    assert_int_equal(first.code, MR_REFUSAL_NONE);
    seed(world, 0, 0, 0, &again);
    assert_int_equal(again.code, MR_REFUSAL_NONE);
    assert_int_equal(first.length, again.length);
    assert_memory_equal(first.body, again.body, first.length);
    reply_fini(&again);
    reply_fini(&first);
    seed(world, 0, 0, 1, &again);
    assert_int_equal(again.code, MR_REFUSAL_SEED_CONFLICT);
    seed(world, 0, MR_ATTEMPTS_MAX, 0, &again);
    assert_int_equal(again.code, MR_REFUSAL_BAD_ATTEMPT);
    for (unsigned i = 1; i < WORLD_DEVICES; i++) {
        seed(world, i, 0, 0, &again);
        assert_int_equal(again.code, MR_REFUSAL_NONE);
        reply_fini(&again);
    }
    const uint8_t stranger[MR_CLIENT_ID_BYTES] = {9};
    const struct mr_serial serial = {{7}};
    struct mr_seed_request request = {.attempt = 0};
    struct reply reply = {.done = false};
    mr_helper_seed(helper(world), 7, stranger, &serial, &request, &reply);
    assert_int_equal(reply.code, MR_REFUSAL_WRONG_ANNOUNCEMENT);
    seal_for_stranger(world, stranger, &request);
    reply.done = false;
    mr_helper_seed(helper(world), 7, stranger, &serial, &request, &reply);
    assert_int_equal(reply.code, MR_REFUSAL_BUSY); /* cohort_max devices are there */
    reply.done = false;
    mr_helper_seed(helper(world), 8, stranger, &serial, &request, &reply);
    assert_int_equal(reply.code, MR_REFUSAL_WRONG_ROUND);
}

static struct mr_hpke_pair journal_seal(const struct world *world)
{
    const struct world_helper *own = &world->helpers[1];
    struct mr_journal_read read;
    struct mr_error error;
    assert_int_equal(mr_journal_state_parse(&read, own->journal, own->snapshot_bytes, &error), 0);
    const struct mr_hpke_pair seal = read.seal;
    mr_journal_read_fini(&read);
    return seal;
}

static void expect_seal_key(struct world *world, const uint8_t *key)
{
    uint8_t bytes[MR_PROPOSAL_MAX];
    struct reply reply = {.done = false};
    struct mr_peer_signature signature;
    struct mr_error error;
    const size_t length = world_proposal(world, &world->announcement, bytes);
    world_ask(world, 1, MR_PEER_PROPOSE, bytes, length, &reply);
    world_run(world);
    assert_int_equal(reply.code, MR_REFUSAL_NONE);
    assert_int_equal(
        mr_peer_signature_decode(&signature, (const char *)reply.body, reply.length, &error), 0);
    assert_memory_equal(signature.signature.seal_key, key, MR_SEAL_KEY_BYTES);
    assert_int_equal(mr_announcement_verify(signature.signature.bytes, world->terms.hash,
                                            signature.signature.seal_key,
                                            world->hubs[1].public_key),
                     0);
    reply_fini(&reply);
}

/* Made for the round, kept over a restart, and gone for good with the freeze: who takes the hub's
 * disk and memory afterwards opens no seed that he recorded. */
static void test_seal_key(void **state)
{
    static const uint8_t none[MR_HPKE_KEY_BYTES];
    struct world *world = *state;
    struct reply reply;
    world_begin(world, NULL);
    const struct mr_hpke_pair first = journal_seal(world);
    assert_memory_not_equal(first.private_key, none, sizeof none);
    expect_seal_key(world, first.public_key);
    seed(world, 0, 0, 0, &reply);
    assert_int_equal(reply.code, MR_REFUSAL_NONE);
    reply_fini(&reply);
    world_kill_helper(world, 1);
    world_run(world);
    expect_seal_key(world, first.public_key);
    seed(world, 1, 0, 0, &reply); /* sealed before it was killed */
    assert_int_equal(reply.code, MR_REFUSAL_NONE);
    reply_fini(&reply);
    world_fill(world, 6);
    assert_int_equal(world_helper_state(world, 1), MR_HELPER_DONE);
    expect_seal_key(world, first.public_key);
    const struct world_helper *own = &world->helpers[1];
    assert_null(memmem(own->journal, own->journal_bytes, first.private_key, sizeof none));
    assert_memory_equal(own->core->seal.private_key, none, sizeof none);
    world->announcement.round = 8;
    assert_int_equal(world_begin(world, NULL), MR_REFUSAL_NONE);
    const struct mr_hpke_pair second = journal_seal(world);
    assert_memory_not_equal(second.private_key, first.private_key, sizeof none);
    assert_memory_not_equal(second.private_key, own->core->keys.private_key, sizeof none);
}

/* As long as the set is expanded, and before: also in a journal that only says which set it is. */
static void test_seal_key_is_gone_with_the_freeze(void **state)
{
    struct world *world = *state;
    world->hold[MR_PEER_OPEN] = true;
    world_begin(world, NULL);
    const struct mr_hpke_pair seal = journal_seal(world);
    world_fill(world, 6);
    assert_int_equal(world_helper_state(world, 1), MR_HELPER_COMMITTED);
    const struct world_helper *own = &world->helpers[1];
    assert_null(memmem(own->journal, own->journal_bytes, seal.private_key, MR_HPKE_KEY_BYTES));
    assert_null(memmem(own->core, sizeof *own->core, seal.private_key, MR_HPKE_KEY_BYTES));
}

static void test_bad_seeds(void **state)
{
    struct world *world = *state;
    struct mr_helper_report report;
    struct reply reply;
    world_begin(world, NULL);
    seed(world, 0, 0, 1, &reply); /* a bit of it changed */
    assert_int_equal(reply.code, MR_REFUSAL_BAD_SEED);
    assert_non_null(strstr(reply.text, "does not open"));
    struct mr_seed_request of_another;
    world_seed_request(world, 1, 0, 1, &of_another);
    reply.done = false;
    mr_helper_seed(helper(world), 7, world->devices[0].client_id, &world->devices[0].serial,
                   &of_another, &reply);
    assert_int_equal(reply.code, MR_REFUSAL_BAD_SEED);
    mr_helper_report(helper(world), &report);
    assert_int_equal(report.bad_seeds, 2);
    assert_int_equal(report.admitted, 0);
    seed(world, 0, 0, 0, &reply);
    assert_int_equal(reply.code, MR_REFUSAL_NONE);
    reply_fini(&reply);
}

/* --- freezing -------------------------------------------------------------------------------- */

#define FIVE ((const unsigned[]){0, 1, 2, 3, 4})

static struct world *admitted(void **state)
{
    struct world *world = *state;
    world_begin(world, NULL);
    for (unsigned i = 0; i < 6; i++) {
        world_join(world, i, 0);
    }
    return world;
}

static void test_freeze_checks_the_set(void **state)
{
    struct world *world = admitted(state);
    uint8_t body[1024];
    size_t length = world_freeze_body(world, body, FIVE, 3, 1);
    world_expect(world, MR_PEER_FREEZE, body, length, MR_REFUSAL_BELOW_COHORT_MINIMUM);
    length = world_freeze_body(world, body, (const unsigned[]){0, 1, 2, 9}, 4, 1);
    world_expect(world, MR_PEER_FREEZE, body, length, MR_REFUSAL_SET_NOT_ADMITTED);
    world->devices[3].attempt = 1; /* its seed is of attempt 0 */
    length = world_freeze_body(world, body, FIVE, 5, 1);
    world_expect(world, MR_PEER_FREEZE, body, length, MR_REFUSAL_SET_NOT_ADMITTED);
    world->devices[3].attempt = 0;
    length = world_freeze_body(world, body, FIVE, 5, 1);
    body[length - 1] ^= 1;
    world_expect(world, MR_PEER_FREEZE, body, length, MR_REFUSAL_BAD_COMMITMENT);
    world_expect(world, MR_PEER_FREEZE, body, length - 1, MR_REFUSAL_BAD_REQUEST);
    world_expect(world, MR_PEER_FREEZE, body, 3, MR_REFUSAL_BAD_REQUEST);
    struct reply reply = {.done = false};
    mr_helper_freeze(helper(world), world->hubs[2].index, 7, body, length, &reply);
    assert_int_equal(reply.code, MR_REFUSAL_UNAUTHORISED_ROLE);
    reply.done = false;
    mr_helper_freeze(helper(world), world->hubs[0].index, 6, body, length, &reply);
    assert_int_equal(reply.code, MR_REFUSAL_WRONG_ROUND);
    assert_int_equal(world->helpers[1].expansions, 0);
}

/* A policy that comes in the middle of a round, stricter than the round's terms: the round keeps
 * the one that it was signed under, and the next is not signed. */
static void test_policy_of_the_next_round(void **state)
{
    struct world *world = admitted(state);
    const uint16_t lead = world->hubs[0].index;
    const struct mr_helper_policy strict = {.cohort_min = 6,
                                            .share_bytes_max = 1 << 20,
                                            .lead_grace_ms = WORLD_GRACE_MS,
                                            .deadline_ahead_ms = WORLD_AHEAD_MS};
    struct mr_announcement next = world->announcement;
    uint8_t body[1024];
    const size_t length = world_freeze_body(world, body, FIVE, 5, 1);
    mr_helper_set_policy(helper(world), &strict);
    world_expect_proposal(world, &world->announcement, lead, MR_REFUSAL_NONE);
    world_expect(world, MR_PEER_FREEZE, body, length, MR_REFUSAL_NONE);
    next.round++;
    world_expect_proposal(world, &next, lead, MR_REFUSAL_BELOW_COHORT_MINIMUM);
}

/* A lead that leaves out more than this hub's operator accepts. */
static void test_share_of_the_admitted(void **state)
{
    struct world *world = *state;
    const struct mr_helper_policy fair = {.cohort_min = 3,
                                          .share_percent = 80,
                                          .share_bytes_max = 1 << 20,
                                          .lead_grace_ms = WORLD_GRACE_MS,
                                          .deadline_ahead_ms = WORLD_AHEAD_MS};
    uint8_t body[1024];
    mr_helper_set_policy(helper(world), &fair);
    (void)admitted(state); /* six devices */
    size_t length = world_freeze_body(world, body, FIVE, 4, 1);
    world_expect(world, MR_PEER_FREEZE, body, length, MR_REFUSAL_SET_LEAVES_OUT);
    assert_int_equal(world->helpers[1].expansions, 0);
    length = world_freeze_body(world, body, FIVE, 5, 1);
    world_expect(world, MR_PEER_FREEZE, body, length, MR_REFUSAL_NONE);
}

/* Duplicates cannot be encoded: the decoder wants rising identities. */
static void test_freeze_refuses_a_device_twice(void **state)
{
    struct world *world = admitted(state);
    uint8_t body[1024];
    const size_t length = world_freeze_body(world, body, FIVE, 5, 1);
    memcpy(body + 4 + MR_INCLUDED_BYTES, body + 4, MR_INCLUDED_BYTES);
    world_expect(world, MR_PEER_FREEZE, body, length, MR_REFUSAL_BAD_REQUEST);
    assert_int_equal(world->helpers[1].expansions, 0);
}

static void test_one_set_a_round(void **state)
{
    struct world *world = admitted(state);
    uint8_t body[1024], other[1024];
    struct reply replies[3] = {{.done = false}};
    const size_t length = world_freeze_body(world, body, FIVE, 5, 1);
    for (unsigned i = 0; i < 2; i++) { /* the second comes while the first is being expanded */
        world_ask(world, 1, MR_PEER_FREEZE, body, length, &replies[i]);
        assert_false(replies[i].done);
    }
    world_run(world);
    world_ask(world, 1, MR_PEER_FREEZE, body, length, &replies[2]);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(replies[i].done);
        assert_int_equal(replies[i].code, MR_REFUSAL_NONE);
        assert_int_equal(replies[i].length, MR_COMMITMENT_BYTES);
        assert_memory_equal(replies[i].body, replies[0].body, MR_COMMITMENT_BYTES);
    }
    for (unsigned i = 0; i < 3; i++) {
        reply_fini(&replies[i]);
    }
    size_t other_length = world_freeze_body(world, other, FIVE, 4, 1);
    world_expect(world, MR_PEER_FREEZE, other, other_length, MR_REFUSAL_SET_CONFLICT);
    other_length = world_freeze_body(world, other, (const unsigned[]){0, 1, 2, 3, 5}, 5, 1);
    world_expect(world, MR_PEER_FREEZE, other, other_length, MR_REFUSAL_SET_CONFLICT);
    other_length = world_freeze_body(world, other, FIVE, 5, 2); /* another commitment */
    world_expect(world, MR_PEER_FREEZE, other, other_length, MR_REFUSAL_BAD_COMMITMENT);
    assert_int_equal(world->helpers[1].expansions, 1);
    struct reply late;
    seed(world, 7, 0, 0, &late);
    assert_int_equal(late.code, MR_REFUSAL_CLOSED);
}

/* --- opening and revealing ------------------------------------------------------------------- */

/* Runs a round until the lead's question of that step is kept back. */
static struct world *held_at(void **state, enum mr_peer_step step)
{
    struct world *world = *state;
    world->hold[step] = true;
    world_begin(world, NULL);
    world_fill(world, 6);
    assert_non_null(world->held.body);
    return world;
}

static void test_nothing_opens_before_the_freeze(void **state)
{
    struct world *world = *state;
    const uint8_t nothing[1] = {0};
    world_begin(world, NULL);
    world_expect(world, MR_PEER_OPEN, nothing, 1, MR_REFUSAL_WRONG_ROUND);
}

static void test_open(void **state)
{
    struct world *world = held_at(state, MR_PEER_OPEN);
    uint8_t *body = world->held.body;
    const size_t length = world->held.length;
    assert_int_equal(world_helper_state(world, 1), MR_HELPER_COMMITTED);
    for (unsigned hub = 0; hub < 3; hub++) {
        for (unsigned part = 0; part < 3; part++) { /* a byte of value, root and signature */
            const size_t at = 1 + hub * MR_COMMITMENT_BYTES + 2 + part * MR_HASH_BYTES;
            body[at] ^= 1;
            world_expect(world, MR_PEER_OPEN, body, length, MR_REFUSAL_BAD_COMMITMENT);
            body[at] ^= 1;
        }
    }
    /* The lead signs a new commitment of its own: not the one from the freeze. */
    struct mr_commitment changed;
    uint8_t *copy = malloc(length);
    memcpy(copy, body, length);
    mr_commitment_decode(&changed, copy + 1);
    changed.value[0] ^= 1;
    mr_commitment_sign(&changed, world->terms.hash, PAIR_OF(world->private_keys[0]));
    mr_commitment_encode(copy + 1, &changed);
    world_expect(world, MR_PEER_OPEN, copy, length, MR_REFUSAL_BAD_COMMITMENT);
    world_expect(world, MR_PEER_OPEN, body, length - MR_COMMITMENT_BYTES,
                 MR_REFUSAL_BAD_COMMITMENT);
    assert_int_equal(world_helper_state(world, 1), MR_HELPER_COMMITTED);

    struct reply one = {.done = false}, two = {.done = false};
    world_ask(world, 1, MR_PEER_OPEN, body, length, &one);
    world_ask(world, 1, MR_PEER_OPEN, body, length, &two);
    assert_false(one.done || two.done); /* not before the commitments are durable */
    world_run(world);
    assert_int_equal(one.code, MR_REFUSAL_NONE);
    assert_int_equal(one.length, MR_NONCE_BYTES + world->terms.layout.share_bytes);
    assert_memory_equal(one.body, two.body, one.length);
    reply_fini(&one);
    reply_fini(&two);

    /* Once opened, no hub may come with another commitment, however well signed. */
    memcpy(copy, body, length);
    mr_commitment_decode(&changed, copy + 1 + 2 * MR_COMMITMENT_BYTES);
    changed.value[0] ^= 1;
    mr_commitment_sign(&changed, world->terms.hash, PAIR_OF(world->private_keys[2]));
    mr_commitment_encode(copy + 1 + 2 * MR_COMMITMENT_BYTES, &changed);
    world_expect(world, MR_PEER_OPEN, copy, length, MR_REFUSAL_BAD_COMMITMENT);
    free(copy);
}

static void test_reveal_checks_the_openings(void **state)
{
    struct world *world = held_at(state, MR_PEER_REVEAL);
    uint8_t *body = world->held.body;
    const size_t length = world->held.length;
    const size_t each = MR_NONCE_BYTES + (size_t)world->terms.layout.share_bytes;
    assert_int_equal(length, 1 + 2 * each); /* the lead's and hub 2's: hub 1 knows its own */
    for (unsigned hub = 0; hub < 2; hub++) {
        body[1 + hub * each] ^= 1;
        world_expect(world, MR_PEER_REVEAL, body, length, MR_REFUSAL_BAD_OPENING);
        body[1 + hub * each] ^= 1;
        body[1 + hub * each + MR_NONCE_BYTES + 10] ^= 1;
        world_expect(world, MR_PEER_REVEAL, body, length, MR_REFUSAL_BAD_OPENING);
        body[1 + hub * each + MR_NONCE_BYTES + 10] ^= 1;
    }
    world_expect(world, MR_PEER_REVEAL, body, length - 1, MR_REFUSAL_BAD_OPENING);
    struct reply one = {.done = false}, two = {.done = false};
    world_ask(world, 1, MR_PEER_REVEAL, body, length, &one);
    world_run(world);
    world_ask(world, 1, MR_PEER_REVEAL, body, length, &two);
    assert_int_equal(one.code, MR_REFUSAL_NONE);
    assert_int_equal(one.length, two.length);
    assert_memory_equal(one.body, two.body, one.length);
    reply_fini(&one);
    reply_fini(&two);
}

/* --- void ------------------------------------------------------------------------------------ */

static void test_void_ends_everything(void **state)
{
    struct world *world = admitted(state);
    uint8_t body[1024];
    const size_t length = world_freeze_body(world, body, FIVE, 5, 1);
    struct reply freezing = {.done = false};
    world_ask(world, 1, MR_PEER_FREEZE, body, length, &freezing);
    world_expect(world, MR_PEER_VOID, NULL, 0, MR_REFUSAL_NONE); /* while it expands */
    assert_true(freezing.done);
    assert_int_equal(freezing.code, MR_REFUSAL_VOID);
    assert_int_equal(world_helper_state(world, 1), MR_HELPER_VOID);
    world_expect(world, MR_PEER_FREEZE, body, length, MR_REFUSAL_VOID);
    world_expect(world, MR_PEER_OPEN, body, length, MR_REFUSAL_VOID);
    world_expect(world, MR_PEER_REVEAL, body, length, MR_REFUSAL_VOID);
    world_expect(world, MR_PEER_VOID, NULL, 0, MR_REFUSAL_NONE);
    struct reply late;
    seed(world, 7, 0, 0, &late);
    assert_int_equal(late.code, MR_REFUSAL_VOID);
    world_expect_proposal(world, &world->announcement, world->hubs[0].index, MR_REFUSAL_VOID);
}

static void test_reasons_are_fit_for_a_log(void **state)
{
    struct world *world = admitted(state);
    struct mr_helper_report report;
    struct reply reply = {.done = false};
    struct mr_peer_void message;
    world_void(world, "a\"\n2026 error \xc3\xa4", &message);
    mr_helper_void(helper(world), world->hubs[0].index, 7, &message, &reply);
    assert_false(reply.done); /* not before it is durable */
    world_run(world);
    assert_int_equal(reply.code, MR_REFUSAL_NONE);
    mr_helper_report(helper(world), &report);
    assert_string_equal(report.reason, "a'?2026 error ??");
    reply_fini(&reply);
}

int main(void)
{
#define T(name) WORLD_TEST(name, &world_plain)
    const struct CMUnitTest tests[] = {
        T(test_policy),
        T(test_one_announcement_a_round_across_restarts),
        T(test_seeds),
        T(test_seal_key),
        T(test_seal_key_is_gone_with_the_freeze),
        T(test_bad_seeds),
        T(test_freeze_checks_the_set),
        T(test_share_of_the_admitted),
        T(test_policy_of_the_next_round),
        T(test_freeze_refuses_a_device_twice),
        T(test_one_set_a_round),
        T(test_nothing_opens_before_the_freeze),
        T(test_open),
        T(test_reveal_checks_the_openings),
        T(test_void_ends_everything),
        T(test_reasons_are_fit_for_a_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
