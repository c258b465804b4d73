/* facts.c - what this lead knows of its round, for the transcript. */
#include <stdlib.h>
#include <string.h>

#include "appliance/privacy/facts.h"
#include "appliance/round/lead/lead_internal.h"

int mr_lead_admitted_root(const struct mr_lead *lead, uint8_t root[MR_HASH_BYTES])
{
    const struct mr_registry *registry = &lead->registry;
    const uint32_t count = registry->count;
    struct mr_included *list = malloc(((size_t)count + 1) * sizeof *list);
    uint8_t(*leaves)[MR_HASH_BYTES] = malloc(((size_t)count + 1) * MR_HASH_BYTES);
    int result = list && leaves ? 0 : -1;
    for (uint32_t i = 0; result == 0 && i < count; i++) {
        memcpy(list[i].client_id, registry->devices[i].client_id, MR_CLIENT_ID_BYTES);
        list[i].attempt = registry->devices[i].attempt;
    }
    if (result == 0) {
        mr_included_sort(list, count);
    }
    for (uint32_t i = 0; result == 0 && i < count; i++) {
        result = mr_evidence_leaf(leaves[i], &list[i], NULL);
    }
    if (result == 0) {
        result = mr_evidence_root(root, leaves, count);
    }
    free(list);
    free(leaves);
    return result;
}

static void tell_end(const struct mr_lead *lead, struct mr_round_facts *facts)
{
    facts->set_hash = lead->set_hash;
    if (lead->state == MR_LEAD_VOID) {
        facts->end = MR_FACTS_VOID;
        facts->opened = lead->opened;
        facts->reason = lead->reason;
    } else if (lead->state == MR_LEAD_STORING || lead->state == MR_LEAD_PUBLISHED) {
        facts->end = MR_FACTS_MODEL;
        facts->model_hash = lead->model_hash;
        for (unsigned i = 0; i < lead_announcement(lead)->hub_count; i++) {
            facts->model_signatures[i] = lead->model_signatures[i];
        }
    }
}

void mr_lead_facts(const struct mr_lead *lead, struct mr_round_facts *facts)
{
    const bool over = lead->recovered && !lead->set_fixed &&
                      (lead->state == MR_LEAD_PUBLISHED || lead->state == MR_LEAD_VOID) &&
                      !lead->ending;
    *facts = (struct mr_round_facts){.terms = NULL};
    if (!lead->round_known || over) {
        return;
    }
    facts->terms = &lead->terms;
    for (unsigned i = 0; lead->all_signed && i < lead_announcement(lead)->hub_count; i++) {
        facts->signatures[i] = &lead->signatures[i];
    }
    /* One that is not durable yet may be another after a crash: nobody has it. */
    facts->list = lead->draw.writing ? NULL : lead->draw.list;
    facts->list_bytes = lead->draw.list_bytes;
    facts->draw_values = lead->set_fixed && lead->draw.drawn ? lead->draw.said.values[0] : NULL;
    if (lead->set_fixed) {
        facts->admitted_root = lead->admitted_root;
        facts->admitted = lead->registry.count;
        facts->included = lead->included;
        facts->included_count = lead->included_count;
    }
    facts->commitments_known = lead->commitments_known;
    facts->commitments = lead->commitments;
    facts->openings_known = lead->openings_known;
    facts->openings = lead->seals;
    tell_end(lead, facts);
}

bool mr_lead_asks(const struct mr_lead *lead, uint64_t round, enum mr_peer_step step)
{
    return lead->asking && lead->step == step && lead_announcement(lead)->round == round;
}
