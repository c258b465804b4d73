/* audit_reading.h - reading one record of a round after the other. Shared by the audit_*.c files
 * only; every int is 0, or -1 with the audit's result filled. */
#ifndef MR_PRIVACY_AUDIT_READING_H
#define MR_PRIVACY_AUDIT_READING_H

#include "appliance/privacy/audit_internal.h"
#include "base/bytes.h"

/* A record being read: the round it belongs to, and what is left of its body. */
struct audit_reading {
    struct audit *audit;
    const struct audit_chain *chain;
    const struct audit_record *record;
    struct audit_round *round;
    struct mr_rest rest;
};

/* Says what is wrong with the record; -1. */
#define WRONG(reading, ...)                                                                        \
    mr_audit_wrong((reading)->audit, (reading)->chain, (reading)->record, __VA_ARGS__)

static inline const struct mr_announcement *mr_audit_terms(const struct audit_reading *reading)
{
    return &reading->round->terms.announcement;
}

/* It has not the length that its kind has; -1. */
int mr_audit_cut_off(const struct audit_reading *reading);

/* The place of a hub in the round's list, or -1 with what is wrong. */
int mr_audit_position(const struct audit_reading *reading, uint16_t hub);

/* A list of signatures to the body's end, each `more` bytes behind its hub's index. `verify` says
 * whether one holds. Adds a bit for each place that signed. */
typedef int (*audit_verify_fn)(const struct audit_reading *reading, const uint8_t *entry,
                               unsigned position);
int mr_audit_signatures(struct audit_reading *reading, size_t more, audit_verify_fn verify,
                        unsigned *signed_by);

/* audit_opened.c: the rest of a record's body, by its kind. */
int mr_audit_committed(struct audit_reading *reading);
int mr_audit_debited(struct audit_reading *reading);
int mr_audit_opened(struct audit_reading *reading);
int mr_audit_model(struct audit_reading *reading);
int mr_audit_void(struct audit_reading *reading);

#endif
