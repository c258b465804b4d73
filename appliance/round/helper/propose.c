/* propose.c - a lead proposes a round: this hub's own policy, and its signature. */
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/round/helper/helper_internal.h"

void mr_helper_set_policy(struct mr_helper *helper, const struct mr_helper_policy *policy)
{
    helper->next_policy = *policy;
}

static bool is_current(const struct mr_helper *helper, const uint8_t *hash)
{
    if (helper->state == MR_HELPER_SIGNING) {
        return memcmp(helper->proposed.hash, hash, MR_HASH_BYTES) == 0;
    }
    return helper->round_known && memcmp(helper->terms.hash, hash, MR_HASH_BYTES) == 0;
}

static enum mr_refusal_code check_policy(const struct mr_helper *helper, uint16_t from,
                                         const struct mr_round_terms *terms,
                                         struct mr_refusal *refusal)
{
    const struct mr_announcement *announcement = &terms->announcement;
    const struct mr_helper_policy *policy =
        is_current(helper, terms->hash) ? &helper->config.policy : &helper->next_policy;
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
    if (announcement->cohort_min < policy->cohort_min) {
        return mr_refuse(refusal, MR_REFUSAL_BELOW_COHORT_MINIMUM,
                         "cohort_min %u is below this hub's own %u", announcement->cohort_min,
                         policy->cohort_min);
    }
    if (terms->layout.share_bytes > policy->share_bytes_max) {
        return mr_refuse(
            refusal, MR_REFUSAL_WRONG_ANNOUNCEMENT,
            "shares of %llu bytes are above this hub's share_bytes_max, %llu: raise it "
            "here",
            (unsigned long long)terms->layout.share_bytes,
            (unsigned long long)policy->share_bytes_max);
    }
    uint32_t values = 0;
    const uint32_t dimension =
        helper->ops->model_dimension(helper->context, announcement->model_hash, &values);
    if (dimension == announcement->dimension && values != announcement->model_values) {
        return mr_refuse(refusal, MR_REFUSAL_WRONG_ANNOUNCEMENT,
                         "model_values %u is not that of the model (%u)",
                         announcement->model_values, values);
    }
    if (dimension != announcement->dimension) {
        return mr_refuse(refusal, MR_REFUSAL_WRONG_ANNOUNCEMENT,
                         dimension ? "dimension %u is not that of the model (%u)"
                                   : "this hub has not the model that the round starts from: "
                                     "another first model, a store that was not kept, or an "
                                     "import, roll-back or resume that was not done here: compare "
                                     "millrace model list on both",
                         announcement->dimension, dimension);
    }
    return MR_REFUSAL_NONE;
}

/* With the key that is pinned: the certificate that the proposal came with is no more than a way
 * in.
 */
static enum mr_refusal_code check_signature(const struct mr_helper *helper,
                                            const struct mr_round_terms *terms,
                                            const uint8_t *signature, struct mr_refusal *refusal)
{
    const struct mr_announced_hub *lead = &helper->config.hubs[0];
    return mr_announcement_verify(signature, terms->hash, NULL, lead->public_key) == 0
               ? MR_REFUSAL_NONE
               : mr_refuse(refusal, MR_REFUSAL_BAD_SIGNATURE,
                           "the proposal is not signed with the key of hub %u, the lead of %s",
                           lead->index, helper->config.task);
}

/* Whether a lead that vanishes now would be found gone in a sensible time. */
static enum mr_refusal_code check_deadline(const struct mr_helper *helper,
                                           const struct mr_announcement *announcement,
                                           struct mr_refusal *refusal)
{
    const uint64_t ahead = helper->next_policy.deadline_ahead_ms;
    const uint64_t unix_ms = helper->ops->unix_ms ? helper->ops->unix_ms(helper->context) : 0;
    if (!helper->ops->unix_ms || announcement->deadline_unix_ms <= unix_ms ||
        announcement->deadline_unix_ms - unix_ms <= ahead) {
        return MR_REFUSAL_NONE;
    }
    return mr_refuse(refusal, MR_REFUSAL_WRONG_ANNOUNCEMENT,
                     "its deadline is %llu s ahead of this hub's clock, %llu s are the most",
                     (unsigned long long)(announcement->deadline_unix_ms - unix_ms) / 1000,
                     (unsigned long long)ahead / 1000);
}

