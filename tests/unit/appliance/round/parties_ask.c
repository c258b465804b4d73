/* parties_ask.c - questions put to a helper by hand. */
#include <stdio.h>
#include <string.h>

#include "parties_internal.h"
#include "tests/unit/wire/pair.h"

size_t world_proposal(const struct world *world, const struct mr_announcement *announcement,
                      uint8_t out[MR_PROPOSAL_MAX])
{
    struct mr_round_terms terms;
    struct mr_error error;
    const size_t length = mr_announcement_encode(out, announcement);
    assert_int_equal(mr_round_terms_decode(&terms, out, length, &error), 0);
    assert_int_equal(
        mr_announcement_sign(out + length, terms.hash, NULL, PAIR_OF(world->private_keys[0])), 0);
    return length + MR_SIGNATURE_BYTES;
}

void world_void(const struct world *world, const char *reason, struct mr_peer_void *message)
{
    memset(message, 0, sizeof *message);
    snprintf(message->reason, sizeof message->reason, "%s", reason);
    memcpy(message->announcement_hash, world->terms.hash, MR_HASH_BYTES);
    assert_int_equal(
        mr_void_sign(message->signature, world->terms.hash, reason, world->private_keys[0]), 0);
}

/* NULL: an order that the lead signed. */
static void order_void(struct world *world, struct mr_helper *core, const uint8_t *body,
                       size_t length, struct reply *reply)
{
    struct mr_peer_void message;
    struct mr_error error;
    world_void(world, "the lead says so", &message);
    if (body) {
        assert_int_equal(mr_peer_void_decode(&message, (const char *)body, length, &error), 0);
    }
    mr_helper_void(core, world->hubs[0].index, world->terms.announcement.round, &message, reply);
}

void world_ask_core(struct world *world, struct mr_helper *core, enum mr_peer_step step,
                    const uint8_t *body, size_t length, struct reply *reply)
{
    const uint16_t from = world->hubs[0].index;
    const uint64_t round = world->terms.announcement.round;
    switch (step) {
    case MR_PEER_PROPOSE:
        mr_helper_propose(core, from, body, length, reply);
        break;
    case MR_PEER_FREEZE:
        mr_helper_freeze(core, from, round, body, length, reply);
        break;
    case MR_PEER_OPEN:
        mr_helper_open(core, from, round, body, length, reply);
        break;
    case MR_PEER_REVEAL:
        mr_helper_reveal(core, from, round, body, length, reply);
        break;
    case MR_PEER_DRAW:
        mr_helper_draw(core, from, round, body, length, reply);
        break;
    case MR_PEER_STAND: /* a driver asks it */
    case MR_PEER_VOID:
        order_void(world, core, body, length, reply);
        break;
    }
}

void world_ask(struct world *world, unsigned helper, enum mr_peer_step step, const uint8_t *body,
               size_t length, struct reply *reply)
{
    world_ask_core(world, world->helpers[helper].core, step, body, length, reply);
}

/* … once the world has run. */
static void expect_reply(struct world *world, struct reply *reply, enum mr_refusal_code expected)
{
    world_run(world);
    assert_true(reply->done);
    if (reply->code != expected) {
        fail_msg("answered %s \"%s\", expected %s", mr_refusal_name(reply->code), reply->text,
                 expected ? mr_refusal_name(expected) : "an answer");
    }
    reply_fini(reply);
}

void world_expect(struct world *world, enum mr_peer_step step, const uint8_t *body, size_t length,
                  enum mr_refusal_code expected)
{
    struct reply reply = {.done = false};
    world_ask(world, 1, step, body, length, &reply);
    expect_reply(world, &reply, expected);
}

void world_expect_proposal(struct world *world, const struct mr_announcement *announcement,
                           uint16_t from, enum mr_refusal_code expected)
{
    uint8_t bytes[MR_PROPOSAL_MAX];
    struct reply reply = {.done = false};
    const size_t length = world_proposal(world, announcement, bytes);
    mr_helper_propose(world->helpers[1].core, from, bytes, length, &reply);
    expect_reply(world, &reply, expected);
}
