/* reveal.c - every opening is in: the next model, which all hubs have to come to, and its release.
 */
#include <stdlib.h>
#include <string.h>

#include "appliance/round/lead/lead_internal.h"
#include "base/assert.h"
#include "wire/opening.h"

void mr_lead_begin_reveal(struct mr_lead *lead, uint64_t now_ms)
{
    const size_t length =
        1 + (lead_announcement(lead)->hub_count - 1) * mr_opening_bytes(&lead->terms);
    uint8_t *body = malloc(length); /* written anew for each hub that is asked */
    mr_lead_enter(lead, MR_LEAD_REVEALING);
    if (lead->config.mark_part) {
        memcpy(lead->mark_parts.of[0], lead->config.mark_part, MR_WATERMARK_KEY_BYTES);
    }
    if (!body) {
        mr_lead_void(lead, MR_VOID_INTERNAL, now_ms, "out of memory for the openings");
        return;
    }
    lead->working = true;
    lead->openings_known |= 1;
    lead->ops->round_changed(lead->context);
    mr_lead_ask_all(lead, MR_PEER_REVEAL, body, length, now_ms);
    lead->ops->reveal(lead->context, lead->results, lead->included_count);
}

int mr_lead_take_model(struct mr_lead *lead, const struct mr_peer_answer *answer,
                       struct mr_error *error)
{
    const struct mr_announced_hub *hub = &lead_announcement(lead)->hubs[answer->peer];
    struct mr_peer_model model;
    if (mr_peer_model_decode(&model, (const char *)answer->body, answer->length, error) != 0) {
        return -1;
    }
    if (model.hub_index != hub->index ||
        mr_model_verify(model.signature, lead->terms.hash, lead->set_hash, model.model_hash,
                        hub->public_key) != 0) {
        return mr_error_set(error, "bad model attestation: not signed by that hub");
    }
    memcpy(lead->model_hashes[answer->peer], model.model_hash, MR_HASH_BYTES);
    memcpy(lead->model_signatures[answer->peer], model.signature, MR_SIGNATURE_BYTES);
    return 0;
}

/* Every hub has computed: the same model, or a void round. */
void mr_lead_publish(struct mr_lead *lead, uint64_t now_ms)
{
    for (unsigned i = 1; i < lead_announcement(lead)->hub_count; i++) {
        if (memcmp(lead->model_hashes[i], lead->model_hash, MR_HASH_BYTES) != 0) {
            mr_lead_void(lead, MR_VOID_MISMATCH, now_ms,
                         "hub %u computed another next model from the same openings",
                         lead_announcement(lead)->hubs[i].index);
            return;
        }
    }
    const struct mr_publication publication = {
        .terms = &lead->terms,
        .included = lead->included,
        .upload_ids = lead->upload_ids,
        .included_count = lead->included_count,
        .set_hash = lead->set_hash,
        .model_hash = lead->model_hash,
        .signatures = (const uint8_t(*)[MR_SIGNATURE_BYTES])lead->model_signatures,
        .commitments = lead->commitments,
    };
    mr_lead_enter(lead, MR_LEAD_STORING);
    lead->working = true;
    lead->ops->store(lead->context, &publication);
    lead->ops->round_changed(lead->context);
}

void mr_lead_not_revealed(struct mr_lead *lead, enum mr_void_kind kind, const char *why,
                          uint64_t now_ms)
{
    MR_ASSERT(lead->working);
    lead->working = false;
    if (lead->state == MR_LEAD_REVEALING) { /* else void in the meantime */
        mr_lead_void(lead, kind, now_ms, "%s", why);
    }
}

void mr_lead_revealed(struct mr_lead *lead, const uint8_t *model_hash, uint64_t now_ms)
{
    MR_ASSERT(lead->working);
    lead->working = false;
    if (lead->state != MR_LEAD_REVEALING) {
        return; /* void in the meantime */
    }
    memcpy(lead->model_hash, model_hash, MR_HASH_BYTES);
    lead->revealed = true;
    if (mr_model_sign(lead->model_signatures[0], lead->terms.hash, lead->set_hash, model_hash,
                      &lead->keys) != 0) {
        mr_lead_void(lead, MR_VOID_INTERNAL, now_ms, "the next model could not be signed");
        return;
    }
    if (!lead->asking) {
        mr_lead_publish(lead, now_ms);
    }
}

void mr_lead_stored(struct mr_lead *lead, uint64_t now_ms)
{
    MR_ASSERT(lead->working && lead->state == MR_LEAD_STORING);
    lead->working = false;
    mr_lead_enter(lead, MR_LEAD_PUBLISHED);
    lead->ended_ms = now_ms;
    lead->ops->round_changed(lead->context);
}
