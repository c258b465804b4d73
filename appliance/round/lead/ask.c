/* ask.c - a question to every other hub: it is out until its answers have come, and may be asked
 * again since it is idempotent. */
#include <stdlib.h>

#include "appliance/round/lead/lead_internal.h"
#include "base/assert.h"
#include "wire/opening.h"

/* Into the question's body: every hub's opening but that of the one that is asked, which knows its
 * own. */
static void write_openings(struct mr_lead *lead, unsigned peer)
{
    const unsigned count = lead_announcement(lead)->hub_count;
    const size_t each = mr_opening_bytes(&lead->terms);
    uint8_t *at = lead->body;
    MR_ASSERT(lead->body_bytes == 1 + (count - 1) * each);
    *at++ = (uint8_t)(count - 1);
    for (unsigned i = 0; i < count; i++) {
        const struct mr_opening opening = {
            .nonce = lead->nonces[i], .part = lead->mark_parts.of[i], .result = lead->results[i]};
        if (i != peer) {
            mr_opening_write(at, &opening, &lead->terms);
            at += each;
        }
    }
}

void mr_lead_ask(struct mr_lead *lead, unsigned peer)
{
    lead->peers[peer].waiting = true;
    lead->peers[peer].tries++;
    lead->peers[peer].retry_at_ms = LEAD_NEVER;
    if (lead->step == MR_PEER_REVEAL) {
        write_openings(lead, peer);
    }
    lead->ops->ask(lead->context, peer, lead->step, lead->body, lead->body_bytes);
}

void mr_lead_stop_asking(struct mr_lead *lead)
{
    lead->asking = false;
    free(lead->body);
    lead->body = NULL;
    lead->body_bytes = 0;
}

void mr_lead_ask_all(struct mr_lead *lead, enum mr_peer_step step, uint8_t *body, size_t length,
                     uint64_t now_ms)
{
    mr_lead_stop_asking(lead);
    lead->asking = true;
    lead->step = step;
    lead->step_deadline_ms = lead->opened ? LEAD_NEVER : now_ms + lead->config.peer_timeout_ms;
    lead->body = body;
    lead->body_bytes = length;
    for (unsigned i = 1; i < lead_announcement(lead)->hub_count; i++) {
        lead->peers[i] = (struct lead_peer){.retry_at_ms = LEAD_NEVER};
        mr_lead_ask(lead, i);
    }
    mr_lead_set_timer(lead);
}
