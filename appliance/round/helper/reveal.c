/* reveal.c - the last question: the other hubs' openings, and the next model from all. */
#include <stdlib.h>
#include <string.h>

#include "appliance/round/helper/helper_internal.h"
#include "appliance/round/mark_part.h"
#include "base/assert.h"
#include "wire/opening.h"

/* With the seal of an opening that is the one committed to. */
static bool holds(const struct mr_helper *helper, unsigned position,
                  const struct mr_opening *opening, struct mr_opening_seal *seal)
{
    uint8_t value[MR_HASH_BYTES];
    memcpy(seal->nonce, opening->nonce, MR_NONCE_BYTES);
    return mr_result_hash(seal->result_hash, opening->result,
                          (size_t)helper->terms.layout.share_bytes) == 0 &&
           mr_commitment_of_seal(value, helper->terms.hash, helper->set_hash,
                                 helper->commitments[position].hub_index, seal) == 0 &&
           memcmp(value, helper->commitments[position].value, MR_HASH_BYTES) == 0;
}

/* This hub's own, which it made with its commitment; one that was restarted after its answer makes
 * it again. 0 or -1. */
static int own_seal(const struct mr_helper *helper, struct mr_opening_seal *seal)
{
    *seal = helper->seals[helper->position];
    if (helper->state == MR_HELPER_OPENED || helper->seals_known) {
        return 0;
    }
    memcpy(seal->nonce, helper->nonce, MR_NONCE_BYTES);
    return mr_result_hash(seal->result_hash, helper->result,
                          (size_t)helper->terms.layout.share_bytes);
}

static enum mr_refusal_code check_one(const struct mr_helper *helper, unsigned position,
                                      const struct mr_opening *opening,
                                      struct mr_opening_seal *seal, struct mr_refusal *refusal)
{
    const unsigned hub = helper->commitments[position].hub_index;
    if (!holds(helper, position, opening, seal)) {
        return mr_refuse(refusal, MR_REFUSAL_BAD_OPENING,
                         "the opening of hub %u does not match its commitment", hub);
    }
    if (opening->part &&
        !mr_watermark_part_fits(&helper->terms.announcement.watermark, position, opening->part)) {
        return mr_refuse(refusal, MR_REFUSAL_BAD_OPENING,
                         "hub %u's part of the watermark's key is not the one that was "
                         "announced",
                         hub);
    }
    return MR_REFUSAL_NONE;
}

/* One of every other hub: this one knows its own. */
static enum mr_refusal_code check_openings(struct mr_helper *helper, const uint8_t *body,
                                           size_t length, struct mr_refusal *refusal)
{
    struct mr_opening_seal seals[MR_HUBS_MAX];
    const unsigned count = helper->terms.announcement.hub_count;
    const size_t each = mr_opening_bytes(&helper->terms);
    const uint8_t *at = body + 1;
    if (length != 1 + (count - 1) * each || body[0] != count - 1) {
        return mr_refuse(refusal, MR_REFUSAL_BAD_OPENING,
                         "one opening of each of the %u other hubs is needed", count - 1);
    }
    for (unsigned i = 0; i < count; i++) {
        struct mr_opening opening;
        if (i == helper->position) {
            continue;
        }
        mr_opening_read(&opening, at, &helper->terms);
        at += each;
        if (check_one(helper, i, &opening, &seals[i], refusal) != MR_REFUSAL_NONE) {
            return refusal->code;
        }
    }
    if (own_seal(helper, &seals[helper->position]) != 0) {
        return mr_refuse(refusal, MR_REFUSAL_INTERNAL, "this hub's result could not be hashed");
    }
    memcpy(helper->seals, seals, count * sizeof seals[0]);
    helper->seals_known = (1u << count) - 1;
    return MR_REFUSAL_NONE;
}

/* 0, or -1 when out of memory. */
static int keep_one(struct mr_helper *helper, unsigned position, const struct mr_opening *opening)
{
    const size_t share_bytes = (size_t)helper->terms.layout.share_bytes;
    helper->results[position] = aligned_alloc(64, (share_bytes + 63) & ~(size_t)63);
    if (!helper->results[position]) {
        return -1;
    }
    memcpy(helper->results[position], opening->result, share_bytes);
    if (opening->part) {
        memcpy(helper->mark_parts.of[position], opening->part, MR_WATERMARK_KEY_BYTES);
    }
    return 0;
}

static int keep_results(struct mr_helper *helper, const uint8_t *body)
{
    const size_t each = mr_opening_bytes(&helper->terms);
    const uint8_t *at = body + 1;
    for (unsigned i = 0; i < helper->terms.announcement.hub_count; i++) {
        struct mr_opening opening;
        if (i == helper->position) {
            continue;
        }
        mr_opening_read(&opening, at, &helper->terms);
        at += each;
        if (keep_one(helper, i, &opening) != 0) {
            mr_helper_drop_results(helper);
            return -1;
        }
    }
    helper->results[helper->position] = helper->result;
    if (helper->terms.announcement.watermark.strength > 0) {
        memcpy(helper->mark_parts.of[helper->position], helper->config.mark_part,
               MR_WATERMARK_KEY_BYTES);
    }
    return 0;
}

