/* lost_round.h - a round that this hub signed and has lost what it went on with: its journal, or
 * its commit log. For lead and helper alike, when they start.
 *
 * Nothing of the round is ever answered again. Whether it was opened is told by what is left: the
 * ledger of released sets and the transcript, in both of which an opening is before it leaves.
 * Where neither has one, and the hub is not older than itself, the round ends here as void and
 * unopened: its record says so, so that the hub may sign that (unopened.h) and the round's devices
 * need not wait for another model. docs/decisions/0077-a-lost-round-that-was-not-opened.md. */
#ifndef MR_ROUND_DRIVE_LOST_ROUND_H
#define MR_ROUND_DRIVE_LOST_ROUND_H

#include "appliance/round/drive/evidence_desk.h"

enum mr_lost_round {
    MR_LOST_ROUND_OPEN = 0, /* there is none, it has ended, or nobody knows whether it was opened */
    MR_LOST_ROUND_ENDED,    /* it is void and unopened now, durably */
};

/* Looks at the round that signed-round names; before the first job. Of a draw that the hub took
 * part in the record says that too. `lead`: which role it had; a lead's sum may have been asked for
 * from the set on. MR_LOST_ROUND_…, or -1 with an error: the hub must not go on. */
int mr_lost_round_end(const struct mr_round_context *context, struct mr_evidence_desk *desk,
                      bool lead, struct mr_error *error);

/* What the round that signed-round names goes on with (`files`) was written by another version of
 * Millrace: whether it has not ended. 0: it has, and nothing in them is needed any more; -1 with an
 * error: the hub must not start, since what it acknowledged in that round would be lost.
 * docs/decisions/0096-files-of-another-version.md. */
int mr_lost_round_refuse(const struct mr_round_context *context, const char *files,
                         struct mr_error *error);

/* Whether a reason says that its round was lost here and ended so. */
bool mr_lost_round_said(const char *reason);

#endif
