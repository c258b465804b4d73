/* audit_draw.c - the list that a round's set is drawn from, the hubs' values, and whether the set
 * is of the devices that they drew. */
#include <stdlib.h>
#include <string.h>

#include "appliance/privacy/audit_internal.h"

int mr_audit_listed(struct audit *audit, const struct audit_chain *chain, struct audit_round *round,
                    const struct audit_record *record)
{
    struct mr_draw_list list;
    struct mr_error why;
    const uint16_t lead = round->terms.announcement.hubs[0].index;
    if (!mr_announcement_draws(&round->terms.announcement)) {
        return mr_audit_wrong(audit, chain, record,
                              "a list to draw from in a round whose set is not drawn");
    }
    if (mr_draw_list_decode(&list, record->at.body + MR_HASH_BYTES,
                            record->at.body_bytes - MR_HASH_BYTES, &round->terms, &why) != 0) {
        return mr_audit_wrong(audit, chain, record, "no list to draw from: %.200s", why.text);
    }
    if (round->listed && memcmp(round->list.hash, list.hash, MR_HASH_BYTES) != 0) {
        mr_audit_wrong(audit, chain, record, "hub %u signed two lists to draw from in round %llu",
                       lead, (unsigned long long)round->round);
        audit->result->hub = lead;
        return -1;
    }
    round->list = list;
    round->listed = record;
    return 0;
}

int mr_audit_drawn(struct audit *audit, const struct audit_chain *chain, struct audit_round *round,
                   const struct audit_record *record)
{
    const struct mr_announcement *announcement = &round->terms.announcement;
    const uint8_t *values = record->at.body + MR_HASH_BYTES;
    if (record->at.body_bytes !=
        MR_HASH_BYTES + announcement->hub_count * (size_t)MR_DRAW_VALUE_BYTES) {
        return mr_audit_wrong(audit, chain, record,
                              "a record of kind drawn has another length than it should");
    }
    if (!round->listed) {
        return mr_audit_wrong(audit, chain, record, "a draw without a list to draw from");
    }
    for (unsigned i = 0; i < announcement->hub_count; i++) {
        if (mr_draw_value_check(&round->list.pledges[i], round->terms.hash,
                                announcement->hubs[i].index,
                                values + (size_t)i * MR_DRAW_VALUE_BYTES) != 0) {
            return mr_audit_wrong(audit, chain, record,
                                  "hub %u took another value of hub %u than that had pledged",
                                  chain->owner.hub, announcement->hubs[i].index);
        }
    }
    round->draw_values = values;
    round->drawn = record;
    return 0;
}

/* Whether every device of the set is one that was drawn; -1: no memory. */
static int all_drawn(const struct audit_round *round)
{
    const struct mr_announcement *announcement = &round->terms.announcement;
    uint8_t *drawn = malloc(round->list.count);
    int all = 1;
    if (!drawn ||
        mr_draw(drawn, &round->list, (const uint8_t(*)[MR_DRAW_VALUE_BYTES])round->draw_values,
                announcement->hub_count, announcement->cohort_max) != 0) {
        free(drawn);
        return -1;
    }
    for (uint32_t i = 0; all && i < round->set_count; i++) {
        const int64_t place = mr_draw_list_find(&round->list, round->set[i].client_id);
        all = place >= 0 && drawn[place];
    }
    free(drawn);
    return all;
}

int mr_audit_set_drawn(struct audit *audit, const struct audit_chain *chain,
                       const struct audit_round *round, const struct audit_record *record)
{
    if (!mr_announcement_draws(&round->terms.announcement)) {
        return 0;
    }
    if (!round->drawn) {
        return mr_audit_wrong(audit, chain, record,
                              "hub %u took a set that nobody had drawn in round %llu",
                              chain->owner.hub, (unsigned long long)round->round);
    }
    const int all = all_drawn(round);
    if (all < 0) {
        return mr_audit_no_memory(audit);
    }
    return all ? 0
               : mr_audit_wrong(audit, chain, record,
                                "hub %u took a set in round %llu with a device that the hubs had "
                                "not drawn",
                                chain->owner.hub, (unsigned long long)round->round);
}
