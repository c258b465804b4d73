#include "appliance/round/lead/lead.h"

#include <jansson.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/round/lead/lead_internal.h"
#include "base/secret.h"
#include "base/assert.h"
#include "base/bytes.h"

static const char *const state_names[] = {
    [MR_LEAD_IDLE] = "idle",         [MR_LEAD_SIGNING] = "signing",
    [MR_LEAD_PROPOSED] = "proposed", [MR_LEAD_OPEN] = "open",
    [MR_LEAD_CLOSING] = "closing",   [MR_LEAD_COMMITTING] = "committing",
    [MR_LEAD_OPENING] = "opening",   [MR_LEAD_REVEALING] = "revealing",
    [MR_LEAD_STORING] = "storing",   [MR_LEAD_PUBLISHED] = "published",
    [MR_LEAD_VOID] = "void",
};

const char *mr_lead_state_name(enum mr_lead_state state)
{
    return state_names[state];
}

static const char *const void_names[] = {
#define X(name, label) [MR_VOID_##name] = label,
#include "appliance/round/voids.def"
#undef X
};

const char *mr_void_kind_name(enum mr_void_kind kind)
{
    return void_names[kind];
}

struct mr_lead *mr_lead_new(const struct mr_lead_config *config, const struct mr_lead_ops *ops,
                            void *context)
{
    struct mr_lead *lead = mr_secret_new(sizeof *lead); /* the signing key is in it */
    if (lead) {
        lead->config = *config;
        memcpy(lead->private_key, config->private_key, sizeof lead->private_key);
        lead->config.private_key = lead->private_key;
        lead->ops = ops;
        lead->context = context;
    }
    return lead;
}

/* Lets go of what belonged to one round only, but for its registry. */
static void drop_round(struct mr_lead *lead)
{
    for (unsigned i = 1; i < MR_HUBS_MAX; i++) {
        free((void *)lead->results[i]);
    }
    memset(lead->results, 0, sizeof lead->results);
    lead_stop_asking(lead);
    OPENSSL_cleanse(lead->nonces, sizeof lead->nonces);
    lead->included_count = lead->committed_count = lead->staged_count = 0;
    lead->admitted_count = 0;
    lead->opened_ms = lead->closed_ms = lead->ended_ms = 0;
    lead->envelope_bytes = 0;
    lead->revealed = lead->freezing = lead->held = lead->recovered = false;
    lead->reason[0] = '\0';
}

void mr_lead_free(struct mr_lead *lead)
{
    if (!lead) {
        return;
    }
    lead_refuse_waiting(lead, MR_REFUSAL_BUSY, "the hub is stopping");
    drop_round(lead);
    mr_registry_fini(&lead->registry);
    mr_registry_fini(&lead->previous);
    free(lead->included);
    free(lead->upload_ids);
    free(lead->serials);
    mr_secret_free(lead);
}

void lead_commit_state(const struct mr_lead *lead, enum mr_commit_phase phase,
                       struct mr_commit_state *state)
{
    *state = (struct mr_commit_state){
        .phase = phase,
        .quorum = lead->quorum,
        .deadline_ms = lead->open_for_ms,
        .envelope = lead->envelope,
        .envelope_bytes = (uint32_t)lead->envelope_bytes,
        .included = lead->included,
        .upload_ids = lead->upload_ids,
        .serials = lead->serials,
        .included_count = lead->included_count,
    };
    if (phase == MR_COMMIT_FROZEN) {
        memcpy(state->nonce, lead->nonces[0], MR_NONCE_BYTES);
    }
}

/* --- opening --------------------------------------------------------------------------------- */

static enum mr_refusal_code check_open(const struct mr_lead *lead,
                                       const struct mr_announcement *announcement,
                                       const struct mr_lead_limits *limits,
                                       struct mr_refusal *refusal)
{
    struct mr_error error;
    const bool free_for_one = lead->state == MR_LEAD_IDLE || lead->state == MR_LEAD_PUBLISHED ||
                              lead->state == MR_LEAD_VOID;
    if (!free_for_one || lead->working || lead->collecting || lead->ending) {
        return mr_refuse(refusal, MR_REFUSAL_BUSY, "round %llu is still %s",
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
                         "quorum %u is not within cohort_min %u and cohort_max %u", limits->quorum,
                         announcement->cohort_min, announcement->cohort_max);
    }
    return MR_REFUSAL_NONE;
}

