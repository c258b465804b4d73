/* end.c - a round that is given up: because the lead says so, or because the lead is gone. */
#include <stdio.h>
#include <string.h>

#include "appliance/round/helper/helper_internal.h"

/* The round is void; a reason begins with its cause. */
static void set_void(struct mr_helper *helper, const char *reason)
{
    snprintf(helper->reason, sizeof helper->reason, "%s", reason);
    mr_plain_text(helper->reason);
    mr_helper_enter(helper, MR_HELPER_VOID);
    for (unsigned i = 0; i < helper->waiter_count; i++) {
        mr_helper_refuse(helper, helper->waiters[i], MR_REFUSAL_VOID, "%s", reason);
    }
    helper->waiter_count = 0;
    mr_helper_refuse_receipts(helper, MR_REFUSAL_VOID, reason);
    mr_helper_refuse_values(helper, MR_REFUSAL_VOID, reason);
    mr_helper_drop_seeds(helper);
    helper->forgetting = true;
    helper->ops->forget(helper->context); /* while the set that may have been opened is known */
    if (!helper->working) {               /* else the work's answer drops them */
        mr_helper_drop_round(helper);
    }
    helper->ops->changed(helper->context);
}

void mr_helper_forgotten(struct mr_helper *helper)
{
    helper->forgetting = false;
    for (unsigned i = 0; i < helper->mourner_count; i++) {
        helper->ops->answer(helper->context, helper->mourners[i], false, NULL, 0);
    }
    helper->mourner_count = 0;
}

void mr_helper_give_up(struct mr_helper *helper, enum mr_void_kind kind, const char *why)
{
    char reason[sizeof helper->reason];
    snprintf(reason, sizeof reason, "%s: %s", mr_void_kind_name(kind), why);
    set_void(helper, reason);
}

bool mr_helper_accepts(struct mr_helper *helper, uint16_t from, uint64_t round, void *token)
{
    if (!helper->round_known || helper->state == MR_HELPER_SIGNING) {
        struct mr_refusal refusal;
        mr_helper_unknown(helper, round, &refusal);
        helper->ops->refuse(helper->context, token, &refusal);
        return false;
    }
    if (helper->terms.announcement.hubs[0].index != from) {
        mr_helper_refuse(helper, token, MR_REFUSAL_UNAUTHORISED_ROLE,
                         "hub %u does not lead the round", from);
        return false;
    }
    if (helper->terms.announcement.round != round) {
        mr_helper_refuse(helper, token, MR_REFUSAL_WRONG_ROUND, "the current round is %llu",
                         (unsigned long long)helper->terms.announcement.round);
        return false;
    }
    return true;
}

/* A certificate authority, or whoever has the lead's TLS key, cannot end a round: the signing key
 * can, which devices and hubs have pinned. */
static bool is_order(struct mr_helper *helper, const struct mr_peer_void *message, void *token)
{
    const struct mr_round_terms *terms = &helper->terms;
    if (memcmp(message->announcement_hash, terms->hash, MR_HASH_BYTES) != 0) {
        mr_helper_refuse(helper, token, MR_REFUSAL_WRONG_ANNOUNCEMENT,
                         "this hub signed another announcement of the round");
        return false;
    }
    if (mr_void_verify(message->signature, terms->hash, message->reason,
                       terms->announcement.hubs[0].public_key) != 0) {
        mr_helper_refuse(helper, token, MR_REFUSAL_BAD_SIGNATURE,
                         "the order to give the round up is not signed with the key of hub %u, "
                         "its lead",
                         terms->announcement.hubs[0].index);
        return false;
    }
    return true;
}

void mr_helper_void(struct mr_helper *helper, uint16_t from, uint64_t round,
                    const struct mr_peer_void *message, void *token)
{
    if (!mr_helper_accepts(helper, from, round, token) || !is_order(helper, message, token)) {
        return;
    }
    if (helper->state == MR_HELPER_DONE) {
        mr_helper_refuse(helper, token, MR_REFUSAL_WRONG_ROUND,
                         "round %llu is not to be taken back: this hub has opened it, computed its "
                         "model and signed that",
                         (unsigned long long)round);
        return;
    }
    if (helper->mourner_count == HELPER_WAITERS_MAX) {
        mr_helper_refuse(helper, token, MR_REFUSAL_BUSY, "the round is being given up");
        return;
    }
    if (helper->state != MR_HELPER_VOID) {
        memcpy(helper->void_signature, message->signature, MR_SIGNATURE_BYTES);
        helper->void_ordered = true;
        set_void(helper, message->reason);
    }
    helper->mourners[helper->mourner_count++] = token;
    if (!helper->forgetting) {
        mr_helper_forgotten(helper);
    }
}

bool mr_helper_leave(struct mr_helper *helper, const char *why)
{
    const bool ended = helper->state == MR_HELPER_IDLE || helper->state >= MR_HELPER_DONE;
    if (helper->working || helper->releasing || helper->forgetting) {
        return false;
    }
    if (!ended) {
        mr_helper_give_up(helper, MR_VOID_OPERATOR, why);
    }
    return true;
}

uint64_t mr_helper_due_unix_ms(const struct mr_helper *helper)
{
    const uint64_t grace = helper->config.policy.lead_grace_ms;
    if (helper->state < MR_HELPER_ADMITTING || helper->state >= MR_HELPER_DONE || helper->opened) {
        return UINT64_MAX;
    }
    const uint64_t deadline = helper->terms.announcement.deadline_unix_ms;
    return deadline < UINT64_MAX - grace ? deadline + grace : UINT64_MAX;
}

void mr_helper_tick(struct mr_helper *helper, uint64_t unix_ms)
{
    if (unix_ms >= mr_helper_due_unix_ms(helper)) {
        mr_helper_give_up(helper, MR_VOID_GONE,
                          "the lead did not end the round within this hub's lead_grace_ms after "
                          "the deadline");
    }
}
