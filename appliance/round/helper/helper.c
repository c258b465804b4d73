#include "appliance/round/helper/helper.h"

#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/round/helper/helper_internal.h"
#include "base/secret.h"
#include "base/assert.h"

static const char *const state_names[] = {
    [MR_HELPER_IDLE] = "idle",           [MR_HELPER_SIGNING] = "signing",
    [MR_HELPER_ADMITTING] = "admitting", [MR_HELPER_EXPANDING] = "expanding",
    [MR_HELPER_COMMITTED] = "committed", [MR_HELPER_OPENED] = "opened",
    [MR_HELPER_REVEALING] = "revealing", [MR_HELPER_DONE] = "done",
    [MR_HELPER_VOID] = "void",
};

const char *mr_helper_state_name(enum mr_helper_state state)
{
    return state_names[state];
}

struct mr_helper *mr_helper_new(const struct mr_helper_config *config,
                                const struct mr_helper_ops *ops, void *context)
{
    struct mr_helper *helper = mr_secret_new(sizeof *helper); /* the signing key is in it */
    if (!helper || mr_signing_pair_derive(&helper->keys, config->private_key) != 0) {
        mr_secret_free(helper);
        return NULL;
    }
    helper->config = *config;
    helper->next_policy = config->policy;
    helper->config.private_key = helper->keys.private_key;
    helper->ops = ops;
    helper->context = context;
    return helper;
}

void mr_helper_set_policy(struct mr_helper *helper, const struct mr_helper_policy *policy)
{
    helper->next_policy = *policy;
}

void helper_drop_results(struct mr_helper *helper)
{
    for (unsigned i = 0; i < MR_HUBS_MAX; i++) {
        free(helper->results[i]);
        helper->results[i] = NULL;
    }
}

void helper_drop_list(struct mr_helper *helper)
{
    mr_secret_free(helper->list);
    helper->list = NULL;
}

/* Lets go of everything of the round but its terms. */
void helper_drop_round(struct mr_helper *helper)
{
    mr_seeds_wipe(&helper->seeds);
    helper_drop_list(helper);
    helper_drop_results(helper);
    if (helper->result) {
        OPENSSL_cleanse(helper->result, (size_t)helper->terms.layout.share_bytes);
    }
    free(helper->result);
    helper->result = NULL;
    free(helper->included);
    helper->included = NULL;
    helper->included_count = 0;
    helper->opened = false;
    OPENSSL_cleanse(helper->nonce, sizeof helper->nonce);
    memset(helper->commitments, 0, sizeof helper->commitments);
}

void mr_helper_free(struct mr_helper *helper)
{
    if (!helper) {
        return;
    }
    for (unsigned i = 0; i < helper->waiter_count; i++) {
        helper_refuse(helper, helper->waiters[i], MR_REFUSAL_BUSY, "the hub is stopping");
    }
    helper_refuse_receipts(helper, MR_REFUSAL_BUSY, "the hub is stopping");
    free(helper->receipts.list);
    helper_drop_round(helper);
    mr_secret_free(helper);
}

void helper_refuse(struct mr_helper *helper, void *token, enum mr_refusal_code code,
                   const char *format, ...)
{
    struct mr_refusal refusal;
    char text[sizeof refusal.text];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    mr_refuse(&refusal, code, "%s", text);
    helper->ops->refuse(helper->context, token, &refusal);
}

void helper_wait(struct mr_helper *helper, void *token)
{
    if (helper->waiter_count == HELPER_WAITERS_MAX) {
        helper_refuse(helper, token, MR_REFUSAL_BUSY, "the same question is being worked on");
        return;
    }
    helper->waiters[helper->waiter_count++] = token;
}

void helper_answer_waiting(struct mr_helper *helper, bool json, const void *body, size_t length)
{
    for (unsigned i = 0; i < helper->waiter_count; i++) {
        helper->ops->answer(helper->context, helper->waiters[i], json, body, length);
    }
    helper->waiter_count = 0;
}

