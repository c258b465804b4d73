/* helper_kept.h - what a helper keeps of a round with audit_hours: with the frozen set its seeds,
 * with the model the commitments. Copied from the core's state on the loop's thread, written on the
 * job thread. */
#ifndef MR_ROUND_DRIVE_HELPER_KEPT_H
#define MR_ROUND_DRIVE_HELPER_KEPT_H

#include "appliance/round/drive/audit_shelf.h"
#include "appliance/round/helper/helper.h"

struct mr_journal_state;

struct mr_helper_kept {
    struct mr_round_terms terms;
    struct mr_expansion *entries; /* secret; NULL with the model */
    uint32_t count;
    struct mr_commitment commitments[MR_HUBS_MAX];
};

/* The caller's, until mr_helper_kept_drop. NULL: nothing, where the round has no audit_hours or is
 * not so far. */
struct mr_helper_kept *mr_helper_kept_copy(const struct mr_journal_state *state);
/* Durable, which it must be before the journal says that the set is this one, or that the model is
 * computed. 0 or -1. */
int mr_helper_kept_write(const struct mr_helper_kept *kept, struct mr_audit_shelf *shelf,
                         struct mr_error *error);
/* NULL allowed. */
void mr_helper_kept_drop(struct mr_helper_kept *kept);

#endif