/* How far a lead's number may run ahead of the last one that this hub signed: numbers are used up
 * without this hub only by proposals that it did not sign. At one a second, which no lead does for
 * long, it may have been away for twelve days; and no number that a lead makes up shuts the rest of
 * the numbers (up to 2^53) to this hub in less than 2^33 signed rounds. */
#define JUMP_MAX (UINT64_C(1) << 20)

static enum mr_refusal_code check_jump(uint64_t round, uint64_t last, struct mr_refusal *refusal)
{
    if (round <= last || round - last <= JUMP_MAX) {
        return MR_REFUSAL_NONE;
    }
    return mr_refuse(
        refusal, MR_REFUSAL_WRONG_ROUND,
        "round %llu is more than %llu above round %llu, the last that this hub signed. "
        "If this hub's data_dir was emptied, put its file signed-round back; if the "
        "lead's was damaged, go on as a task of another name, whose rounds begin at 1",
        (unsigned long long)round, (unsigned long long)JUMP_MAX, (unsigned long long)last);
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
        return mr_helper_not_kept(&last, refusal);
    }
    return check_jump(round, last.round, refusal);
}

/* Only of the current round: it names the seal key, which is in the journal by now. */
static void answer_signature(struct mr_helper *helper, void *token)
{
    struct mr_peer_signature message = {.hub_index = helper->config.index};
    char *text = NULL;
    memcpy(message.signature.seal_key, helper->seal.public_key, MR_SEAL_KEY_BYTES);
    message.pledged = mr_announcement_draws(&helper->terms.announcement);
    const uint8_t *receipt_key = mr_helper_receipt_key(helper);
    if (receipt_key) {
        memcpy(message.receipt_key, receipt_key, MR_RECEIPT_KEY_BYTES);
    }
    if (receipt_key &&
        (!message.pledged ||
         mr_draw_pledge_make(&message.pledge, helper->terms.hash, helper->config.index,
                             helper->draw.value, helper->keys.private_key) == 0) &&
        mr_announcement_sign(message.signature.bytes, helper->terms.hash,
                             message.signature.seal_key, &helper->keys) == 0) {
        text = mr_peer_signature_encode(&message);
    }
    OPENSSL_cleanse(message.receipt_key, sizeof message.receipt_key);
    if (!text) {
        mr_helper_refuse(helper, token, MR_REFUSAL_INTERNAL,
                         "the announcement could not be signed");
        return;
    }
    helper->ops->answer(helper->context, token, true, text, strlen(text));
    OPENSSL_cleanse(text, strlen(text));
    free(text);
}

/* The round is signed, or being: the same question again. */
static void propose_again(struct mr_helper *helper, void *token)
{
    if (helper->state == MR_HELPER_SIGNING) {
        mr_helper_wait(helper, token);
    } else if (helper->state == MR_HELPER_VOID) {
        mr_helper_refuse(helper, token, MR_REFUSAL_VOID, "%s", helper->reason);
    } else if (helper->state == MR_HELPER_ADMITTING && helper->durable < helper->needed) {
        mr_helper_wait(helper, token); /* recovered a moment ago */
    } else {
        answer_signature(helper, token);
    }
}

/* A key for this round only, so that nothing that is taken later opens its seeds. */
static int make_seal(struct mr_helper *helper)
{
    uint8_t private_key[MR_HPKE_KEY_BYTES];
    helper->ops->random(helper->context, private_key, sizeof private_key);
    const int status = mr_hpke_pair_derive(&helper->proposed_seal, private_key);
    OPENSSL_cleanse(private_key, sizeof private_key);
    return status;
}

