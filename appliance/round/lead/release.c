/* release.c - the exchange over the frozen set: commitments, then openings.
 *
 * Order matters: this hub's commitment goes out with the set, so that it cannot depend on the
 * others'; openings are asked for only when every commitment is in. */
#include <stdlib.h>
#include <string.h>

#include "appliance/round/lead/lead_internal.h"
#include "base/assert.h"
#include "wire/opening.h"

static unsigned hub_count(const struct mr_lead *lead)
{
    return lead_announcement(lead)->hub_count;
}

/* --- freeze ---------------------------------------------------------------------------------- */

/* The root of what was counted, or zeros. */
static int root_own(const struct mr_lead *lead, uint8_t root[MR_HASH_BYTES])
{
    memset(root, 0, MR_HASH_BYTES);
    if (lead_announcement(lead)->audit_hours == 0) {
        return 0;
    }
    return lead->ops->counted_root
               ? lead->ops->counted_root(lead->context, lead->included, lead->included_count, root)
               : -1;
}

/* From here on the set is known under its hash. */
static int fix_set(struct mr_lead *lead)
{
    if (mr_included_hash(lead->set_hash, lead->terms.hash, lead->included, lead->included_count) !=
            0 ||
        mr_lead_admitted_root(lead, lead->admitted_root) != 0) {
        return -1;
    }
    lead->set_fixed = true;
    return 0;
}

static int commit_own(struct mr_lead *lead)
{
    struct mr_commitment *own = &lead->commitments[0];
    struct mr_opening_seal *seal = &lead->seals[0];
    own->hub_index = lead->config.index;
    memcpy(seal->nonce, lead->nonces[0], MR_NONCE_BYTES);
    if (mr_result_hash(seal->result_hash, lead->results[0],
                       (size_t)lead->terms.layout.share_bytes) != 0 ||
        mr_commitment_of_seal(own->value, lead->terms.hash, lead->set_hash, own->hub_index, seal) !=
            0 ||
        mr_commitment_sign(own, lead->terms.hash, &lead->keys) != 0) {
        return -1;
    }
    lead->commitments_known = 1;
    return 0;
}

/* No device of the set was, or can come to be, in another released set of the round's model. */
static bool claim(struct mr_lead *lead, uint64_t now_ms)
{
    struct mr_refusal refusal;
    const struct mr_frozen_set set = {.terms = &lead->terms,
                                      .included = lead->included,
                                      .count = lead->included_count,
                                      .set_hash = lead->set_hash};
    const enum mr_set_claim claim = lead->ops->claim(lead->context, &set, &refusal);
    if (claim == MR_SET_REFUSED) {
        mr_lead_void(lead, refusal.code == MR_REFUSAL_BUDGET ? MR_VOID_BUDGET : MR_VOID_RELEASED,
                     now_ms, "%s", refusal.text);
        return false;
    }
    lead->opened = claim == MR_SET_RELEASED; /* by this hub before it restarted */
    return true;
}

void mr_lead_begin_freeze(struct mr_lead *lead, uint64_t now_ms)
{
    const size_t set_bytes = 4 + (size_t)lead->included_count * MR_INCLUDED_BYTES;
    const size_t values_bytes = mr_announcement_draws(lead_announcement(lead))
                                    ? hub_count(lead) * (size_t)MR_DRAW_VALUE_BYTES
                                    : 0;
    uint8_t *body = malloc(set_bytes + MR_COMMITMENT_BYTES + values_bytes);
    mr_lead_enter(lead, MR_LEAD_COMMITTING);
    /* The claim first: it knows whether an earlier life has opened the set, and how this one ends
     * goes by that. */
    const bool fixed = body && fix_set(lead) == 0;
    if (fixed && !claim(lead, now_ms)) {
        free(body);
        return;
    }
    if (fixed && root_own(lead, lead->commitments[0].root) != 0) {
        free(body);
        mr_lead_void(lead, MR_VOID_INTERNAL, now_ms,
                     "what this hub kept of the round for audits (audit in the task's folder) is "
                     "gone or damaged: it cannot commit to what it counted");
        return;
    }
    if (!fixed || commit_own(lead) != 0) {
        free(body);
        mr_lead_void(lead, MR_VOID_INTERNAL, now_ms, "this hub could not commit to its result");
        return;
    }
    mr_included_encode(body, lead->included, lead->included_count);
    mr_commitment_encode(body + set_bytes, &lead->commitments[0]);
    memcpy(body + set_bytes + MR_COMMITMENT_BYTES, lead->draw.said.values, values_bytes);
    lead->ops->round_changed(lead->context);
    mr_lead_ask_all(lead, MR_PEER_FREEZE, body, set_bytes + MR_COMMITMENT_BYTES + values_bytes,
                    now_ms);
}

