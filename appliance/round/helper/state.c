/* state.c - where the helper stands: its state, what it holds of a round, who waits for an answer,
 * what it asks of its journal. Only mr_helper_enter sets the state. */
#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/round/helper/helper_internal.h"
#include "base/secret.h"

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

void mr_helper_enter(struct mr_helper *helper, enum mr_helper_state state)
{
    helper->state = state;
}

/* --- a round ------------------------------------------------------------------------------------
 */

void mr_helper_take_terms(struct mr_helper *helper, const struct mr_round_terms *terms,
                          const struct mr_hpke_pair *seal)
{
    uint64_t salt;
    mr_helper_drop_round(helper);
    helper->terms = *terms;
    helper->seal = *seal;
    helper->round_known = true;
    helper->reason[0] = '\0';
    helper->void_ordered = false;
    helper->admitted_count = 0;
    helper->bad_seeds = 0;
    helper->released = false;
    helper->shape = (struct mr_shape){.included = 0};
    helper->listed = false;
    const struct mr_announcement *announcement = &helper->terms.announcement;
    helper->position = (unsigned)mr_announcement_hub(announcement, helper->config.index);
    helper->ops->random(helper->context, (uint8_t *)&salt, sizeof salt);
    mr_seeds_init(&helper->seeds, mr_announcement_admits(announcement), salt);
}

void mr_helper_drop_seeds(struct mr_helper *helper)
{
    mr_seeds_wipe(&helper->seeds);
    OPENSSL_cleanse(helper->seal.private_key, sizeof helper->seal.private_key);
    OPENSSL_cleanse(helper->receipt_key, sizeof helper->receipt_key);
    helper->receipt_key_known = false;
}

void mr_helper_drop_results(struct mr_helper *helper)
{
    for (unsigned i = 0; i < MR_HUBS_MAX; i++) {
        if (helper->results[i] != helper->result) {
            free(helper->results[i]);
        }
        helper->results[i] = NULL;
    }
    OPENSSL_cleanse(&helper->mark_parts, sizeof helper->mark_parts);
}

void mr_helper_drop_list(struct mr_helper *helper)
{
    mr_secret_free(helper->list);
    helper->list = NULL;
}

void mr_helper_drop_list_to_draw(struct mr_helper *helper)
{
    free(helper->draw.bytes);
    helper->draw.bytes = NULL;
    helper->draw.values_known = false;
}

uint32_t mr_helper_set_min(const struct mr_helper *helper)
{
    const uint32_t announced = helper->terms.announcement.cohort_min;
    const uint32_t own = helper->config.policy.cohort_min;
    return announced > own ? announced : own;
}

bool mr_helper_on_list(const struct mr_helper *helper, const uint8_t client_id[MR_CLIENT_ID_BYTES])
{
    return !helper->draw.bytes || mr_draw_list_find(&helper->draw.list, client_id) >= 0;
}

/* Lets go of everything of the round but its terms. */
void mr_helper_drop_round(struct mr_helper *helper)
{
    mr_helper_drop_seeds(helper);
    mr_helper_drop_list(helper);
    mr_helper_drop_list_to_draw(helper);
    mr_helper_drop_results(helper);
    OPENSSL_cleanse(helper->draw.value, sizeof helper->draw.value);
    if (helper->result) {
        OPENSSL_cleanse(helper->result, (size_t)helper->terms.layout.share_bytes);
    }
    free(helper->result);
    helper->result = NULL;
    free(helper->included);
    helper->included = NULL;
    helper->included_count = 0;
    helper->opened = helper->admitted_known = helper->attested = false;
    helper->seals_known = 0;
    OPENSSL_cleanse(helper->seals, sizeof helper->seals);
    OPENSSL_cleanse(helper->nonce, sizeof helper->nonce);
    memset(helper->commitments, 0, sizeof helper->commitments);
}

/* --- answers ------------------------------------------------------------------------------------
 */

