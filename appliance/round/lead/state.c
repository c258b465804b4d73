/* state.c - where the lead stands: its state, its one timer, what is to be made durable, reports.
 * Only mr_lead_enter sets the state. */
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/round/lead/lead_internal.h"

static const char *const state_names[] = {
    [MR_LEAD_IDLE] = "idle",         [MR_LEAD_SIGNING] = "signing",
    [MR_LEAD_PROPOSED] = "proposed", [MR_LEAD_OPEN] = "open",
    [MR_LEAD_CLOSING] = "closing",   [MR_LEAD_COMMITTING] = "committing",
    [MR_LEAD_OPENING] = "opening",   [MR_LEAD_REVEALING] = "revealing",
    [MR_LEAD_STORING] = "storing",   [MR_LEAD_PUBLISHED] = "published",
    [MR_LEAD_VOID] = "void",         [MR_LEAD_DRAWING] = "drawing",
};

const char *mr_lead_state_name(enum mr_lead_state state)
{
    return state_names[state];
}

static const char *const step_names[] = {
    [MR_PEER_PROPOSE] = "propose", [MR_PEER_FREEZE] = "freeze", [MR_PEER_OPEN] = "open",
    [MR_PEER_REVEAL] = "reveal",   [MR_PEER_VOID] = "void",     [MR_PEER_DRAW] = "draw",
};

const char *mr_lead_step_name(enum mr_peer_step step)
{
    return step_names[step];
}

void mr_lead_enter(struct mr_lead *lead, enum mr_lead_state state)
{
    lead->state = state;
}

static uint64_t peer_due_ms(const struct mr_lead *lead)
{
    uint64_t due = lead->step_deadline_ms;
    for (unsigned i = 1; i < lead_announcement(lead)->hub_count; i++) {
        due = lead->peers[i].retry_at_ms < due ? lead->peers[i].retry_at_ms : due;
    }
    return due;
}

bool mr_lead_registers(const struct mr_lead *lead)
{
    return mr_announcement_draws(lead_announcement(lead)) && !lead->draw.said.clients;
}

uint64_t mr_lead_list_due_ms(const struct mr_lead *lead)
{
    const uint32_t ready = lead->registry.count;
    if (!mr_lead_registers(lead) || ready < lead_announcement(lead)->cohort_min) {
        return LEAD_NEVER;
    }
    return ready == lead->registry.devices_max ? 0 : lead->draw.due_ms;
}

void mr_lead_set_timer(struct mr_lead *lead)
{
    uint64_t due = LEAD_NEVER;
    if (lead->state == MR_LEAD_OPEN) {
        const uint64_t list_due = mr_lead_list_due_ms(lead);
        due = lead->deadline_ms < list_due ? lead->deadline_ms : list_due;
        if (lead->staged_count && !lead->collecting && lead->next_commit_ms < due) {
            due = lead->next_commit_ms;
        }
    } else if (lead->asking) {
        due = peer_due_ms(lead);
    }
    lead->ops->timer(lead->context, due);
}

/* --- the set ------------------------------------------------------------------------------------
 */

void mr_lead_commit_state(const struct mr_lead *lead, enum mr_commit_phase phase,
                          struct mr_commit_state *state)
{
    *state = (struct mr_commit_state){
        .phase = phase,
        .quorum = lead->quorum,
        .deadline_ms = lead->open_for_ms,
        .draw_ms = lead->draw_ms,
        .envelope = lead->envelope,
        .envelope_bytes = (uint32_t)lead->envelope_bytes,
        .included = lead->included,
        .upload_ids = lead->upload_ids,
        .serials = lead->serials,
        .included_count = lead->included_count,
    };
    if (phase != MR_COMMIT_PROPOSED && mr_announcement_draws(lead_announcement(lead))) {
        state->draw = &lead->draw.said;
        state->hub_count = lead_announcement(lead)->hub_count;
    }
    if (phase == MR_COMMIT_OPEN) {
        memcpy(state->receipt_keys, lead->receipt_keys[1], sizeof state->receipt_keys);
    }
    if (phase == MR_COMMIT_FROZEN) {
        memcpy(state->nonce, lead->nonces[0], MR_NONCE_BYTES);
    }
}

