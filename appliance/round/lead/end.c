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
    OPENSSL_cleanse(lead->nonces, sizeof lead->nonces);
    lead->included_count = lead->committed_count = lead->staged_count = 0;
    lead->admitted_count = lead->unsound_count = 0;
    lead->opened_ms = lead->closed_ms = lead->ended_ms = 0;
    lead->envelope_bytes = 0;
    lead->opened = lead->revealed = lead->freezing = lead->held = lead->recovered = false;
    lead->reason[0] = '\0';
}

void mr_lead_tell_void(struct mr_lead *lead)
{
    struct mr_peer_void message;
    memcpy(message.reason, lead->reason, sizeof message.reason);
    memcpy(message.announcement_hash, lead->terms.hash, MR_HASH_BYTES);
    const int bad =
        mr_void_sign(message.signature, lead->terms.hash, message.reason, lead->private_key);
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
