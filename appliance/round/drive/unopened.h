/* unopened.h - a hub's signed word that it has not opened a round and never will: what a device
 * asks for before it takes part again on the same model. */
#ifndef MR_ROUND_DRIVE_UNOPENED_H
#define MR_ROUND_DRIVE_UNOPENED_H

#include "appliance/round/drive/round_context.h"
#include "appliance/round/drive/summary.h"

/* Signs (mr_unopened_sign) and returns true if that holds of the round: it is void, this hub never
 * opened it, as its record and its ledger of released sets say, and the record that says so is
 * durable, which the caller vouches for. A round that is void is never taken up again, by this
 * process or a later one. Not while this hub is older than itself. */
bool mr_round_unopened(const struct mr_round_context *context,
                       const struct mr_round_summary *summary,
                       uint8_t signature[MR_SIGNATURE_BYTES]);

#endif
