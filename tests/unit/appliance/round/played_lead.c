#include "played_lead.h"

#include <stdlib.h>

#define DEVICES 4

static struct passage *asked; /* of the one that is open: the world's hook has no context */

static void keep(struct world *world, struct passage *passage)
{
    struct passage *one = &asked[passage->step];
    (void)world;
    if (!passage->answer) {
        free(one->body);
        *one = *passage;
        one->body = malloc(passage->length);
        assert_non_null(one->body);
        memcpy(one->body, passage->body, passage->length);
    }
}

static struct played *open_in(struct room *room)
{
    struct played *played = calloc(1, sizeof *played);
    assert_non_null(played);
    played->room = room;
    struct world *world = played->room->world;
    asked = played->asked;
    world->tamper = keep;
    world_begin(world, NULL);
    world_fill(world, DEVICES);
    world_advance(world, 2000);
    assert_int_equal(world_state(world, NULL), MR_LEAD_PUBLISHED);
    return played;
}

struct played *played_open(void)
{
    return open_in(room_open(1));
}

struct played *played_open_noised(void)
{
    return open_in(room_open_noised(1));
}

void played_close(struct played *played)
{
    if (played->run) {
        played_end(played);
    }
    room_close(played->room);
    for (unsigned i = 0; i < WORLD_STEPS; i++) {
        free(played->asked[i].body);
    }
    free(played);
}

int played_setup(void **state)
{
    *state = played_open();
    return 0;
}

int played_teardown(void **state)
{
    played_close(*state);
    return 0;
}

void played_end(struct played *played)
{
    mr_helper_driver_stop(played->run);
    room_drain(played->room);
    mr_helper_driver_close(played->run);
    played->run = NULL;
}

bool played_is_back(void *context)
{
    const struct room *room = context;
    return memcmp(mr_store_current(room->shared.store), room->world->model_hash, MR_HASH_BYTES) ==
           0;
}

enum mr_helper_state played_state(struct played *played)
{
    struct mr_helper_report report;
    mr_helper_report(mr_helper_driver_core(played->run), &report);
    return report.state;
}

/* --- what comes back ------------------------------------------------------------------------- */

static void answer(void *context, void *token, bool json, const void *body, size_t length)
{
    (void)context, (void)json;
    struct reply *reply = token;
    assert_false(reply->done);
    *reply = (struct reply){.done = true, .length = length, .body = malloc(length + 1)};
    assert_non_null(reply->body);
    if (length) {
        memcpy(reply->body, body, length);
    }
}

static void refuse(void *context, void *token, const struct mr_refusal *refusal)
{
    (void)context;
    struct reply *reply = token;
    assert_false(reply->done);
    *reply = (struct reply){.done = true, .code = refusal->code};
    memcpy(reply->text, refusal->text, sizeof reply->text);
}

const struct mr_helper_listener played_listener = {.answer = answer, .refuse = refuse};

void played_start(struct played *played)
{
    struct mr_error error = {.text = ""};
    if (mr_helper_driver_open(&played->run, &played->room->shared, &played_listener, &error) != 0) {
        fail_msg("%s", error.text);
    }
}

static bool is_done(void *context)
{
    return ((struct reply *)context)->done;
}

void played_expect(const struct reply *reply, enum mr_refusal_code code)
{
    if (!reply->done || reply->code != code) {
        fail_msg("%s instead of %s: %s", mr_refusal_name(reply->code), mr_refusal_name(code),
                 reply->text);
    }
}

/* --- the lead's part ------------------------------------------------------------------------- */

void played_put(struct played *played, enum mr_peer_step step, const void *body, size_t length,
                struct reply *reply)
{
    *reply = (struct reply){.done = false};
    world_ask_core(played->room->world, mr_helper_driver_core(played->run), step, body, length,
                   reply);
}

void played_ask(struct played *played, enum mr_peer_step step, const void *body, size_t length,
                struct reply *reply)
{
    played_put(played, step, body, length, reply);
    room_run_until(played->room, is_done, reply);
}

void played_ask_same(struct played *played, enum mr_peer_step step, struct reply *reply)
{
    played_ask(played, step, played->asked[step].body, played->asked[step].length, reply);
}

/* This helper's, in place of the one's that the round was played with. */
static void take_seal_key(struct world *world, const struct reply *reply)
{
    struct mr_peer_signature signed_by;
    struct mr_error error;
    assert_int_equal(
        mr_peer_signature_decode(&signed_by, (const char *)reply->body, reply->length, &error), 0);
    memcpy(world->terms.seal_keys[1], signed_by.signature.seal_key, MR_SEAL_KEY_BYTES);
}

void played_admit(struct played *played)
{
    struct world *world = played->room->world;
    struct reply reply;
    played_ask_same(played, MR_PEER_PROPOSE, &reply);
    played_expect(&reply, MR_REFUSAL_NONE);
    take_seal_key(world, &reply);
    reply_fini(&reply);
    for (unsigned i = 0; i < DEVICES; i++) {
        struct mr_seed_request request;
        world_seed_request(world, i, 0, 1, &request);
        mr_helper_seed(mr_helper_driver_core(played->run), world->terms.announcement.round,
                       world->devices[i].client_id, &world->devices[i].serial, &request, &reply);
        room_run_until(played->room, is_done, &reply);
        played_expect(&reply, MR_REFUSAL_NONE);
        reply_fini(&reply);
    }
}

uint8_t *played_openings(struct played *played, size_t *length)
{
    struct reply reply;
    uint8_t list[1 + 2 * MR_COMMITMENT_BYTES];
    const size_t each = MR_NONCE_BYTES + (size_t)played->room->world->terms.layout.share_bytes;
    played_ask_same(played, MR_PEER_FREEZE, &reply);
    played_expect(&reply, MR_REFUSAL_NONE);
    assert_int_equal(reply.length, MR_COMMITMENT_BYTES);
    memcpy(list, played->asked[MR_PEER_OPEN].body, 1 + MR_COMMITMENT_BYTES); /* 2, the lead's */
    memcpy(list + 1 + MR_COMMITMENT_BYTES, reply.body, MR_COMMITMENT_BYTES);
    reply_fini(&reply);
    played_ask(played, MR_PEER_OPEN, list, sizeof list, &reply);
    played_expect(&reply, MR_REFUSAL_NONE);
    assert_int_equal(reply.length, each);
    reply_fini(&reply);
    *length = 1 + each; /* the lead's own: the helper knows its own */
    assert_int_equal(played->asked[MR_PEER_REVEAL].length, *length);
    uint8_t *body = malloc(*length);
    assert_non_null(body);
    memcpy(body, played->asked[MR_PEER_REVEAL].body, *length);
    return body;
}

uint8_t *played_until_reveal(struct played *played, size_t *length)
{
    played_start(played);
    played_admit(played);
    return played_openings(played, length);
}
