/* open.c - from terms to an open round: its own signature, every other hub's, the upload plane. */
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/round/lead/lead_internal.h"
#include "base/assert.h"
#include "base/bytes.h"

static enum mr_refusal_code check_open(const struct mr_lead *lead,
                                       const struct mr_announcement *announcement,
                                       const struct mr_lead_limits *limits,
                                       struct mr_refusal *refusal)
{
    struct mr_error error;
    const bool free_for_one = lead->state == MR_LEAD_IDLE || lead->state == MR_LEAD_PUBLISHED ||
                              lead->state == MR_LEAD_VOID;
    if (!free_for_one || lead->working || lead->collecting || lead->ending || lead->releasing) {
        return mr_refuse(refusal, MR_REFUSAL_BUSY,
                         "round %llu is still %s: wait for its end, or give it up (round void)",
                         (unsigned long long)lead_announcement(lead)->round,
                         mr_lead_state_name(lead->state));
    }
    if (mr_announcement_check(announcement, &error) != 0) {
        return mr_refuse(refusal, MR_REFUSAL_BAD_REQUEST, "%s", error.text);
    }
    if (announcement->hubs[0].index != lead->config.index) {
        return mr_refuse(refusal, MR_REFUSAL_BAD_REQUEST,
                         "hub %u leads these rounds, this is hub %u", announcement->hubs[0].index,
                         lead->config.index);
    }
    if (limits->quorum < announcement->cohort_min || limits->quorum > announcement->cohort_max) {
        return mr_refuse(refusal, MR_REFUSAL_BAD_REQUEST,
                         "quorum %u must be from cohort_min, %u, to cohort_max, %u", limits->quorum,
                         announcement->cohort_min, announcement->cohort_max);
    }
    return MR_REFUSAL_NONE;
}

/* Devices may still ask about uploads of the round before. */
static void keep_previous(struct mr_lead *lead)
{
    mr_registry_fini(&lead->previous);
    lead->previous = lead->registry;
    lead->previous_round = lead_announcement(lead)->round;
    lead->previous_forgotten = mr_lead_forgotten(lead);
}

static void take_terms(struct mr_lead *lead, const struct mr_round_terms *terms,
                       const uint8_t *canonical, size_t length)
{
    uint64_t salt;
    lead->terms = *terms;
    lead->canonical_bytes = length;
    memcpy(lead->canonical, canonical, length);
    mr_be16_put(lead->envelope, (uint16_t)length); /* as yet unsigned */
    memcpy(lead->envelope + 2, canonical, length);
    lead->envelope_bytes = 2 + length;
    lead->round_known = true;
    lead->ops->random(lead->context, (uint8_t *)&salt, sizeof salt);
    mr_registry_init(&lead->registry, mr_announcement_admits(&terms->announcement), salt);
    lead->ops->random(lead->context, lead->draw.said.values[0], MR_DRAW_VALUE_BYTES);
    lead->draw.said.known = 1;
}

static void take_limits(struct mr_lead *lead, const struct mr_lead_limits *limits, uint64_t now_ms)
{
    lead->quorum = limits->quorum;
    lead->open_for_ms = limits->deadline_ms;
    lead->draw_ms = limits->draw_ms;
    if (limits->peer_timeout_ms) {
        lead->config.peer_timeout_ms = limits->peer_timeout_ms;
    }
    if (limits->commit_interval_ms) {
        lead->config.commit_interval_ms = limits->commit_interval_ms;
    }
    lead->deadline_ms = now_ms + limits->deadline_ms;
}

enum mr_refusal_code mr_lead_open(struct mr_lead *lead, const struct mr_announcement *announcement,
                                  const struct mr_lead_limits *limits, uint64_t now_ms,
                                  struct mr_refusal *refusal)
{
    struct mr_error error;
    struct mr_round_terms terms;
    uint8_t canonical[MR_ANNOUNCEMENT_MAX];
    if (check_open(lead, announcement, limits, refusal) != MR_REFUSAL_NONE) {
        return refusal->code;
    }
    const size_t length = mr_announcement_encode(canonical, announcement);
    if (mr_round_terms_decode(&terms, canonical, length, &error) != 0) {
        return mr_refuse(refusal, MR_REFUSAL_INTERNAL, "%.250s", error.text);
    }
    if (lead->round_known) { /* else the round before is the one that was recalled */
        keep_previous(lead);
    }
    mr_lead_drop_round(lead);
    take_terms(lead, &terms, canonical, length);
    take_limits(lead, limits, now_ms);
    mr_lead_enter(lead, MR_LEAD_SIGNING);
    struct mr_commit_state state;
    mr_lead_commit_state(lead, MR_COMMIT_PROPOSED, &state);
    lead->ops->remember(lead->context, &state);
    lead->ops->round_changed(lead->context);
    return MR_REFUSAL_NONE;
}

