/* recover.c - a lead takes up the round of its commit log. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/round/lead/lead_internal.h"
#include "appliance/round/mark_part.h"
#include "base/assert.h"

static int take_terms(struct mr_lead *lead, const struct mr_commit_read *read,
                      struct mr_error *error)
{
    const struct mr_commit_state *state = &read->state;
    const struct mr_announcement *announcement = &read->terms.announcement;
    uint64_t salt;
    if (announcement->hubs[0].index != lead->config.index) {
        mr_error_set(error, "hub %u leads that round, this is hub %u", announcement->hubs[0].index,
                     lead->config.index);
        return 1;
    }
    lead->terms = read->terms;
    lead->round_known = true;
    lead->canonical_bytes = mr_announcement_encode(lead->canonical, announcement);
    memcpy(lead->envelope, state->envelope, state->envelope_bytes);
    lead->envelope_bytes = state->envelope_bytes;
    lead->quorum = state->quorum;
    lead->open_for_ms = state->deadline_ms;
    lead->draw_ms = state->draw_ms;
    memcpy(lead->receipt_keys[1], state->receipt_keys, sizeof state->receipt_keys);
    lead->ops->random(lead->context, (uint8_t *)&salt, sizeof salt);
    mr_registry_init(&lead->registry, mr_announcement_admits(announcement), salt);
    lead->ops->random(lead->context, lead->draw.said.values[0], MR_DRAW_VALUE_BYTES);
    lead->draw.said.known = 1;
    return !state->draw || mr_lead_recover_draw(lead, state->draw) == 0
               ? 0
               : mr_error_set(error, "out of memory for the draw");
}

static struct mr_device *add_committed(struct mr_registry *registry,
                                       const struct mr_included *included, uint64_t upload_id)
{
    struct mr_device *device = mr_registry_add(registry, included->client_id);
    if (!device || mr_registry_grant(registry, device, upload_id) != 0) {
        return NULL;
    }
    device->attempt = included->attempt;
    device->state = MR_UPLOAD_COMMITTED;
    device->collected = true;
    return device;
}

/* Committed devices that ask hear `committed`; all others may come again. That the set fits and
 * names nobody twice, the parser has seen. */
static int take_devices(struct mr_lead *lead, const struct mr_commit_state *state,
                        struct mr_error *error)
{
    if (mr_lead_reserve(lead, state->included_count) != 0) {
        return mr_error_set(error, "out of memory for %u devices", state->included_count);
    }
    for (uint32_t i = 0; i < state->included_count; i++) {
        if (mr_registry_upload(&lead->registry, state->upload_ids[i])) {
            mr_error_set(error, "device %u has the upload id of one before", i);
            return 1;
        }
        struct mr_device *device =
            add_committed(&lead->registry, &state->included[i], state->upload_ids[i]);
        if (!device) {
            return mr_error_set(error, "out of memory for device %u of %u", i,
                                state->included_count);
        }
        device->serial = state->serials[i];
        lead->included[i] = state->included[i];
        lead->upload_ids[i] = state->upload_ids[i];
        lead->serials[i] = state->serials[i];
    }
    lead->included_count = lead->committed_count = lead->admitted_count = state->included_count;
    return 0;
}

/* The deadline is the wall clock's; but a clock that jumped must not hold a round open for longer
 * than it was meant to be. */
static uint64_t deadline_of(const struct mr_lead *lead, uint64_t now_ms, uint64_t unix_ms)
{
    const uint64_t until = lead_announcement(lead)->deadline_unix_ms;
    const uint64_t left = until > unix_ms ? until - unix_ms : 0;
    return now_ms + (left < lead->open_for_ms ? left : lead->open_for_ms);
}