void helper_set_void(struct mr_helper *helper, const char *reason)
{
    snprintf(helper->reason, sizeof helper->reason, "%s", reason);
    mr_plain_text(helper->reason);
    helper->state = MR_HELPER_VOID;
    for (unsigned i = 0; i < helper->waiter_count; i++) {
        helper_refuse(helper, helper->waiters[i], MR_REFUSAL_VOID, "%s", reason);
    }
    helper->waiter_count = 0;
    helper_refuse_receipts(helper, MR_REFUSAL_VOID, reason);
    mr_seeds_wipe(&helper->seeds);
    if (!helper->working) { /* else the work's answer drops them */
        helper_drop_round(helper);
    }
    helper->ops->forget(helper->context);
    helper->ops->changed(helper->context);
}

/* --- the journal ----------------------------------------------------------------------------- */

void helper_save(struct mr_helper *helper, const struct mr_journal_state *state)
{
    helper->asked++;
    helper->ops->save(helper->context, state);
}

void helper_append(struct mr_helper *helper, const uint8_t *record, size_t length)
{
    helper->asked++;
    helper->ops->append(helper->context, record, length);
}

/* --- propose --------------------------------------------------------------------------------- */

static enum mr_refusal_code check_policy(const struct mr_helper *helper, uint16_t from,
                                         const struct mr_round_terms *terms,
                                         struct mr_refusal *refusal)
{
    const struct mr_announcement *announcement = &terms->announcement;
    struct mr_error error;
    if (announcement->hubs[0].index != from) {
        return mr_refuse(refusal, MR_REFUSAL_UNAUTHORISED_ROLE,
                         "hub %u proposes a round that hub %u leads", from,
                         announcement->hubs[0].index);
    }
    if (strcmp(announcement->task, helper->config.task) != 0) {
        return mr_refuse(refusal, MR_REFUSAL_WRONG_ANNOUNCEMENT,
                         "the announcement is of task %s, this is task %s", announcement->task,
                         helper->config.task);
    }
    if (mr_announcement_trusts(announcement, helper->config.hubs, helper->config.hubs_count,
                               &error) != 0) {
        return mr_refuse(refusal, MR_REFUSAL_WRONG_ANNOUNCEMENT, "%.250s", error.text);
    }
    if (mr_announcement_hub(announcement, helper->config.index) < 1) {
        return mr_refuse(refusal, MR_REFUSAL_WRONG_ANNOUNCEMENT,
                         "hub %u is no helper of this round", helper->config.index);
    }
    if (announcement->cohort_min < helper->next_policy.cohort_min) {
        return mr_refuse(refusal, MR_REFUSAL_BELOW_COHORT_MINIMUM,
                         "cohort_min %u is below this hub's own %u", announcement->cohort_min,
                         helper->next_policy.cohort_min);
    }
    if (terms->layout.share_bytes > helper->next_policy.share_bytes_max) {
        return mr_refuse(refusal, MR_REFUSAL_WRONG_ANNOUNCEMENT,
                         "shares of %llu bytes are above this hub's share_bytes_max %llu",
                         (unsigned long long)terms->layout.share_bytes,
                         (unsigned long long)helper->next_policy.share_bytes_max);
    }
    const uint32_t dimension =
        helper->ops->model_dimension(helper->context, announcement->model_hash);
    if (dimension != announcement->dimension) {
        return mr_refuse(refusal, MR_REFUSAL_WRONG_ANNOUNCEMENT,
                         dimension ? "dimension %u is not that of the model (%u)"
                                   : "the model is not in this hub's store",
                         announcement->dimension, dimension);
    }
    return MR_REFUSAL_NONE;
}

static bool is_current(const struct mr_helper *helper, const uint8_t *hash)
{
    if (helper->state == MR_HELPER_SIGNING) {
        return memcmp(helper->proposed.hash, hash, MR_HASH_BYTES) == 0;
    }
    return helper->round_known && memcmp(helper->terms.hash, hash, MR_HASH_BYTES) == 0;
}