/* Answered as soon as terms and seal key are durable. */
static void sign(struct mr_helper *helper, const struct mr_round_terms *terms,
                 const uint8_t *signature, void *token)
{
    if (make_seal(helper) != 0) {
        mr_helper_refuse(helper, token, MR_REFUSAL_INTERNAL, "no key to seal seeds to was made");
        return;
    }
    helper->proposed = *terms;
    memcpy(helper->proposal.bytes, signature, MR_SIGNATURE_BYTES);
    helper->proposal_known = true;
    helper->config.policy = helper->next_policy;
    helper->ops->random(helper->context, helper->proposed_value, MR_DRAW_VALUE_BYTES);
    mr_helper_enter(helper, MR_HELPER_SIGNING);
    helper->working = true;
    mr_helper_wait(helper, token);
    const struct mr_journal_state fresh = {.phase = MR_JOURNAL_ADMITTING,
                                           .terms = &helper->proposed,
                                           .seal = &helper->proposed_seal,
                                           .draw_value = helper->proposed_value};
    mr_helper_save(helper, &fresh);
    helper->needed = helper->asked;
    helper->ops->changed(helper->context);
}

/* A lead that goes on to another round has given this one up, whether or not it said so. That is
 * written down first: devices may ask how it ended, and this hub never opens it from now on. */
static void end_unfinished(struct mr_helper *helper, uint64_t next)
{
    char why[80];
    if (helper->state >= MR_HELPER_ADMITTING && helper->state < MR_HELPER_DONE) {
        snprintf(why, sizeof why, "the lead went on to round %llu without ending this one",
                 (unsigned long long)next);
        mr_helper_give_up(helper, MR_VOID_GONE, why);
    }
}

void mr_helper_propose(struct mr_helper *helper, uint16_t from, const uint8_t *body, size_t length,
                       void *token)
{
    struct mr_round_terms terms;
    struct mr_refusal refusal;
    struct mr_error error;
    const uint8_t *signature;
    if (mr_proposal_decode(&terms, &signature, body, length, &error) != 0) {
        mr_helper_refuse(helper, token, MR_REFUSAL_BAD_REQUEST, "%.250s", error.text);
        return;
    }
    if (check_policy(helper, from, &terms, &refusal) != MR_REFUSAL_NONE ||
        check_signature(helper, &terms, signature, &refusal) != MR_REFUSAL_NONE ||
        check_number(helper, &terms, &refusal) != MR_REFUSAL_NONE) {
        helper->ops->refuse(helper->context, token, &refusal);
        return;
    }
    if (is_current(helper, terms.hash)) {
        propose_again(helper, token);
        return;
    }
    if (helper->working || helper->releasing || helper->forgetting) {
        mr_helper_refuse(helper, token, MR_REFUSAL_BUSY, "the round before is being worked on");
        return;
    }
    if (!helper->ops->may_begin_with(helper->context, terms.announcement.model_hash, &refusal) ||
        check_deadline(helper, &terms.announcement, &refusal) != MR_REFUSAL_NONE ||
        (helper->ops->accepts && !helper->ops->accepts(helper->context, &terms, &refusal)) ||
        (helper->ops->has_room && !helper->ops->has_room(helper->context, &terms, &refusal))) {
        helper->ops->refuse(helper->context, token, &refusal);
        return;
    }
    end_unfinished(helper, terms.announcement.round);
    sign(helper, &terms, signature, token);
}

void mr_helper_signed(struct mr_helper *helper)
{
    helper->working = false;
    mr_helper_take_terms(helper, &helper->proposed, &helper->proposed_seal);
    OPENSSL_cleanse(&helper->proposed_seal, sizeof helper->proposed_seal);
    memcpy(helper->draw.value, helper->proposed_value, MR_DRAW_VALUE_BYTES);
    OPENSSL_cleanse(helper->proposed_value, MR_DRAW_VALUE_BYTES);
    mr_helper_enter(helper, MR_HELPER_ADMITTING);
    helper->ops->changed(helper->context);
}

void mr_helper_answer_signatures(struct mr_helper *helper)
{
    for (unsigned i = 0; i < helper->waiter_count; i++) {
        answer_signature(helper, helper->waiters[i]);
    }
    helper->waiter_count = 0;
}
