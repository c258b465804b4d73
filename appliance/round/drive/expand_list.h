/* expand_list.h - a helper's result from the list of its frozen set. Pure compute. */
#ifndef MR_ROUND_DRIVE_EXPAND_LIST_H
#define MR_ROUND_DRIVE_EXPAND_LIST_H

#include "appliance/round/helper/helper.h"
#include "kernels/kernels.h"

/* The packed sum of the masks (64-byte aligned, malloc'd), or NULL when out of memory. Wipes the
 * list either way. */
uint8_t *mr_expand_list(const struct mr_round_terms *terms, uint16_t hub_index,
                        struct mr_expansion *list, uint32_t count,
                        const struct mr_kernels *kernels);

#endif
