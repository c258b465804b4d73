/* share.h - splitting a prepared vector into a lead share and seeds, and adding it up again.
 *
 * lead share = x − Σ_j PRG(seed_j) lane by lane mod 2^w (trailer lanes mod 2^32). Seeds come from
 * the caller (a CSPRNG, fresh for each attempt): the code here draws no randomness. */
#ifndef MR_WIRE_SHARE_H
#define MR_WIRE_SHARE_H

#include "kernels/kernels.h"
#include "wire/announcement.h"
#include "wire/keys.h"

/* Lifts q[lanes] into the ring and appends the trailer: share[layout->share_bytes], 64-byte
 * aligned. Padding lanes must already be in q. */
void mr_share_lift(uint8_t *share, const struct mr_layout *layout, const int8_t *q,
                   const uint32_t trailer[MR_TRAILER_LANES], const struct mr_kernels *kernels);

/* Subtracts one helper's mask from the share in place. */
void mr_share_mask(uint8_t *share, const struct mr_layout *layout,
                   const struct mr_mask_stream *mask, const struct mr_kernels *kernels);

/* An accumulator of whole vectors: main lanes (uint16_t for w=16, uint32_t otherwise) and trailer.
 * `lanes` points at mr_layout_accumulator_bytes() bytes, 64-byte aligned, owned by the caller. One
 * thread at a time. */
struct mr_vector_sum {
    void *lanes;
    uint32_t trailer[MR_TRAILER_LANES];
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
/* Writes the sum as share bytes (w=24 packed), which is how a result travels and is committed to.
 * The way back: mr_sum_fold of one result over a zeroed sum. `share` needs no alignment; unless
 * w=24 it may be the sum's own lanes, with room for the trailer behind them. */
void mr_sum_pack(uint8_t *share, const struct mr_layout *layout, const struct mr_vector_sum *sum,
                 const struct mr_kernels *kernels);

#endif
