/* share.h - splitting a prepared vector into a lead share and seeds; appliance/aggregate adds it up
 * again.
 *
 * lead share = x − Σ_j PRG(seed_j) lane by lane mod 2^w (trailer lanes mod 2^32). Seeds come from
 * the caller (a CSPRNG, fresh for each attempt): the code here draws no randomness. */
#ifndef MR_WIRE_SHARE_H
#define MR_WIRE_SHARE_H

#include "kernels/kernels.h"
#include "wire/announcement.h"
#include "wire/keys.h"

/* Lifts q[lanes] into the ring and appends the trailer, layout->trailer_lanes of it:
 * share[layout->share_bytes], 64-byte aligned. Padding lanes must already be in q. */
void mr_share_lift(uint8_t *share, const struct mr_layout *layout, const int8_t *q,
                   const uint32_t *trailer, const struct mr_kernels *kernels);

/* The share's lane MR_TRAILER_COUNT; any alignment. */
uint32_t mr_share_count(const uint8_t *share, const struct mr_layout *layout);

/* Subtracts one helper's mask from the share in place. */
void mr_share_mask(uint8_t *share, const struct mr_layout *layout,
                   const struct mr_mask_stream *mask, const struct mr_kernels *kernels);

#endif
