/* record.h - what a hub writes down about a round and a model, as JSON text. */
#ifndef MR_ROUND_DRIVE_RECORD_H
#define MR_ROUND_DRIVE_RECORD_H

#include "appliance/round/lead/lead.h"
#include "appliance/round/drive/summary.h"
#include "wire/exchange.h"

struct mr_record {
    const char *task;
    const struct mr_round_summary *summary; /* role, times, counts; NULL: none of it */
    const struct mr_round_terms *terms;
    const char *state;                  /* "published", "revealed" (at a helper), "void" */
    const char *reason;                 /* of a void round, else NULL */
    const struct mr_included *included; /* sorted; of a void round those that were told committed */
    const uint64_t *upload_ids;         /* of them, at the lead; else NULL */
    uint32_t included_count;
    bool opened;             /* of a void round: this hub may have opened, or asked other hubs to */
    bool model_known;        /* the store had that model before, with an origin of its own */
    const uint8_t *set_hash; /* NULL when void and not opened */
    const uint8_t *model_hash;                       /* of the next model; NULL when void */
    const struct mr_round_metrics *metrics;          /* NULL when void */
    const uint8_t (*signatures)[MR_SIGNATURE_BYTES]; /* by position, all zero: not known here */
};

/* malloc'd text; there is always memory for it (base/json_memory.h). Both begin with the summary's
 * members (summary.h), as they are with what the record says. The round's record lists under
 * `uploads` the included set, of a void round those that were told committed; the model's manifest
 * says where a model came from, with all that makes it from its parent and the opened sum
 * (appliance/model/origin.h). */
char *mr_record_round(const struct mr_record *record);
char *mr_record_manifest(const struct mr_record *record);

/* How the round of that record (mr_record_round's text) ended at the lead. 0, or -1: not ended. */
int mr_record_end(struct mr_lead_end *end, const char *text);

/* The uploads that the round of that record had committed at the lead; malloc'd lists. 0, or -1:
 * the record does not say all of it. mr_record_uploads_fini is owed either way. */
struct mr_record_uploads {
    struct mr_included *included;
    uint64_t *upload_ids; /* of them */
    uint32_t count;
};
int mr_record_uploads(struct mr_record_uploads *uploads, const char *text);
void mr_record_uploads_fini(struct mr_record_uploads *uploads);

#endif
