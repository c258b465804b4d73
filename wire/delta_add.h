/* delta_add.h - a step's update, group after group of blocks, into the target's values (below
 * delta.c only). */
#ifndef MR_WIRE_DELTA_ADD_H
#define MR_WIRE_DELTA_ADD_H

#include "wire/delta.h"
#include "wire/safetensors.h"

struct mr_delta_adding {
    const struct mr_safetensors *base; /* whose trained values change */
    uint8_t *values;                   /* of the target, at any alignment */
    const uint8_t *signs;              /* a bit a lane; NULL: none is turned */
    float *group;                      /* the blocks, place after place; is used up */
    const struct mr_kernels *kernels;
};

/* `width` blocks from the `first` one on. A group that is the whole vector lies in the order of its
 * lanes. */
void mr_delta_add_group(const struct mr_delta_adding *adding, const struct mr_delta_order *order,
                        uint32_t first, size_t width);

#endif
