/* audit_age.c - hubs that went back: whether one that has records missing says that it recovered,
 * and what follows from it. */
#include <string.h>

#include "appliance/privacy/audit_internal.h"
#include "base/bytes.h"
#include "wire/standing.h"

/* --- one record ------------------------------------------------------------------------------ */

static uint64_t epoch_of(const struct audit_record *record)
{
    return mr_be64_get(record->at.body);
}

static bool is_recovery(const struct audit_record *record)
{
    return record->at.kind == MR_EVIDENCE_RECOVERED &&
           record->at.body_bytes >= MR_EVIDENCE_RECOVERED_BYTES;
}

static int read_recovered(struct audit *audit, const struct audit_chain *chain,
                          const struct audit_record *record)
{
    if (!is_recovery(record)) {
        return mr_audit_wrong(audit, chain, record, "a record of a recovery is cut off");
    }
    for (const struct audit_record *before = chain->records; before < record; before++) {
        if (is_recovery(before) && epoch_of(before) >= epoch_of(record)) {
            return mr_audit_wrong(audit, chain, record,
                                  "hub %u recovered into an epoch that is not a later one",
                                  chain->owner.hub);
        }
    }
    return 0;
}

static int read_heard(struct audit *audit, const struct audit_chain *chain,
                      const struct audit_record *record)
{
    struct mr_standing standing;
    if (record->at.body_bytes != MR_STANDING_BYTES) {
        return mr_audit_wrong(audit, chain, record, "another hub's standing is cut off");
    }
    mr_standing_decode(&standing, record->at.body);
    const uint8_t *key = mr_audit_key_of(audit, standing.hub);
    return !key || mr_standing_verify(&standing, chain->owner.task, key) == 0
               ? 0
               : mr_audit_wrong(audit, chain, record,
                                "where hub %u stands, as hub %u has it on record, is not signed by "
                                "it",
                                standing.hub, chain->owner.hub);
}

int mr_audit_of_hub(struct audit *audit, const struct audit_chain *chain,
                    const struct audit_record *record)
{
    return record->at.kind == MR_EVIDENCE_RECOVERED ? read_recovered(audit, chain, record)
                                                    : read_heard(audit, chain, record);
}

/* --- what a recovery excuses ----------------------------------------------------------------- */

bool mr_audit_was_lost(const struct audit_chain *chain, uint64_t round)
{
    const struct audit_record *recovery = NULL;
    for (size_t i = 0; i < chain->records_count; i++) {
        const struct audit_record *record = &chain->records[i];
        if (is_recovery(record)) {
            recovery = recovery ? recovery : record; /* of several in a row the first */
        } else if (record->at.kind == MR_EVIDENCE_ANNOUNCED && recovery) {
            if (round >= recovery->at.round && round < record->at.round) {
                return true;
            }
            recovery = NULL;
        }
    }
    return recovery && round >= recovery->at.round;
}

/* Whether `record` was written before the recovery: in one chain by its place, over chains of one
 * hub by the hub's clock. */
static bool is_before(const struct audit_chain *chain, const struct audit_record *record,
                      const struct audit_chain *recovered, const struct audit_record *recovery)
{
    return chain == recovered ? record < recovery : record->at.unix_ms < recovery->at.unix_ms;
}

bool mr_audit_recovered_between(const struct audit *audit, const struct audit_place *first,
                                const struct audit_place *second)
{
    for (unsigned i = 0; i < audit->chains_count; i++) {
        const struct audit_chain *chain = &audit->chains[i];
        const bool counts = first->chain == second->chain
                                ? chain == first->chain
                                : chain->owner.hub == first->chain->owner.hub;
        for (size_t j = 0; counts && j < chain->records_count; j++) {
            const struct audit_record *record = &chain->records[j];
            if (is_recovery(record) &&
                is_before(first->chain, first->record, chain, record) !=
                    is_before(second->chain, second->record, chain, record)) {
                return true;
            }
        }
    }
    return false;
}

/* Whether the chain says that it left that epoch. */
static bool has_left(const struct audit_chain *chain, uint64_t epoch)
{
    for (size_t i = 0; i < chain->records_count; i++) {
        if (is_recovery(&chain->records[i]) && epoch_of(&chain->records[i]) > epoch) {
            return true;
        }
    }
    return false;
}

/* --- where hubs stood ------------------------------------------------------------------------ */

static const struct audit_chain *chain_of(const struct audit *audit, const char *task, uint16_t hub)
{
    for (unsigned i = 0; i < audit->chains_count; i++) {
        const struct audit_chain *chain = &audit->chains[i];
        if (chain->owner.hub == hub && strcmp(chain->owner.task, task) == 0) {
            return chain;
        }
    }
    return NULL;
}

/* Whether the chain has that record, or it lies before the files that were given. */
static bool stands(const struct audit_chain *chain, const struct mr_standing *standing)
{
    if (chain->records_count == 0) {
        return !chain->from_start;
    }
    const uint64_t first = chain->records[0].at.sequence;
    if (standing->sequence < first) {
        return true;
    }
    const uint64_t at = standing->sequence - first;
    return at < chain->records_count &&
           memcmp(chain->records[at].at.head, standing->head, MR_HASH_BYTES) == 0;
}

static int check_heard(struct audit *audit, const struct audit_chain *chain,
                       const struct audit_record *record)
{
    struct mr_standing standing;
    mr_standing_decode(&standing, record->at.body);
    const struct audit_chain *other = chain_of(audit, chain->owner.task, standing.hub);
    if (!other || other == chain || !mr_audit_key_of(audit, standing.hub) ||
        stands(other, &standing) || has_left(other, standing.epoch)) {
        return 0;
    }
    mr_audit_wrong(audit, chain, record,
                   "hub %u signed that it has record %llu, of round %llu, and its own transcript "
                   "has it not: hub %u was put back from a copy and does not say that it "
                   "recovered, or records were left out",
                   standing.hub, (unsigned long long)standing.sequence,
                   (unsigned long long)standing.round, standing.hub);
    audit->result->hub = standing.hub;
    return -1;
}

int mr_audit_ages(struct audit *audit)
{
    for (unsigned i = 0; i < audit->chains_count; i++) {
        const struct audit_chain *chain = &audit->chains[i];
        for (size_t j = 0; j < chain->records_count; j++) {
            const struct audit_record *record = &chain->records[j];
            if (record->at.kind == MR_EVIDENCE_HEARD && check_heard(audit, chain, record) != 0) {
                return -1;
            }
        }
    }
    return 0;
}
