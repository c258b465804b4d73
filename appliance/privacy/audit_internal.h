/* audit_internal.h - an audit under way, shared by the audit*.c files only. From below:
 * audit_file.c (a chain by itself), audit_draw.c (who was drawn), audit_age.c (hubs that went
 * back), audit_round.c (what a record says, and whether it may say it there), audit_debits.c
 * (a hub's debits, over its tasks), audit_spent.c (what they add up to), audit_released.c (opened
 * sets), audit.c (chains against each other). All return 0, or -1 once something is wrong or there
 * is no memory. */
#ifndef MR_PRIVACY_AUDIT_INTERNAL_H
#define MR_PRIVACY_AUDIT_INTERNAL_H

#include "appliance/privacy/audit.h"
#include "wire/draw.h"

struct audit_record {
    struct mr_evidence_record at;
    const char *file;
};

/* What one chain says of one round. Records are NULL where there is none. */
struct audit_round {
    uint64_t round;
    struct mr_round_terms terms;
    const struct audit_record *announced, *admitted, *counted, *model, *voided;
    const struct audit_record *listed, *drawn; /* of a round whose set is drawn */
    struct mr_draw_list list;                  /* points into the record */
    const uint8_t *draw_values;                /* likewise */
    uint32_t admitted_seeds;
    struct mr_included *set; /* owned */
    uint32_t set_count;
    uint8_t set_hash[MR_HASH_BYTES];
    const struct audit_record *committed[MR_HUBS_MAX], *opened[MR_HUBS_MAX];
    const struct audit_record *debited; /* the last one */
    uint64_t ledger_records;            /* by then */
    uint8_t ledger_head[MR_HASH_BYTES], noise_hash[MR_HASH_BYTES];
    struct mr_commitment commitments[MR_HUBS_MAX];
    struct mr_opening_seal seals[MR_HUBS_MAX];
    uint8_t model_hash[MR_HASH_BYTES];
    unsigned model_signed; /* bits of positions */
    bool void_ordered;     /* by the lead, which signed that */
    bool was_opened;       /* by some hub, to this one or by this one */
};

/* All files of one hub in one task; what it points at is owned. */
struct audit_chain {
    struct mr_evidence_owner owner;
    struct audit_record *records;
    size_t records_count, records_room;
    struct audit_round **rounds; /* rising */
    size_t rounds_count, rounds_room;
    bool torn, from_start; /* its first file is the chain's first */
};

struct audit {
    struct mr_audit_result *result;
    const struct mr_audit_key *keys;
    unsigned keys_count;
    struct audit_chain *chains; /* by task and hub */
    unsigned chains_count;
    struct mr_error *error; /* memory */
};

/* audit_file.c. Says what is wrong at that record (NULL: at the file of that name); returns -1. */
int mr_audit_wrong(struct audit *audit, const struct audit_chain *chain,
                   const struct audit_record *record, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
int mr_audit_no_memory(struct audit *audit);
const uint8_t *mr_audit_key_of(const struct audit *audit, uint16_t hub); /* NULL: not given */
/* Sorts the files into chains and reads them: signed, and each record behind the one before. */
int mr_audit_read(struct audit *audit, const struct mr_audit_file *files, unsigned count);

/* audit_draw.c: what stands in a record behind the announcement's hash; and whether the set that
 * the record fixed is of the devices that were drawn. */
int mr_audit_listed(struct audit *audit, const struct audit_chain *chain, struct audit_round *round,
                    const struct audit_record *record);
int mr_audit_drawn(struct audit *audit, const struct audit_chain *chain, struct audit_round *round,
                   const struct audit_record *record);
int mr_audit_set_drawn(struct audit *audit, const struct audit_chain *chain,
                       const struct audit_round *round, const struct audit_record *record);

/* audit_age.c. A record that is of the hub and of no round. */
int mr_audit_of_hub(struct audit *audit, const struct audit_chain *chain,
                    const struct audit_record *record);
/* Whether the chain says by a recovery that it has lost what it knew of that round. */
bool mr_audit_was_lost(const struct audit_chain *chain, uint64_t round);
/* A record of a hub, in one of its chains. */
struct audit_place {
    const struct audit_chain *chain;
    const struct audit_record *record;
};
/* Whether the hub of both places says that it recovered between them: in that chain, where both are
 * in one; else in any of its chains, since its ledger is one for all its tasks. */
bool mr_audit_recovered_between(const struct audit *audit, const struct audit_place *first,
                                const struct audit_place *second);
/* What each hub has heard of the others' chains stands in them, or they say that they recovered. */
int mr_audit_ages(struct audit *audit);

/* audit_round.c */
int mr_audit_rounds(struct audit *audit, struct audit_chain *chain);
/* The chain's word on that round; NULL: none. */
const struct audit_round *mr_audit_find(const struct audit_chain *chain, uint64_t round);

/* audit_debits.c: each hub's ledger only ever grew, over all its chains, but for a recovery that it
 * tells of; counts the debits. */
int mr_audit_debits(struct audit *audit);

/* audit_spent.c: no device has paid more than the budget, by all that its hub debited: what a
 * recovery made the hub forget, and another hub has on record, included. */
int mr_audit_spent(struct audit *audit);

/* audit_released.c: no two opened sets on one model differ in too few devices; counts the rounds.
 */
int mr_audit_released(struct audit *audit);

/* audit_part.c: whether the part is what its hub committed to and opened. */
int mr_audit_part(struct audit *audit, const struct mr_part *part);

#endif