static void resume_open(struct mr_lead *lead, uint64_t now_ms)
{
    struct mr_error error = {.text = ""};
    if (lead->ops->plane_begin(lead->context, &lead->terms, &error) != 0) {
        mr_lead_void(lead, MR_VOID_PLANE, now_ms, "the upload plane refused the round: %s",
                     error.text);
        return;
    }
    mr_lead_opened(lead, now_ms);
    if (mr_lead_draws_again(lead, now_ms)) {
        return;
    }
    if (mr_lead_quorum(lead)) {
        mr_lead_close(lead, now_ms);
    }
}

static void resume_frozen(struct mr_lead *lead, const struct mr_commit_state *state,
                          const uint8_t *result, uint64_t now_ms)
{
    lead->opened_ms = lead->closed_ms = now_ms;
    lead->freezing = true;
    memcpy(lead->nonces[0], state->nonce, MR_NONCE_BYTES);
    lead->results[0] = result;
    mr_lead_sort_set(lead);
    mr_lead_begin_freeze(lead, now_ms);
}

/* The round was over: nothing is done but for the hubs that may not have heard of it. */
static void resume_ended(struct mr_lead *lead, const struct mr_lead_end *end, uint64_t now_ms)
{
    lead->opened_ms = lead->closed_ms = lead->ended_ms = now_ms;
    mr_lead_enter(lead, end->published ? MR_LEAD_PUBLISHED : MR_LEAD_VOID);
    memcpy(lead->model_hash, end->model_hash, MR_HASH_BYTES);
    if (end->voided) {
        snprintf(lead->reason, sizeof lead->reason, "%s", end->reason);
        mr_plain_text(lead->reason);
        lead->void_kind = mr_void_kind_said(lead->reason, MR_VOID_INTERNAL);
        mr_lead_tell_void(lead);
    }
    mr_lead_set_timer(lead);
}

int mr_lead_recover(struct mr_lead *lead, const struct mr_commit_read *read, const uint8_t *result,
                    const struct mr_lead_end *end, uint64_t now_ms, uint64_t unix_ms,
                    struct mr_error *error)
{
    const struct mr_commit_state *state = &read->state;
    MR_ASSERT(lead->state == MR_LEAD_IDLE && !lead->round_known);
    if (!end->published && !end->voided &&
        !mr_mark_part_is_here(&read->terms.announcement, 0, lead->config.mark_part)) {
        mr_error_set(error, MR_NO_MARK_PART);
        return state->phase == MR_COMMIT_FROZEN ? -1 : 1; /* a helper may have opened: not lost */
    }
    int taken = take_terms(lead, read, error);
    if (taken != 0) {
        return taken;
    }
    taken = take_devices(lead, state, error);
    if (taken != 0) {
        mr_registry_fini(&lead->registry);
        lead->round_known = false;
        lead->included_count = lead->committed_count = lead->admitted_count = 0;
        return taken;
    }
    lead->recovered = true;
    lead->deadline_ms = deadline_of(lead, now_ms, unix_ms);
    if (end->published || end->voided) {
        resume_ended(lead, end, now_ms);
    } else if (state->phase == MR_COMMIT_PROPOSED) {
        mr_lead_propose(lead, now_ms);
    } else if (state->phase == MR_COMMIT_OPEN) {
        resume_open(lead, now_ms);
    } else {
        resume_frozen(lead, state, result, now_ms);
    }
    return 0;
}

int mr_lead_recall(struct mr_lead *lead, const struct mr_previous_round *past)
{
    struct mr_registry *registry = &lead->previous;
    uint64_t salt;
    MR_ASSERT(lead->previous_round == 0);
    lead->ops->random(lead->context, (uint8_t *)&salt, sizeof salt);
    mr_registry_init(registry, past->count, salt);
    for (uint32_t i = 0; i < past->count; i++) {
        if (!add_committed(registry, &past->committed[i], past->upload_ids[i])) {
            mr_registry_fini(registry);
            return -1;
        }
    }
    lead->previous_round = past->round;
    lead->previous_forgotten = past->published ? MR_REASON_CLOSED : MR_REASON_VOID;
    return 0;
}
