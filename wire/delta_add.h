/* delta_add.h - a step's update, group after group of blocks, into the target's values (below
 * delta.c only). */
#ifndef MR_WIRE_DELTA_ADD_H
#define MR_WIRE_DELTA_ADD_H

#include "wire/delta.h"
#include "wire/safetensors.h"

/* Integers as they are coded, as the kernels centre a sum: to float, then one multiplication. */
void mr_delta_centre(float *out, const uint32_t *from, float factor, size_t count);

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

/* The whole vector lies where the target's values are to be: the job's base's are added to it,
 * which are aligned, as the target's are; padding lanes stay as they are, behind the target's last
 * byte. `piece`: room for MR_INTEGER_SEGMENT values of the base. 0, or -1: it cannot be read. */
int mr_delta_add_base(const struct mr_delta_adding *adding, const struct mr_delta_job *job,
                      void *piece);

#endif
