/* facts.h - what a hub knows of a round, as a core tells it, and which of it is still to be
 * recorded in the transcript. Sans-IO. */
#ifndef MR_PRIVACY_FACTS_H
#define MR_PRIVACY_FACTS_H

#include <stdbool.h>

#include "wire/draw.h"
#include "wire/evidence.h"

enum mr_facts_end {
    MR_FACTS_UNDER_WAY,
    MR_FACTS_MODEL, /* the next model is known and signed, as far as it depends on this hub */
    MR_FACTS_VOID,
};

/* A release that is paid for, as this hub's ledger has it. */
struct mr_facts_debit {
    mr_rho rho;                        /* of each device of the set */
    uint64_t records;                  /* of the ledger by then */
    uint8_t head[MR_HASH_BYTES];       /* of the ledger by then */
    uint8_t noise_hash[MR_HASH_BYTES]; /* of this hub's seed; zeros where devices add the noise */
};

/* Of one round, by positions in its hub list; masks have bit i for the hub at position i. What is
 * pointed at is the core's and valid during the call. */
struct mr_round_facts {
    const struct mr_round_terms *terms; /* NULL: no round, and nothing else counts */
    const struct mr_hub_signature *signatures[MR_HUBS_MAX]; /* of the announcement; NULL: unknown */
    const uint8_t *list; /* to draw from, as the lead signed it; NULL: none, or not yet */
    size_t list_bytes;
    const uint8_t *draw_values;   /* every hub's, MR_DRAW_VALUE_BYTES each; NULL: not all known */
    const uint8_t *admitted_root; /* NULL: not known, or not yet */
    uint32_t admitted;
    const struct mr_included *included; /* sorted; NULL before the freeze */
    uint32_t included_count;
    unsigned commitments_known;
    const struct mr_commitment *commitments;
    const struct mr_facts_debit *debit; /* NULL: none, or not yet; before the own opening */
    unsigned openings_known;
    const struct mr_opening_seal *openings;
    enum mr_facts_end end;
    const uint8_t *set_hash, *model_hash; /* of a model */
    const uint8_t *model_signatures[MR_HUBS_MAX];
    const uint8_t *void_signature; /* the lead's, of that reason; NULL: it was not ordered */
    bool opened;                   /* void: this hub had opened its result, or was about to */
    const char *reason;            /* void */
};

/* Records to come, in order; malloc'd. */
struct mr_facts_batch {
    uint8_t *bytes; /* each: u8 kind ‖ be64 round ‖ be32 length ‖ body */
    size_t length, capacity;
};
void mr_facts_batch_fini(struct mr_facts_batch *batch);
/* Takes the records one by one; *at is 0 before the first. False: there is none left. */
bool mr_facts_batch_next(const struct mr_facts_batch *batch, size_t *at,
                         struct mr_evidence_record *record);

/* A record of the hub itself, which is no fact of a round. */
void mr_facts_add(struct mr_facts_batch *batch, enum mr_evidence_kind kind, const uint8_t *body,
                  size_t body_bytes);

/* What of a round is in a batch already, by this process. */
struct mr_facts_noted {
    uint8_t hash[MR_HASH_BYTES];
    uint64_t round;
    unsigned kinds; /* bit of mr_evidence_kind */
    unsigned commitments, openings;
};

/* Adds to the batch what is known and not noted, and notes it. Whether anything was added. */
bool mr_facts_collect(struct mr_facts_batch *batch, struct mr_facts_noted *noted,
                      const struct mr_round_facts *facts);

#endif