void mr_lead_remembered(struct mr_lead *lead, uint64_t now_ms)
{
    MR_ASSERT(lead->state == MR_LEAD_SIGNING);
    mr_lead_propose(lead, now_ms);
}

void mr_lead_propose(struct mr_lead *lead, uint64_t now_ms)
{
    const size_t length = lead->canonical_bytes + MR_SIGNATURE_BYTES;
    uint8_t *body = malloc(length);
    mr_lead_enter(lead, MR_LEAD_PROPOSED);
    if (!body ||
        mr_announcement_sign(lead->signatures[0].bytes, lead->terms.hash, NULL, &lead->keys) != 0) {
        free(body);
        mr_lead_void(lead, MR_VOID_INTERNAL, now_ms, "the announcement could not be signed");
        return;
    }
    memcpy(body, lead->canonical, lead->canonical_bytes);
    memcpy(body + lead->canonical_bytes, lead->signatures[0].bytes, MR_SIGNATURE_BYTES);
    lead->ops->round_changed(lead->context);
    mr_lead_ask_all(lead, MR_PEER_PROPOSE, body, length, now_ms);
}

/* What a helper will say in the draw is fixed before anybody says anything. */
static int take_pledge(struct mr_lead *lead, unsigned peer,
                       const struct mr_peer_signature *signature, struct mr_error *error)
{
    const struct mr_announced_hub *hub = &lead_announcement(lead)->hubs[peer];
    if (!mr_announcement_draws(lead_announcement(lead))) {
        return 0;
    }
    if (!signature->pledged || mr_draw_pledge_verify(&signature->pledge, lead->terms.hash,
                                                     hub->index, hub->public_key) != 0) {
        return mr_error_set(error, "it has pledged no value for the draw");
    }
    lead->draw.said.pledges[peer] = signature->pledge;
    return 0;
}

/* With zeros for a key any device could make the MACs. */
static int take_receipt_key(struct mr_lead *lead, unsigned peer,
                            struct mr_peer_signature *signature, struct mr_error *error)
{
    static const uint8_t none[MR_RECEIPT_KEY_BYTES];
    if (CRYPTO_memcmp(signature->receipt_key, none, sizeof none) == 0) {
        return mr_error_set(error, "it has told no key for its receipts");
    }
    memcpy(lead->receipt_keys[peer], signature->receipt_key, MR_RECEIPT_KEY_BYTES);
    OPENSSL_cleanse(signature->receipt_key, MR_RECEIPT_KEY_BYTES);
    return 0;
}

int mr_lead_take_signature(struct mr_lead *lead, const struct mr_peer_answer *answer,
                           struct mr_error *error)
{
    const struct mr_announced_hub *hub = &lead_announcement(lead)->hubs[answer->peer];
    struct mr_peer_signature signature;
    if (mr_peer_signature_decode(&signature, (const char *)answer->body, answer->length, error) !=
        0) {
        return -1;
    }
    if (signature.hub_index != hub->index ||
        mr_announcement_verify(signature.signature.bytes, lead->terms.hash,
                               signature.signature.seal_key, hub->public_key) != 0) {
        return mr_error_set(error, "its signature of the announcement does not hold");
    }
    lead->signatures[answer->peer] = signature.signature;
    return take_receipt_key(lead, answer->peer, &signature, error) != 0
               ? -1
               : take_pledge(lead, answer->peer, &signature, error);
}

void mr_lead_all_signed(struct mr_lead *lead, uint64_t now_ms)
{
    struct mr_error error = {.text = ""};
    lead->all_signed = true;
    if (lead->ops->plane_begin(lead->context, &lead->terms, &error) != 0) {
        mr_lead_void(lead, MR_VOID_PLANE, now_ms, "the upload plane refused the round: %s",
                     error.text);
        return;
    }
    lead->envelope_bytes =
        mr_announcement_seal(lead->envelope, lead->canonical, lead->canonical_bytes,
                             lead->signatures, lead_announcement(lead)->hub_count);
    struct mr_commit_state state;
    mr_lead_commit_state(lead, MR_COMMIT_OPEN, &state);
    lead->ops->commit(lead->context, &state);
}

void mr_lead_opened(struct mr_lead *lead, uint64_t now_ms)
{
    mr_lead_enter(lead, MR_LEAD_OPEN);
    lead->opened_ms = now_ms;
    lead->next_commit_ms = now_ms;
    const uint64_t half_ms = mr_lead_left_ms(lead, now_ms) / 2;
    lead->draw.due_ms =
        now_ms + (lead->draw_ms && lead->draw_ms < half_ms ? lead->draw_ms : half_ms);
    mr_lead_set_timer(lead);
    lead->ops->round_changed(lead->context);
}
