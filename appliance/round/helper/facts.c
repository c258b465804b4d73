/* facts.c - what this helper knows of its round, for the transcript. */
#include "appliance/privacy/facts.h"
#include "appliance/round/helper/helper_internal.h"

static unsigned commitments_known(const struct mr_helper *helper)
{
    const unsigned all = (1u << helper->terms.announcement.hub_count) - 1;
    if (helper->opened) {
        return all;
    }
    return (helper->included ? 1u : 0) |
           (helper->state == MR_HELPER_COMMITTED ? 1u << helper->position : 0);
}

/* The own opening counts as soon as it may leave, which is when all commitments are fixed. */
static unsigned openings_known(const struct mr_helper *helper)
{
    const bool computed = helper->result && helper->seals_known == 0 && !helper->attested;
    return helper->seals_known | (helper->opened && computed ? 1u << helper->position : 0);
}

void mr_helper_facts(const struct mr_helper *helper, struct mr_round_facts *facts)
{
    *facts = (struct mr_round_facts){.terms = NULL};
    facts->signatures[0] = helper->proposal_known ? &helper->proposal : NULL;
    if (helper->state == MR_HELPER_SIGNING) {
        facts->terms = &helper->proposed;
        return;
    }
    if (!helper->round_known) {
        return;
    }
    facts->terms = &helper->terms;
    facts->list = helper->draw.bytes;
    facts->list_bytes = helper->draw.length;
    facts->draw_values = helper->draw.values_known ? helper->draw.values[0] : NULL;
    facts->admitted_root = helper->admitted_known ? helper->admitted_root : NULL;
    facts->admitted = helper->admitted_seeds;
    facts->included = helper->included;
    facts->included_count = helper->included_count;
    facts->commitments = helper->commitments;
    facts->commitments_known = commitments_known(helper);
    facts->openings = helper->seals;
    facts->openings_known = openings_known(helper);
    facts->set_hash = helper->set_hash;
    facts->model_hash = helper->model_hash;
    if (helper->state == MR_HELPER_VOID) {
        facts->end = MR_FACTS_VOID;
        facts->opened = helper->opened;
        facts->reason = helper->reason;
        facts->void_signature = helper->void_ordered ? helper->void_signature : NULL;
    } else if (helper->attested) {
        facts->end = MR_FACTS_MODEL;
        facts->model_signatures[helper->position] = helper->model_signature;
    }
}