/* One announcement a round number; and a hub that signed a round and does not have its journal any
 * more never takes it up again. What it had admitted and answered is forgotten, and a second set of
 * the same round, less one device, would give that device away. */
static enum mr_refusal_code check_number(const struct mr_helper *helper,
                                         const struct mr_round_terms *terms,
                                         struct mr_refusal *refusal)
{
    struct mr_helper_last last;
    const uint64_t round = terms->announcement.round;
    helper->ops->recall(helper->context, &last);
    if (round < last.round) {
        return mr_refuse(refusal, MR_REFUSAL_WRONG_ROUND,
                         "round %llu is older than round %llu, which this hub signed",
                         (unsigned long long)round, (unsigned long long)last.round);
    }
    if (round == last.round && memcmp(last.hash, terms->hash, MR_HASH_BYTES) != 0) {
        return mr_refuse(refusal, MR_REFUSAL_WRONG_ANNOUNCEMENT,
                         "this hub signed another announcement of round %llu",
                         (unsigned long long)round);
    }
    if (round == last.round && !is_current(helper, terms->hash)) {
        return helper_not_kept(&last, refusal);
    }
    return MR_REFUSAL_NONE;
}

static void answer_signature(struct mr_helper *helper, const struct mr_round_terms *terms,
                             void *token)
{
    struct mr_peer_signature message = {.hub_index = helper->config.index};
    char *text = NULL;
    if (mr_announcement_sign(message.signature, terms->hash, helper->keys.private_key) == 0) {
        text = mr_peer_signature_encode(&message);
    }
    if (!text) {
        helper_refuse(helper, token, MR_REFUSAL_INTERNAL, "the announcement could not be signed");
        return;
    }
    helper->ops->answer(helper->context, token, true, text, strlen(text));
    free(text);
}

void mr_helper_propose(struct mr_helper *helper, uint16_t from, const uint8_t *body, size_t length,
                       void *token)
{
    struct mr_round_terms terms;
    struct mr_refusal refusal;
    struct mr_error error;
    if (mr_round_terms_decode(&terms, body, length, &error) != 0) {
        helper_refuse(helper, token, MR_REFUSAL_BAD_REQUEST, "%.250s", error.text);
        return;
    }
    if (check_policy(helper, from, &terms, &refusal) != MR_REFUSAL_NONE ||
        check_number(helper, &terms, &refusal) != MR_REFUSAL_NONE) {
        helper->ops->refuse(helper->context, token, &refusal);
        return;
    }
    if (helper->state == MR_HELPER_SIGNING &&
        memcmp(helper->proposed.hash, terms.hash, MR_HASH_BYTES) == 0) {
        helper_wait(helper, token);
        return;
    }
    if (helper->round_known && memcmp(helper->terms.hash, terms.hash, MR_HASH_BYTES) == 0) {
        if (helper->state == MR_HELPER_VOID) {
            helper_refuse(helper, token, MR_REFUSAL_VOID, "%s", helper->reason);
        } else if (helper->state == MR_HELPER_ADMITTING && helper->durable < helper->needed) {
            helper_wait(helper, token); /* recovered a moment ago */
        } else {
            answer_signature(helper, &terms, token);
        }
        return;
    }
    if (helper->working) {
        helper_refuse(helper, token, MR_REFUSAL_BUSY, "the round before is being worked on");
        return;
    }
    if (helper_check_deadline(helper, &terms.announcement, &refusal) != MR_REFUSAL_NONE) {
        helper->ops->refuse(helper->context, token, &refusal);
        return;
    }
    helper->proposed = terms;
    helper->config.policy = helper->next_policy;
    helper->state = MR_HELPER_SIGNING;
    helper->working = true;
    helper_wait(helper, token);
    const struct mr_journal_state fresh = {.phase = MR_JOURNAL_ADMITTING,
                                           .terms = &helper->proposed};
    helper_save(helper, &fresh);
    helper->needed = helper->asked;
    helper->ops->changed(helper->context);
}

