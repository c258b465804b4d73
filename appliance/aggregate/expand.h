/* expand.h - a helper's result: the sum of the masks of a frozen set. Pure compute. */
#ifndef MR_AGGREGATE_EXPAND_H
#define MR_AGGREGATE_EXPAND_H

#include "appliance/round/helper/helper.h"
#include "kernels/kernels.h"

/* Expands each entry's seed and adds; returns the packed result (64-byte aligned, malloc'd), or
 * NULL when out of memory. Wipes the seeds in `list` either way. */
uint8_t *mr_expand(const struct mr_round_terms *terms, uint16_t hub_index,
                   struct mr_expansion *list, uint32_t count, const struct mr_kernels *kernels);

#endif
