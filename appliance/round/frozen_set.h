/* frozen_set.h - a round's frozen set, as its cores show it to the hub's ledger of released sets
 * (task/released.h). */
#ifndef MR_ROUND_FROZEN_SET_H
#define MR_ROUND_FROZEN_SET_H

#include "wire/exchange.h"

/* Valid during the call only. */
struct mr_frozen_set {
    const struct mr_round_terms *terms;
    const struct mr_included *included; /* rising strictly by client */
    uint32_t count;
    const uint8_t *set_hash;
};

enum mr_set_claim {
    MR_SET_REFUSED,
    MR_SET_CLAIMED,
    MR_SET_RELEASED, /* claimed, and the ledger has it: openings of it may have left this hub */
};

#endif
