/* sum.h - adding up shares and masks: every hub's part of the sum, and the whole. Pure compute. */
#ifndef MR_AGGREGATE_SUM_H
#define MR_AGGREGATE_SUM_H

#include "kernels/kernels.h"
#include "wire/layout.h"

/* An accumulator of whole vectors: main lanes (as kernels/kernels.h says) and trailer.
 * `lanes` points at mr_layout_accumulator_bytes() bytes, 64-byte aligned, owned by the caller. One
 * thread at a time. */
struct mr_vector_sum {
    void *lanes;
    uint32_t trailer[MR_TRAILER_LANES_MAX]; /* layout->trailer_lanes of them */
};

void mr_sum_zero(struct mr_vector_sum *sum, const struct mr_layout *layout);
/* Adds up to MR_FOLD_MAX whole shares (share bytes, 64-byte aligned). */
void mr_sum_fold(struct mr_vector_sum *sum, const struct mr_layout *layout,
                 const uint8_t *const *shares, unsigned count, const struct mr_kernels *kernels);
/* Adds a helper's mask (expand and add). */
void mr_sum_mask(struct mr_vector_sum *sum, const struct mr_layout *layout,
                 const struct mr_mask_stream *mask, const struct mr_kernels *kernels);
/* sum += other. */
void mr_sum_merge(struct mr_vector_sum *sum, const struct mr_layout *layout,
                  const struct mr_vector_sum *other, const struct mr_kernels *kernels);
/* Writes the sum as share bytes, which is how a result travels and is committed to.
 * `share` needs no alignment; unless mr_layout_packed() it may be the sum's own lanes, with room
 * for the trailer behind them. */
void mr_sum_pack(uint8_t *share, const struct mr_layout *layout, const struct mr_vector_sum *sum,
                 const struct mr_kernels *kernels);
/* The way back; `share` as above, but 64-byte aligned. */
void mr_sum_unpack(struct mr_vector_sum *sum, const struct mr_layout *layout, const uint8_t *share,
                   const struct mr_kernels *kernels);

#endif
