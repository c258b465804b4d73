/* audit_shelf.h - what a hub counted in rounds with audit_hours: kept on its disk until these are
 * over, and in memory, for the newest two, for the root that it commits to and for proofs.
 *
 * A driver's job thread keeps (_keep…, _destroy, _sweep), its loop does the rest; the two never
 * touch the same round at once, since a round's jobs are over before its root is asked for, and
 * proofs are given only once it has ended. One for each driver. */
#ifndef MR_ROUND_DRIVE_AUDIT_SHELF_H
#define MR_ROUND_DRIVE_AUDIT_SHELF_H

#include "appliance/round/drive/round_context.h"
#include "wire/audit.h"

struct mr_audit_shelf;

/* Makes the task's folder `audit`. The context outlives the shelf. 0 or -1. */
int mr_audit_shelf_open(struct mr_audit_shelf **shelf, const struct mr_round_context *context,
                        struct mr_error *error);
void mr_audit_shelf_close(struct mr_audit_shelf *shelf); /* NULL allowed */

/* --- the loop's thread ----------------------------------------------------------------------- */
/* Of this round is counted from now on, and of no other; what is counted of it was not counted
 * before, or is counted anew. Nothing for a round without audit_hours. */
void mr_audit_shelf_begin(struct mr_audit_shelf *shelf, const struct mr_round_terms *terms);
/* While the hub starts: a round that is under way, or the newest that is kept (0), as the files
 * have it. 0 or -1. */
int mr_audit_shelf_recover(struct mr_audit_shelf *shelf, uint64_t round, struct mr_error *error);
/* The root over the set, all of which is kept by now; ops->counted_root of both cores. */
int mr_audit_shelf_root(struct mr_audit_shelf *shelf, const struct mr_included *set, uint32_t count,
                        uint8_t root[MR_HASH_BYTES]);
/* The round has ended well: proofs may be had. All hubs' commitments, in list order. */
void mr_audit_shelf_publish(struct mr_audit_shelf *shelf, uint64_t round,
                            const struct mr_commitment *commitments, unsigned count);
/* Fills a proof for the device. 0; 1: nothing to prove is known of that round; 2: the device is not
 * in its set. */
int mr_audit_shelf_prove(const struct mr_audit_shelf *shelf, uint64_t round,
                         const uint8_t client_id[MR_CLIENT_ID_BYTES], struct mr_audit_proof *proof);

/* --- the job thread -------------------------------------------------------------------------- */
/* All return 0, or -1 with an error: the hub must not go on. */
struct mr_audit_item {
    struct mr_included of;
    const uint8_t *material; /* a lead: share bytes; a helper: the seed */
};
int mr_audit_shelf_keep(struct mr_audit_shelf *shelf, const struct mr_round_terms *terms,
                        const struct mr_audit_item *items, uint32_t count, struct mr_error *error);
/* The set is final; in any order. */
int mr_audit_shelf_keep_set(struct mr_audit_shelf *shelf, const struct mr_round_terms *terms,
                            const struct mr_included *set, uint32_t count, struct mr_error *error);
/* Of all hubs, in list order; durable. */
int mr_audit_shelf_keep_commitments(struct mr_audit_shelf *shelf,
                                    const struct mr_round_terms *terms,
                                    const struct mr_commitment *commitments,
                                    struct mr_error *error);
/* What was kept since the last time is durable. */
int mr_audit_shelf_sync(struct mr_audit_shelf *shelf, struct mr_error *error);
/* A round that was given up before anything of it was opened. */
int mr_audit_shelf_destroy(struct mr_audit_shelf *shelf, uint64_t round, struct mr_error *error);
/* What is over by the clock goes; `under_way`: a round that has not ended, 0: none. */
int mr_audit_shelf_sweep(struct mr_audit_shelf *shelf, uint64_t unix_ms, uint64_t under_way,
                         unsigned *removed, struct mr_error *error);
/* How much is kept, of all rounds. */
struct mr_audit_kept {
    uint64_t files, bytes;
};
int mr_audit_shelf_measure(struct mr_audit_shelf *shelf, struct mr_audit_kept *kept,
                           struct mr_error *error);

#endif
