/* propose.c - a lead proposes a round, and this hub signs it. */
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/round/helper/helper_internal.h"

void mr_helper_set_policy(struct mr_helper *helper, const struct mr_helper_policy *policy)
{
    helper->next_policy = *policy;
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
    if (mr_helper_check_proposal(helper, from, &terms, signature, &refusal) != MR_REFUSAL_NONE) {
        helper->ops->refuse(helper->context, token, &refusal);
        return;
    }
    if (mr_helper_is_current(helper, terms.hash)) {
        propose_again(helper, token);
        return;
    }
    if (helper->working || helper->releasing || helper->forgetting) {
        mr_helper_refuse(helper, token, MR_REFUSAL_BUSY, "the round before is being worked on");
        return;
    }
    if (!helper->ops->may_begin_with(helper->context, terms.announcement.model_hash, &refusal) ||
        mr_helper_check_deadline(helper, &terms.announcement, &refusal) != MR_REFUSAL_NONE ||
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