int mr_lead_reserve(struct mr_lead *lead, uint32_t more)
{
    const uint32_t needed = lead->included_count + more;
    if (needed <= lead->included_capacity) {
        return 0;
    }
    const uint32_t capacity =
        needed > 2 * lead->included_capacity ? needed : 2 * lead->included_capacity;
    struct mr_included *bigger = realloc(lead->included, (size_t)capacity * sizeof *bigger);
    lead->included = bigger ? bigger : lead->included;
    uint64_t *ids = realloc(lead->upload_ids, (size_t)capacity * sizeof *ids);
    lead->upload_ids = ids ? ids : lead->upload_ids;
    struct mr_serial *serials = realloc(lead->serials, (size_t)capacity * sizeof *serials);
    lead->serials = serials ? serials : lead->serials;
    if (!bigger || !ids || !serials) {
        return -1;
    }
    lead->included_capacity = capacity;
    return 0;
}

void mr_lead_sort_set(struct mr_lead *lead)
{
    mr_included_sort(lead->included, lead->included_count);
    for (uint32_t i = 0; i < lead->included_count; i++) {
        const struct mr_device *device =
            mr_registry_client(&lead->registry, lead->included[i].client_id);
        lead->upload_ids[i] = device->upload_id;
        lead->serials[i] = device->serial;
    }
}

void mr_lead_drop_draw(struct mr_lead *lead)
{
    struct lead_draw *draw = &lead->draw;
    free(draw->said.clients);
    free(draw->list);
    free(draw->drawn);
    OPENSSL_cleanse(draw, sizeof *draw);
}

/* --- reports ------------------------------------------------------------------------------------
 */

const uint8_t *mr_lead_envelope(const struct mr_lead *lead, size_t *length)
{
    *length = lead->envelope_bytes;
    return lead->state == MR_LEAD_OPEN ? lead->envelope : NULL;
}

uint64_t mr_lead_left_ms(const struct mr_lead *lead, uint64_t now_ms)
{
    return lead->state == MR_LEAD_OPEN && lead->deadline_ms > now_ms ? lead->deadline_ms - now_ms
                                                                     : 0;
}

const struct mr_watermark_parts *mr_lead_mark_parts(const struct mr_lead *lead)
{
    return &lead->mark_parts;
}

const struct mr_round_terms *mr_lead_terms(const struct mr_lead *lead)
{
    return lead->round_known ? &lead->terms : NULL;
}

const struct mr_included *mr_lead_committed_uploads(const struct mr_lead *lead,
                                                    const uint64_t **upload_ids, uint32_t *count)
{
    *upload_ids = lead->upload_ids;
    *count = lead->committed_count;
    return lead->included;
}

static void tell_waits_for(const struct mr_lead *lead, char *text, size_t bytes)
{
    for (unsigned i = 1; lead->asking && i < lead_announcement(lead)->hub_count; i++) {
        const struct lead_peer *peer = &lead->peers[i];
        const struct mr_announced_hub *hub = &lead_announcement(lead)->hubs[i];
        if (!peer->done) {
            snprintf(text, bytes, "hub %u (%s), %s%s%s%s", hub->index, hub->name,
                     mr_lead_step_name(lead->step), peer->why[0] ? ": " : "", peer->why,
                     peer->why[0] ? " (it is asked again)" : "");
            return;
        }
    }
}

void mr_lead_report(const struct mr_lead *lead, struct mr_lead_report *report)
{
    *report = (struct mr_lead_report){
        .state = lead->state,
        .round = lead->round_known ? lead_announcement(lead)->round : 0,
        .quorum = lead->quorum,
        .admitted = lead->admitted_count,
        .listed = lead->draw.said.count,
        .drawn = lead->draw.drawn_count,
        .unsound = lead->unsound_count,
        .staged = lead->staged_count + lead->included_count - lead->committed_count,
        .committed = lead->committed_count,
        .included = lead->state >= MR_LEAD_COMMITTING && lead->state <= MR_LEAD_PUBLISHED
                        ? lead->included_count
                        : 0,
        .opened_ms = lead->opened_ms,
        .closed_ms = lead->closed_ms,
        .ended_ms = lead->ended_ms,
        .void_kind = lead->void_kind,
        .ending = lead->ending,
        .opened = lead->opened,
    };
    if (lead->state == MR_LEAD_PUBLISHED) {
        memcpy(report->model_hash, lead->model_hash, MR_HASH_BYTES);
    }
    memcpy(report->reason, lead->reason, sizeof report->reason);
    tell_waits_for(lead, report->waits_for, sizeof report->waits_for);
}