static char *encode_model(const struct mr_helper *helper)
{
    struct mr_peer_model model = {.hub_index = helper->config.index};
    memcpy(model.model_hash, helper->model_hash, MR_HASH_BYTES);
    memcpy(model.signature, helper->model_signature, MR_SIGNATURE_BYTES);
    return mr_peer_model_encode(&model);
}

static void answer_model(struct mr_helper *helper, void *token)
{
    char *text = encode_model(helper);
    MR_ASSERT(text); /* a hub stops when there is no memory for JSON */
    helper->ops->answer(helper->context, token, true, text, strlen(text));
    free(text);
}

void mr_helper_reveal(struct mr_helper *helper, uint16_t from, uint64_t round, const uint8_t *body,
                      size_t length, void *token)
{
    struct mr_refusal refusal;
    if (!mr_helper_accepts(helper, from, round, token)) {
        return;
    }
    if (helper->state == MR_HELPER_VOID) {
        mr_helper_refuse(helper, token, MR_REFUSAL_VOID, "%s", helper->reason);
        return;
    }
    if (helper->state == MR_HELPER_EXPANDING && helper->opened) { /* likewise */
        mr_helper_refuse(helper, token, MR_REFUSAL_BUSY, "the set is being expanded");
        return;
    }
    if (helper->state < MR_HELPER_OPENED) {
        mr_helper_refuse(helper, token, MR_REFUSAL_WRONG_ROUND, "this hub has not opened yet");
        return;
    }
    if (check_openings(helper, body, length, &refusal) != MR_REFUSAL_NONE) {
        helper->ops->refuse(helper->context, token, &refusal);
        return;
    }
    if (helper->state == MR_HELPER_DONE) {
        answer_model(helper, token);
        return;
    }
    if (helper->state == MR_HELPER_OPENED) {
        if (!mr_mark_part_is_here(&helper->terms.announcement, helper->position,
                                  helper->config.mark_part)) {
            mr_helper_refuse(helper, token, MR_REFUSAL_BUSY, MR_NO_MARK_PART);
            return;
        }
        if (keep_results(helper, body) != 0) {
            mr_helper_refuse(helper, token, MR_REFUSAL_BUSY, "no memory for the openings");
            return;
        }
        mr_helper_enter(helper, MR_HELPER_REVEALING);
        helper->working = true;
        helper->ops->reveal(helper->context, &helper->terms,
                            (const uint8_t *const *)helper->results, helper->included_count);
        helper->ops->changed(helper->context);
    }
    mr_helper_wait(helper, token);
}

/* The journal without its seeds. Nobody waits for it: until it is durable, a restart computes the
 * same model again. 0, or -1 when out of memory. */
static int save_done(struct mr_helper *helper)
{
    struct mr_journal_state done;
    struct mr_expansion *entries = calloc(helper->included_count, sizeof *entries);
    if (!entries) {
        return -1;
    }
    for (uint32_t i = 0; i < helper->included_count; i++) {
        entries[i].included = helper->included[i];
    }
    mr_helper_frozen_state(helper, &done, entries);
    done.phase = MR_JOURNAL_DONE;
    done.result = helper->result;
    memcpy(done.model_hash, helper->model_hash, MR_HASH_BYTES);
    mr_helper_save(helper, &done);
    free(entries);
    return 0;
}

static int attest(struct mr_helper *helper, const uint8_t *model_hash)
{
    if (mr_model_sign(helper->model_signature, helper->terms.hash, helper->set_hash, model_hash,
                      &helper->keys) != 0) {
        return -1;
    }
    memcpy(helper->model_hash, model_hash, MR_HASH_BYTES);
    helper->attested = true;
    return save_done(helper);
}

/* Whoever waits hears of this end by a code of its own: the lead goes by it. */
static void give_up(struct mr_helper *helper, enum mr_void_kind kind, const char *why)
{
    for (unsigned i = 0; i < helper->waiter_count; i++) {
        mr_helper_refuse(helper, helper->waiters[i],
                         kind == MR_VOID_SUM ? MR_REFUSAL_UNSOUND_SUM : MR_REFUSAL_INTERNAL,
                         "%.250s", why);
    }
    helper->waiter_count = 0;
    mr_helper_give_up(helper, kind, why);
}

/* The work is over. False, with everything let go of: the round is void in the meantime. */
static bool goes_on(struct mr_helper *helper)
{
    MR_ASSERT(helper->working);
    helper->working = false;
    mr_helper_drop_results(helper);
    if (helper->state != MR_HELPER_REVEALING) {
        mr_helper_drop_round(helper);
        return false;
    }
    return true;
}

void mr_helper_not_revealed(struct mr_helper *helper, enum mr_void_kind kind, const char *why)
{
    if (goes_on(helper)) {
        give_up(helper, kind, why);
    }
}

void mr_helper_revealed(struct mr_helper *helper, const uint8_t *model_hash)
{
    if (!goes_on(helper)) {
        return;
    }
    if (attest(helper, model_hash) != 0) {
        give_up(helper, MR_VOID_INTERNAL, "the model could not be signed");
        return;
    }
    mr_helper_enter(helper, MR_HELPER_DONE);
    for (unsigned i = 0; i < helper->waiter_count; i++) {
        answer_model(helper, helper->waiters[i]);
    }
    helper->waiter_count = 0;
    helper->ops->changed(helper->context);
}