int mr_lead_take_commitment(struct mr_lead *lead, const struct mr_peer_answer *answer,
                            struct mr_error *error)
{
    const struct mr_announced_hub *hub = &lead_announcement(lead)->hubs[answer->peer];
    struct mr_commitment *commitment = &lead->commitments[answer->peer];
    if (answer->length != MR_COMMITMENT_BYTES) {
        return mr_error_set(error, "bad commitment: %zu bytes", answer->length);
    }
    mr_commitment_decode(commitment, answer->body);
    if (commitment->hub_index != hub->index ||
        mr_commitment_verify(commitment, lead->terms.hash, hub->public_key) != 0) {
        return mr_error_set(error, "bad commitment: not signed by that hub");
    }
    if (!mr_commitment_fits(commitment, lead_announcement(lead))) {
        return mr_error_set(error, "bad commitment: a root of what was counted belongs to rounds "
                                   "with audit_hours, and to no others");
    }
    lead->commitments_known |= 1u << answer->peer;
    return 0;
}

/* --- open ------------------------------------------------------------------------------------ */

void mr_lead_begin_open(struct mr_lead *lead, uint64_t now_ms)
{
    (void)now_ms;
    mr_lead_enter(lead, MR_LEAD_OPENING);
    lead->releasing = lead->opened = true;
    lead->ops->release(lead->context);
    lead->ops->round_changed(lead->context);
}

/* Only now may anybody open. */
void mr_lead_released(struct mr_lead *lead, uint64_t now_ms)
{
    const size_t length = 1 + (size_t)hub_count(lead) * MR_COMMITMENT_BYTES;
    MR_ASSERT(lead->releasing);
    lead->releasing = false;
    if (lead->state != MR_LEAD_OPENING) {
        return; /* void in the meantime */
    }
    uint8_t *body = malloc(length);
    if (!body) {
        mr_lead_void(lead, MR_VOID_INTERNAL, now_ms, "out of memory for the commitments");
        return;
    }
    body[0] = (uint8_t)hub_count(lead);
    for (unsigned i = 0; i < hub_count(lead); i++) {
        mr_commitment_encode(body + 1 + (size_t)i * MR_COMMITMENT_BYTES, &lead->commitments[i]);
    }
    mr_lead_ask_all(lead, MR_PEER_OPEN, body, length, now_ms);
}

int mr_lead_take_opening(struct mr_lead *lead, const struct mr_peer_answer *answer,
                         struct mr_error *error)
{
    const unsigned peer = answer->peer;
    const size_t share_bytes = (size_t)lead->terms.layout.share_bytes;
    struct mr_opening_seal *seal = &lead->seals[peer];
    uint8_t value[MR_HASH_BYTES];
    struct mr_opening opening;
    if (answer->length != mr_opening_bytes(&lead->terms)) {
        return mr_error_set(error, "bad opening: %zu bytes where %zu belong", answer->length,
                            mr_opening_bytes(&lead->terms));
    }
    mr_opening_read(&opening, answer->body, &lead->terms);
    memcpy(seal->nonce, opening.nonce, MR_NONCE_BYTES);
    if (mr_result_hash(seal->result_hash, opening.result, share_bytes) != 0 ||
        mr_commitment_of_seal(value, lead->terms.hash, lead->set_hash,
                              lead->commitments[peer].hub_index, seal) != 0 ||
        memcmp(value, lead->commitments[peer].value, MR_HASH_BYTES) != 0) {
        return mr_error_set(error, "bad opening: it is not what the hub committed to");
    }
    if (opening.part &&
        !mr_watermark_part_fits(&lead_announcement(lead)->watermark, peer, opening.part)) {
        return mr_error_set(error, "bad opening: its part of the watermark's key is not the one "
                                   "that was announced");
    }
    uint8_t *kept = aligned_alloc(64, (share_bytes + 63) & ~(size_t)63);
    if (!kept) {
        return mr_error_set(error, "out of memory for a result of %zu bytes", share_bytes);
    }
    memcpy(lead->nonces[peer], opening.nonce, MR_NONCE_BYTES);
    memcpy(kept, opening.result, share_bytes);
    if (opening.part) {
        memcpy(lead->mark_parts.of[peer], opening.part, MR_WATERMARK_KEY_BYTES);
    }
    MR_ASSERT(!lead->results[peer]);
    lead->results[peer] = kept;
    lead->openings_known |= 1u << peer;
    return 0;
}
