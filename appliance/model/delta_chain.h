/* delta_chain.h - the rounds between two models, as the sources that a delta is written from
 * (wire/delta.h). Takes long: on a job thread. */
#ifndef MR_MODEL_DELTA_CHAIN_H
#define MR_MODEL_DELTA_CHAIN_H

#include "appliance/model/delta_build.h"
#include "appliance/model/requantise.h"

/* What a round's step is made of: the opened sum, mapped, or the levels that it was rounded to, in
 * a state. */
struct mr_delta_sum {
    const uint8_t *share;
    const uint8_t *state; /* NULL: the sum's lanes are the step's */
    void *read;           /* the state's file, malloc'd; NULL: somebody else's, or none */
    void *mapped;         /* the sum's file; NULL likewise */
    struct mr_requantised taken;
    struct mr_layout layout;
};

struct mr_delta_chain {
    struct mr_delta_sum sums[MR_DELTA_STEPS_MAX];       /* the newest first */
    struct mr_delta_source sources[MR_DELTA_STEPS_MAX]; /* the oldest first, once whole */
    unsigned count;
};

/* From the target back to the base. 0, or -1: the rounds in between, or a sum, are not all here, or
 * a device could not repeat one of them. _drop is owed in both cases; the chain stays where it is
 * until then. */
int mr_delta_chain_find(struct mr_delta_chain *chain, const struct mr_delta_wish *wish);
void mr_delta_chain_drop(struct mr_delta_chain *chain);

#endif
