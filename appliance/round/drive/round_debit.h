/* round_debit.h - that the devices of a round have paid for its release, as the hub's ledger says:
 * for its transcript, before its opening. Loop's thread only. */
#ifndef MR_ROUND_DRIVE_ROUND_DEBIT_H
#define MR_ROUND_DRIVE_ROUND_DEBIT_H

#include "appliance/privacy/facts.h"
#include "appliance/round/drive/round_context.h"

/* Zeroed: none. */
struct mr_round_debit {
    uint8_t hash[MR_HASH_BYTES]; /* of the announcement */
    bool known;
    struct mr_facts_debit fact;
};

/* The ledger has just answered for that round (NULL: it is over by now) and set. */
void mr_round_debit_take(struct mr_round_debit *debit, const struct mr_round_context *context,
                         const struct mr_round_terms *terms, const uint8_t *set_hash);
/* Adds it to the facts of its round. Where devices pay, this hub's opening is no fact before. */
void mr_round_debit_tell(const struct mr_round_debit *debit, uint16_t hub_index,
                         struct mr_round_facts *facts);

#endif
