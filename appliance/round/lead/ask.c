/* ask.c - a question to every other hub: it is out until its answers have come, and may be asked
 * again since it is idempotent. */
#include <stdlib.h>

#include "appliance/round/lead/lead_internal.h"

void mr_lead_ask(struct mr_lead *lead, unsigned peer)
{
    lead->peers[peer].waiting = true;
    lead->peers[peer].tries++;
    lead->peers[peer].retry_at_ms = LEAD_NEVER;
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
