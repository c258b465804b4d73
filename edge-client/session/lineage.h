/* lineage.h - a device is counted once on one model (inside session/ only).
 *
 * Two sums over nearly the same devices on one model differ by what the others' updates are: by one
 * device's own, if only that one is in one of them. So a device remembers on which models it may
 * have been counted, and takes part again on one of them only if every hub has signed that it did
 * not open the round before. The lead's word alone clears nothing: neither that the upload was
 * refused, nor that the round was given up. */
#ifndef MR_SESSION_LINEAGE_H
#define MR_SESSION_LINEAGE_H

#include "edge-client/session/client.h"

/* Whether the device may take part in that round; before it trains. Asks every hub where it has to.
 * MRE_OK, MRE_AWAITS_MODEL, MRE_BAD_CONFIG (disk), or how a hub could not be asked until the
 * round's deadline. */
enum mre_result mr_lineage_check(struct mre_client *client, const struct mr_round_terms *terms,
                                 struct mre_outcome *outcome);

/* Whether what the device has left of its privacy is enough for the round; before it trains.
 * MRE_OK, MRE_NOT_ACCEPTED with the code "budget", or MRE_BAD_CONFIG. */
enum mre_result mr_lineage_pay(struct mre_client *client, const struct mr_round_terms *terms,
                               struct mre_outcome *outcome);

/* From now on the device may be counted in that round; durable on return, so before it asks the
 * lead for an upload. MRE_OK, MRE_AWAITS_MODEL (another task of this device was faster), or
 * MRE_BAD_CONFIG. */
enum mre_result mr_lineage_claim(struct mre_client *client, const struct mr_round_terms *terms,
                                 struct mre_outcome *outcome);

#endif
