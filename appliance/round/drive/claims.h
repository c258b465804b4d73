/* claims.h - what the hub's ledger of released sets (task/released.h) says to a round's core, as a
 * refusal. For lead and helper alike; loop's thread only. */
#ifndef MR_ROUND_DRIVE_CLAIMS_H
#define MR_ROUND_DRIVE_CLAIMS_H

#include "appliance/round/drive/round_context.h"
#include "appliance/round/frozen_set.h"
#include "wire/refusal.h"

/* Whether the round may count the device, of whose budget its price is kept then until the set is
 * claimed or the round is over. False with the refusal filled. */
bool mr_claims_may_count(const struct mr_round_context *context, const struct mr_round_terms *terms,
                         const uint8_t client_id[MR_CLIENT_ID_BYTES], struct mr_refusal *refusal);
/* Of a round that was taken up from the disk: likewise for devices that it had admitted. */
void mr_claims_keep(const struct mr_round_context *context, const struct mr_round_terms *terms,
                    const struct mr_included *admitted, uint32_t count);
/* Claims the set for its task. MR_SET_REFUSED with the refusal filled. */
enum mr_set_claim mr_claims_take(const struct mr_round_context *context,
                                 const struct mr_frozen_set *set, struct mr_refusal *refusal);
/* Whether a set of that round was released; what cannot be read counts as one that was. */
bool mr_claims_released(const struct mr_round_context *context, const struct mr_round_terms *terms);
/* Devices that are in released sets on that model: they are not counted on it again. */
uint32_t mr_claims_devices(const struct mr_round_context *context, const uint8_t *model_hash);

#endif