enum mr_refusal_code mr_lead_open(struct mr_lead *lead, const struct mr_announcement *announcement,
                                  const struct mr_lead_limits *limits, uint64_t now_ms,
                                  struct mr_refusal *refusal)
{
    struct mr_error error;
    struct mr_round_terms terms;
    uint8_t canonical[MR_ANNOUNCEMENT_MAX];
    uint64_t salt;
    if (check_open(lead, announcement, limits, refusal) != MR_REFUSAL_NONE) {
        return refusal->code;
    }
    const size_t length = mr_announcement_encode(canonical, announcement);
    if (mr_round_terms_decode(&terms, canonical, length, &error) != 0) {
        return mr_refuse(refusal, MR_REFUSAL_INTERNAL, "%.250s", error.text);
    }
    if (lead->round_known) { /* else the round before is the one that was recalled */
        mr_registry_fini(&lead->previous);
        lead->previous = lead->registry;
        lead->previous_round = lead_announcement(lead)->round;
        lead->previous_forgotten = lead_forgotten(lead);
    }
    drop_round(lead);
    lead->terms = terms;
    lead->canonical_bytes = length;
    memcpy(lead->canonical, canonical, length);
    mr_be16_put(lead->envelope, (uint16_t)lead->canonical_bytes); /* as yet unsigned */
    memcpy(lead->envelope + 2, lead->canonical, lead->canonical_bytes);
    lead->envelope_bytes = 2 + lead->canonical_bytes;
    lead->round_known = true;
    lead->ops->random(lead->context, (uint8_t *)&salt, sizeof salt);
    mr_registry_init(&lead->registry, announcement->cohort_max, salt);
    lead->quorum = limits->quorum;
    lead->open_for_ms = limits->deadline_ms;
    if (limits->peer_timeout_ms) {
        lead->config.peer_timeout_ms = limits->peer_timeout_ms;
    }
    if (limits->commit_interval_ms) {
        lead->config.commit_interval_ms = limits->commit_interval_ms;
    }
    lead->deadline_ms = now_ms + limits->deadline_ms;
    lead->state = MR_LEAD_SIGNING;
    struct mr_commit_state state;
    lead_commit_state(lead, MR_COMMIT_PROPOSED, &state);
    lead->ops->remember(lead->context, &state);
    lead->ops->round_changed(lead->context);
    return MR_REFUSAL_NONE;
}

void mr_lead_remembered(struct mr_lead *lead, uint64_t now_ms)
{
    MR_ASSERT(lead->state == MR_LEAD_SIGNING);
    lead_propose(lead, now_ms);
}

void lead_propose(struct mr_lead *lead, uint64_t now_ms)
{
    uint8_t *body = malloc(lead->canonical_bytes);
    lead->state = MR_LEAD_PROPOSED;
    if (!body ||
        mr_announcement_sign(lead->signatures[0], lead->terms.hash, lead->private_key) != 0) {
        free(body);
        lead_void(lead, MR_VOID_INTERNAL, now_ms, "the announcement could not be signed");
        return;
    }
    memcpy(body, lead->canonical, lead->canonical_bytes);
    lead->ops->round_changed(lead->context);
    lead_ask_all(lead, MR_PEER_PROPOSE, body, lead->canonical_bytes, now_ms);
}

void lead_all_signed(struct mr_lead *lead, uint64_t now_ms)
{
    struct mr_error error = {.text = ""};
    if (lead->ops->plane_begin(lead->context, &lead->terms, &error) != 0) {
        lead_void(lead, MR_VOID_PLANE, now_ms, "the upload plane refused the round: %s",
                  error.text);
        return;
    }
    lead->envelope_bytes = mr_announcement_seal(
        lead->envelope, lead->canonical, lead->canonical_bytes,
        (const uint8_t(*)[MR_SIGNATURE_BYTES])lead->signatures, lead_announcement(lead)->hub_count);
    struct mr_commit_state state;
    lead_commit_state(lead, MR_COMMIT_OPEN, &state);
    lead->ops->commit(lead->context, &state);
}

