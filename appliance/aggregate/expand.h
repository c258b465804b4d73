/* expand.h - a helper's result: the sum of the masks of a frozen set. Pure compute. */
#ifndef MR_AGGREGATE_EXPAND_H
#define MR_AGGREGATE_EXPAND_H

#include "kernels/kernels.h"
#include "wire/keys.h"
#include "wire/layout.h"

/* A seed and what it serves for. */
struct mr_scoped_seed {
    const uint8_t *seed; /* MR_SEED_BYTES */
    struct mr_key_scope scope;
};

/* Expands each seed and adds; returns the packed result (64-byte aligned, malloc'd), or NULL when
 * out of memory. */
uint8_t *mr_expand(const struct mr_layout *layout, const struct mr_scoped_seed *seeds,
                   uint32_t count, const struct mr_kernels *kernels);

#endif
