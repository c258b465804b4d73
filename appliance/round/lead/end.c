/* end.c - a round that ends without a result, and what is let go of when a round is over. */
#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/round/lead/lead_internal.h"
#include "base/assert.h"

/* Lets go of what belonged to one round only, but for its registry. */
void mr_lead_drop_round(struct mr_lead *lead)
{
    for (unsigned i = 1; i < MR_HUBS_MAX; i++) {
        free((void *)lead->results[i]);
    }
    memset(lead->results, 0, sizeof lead->results);
    mr_lead_stop_asking(lead);
    mr_lead_drop_draw(lead);
    OPENSSL_cleanse(lead->nonces, sizeof lead->nonces);
    OPENSSL_cleanse(&lead->mark_parts, sizeof lead->mark_parts);
    OPENSSL_cleanse(lead->receipt_keys, sizeof lead->receipt_keys);
    lead->included_count = lead->committed_count = lead->staged_count = 0;
    lead->admitted_count = lead->unsound_count = 0;
    lead->opened_ms = lead->closed_ms = lead->ended_ms = 0;
    lead->envelope_bytes = 0;
    lead->commitments_known = lead->openings_known = 0;
    lead->all_signed = lead->set_fixed = false;
    lead->opened = lead->revealed = lead->freezing = lead->held = lead->recovered = false;
    lead->reason[0] = '\0';
}

void mr_lead_tell_void(struct mr_lead *lead)
{
    struct mr_peer_void message;
    memcpy(message.reason, lead->reason, sizeof message.reason);
    memcpy(message.announcement_hash, lead->terms.hash, MR_HASH_BYTES);
    const int bad =
        mr_void_sign(message.signature, lead->terms.hash, message.reason, lead->keys.private_key);
    char *text = mr_peer_void_encode(&message);
    MR_ASSERT(!bad && text); /* it has signed before; a hub stops without memory for JSON */
    for (unsigned i = 1; i < lead_announcement(lead)->hub_count; i++) {
        lead->ops->ask(lead->context, i, MR_PEER_VOID, (const uint8_t *)text, strlen(text));
    }
    free(text);
}

void mr_lead_void(struct mr_lead *lead, enum mr_void_kind kind, uint64_t now_ms, const char *format,
                  ...)
{
    va_list arguments;
    const int cause = snprintf(lead->reason, sizeof lead->reason, "%s: ", mr_void_kind_name(kind));
    va_start(arguments, format);
    vsnprintf(lead->reason + cause, sizeof lead->reason - (size_t)cause, format, arguments);
    va_end(arguments);
    mr_plain_text(lead->reason);
    MR_ASSERT(!lead->collecting || lead->held);
    mr_lead_enter(lead, MR_LEAD_VOID);
    lead->void_kind = kind;
    lead->ended_ms = now_ms;
    lead->ending = true;
    mr_lead_stop_asking(lead);
    mr_lead_set_timer(lead);
    lead->ops->end(lead->context);
}

static enum mr_refusal_code check_give_up(const struct mr_lead *lead, uint64_t round, bool accepted,
                                          struct mr_refusal *refusal)
{
    if (!lead->round_known || lead_announcement(lead)->round != round) {
        return mr_refuse(refusal, MR_REFUSAL_WRONG_ROUND, "round %llu is not the current one",
                         (unsigned long long)round);
    }
    if (lead->state == MR_LEAD_PUBLISHED || lead->state == MR_LEAD_VOID) {
        return mr_refuse(refusal, MR_REFUSAL_WRONG_ROUND, "round %llu has ended: it is %s",
                         (unsigned long long)round, mr_lead_state_name(lead->state));
    }
    if (lead->opened && !accepted) {
        return mr_refuse(
            refusal, MR_REFUSAL_RELEASED,
            "openings of round %llu were asked for, so that a hub may have opened its sum: its %u "
            "devices cannot be counted on this model again, and if none are left for a round the "
            "task stands still until its operators make the next model (millrace task resume)",
            (unsigned long long)round, lead->included_count);
    }
    if (lead->collecting || lead->state == MR_LEAD_SIGNING || lead->state == MR_LEAD_STORING ||
        lead->draw.writing || (lead->state == MR_LEAD_PROPOSED && !lead->asking)) {
        return mr_refuse(refusal, MR_REFUSAL_BUSY, "round %llu is being written down",
                         (unsigned long long)round);
    }
    return MR_REFUSAL_NONE;
}

enum mr_refusal_code mr_lead_give_up(struct mr_lead *lead, uint64_t round, bool accepted,
                                     uint64_t now_ms, struct mr_refusal *refusal)
{
    const enum mr_refusal_code code = check_give_up(lead, round, accepted, refusal);
    if (code == MR_REFUSAL_NONE) {
        mr_lead_void(lead, MR_VOID_OPERATOR, now_ms, "this hub's operator gave the round up");
    }
    return code;
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
    mr_lead_refuse_waiting(lead, MR_REFUSAL_VOID, "the round is void");
    mr_lead_end_uploads(lead, MR_REASON_VOID);
    mr_lead_tell_void(lead);
    lead->ops->round_changed(lead->context);
}
