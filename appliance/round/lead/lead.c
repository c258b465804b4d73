/* lead.c - a lead is made, told the time, and let go of. */
#include <stdlib.h>

#include "appliance/round/lead/lead_internal.h"
#include "base/secret.h"

struct mr_lead *mr_lead_new(const struct mr_lead_config *config, const struct mr_lead_ops *ops,
                            void *context)
{
    struct mr_lead *lead = mr_secret_new(sizeof *lead); /* the signing key is in it */
    if (!lead || mr_signing_pair_derive(&lead->keys, config->private_key) != 0) {
        mr_secret_free(lead);
        return NULL;
    }
    lead->config = *config;
    lead->config.private_key = lead->keys.private_key;
    lead->ops = ops;
    lead->context = context;
    return lead;
}

void mr_lead_dismiss(struct mr_lead *lead, enum mr_refusal_code code, const char *why)
{
    mr_lead_refuse_waiting(lead, code, why);
}

void mr_lead_free(struct mr_lead *lead)
{
    if (!lead) {
        return;
    }
    mr_lead_refuse_waiting(lead, MR_REFUSAL_BUSY, "the hub is stopping");
    mr_lead_drop_round(lead);
    mr_registry_fini(&lead->registry);
    mr_registry_fini(&lead->previous);
    free(lead->included);
    free(lead->upload_ids);
    free(lead->serials);
    mr_secret_free(lead);
}

void mr_lead_tick(struct mr_lead *lead, uint64_t now_ms)
{
    if (lead->state == MR_LEAD_OPEN) {
        if (now_ms >= lead->deadline_ms) {
            mr_lead_close(lead, now_ms);
            return;
        }
        mr_lead_look_at_list(lead, now_ms);
        if (lead->staged_count && !lead->collecting && now_ms >= lead->next_commit_ms) {
            mr_lead_collect(lead, false, now_ms);
        }
    } else if (lead->asking) {
        mr_lead_retry(lead, now_ms);
    }
    mr_lead_set_timer(lead);
}