void helper_take_terms(struct mr_helper *helper, const struct mr_round_terms *terms)
{
    uint64_t salt;
    helper_drop_round(helper);
    helper->terms = *terms;
    helper->round_known = true;
    helper->reason[0] = '\0';
    const struct mr_announcement *announcement = &helper->terms.announcement;
    helper->position = (unsigned)mr_announcement_hub(announcement, helper->config.index);
    helper->ops->random(helper->context, (uint8_t *)&salt, sizeof salt);
    mr_seeds_init(&helper->seeds, announcement->cohort_max, salt);
}

static void signed_now(struct mr_helper *helper)
{
    helper->working = false;
    helper_take_terms(helper, &helper->proposed);
    helper->state = MR_HELPER_ADMITTING;
    helper->ops->changed(helper->context);
}

static void answer_signatures(struct mr_helper *helper)
{
    for (unsigned i = 0; i < helper->waiter_count; i++) {
        answer_signature(helper, &helper->terms, helper->waiters[i]);
    }
    helper->waiter_count = 0;
}

void mr_helper_durable(struct mr_helper *helper, uint64_t count)
{
    MR_ASSERT(count <= helper->asked && count >= helper->durable);
    helper->durable = count;
    helper_answer_receipts(helper);
    if (count < helper->needed) {
        return;
    }
    if (helper->state == MR_HELPER_SIGNING) {
        signed_now(helper);
    }
    if (helper->state == MR_HELPER_ADMITTING) {
        answer_signatures(helper);
    } else if (helper->list) {
        helper_set_durable(helper);
    } else if (helper->opened && helper->state == MR_HELPER_COMMITTED) {
        helper_opening_durable(helper);
    }
}

/* --- void ------------------------------------------------------------------------------------ */

bool helper_accepts(struct mr_helper *helper, uint16_t from, uint64_t round, void *token)
{
    if (!helper->round_known || helper->state == MR_HELPER_SIGNING) {
        struct mr_refusal refusal;
        helper_unknown(helper, round, &refusal);
        helper->ops->refuse(helper->context, token, &refusal);
        return false;
    }
    if (helper->terms.announcement.hubs[0].index != from) {
        helper_refuse(helper, token, MR_REFUSAL_UNAUTHORISED_ROLE, "hub %u does not lead the round",
                      from);
        return false;
    }
    if (helper->terms.announcement.round != round) {
        helper_refuse(helper, token, MR_REFUSAL_WRONG_ROUND, "the current round is %llu",
                      (unsigned long long)helper->terms.announcement.round);
        return false;
    }
    return true;
}

void mr_helper_void(struct mr_helper *helper, uint16_t from, uint64_t round, const char *reason,
                    void *token)
{
    if (!helper_accepts(helper, from, round, token)) {
        return;
    }
    if (helper->state != MR_HELPER_VOID) {
        helper_set_void(helper, reason);
    }
    helper->ops->answer(helper->context, token, false, NULL, 0);
}

/* --- reports --------------------------------------------------------------------------------- */

const struct mr_round_terms *mr_helper_terms(const struct mr_helper *helper)
{
    return helper->round_known ? &helper->terms : NULL;
}

const struct mr_included *mr_helper_included(const struct mr_helper *helper, uint32_t *count,
                                             const uint8_t **set_hash)
{
    *count = helper->included_count;
    *set_hash = helper->set_hash;
    return helper->included;
}

void mr_helper_report(const struct mr_helper *helper, struct mr_helper_report *report)
{
    *report = (struct mr_helper_report){
        .state = helper->state,
        .round = helper->round_known ? helper->terms.announcement.round : 0,
        .admitted = helper->seeds.count,
        .included = helper->included_count,
    };
    memcpy(report->reason, helper->reason, sizeof report->reason);
}