void mr_helper_refuse(struct mr_helper *helper, void *token, enum mr_refusal_code code,
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

void mr_helper_refuse_values(struct mr_helper *helper, enum mr_refusal_code code, const char *why)
{
    for (unsigned i = 0; i < helper->draw.waiter_count; i++) {
        mr_helper_refuse(helper, helper->draw.waiters[i], code, "%s", why);
    }
    helper->draw.waiter_count = 0;
}

void mr_helper_wait(struct mr_helper *helper, void *token)
{
    if (helper->waiter_count == HELPER_WAITERS_MAX) {
        mr_helper_refuse(helper, token, MR_REFUSAL_BUSY, "the same question is being worked on");
        return;
    }
    helper->waiters[helper->waiter_count++] = token;
}

void mr_helper_answer_waiting(struct mr_helper *helper, bool json, const void *body, size_t length)
{
    for (unsigned i = 0; i < helper->waiter_count; i++) {
        helper->ops->answer(helper->context, helper->waiters[i], json, body, length);
    }
    helper->waiter_count = 0;
}

/* --- the journal --------------------------------------------------------------------------------
 */

void mr_helper_save(struct mr_helper *helper, const struct mr_journal_state *state)
{
    helper->asked++;
    helper->ops->save(helper->context, state);
}

void mr_helper_append(struct mr_helper *helper, const uint8_t *record, size_t length)
{
    helper->asked++;
    helper->ops->append(helper->context, record, length);
}

void mr_helper_frozen_state(const struct mr_helper *helper, struct mr_journal_state *state,
                            const struct mr_expansion *entries)
{
    *state = (struct mr_journal_state){
        .phase = MR_JOURNAL_FROZEN,
        .terms = &helper->terms,
        .seal = &helper->seal,
        .entries = entries,
        .count = helper->included_count,
    };
    if (helper->draw.bytes) {
        state->list = helper->draw.bytes;
        state->list_bytes = (uint32_t)helper->draw.length;
        state->draw_values = helper->draw.values[0];
    }
    memcpy(state->commitments, helper->commitments, sizeof state->commitments);
    memcpy(state->nonce, helper->nonce, MR_NONCE_BYTES);
    state->admitted = helper->admitted_seeds;
    memcpy(state->admitted_root, helper->admitted_root, MR_HASH_BYTES);
}

/* --- the ledger ---------------------------------------------------------------------------------
 */

enum mr_set_claim mr_helper_claim(struct mr_helper *helper, struct mr_refusal *refusal)
{
    const struct mr_frozen_set set = {.terms = &helper->terms,
                                      .included = helper->included,
                                      .count = helper->included_count,
                                      .set_hash = helper->set_hash};
    const enum mr_set_claim claim = helper->ops->claim(helper->context, &set, refusal);
    helper->released = claim == MR_SET_RELEASED;
    return claim;
}

void mr_helper_release(struct mr_helper *helper)
{
    helper->releasing = helper->released = true;
    helper->ops->release(helper->context);
}

/* --- reports ------------------------------------------------------------------------------------
 */

const struct mr_round_terms *mr_helper_terms(const struct mr_helper *helper)
{
    return helper->round_known ? &helper->terms : NULL;
}

const struct mr_watermark_parts *mr_helper_mark_parts(const struct mr_helper *helper)
{
    return &helper->mark_parts;
}

const uint8_t *mr_helper_parent(const struct mr_helper *helper)
{
    return helper->state == MR_HELPER_SIGNING ? helper->proposed.announcement.model_hash
           : helper->round_known              ? helper->terms.announcement.model_hash
                                              : NULL;
}

const struct mr_included *mr_helper_included(const struct mr_helper *helper, uint32_t *count,
                                             const uint8_t **set_hash)
{
    *count = helper->included_count;
    *set_hash = helper->set_hash;
    return helper->included;
}

/* Of a set that was taken up after a restart only the counts are known. */
static uint32_t left_out(const struct mr_helper *helper)
{
    const struct mr_shape *shape = &helper->shape;
    if (shape->included) {
        return shape->eligible - shape->included;
    }
    const uint32_t admitted = helper->admitted_count, included = helper->included_count;
    return included && admitted > included ? admitted - included : 0;
}

void mr_helper_report(const struct mr_helper *helper, struct mr_helper_report *report)
{
    *report = (struct mr_helper_report){
        .state = helper->state,
        .round = helper->round_known ? helper->terms.announcement.round : 0,
        .admitted = helper->admitted_count,
        .bad_seeds = helper->bad_seeds,
        .included = helper->included_count,
        .left_out = left_out(helper),
        .passed_over = helper->shape.passed_over,
        .listed = helper->listed,
        .opened = helper->released,
    };
    memcpy(report->reason, helper->reason, sizeof report->reason);
}
