/* close.c - what is staged becomes durable, and at quorum or deadline the set is frozen. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/round/lead/lead_internal.h"
#include "base/assert.h"

/* Staged uploads cannot fail any more: they count, so that the last of them need not wait for a
 * commit of its own before the freeze. */
bool mr_lead_quorum(const struct mr_lead *lead)
{
    const uint32_t drawn = lead->draw.drawn_count; /* no more can come, where the set is drawn */
    const uint32_t quorum = drawn && drawn < lead->quorum ? drawn : lead->quorum;
    return lead->included_count + lead->staged_count >= quorum;
}

void mr_lead_staged(struct mr_lead *lead, uint64_t upload_id, uint64_t now_ms)
{
    struct mr_device *device = mr_registry_upload(&lead->registry, upload_id);
    if (!device || device->upload_id != upload_id || device->state != MR_UPLOAD_RECEIVING) {
        return; /* a collection told us before */
    }
    device->state = MR_UPLOAD_STAGED;
    lead->staged_count++;
    if (lead->state == MR_LEAD_OPEN && mr_lead_quorum(lead)) {
        mr_lead_close(lead, now_ms);
        return;
    }
    mr_lead_set_timer(lead);
}

void mr_lead_collect(struct mr_lead *lead, bool freeze, uint64_t now_ms)
{
    MR_ASSERT(!lead->collecting);
    lead->collecting = true;
    lead->freezing = freeze;
    lead->next_commit_ms = now_ms + lead->config.commit_interval_ms;
    lead->ops->plane_collect(lead->context, freeze);
}

void mr_lead_close(struct mr_lead *lead, uint64_t now_ms)
{
    MR_ASSERT(lead->state == MR_LEAD_OPEN);
    mr_lead_enter(lead, MR_LEAD_CLOSING);
    lead->closed_ms = now_ms;
    mr_lead_set_timer(lead);
    mr_lead_refuse_waiting(lead, MR_REFUSAL_CLOSED, "the round takes no more uploads");
    if (!lead->collecting) {
        mr_lead_collect(lead, true, now_ms);
    }
    lead->ops->round_changed(lead->context);
}

static void include(struct mr_lead *lead, uint64_t upload_id)
{
    struct mr_device *device = mr_registry_upload(&lead->registry, upload_id);
    /* The plane never folds an upload that was revoked or expired, nor one twice. */
    MR_ASSERT(device && device->upload_id == upload_id && !device->collected);
    MR_ASSERT(device->state == MR_UPLOAD_RECEIVING || device->state == MR_UPLOAD_STAGED);
    if (device->state == MR_UPLOAD_STAGED) {
        lead->staged_count--;
    }
    device->state = MR_UPLOAD_STAGED;
    device->collected = true;
    struct mr_included *entry = &lead->included[lead->included_count++];
    memcpy(entry->client_id, device->client_id, MR_CLIENT_ID_BYTES);
    entry->attempt = device->attempt;
    lead->upload_ids[lead->included_count - 1] = upload_id;
    lead->serials[lead->included_count - 1] = device->serial;
}

/* The collection will go back unused; what was committed before stays told. */
static void give_up(struct mr_lead *lead, enum mr_void_kind kind, uint64_t now_ms, const char *why)
{
    lead->held = true;
    mr_lead_void(lead, kind, now_ms, "%s", why);
}

/* Its share is in the sum by now, and cannot be told apart any more. */
static bool includes_revoked(const struct mr_lead *lead)
{
    for (uint32_t i = 0; lead->ops->revoked && i < lead->included_count; i++) {
        if (lead->ops->revoked(lead->context, &lead->serials[i])) {
            return true;
        }
    }
    return false;
}

void mr_lead_collected(struct mr_lead *lead, const uint64_t *upload_ids, uint32_t count,
                       uint64_t now_ms)
{
    MR_ASSERT(lead->collecting);
    if (mr_lead_reserve(lead, count) != 0) {
        give_up(lead, MR_VOID_INTERNAL, now_ms, "out of memory for the included set");
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        include(lead, upload_ids[i]);
    }
    if (lead->freezing) {
        const uint32_t least = lead_announcement(lead)->cohort_min;
        mr_lead_end_uploads(lead, MR_REASON_CLOSED);
        if (lead->included_count < least) {
            char why[120];
            snprintf(why, sizeof why, "%u uploads when the round closed, %u needed",
                     lead->included_count, least);
            give_up(lead, MR_VOID_COHORT, now_ms, why);
            return;
        }
        if (includes_revoked(lead)) {
            give_up(lead, MR_VOID_REVOKED, now_ms,
                    "a device was revoked after its upload was added to the sum");
            return;
        }
    }
    struct mr_commit_state state;
    if (lead->freezing) {
        lead->ops->random(lead->context, lead->nonces[0], MR_NONCE_BYTES);
    }
    mr_lead_commit_state(lead, lead->freezing ? MR_COMMIT_FROZEN : MR_COMMIT_OPEN, &state);
    lead->ops->commit(lead->context, &state);
}

void mr_lead_committed(struct mr_lead *lead, const uint8_t *result, uint64_t now_ms)
{
    if (lead->state == MR_LEAD_PROPOSED) {
        mr_lead_opened(lead, now_ms);
        return;
    }
    if (lead->state == MR_LEAD_DRAWING) {
        mr_lead_begin_draw(lead, now_ms);
        return;
    }
    MR_ASSERT(lead->collecting);
    lead->collecting = false;
    lead->ops->plane_return(lead->context, true, MR_REASON_NONE);
    for (uint32_t i = lead->committed_count; i < lead->included_count; i++) {
        struct mr_device *device = mr_registry_client(&lead->registry, lead->included[i].client_id);
        device->state = MR_UPLOAD_COMMITTED;
        lead->ops->upload_changed(lead->context, device->upload_id);
    }
    lead->committed_count = lead->included_count;
    if (lead->freezing) {
        MR_ASSERT(result);
        lead->results[0] = result;
        mr_lead_sort_set(lead);
        mr_lead_begin_freeze(lead, now_ms);
        return;
    }
    if (lead->state == MR_LEAD_CLOSING) {
        mr_lead_collect(lead, true, now_ms);
        return;
    }
    if (mr_lead_quorum(lead)) {
        mr_lead_close(lead, now_ms);
        return;
    }
    mr_lead_set_timer(lead);
    lead->ops->round_changed(lead->context);
}
