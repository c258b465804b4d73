/* expand_list.h - a hub's result of a frozen set: a helper's from the list of its seeds, a lead's
 * from the sum of shares; with the hub's noise. Pure compute. */
#ifndef MR_ROUND_DRIVE_EXPAND_LIST_H
#define MR_ROUND_DRIVE_EXPAND_LIST_H

#include "appliance/privacy/hub_noise.h"
#include "appliance/round/helper/helper.h"
#include "kernels/kernels.h"

/* The packed sum of the masks (64-byte aligned, malloc'd), or NULL when out of memory. Wipes the
 * list either way. */
uint8_t *mr_expand_list(const struct mr_round_terms *terms, uint16_t hub_index,
                        struct mr_expansion *list, uint32_t count,
                        const struct mr_kernels *kernels);
/* The same with this hub's noise of the release, where the round has noise. */
uint8_t *mr_expand_noised(const struct mr_hub_noise *noise, struct mr_expansion *list,
                          uint32_t count, const struct mr_kernels *kernels);
/* Adds it to the packed sum of a lead, whose set is in any order; the set's hash in `noise` is
 * filled in here. 0, or -1 with an error: the sum must not be used. */
int mr_sum_noised(uint8_t *packed, const struct mr_hub_noise *noise,
                  const struct mr_included *included, uint32_t count,
                  const struct mr_kernels *kernels, struct mr_error *error);

#endif