void lead_opened(struct mr_lead *lead, uint64_t now_ms)
{
    lead->state = MR_LEAD_OPEN;
    lead->opened_ms = now_ms;
    lead->next_commit_ms = now_ms;
    lead_set_timer(lead);
    lead->ops->round_changed(lead->context);
}

/* --- the end without a result ---------------------------------------------------------------- */

void lead_tell_void(struct mr_lead *lead)
{
    json_t *object = json_pack("{s:s}", "reason", lead->reason);
    char *text = json_dumps(object, JSON_COMPACT);
    MR_ASSERT(text); /* a hub stops when there is no memory for JSON */
    json_decref(object);
    for (unsigned i = 1; i < lead_announcement(lead)->hub_count; i++) {
        lead->ops->ask(lead->context, i, MR_PEER_VOID, (const uint8_t *)text, strlen(text));
    }
    free(text);
}

void lead_void(struct mr_lead *lead, enum mr_void_kind kind, uint64_t now_ms, const char *format,
               ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(lead->reason, sizeof lead->reason, format, arguments);
    va_end(arguments);
    mr_plain_text(lead->reason);
    MR_ASSERT(!lead->collecting || lead->held);
    lead->state = MR_LEAD_VOID;
    lead->void_kind = kind;
    lead->ended_ms = now_ms;
    lead->ending = true;
    lead_stop_asking(lead);
    lead_set_timer(lead);
    lead->ops->end(lead->context);
}

/* Only now: a hub that restarted before would go on with the round. */
void mr_lead_ended(struct mr_lead *lead, uint64_t now_ms)
{
    (void)now_ms;
    MR_ASSERT(lead->ending);
    lead->ending = false;
    if (lead->held) {
        lead->held = lead->collecting = false;
        lead->ops->plane_return(lead->context, false, MR_REASON_VOID);
    }
    lead_refuse_waiting(lead, MR_REFUSAL_VOID, "the round is void");
    lead_end_uploads(lead, MR_REASON_VOID);
    lead_tell_void(lead);
    lead->ops->round_changed(lead->context);
}

/* --- time ------------------------------------------------------------------------------------ */

void lead_set_timer(struct mr_lead *lead)
{
    uint64_t due = LEAD_NEVER;
    if (lead->state == MR_LEAD_OPEN) {
        due = lead->deadline_ms;
        if (lead->staged_count && !lead->collecting && lead->next_commit_ms < due) {
            due = lead->next_commit_ms;
        }
    } else if (lead->asking) {
        due = lead_peer_due_ms(lead);
    }
    lead->ops->timer(lead->context, due);
}

void mr_lead_tick(struct mr_lead *lead, uint64_t now_ms)
{
    if (lead->state == MR_LEAD_OPEN) {
        if (now_ms >= lead->deadline_ms) {
            lead_close(lead, now_ms);
            return;
        }
        if (lead->staged_count && !lead->collecting && now_ms >= lead->next_commit_ms) {
            lead_collect(lead, false, now_ms);
        }
    } else if (lead->asking) {
        lead_retry(lead, now_ms);
    }
    lead_set_timer(lead);
}

/* --- reports --------------------------------------------------------------------------------- */

const uint8_t *mr_lead_envelope(const struct mr_lead *lead, size_t *length)
{
    *length = lead->envelope_bytes;
    return lead->state == MR_LEAD_OPEN ? lead->envelope : NULL;
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

void mr_lead_report(const struct mr_lead *lead, struct mr_lead_report *report)
{
    *report = (struct mr_lead_report){
        .state = lead->state,
        .round = lead->round_known ? lead_announcement(lead)->round : 0,
        .quorum = lead->quorum,
        .admitted = lead->admitted_count,
        .staged = lead->staged_count + lead->included_count - lead->committed_count,
        .committed = lead->committed_count,
        .included = lead->state >= MR_LEAD_COMMITTING && lead->state <= MR_LEAD_PUBLISHED
                        ? lead->included_count
                        : 0,
        .opened_ms = lead->opened_ms,
        .closed_ms = lead->closed_ms,
        .ended_ms = lead->ended_ms,
        .void_kind = lead->void_kind,
    };
    if (lead->state == MR_LEAD_PUBLISHED) {
        memcpy(report->model_hash, lead->model_hash, MR_HASH_BYTES);
    }
    memcpy(report->reason, lead->reason, sizeof report->reason);
}
