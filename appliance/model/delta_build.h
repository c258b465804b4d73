/* delta_build.h - the smallest delta between two models of the store: by the opened sums of the
 * rounds in between or the levels that their steps were rounded to, by changed values, or none.
 * Takes long: on a job thread. */
#ifndef MR_MODEL_DELTA_BUILD_H
#define MR_MODEL_DELTA_BUILD_H

#include "appliance/model/made_model.h"
#include "appliance/model/store.h"
#include "kernels/kernels.h"
#include "wire/delta.h"

struct mr_delta_wish {
    const struct mr_store *store;
    uint8_t base_hash[MR_HASH_BYTES], target_hash[MR_HASH_BYTES];
    const uint8_t *base, *target; /* whole files, which stay while it is built */
    size_t base_bytes, target_bytes;
    /* The target, where the store need not have it, nor its round, yet. NULL: it has them. */
    const struct mr_made_model *made;
    /* Deltas from the base to the target, one behind the other, each of which was applied once and
     * all of kind sums (mr_delta_join). Nothing is coded, nor applied, again then. */
    struct mr_delta_part parts[MR_DELTA_STEPS_MAX];
    unsigned part_count; /* 0: there are none */
    const struct mr_kernels *kernels;
};

/* 0; 1: none is smaller than the target itself; -1 with an error. On 0 free(out->bytes) is owed.
 * What it makes was applied once, whole or part by part, and made the target. */
int mr_delta_build(struct mr_delta_out *out, const struct mr_delta_wish *wish,
                   struct mr_error *error);

#endif
