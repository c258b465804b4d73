/* parties.c - events in order, time, and what travels between the hubs. */
#include "parties_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/secret.h"
#include "tests/unit/wire/pair.h"

struct world_event *world_post(struct world *world,
                               void (*fn)(struct world *, struct world_event *))
{
    struct world_event *event = calloc(1, sizeof *event);
    assert_non_null(event);
    event->fn = fn;
    event->life = world->life;
    *world->last = event;
    world->last = &event->next;
    return event;
}

/* What a process had to say itself goes with it; what is on a link arrives, somewhere. */
static bool is_void(const struct world *world, const struct world_event *event)
{
    switch (event->from) {
    case OF_LEAD:
        return event->life != world->life;
    case OF_HELPER:
        return event->life != world->helpers[event->helper].life;
    case OF_LINK:
        break;
    }
    return false;
}

static void turn(struct world *world)
{
    struct world_event *event = world->first;
    world->first = event->next;
    if (!world->first) {
        world->last = &world->first;
    }
    if (!is_void(world, event)) {
        event->fn(world, event);
    } else {
        mr_secret_free(event->list);
    }
    free(event->passage.body);
    free(event);
    if (++world->turns == world->kill_at) {
        world->kill_at += world->again;
        world->again = 0;
        if (world->victim) {
            world_kill_helper(world, world->victim);
        } else {
            world_kill_lead(world);
        }
    }
}

void world_run(struct world *world)
{
    while (world->first) {
        turn(world);
    }
}

void world_advance(struct world *world, uint64_t ms)
{
    const uint64_t end = world->now_ms + ms;
    world_run(world);
    while (world->due_ms <= end) {
        world->now_ms = world->due_ms > world->now_ms ? world->due_ms : world->now_ms;
        world->due_ms = UINT64_MAX;
        mr_lead_tick(world->lead, world->now_ms);
        world_run(world);
    }
    world->now_ms = end;
}

void reply_fini(struct reply *reply)
{
    free(reply->body);
    *reply = (struct reply){.done = false};
}

void world_reply(struct reply *reply, const void *body, size_t length)
{
    assert_false(reply->done);
    reply->done = true;
    reply->code = MR_REFUSAL_NONE;
    reply->length = length;
    reply->body = calloc(1, length + 1);
    assert_non_null(reply->body);
    if (length) {
        memcpy(reply->body, body, length);
    }
}

static void reply_refused(struct reply *reply, const struct mr_refusal *refusal)
{
    assert_false(reply->done);
    reply->done = true;
    reply->code = refusal->code;
    memcpy(reply->text, refusal->text, sizeof reply->text);
}

/* --- what both roles do ---------------------------------------------------------------------- */

void world_draw(struct world *world, uint8_t *out, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        world->random = world->random * 6364136223846793005u + 1442695040888963407u;
        out[i] = (uint8_t)(world->random >> 56);
    }
}

int world_compute(struct world *world, const uint8_t *const *results, uint32_t count,
                  struct mr_next_model_answer *answer, struct mr_error *error)
{
    const struct mr_next_model_question question = {
        .terms = &world->terms,
        .results = results,
        .included_count = count,
        .parent = world->model,
        .parent_bytes = world->model_bytes,
        .kernels = world->kernels,
    };
    return mr_next_model(answer, &question, error);
}

void world_refused(void *context, void *token, const struct mr_refusal *refusal)
{
    (void)context;
    reply_refused(token, refusal);
}

void world_changed(void *context)
{
    (void)context;
}

/* --- between the hubs ------------------------------------------------------------------------ */

/* What devices would hear of in the signed envelope. */
static void keep_seal_key(struct world *world, const struct passage *passage)
{
    struct mr_peer_signature signed_by;
    struct mr_error error;
    if (passage->step == MR_PEER_PROPOSE && passage->status == 200 &&
        mr_peer_signature_decode(&signed_by, (const char *)passage->body, passage->length,
                                 &error) == 0) {
        memcpy(world->terms.seal_keys[passage->peer], signed_by.signature.seal_key,
               MR_SEAL_KEY_BYTES);
    }
}

static void deliver_answer(struct world *world, struct world_event *event)
{
    struct passage *passage = &event->passage;
    struct reply *reply = event->reply;
    if (reply && !reply->done) { /* the helper still works on it */
        struct world_event *again = world_post(world, deliver_answer);
        again->from = OF_LINK;
        again->life = event->life;
        again->passage = *passage;
        again->reply = reply;
        passage->body = NULL;
        return;
    }
    if (event->life != world->life || passage->cut) {
        if (reply) {
            free(reply->body);
        }
        free(reply);
        reply = NULL;
        passage->status = 0;
        if (event->life != world->life) {
            return; /* whoever asked is gone */
        }
    }
    if (reply) {
        passage->status = mr_refusal_status(reply->code);
        passage->body = reply->body;
        passage->length = reply->length;
        if (reply->code != MR_REFUSAL_NONE) {
            struct mr_refusal refusal = {.code = reply->code};
            snprintf(refusal.text, sizeof refusal.text, "%s", reply->text);
            passage->body = (uint8_t *)mr_refusal_encode(&refusal);
            passage->length = strlen((char *)passage->body);
        }
        free(reply);
    }
    passage->answer = true;
    keep_seal_key(world, passage);
    if (world->tamper) {
        world->tamper(world, passage);
    }
    const struct mr_peer_answer answer = {
        .round = world->terms.announcement.round,
        .peer = passage->peer,
        .step = passage->step,
        .status = passage->status,
        .body = passage->body,
        .length = passage->length,
        .text = "the fake link is cut",
    };
    mr_lead_peer_answered(world->lead, &answer, world->now_ms);
}

static void deliver_question(struct world *world, struct world_event *event)
{
    struct passage *passage = &event->passage;
    struct reply *reply = NULL;
    if (world->tamper) {
        world->tamper(world, passage);
    }
    if (world->hold[passage->step]) {
        if (passage->peer == 1) { /* others may be asked with other bodies */
            free(world->held.body);
            world->held = *passage;
            passage->body = NULL;
        }
        return;
    }
    if (world->unreachable) {
        world->unreachable--;
    } else {
        reply = calloc(1, sizeof *reply);
        assert_non_null(reply);
        world_ask(world, passage->peer, passage->step, passage->body, passage->length, reply);
    }
    struct world_event *back = world_post(world, deliver_answer);
    back->from = OF_LINK;
    back->life = event->life;
    back->passage.peer = passage->peer;
    back->passage.step = passage->step;
    back->reply = reply;
}

void world_cut(struct world *world, unsigned helper)
{
    for (struct world_event *event = world->first; event; event = event->next) {
        if (event->fn == deliver_answer && event->passage.peer == helper) {
            event->passage.cut = true;
        }
    }
}

void world_lead_ask(void *context, unsigned peer, enum mr_peer_step step, const uint8_t *body,
                    size_t length)
{
    struct world *world = context;
    struct world_event *event = world_post(world, deliver_question);
    world->asked[step]++;
    event->from = OF_LINK;
    event->passage = (struct passage){.peer = peer, .step = step, .length = length};
    event->passage.body = malloc(length + 1);
    assert_non_null(event->passage.body);
    memcpy(event->passage.body, body, length);
}
