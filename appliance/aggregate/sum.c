/* Lanes are little-endian in memory as on the wire, and share buffers are aligned: a cast reads
 * them (the tree is built with -fno-strict-aliasing). */
#include "appliance/aggregate/sum.h"

#include <string.h>

#include "base/assert.h"

void mr_sum_zero(struct mr_vector_sum *sum, const struct mr_layout *layout)
{
    memset(sum->lanes, 0, mr_layout_accumulator_bytes(layout));
    memset(sum->trailer, 0, sizeof sum->trailer);
}

/* The share pointers as pointers to lanes that are no bytes. */
union sources {
    const uint16_t *w16[MR_FOLD_MAX];
    const uint32_t *w32[MR_FOLD_MAX];
};

void mr_sum_fold(struct mr_vector_sum *sum, const struct mr_layout *layout,
                 const uint8_t *const *shares, unsigned count, const struct mr_kernels *kernels)
{
    union sources from;
    MR_ASSERT(count <= MR_FOLD_MAX);
    if (count == 0) {
        return;
    }
    for (unsigned s = 0; s < count; s++) {
        MR_ASSERT((uintptr_t)shares[s] % 64 == 0);
    }
    switch (layout->ring_bits) {
    case 8:
        kernels->fold_w8(sum->lanes, shares, count, layout->lanes);
        break;
    case 10:
    case 12:
        kernels->fold_narrow(sum->lanes, shares, count, layout->lanes, layout->ring_bits);
        break;
    case 16:
        for (unsigned s = 0; s < count; s++) {
            from.w16[s] = (const uint16_t *)(const void *)shares[s];
        }
        kernels->fold_w16(sum->lanes, from.w16, count, layout->lanes);
        break;
    case 24:
        kernels->fold_w24(sum->lanes, shares, count, layout->lanes);
        break;
    default:
        MR_ASSERT(layout->ring_bits == 32);
        for (unsigned s = 0; s < count; s++) {
            from.w32[s] = (const uint32_t *)(const void *)shares[s];
        }
        kernels->fold_w32(sum->lanes, from.w32, count, layout->lanes);
    }
    for (unsigned s = 0; s < count; s++) {
        from.w32[s] = (const uint32_t *)(const void *)(shares[s] + layout->main_bytes);
    }
    kernels->fold_w32(sum->trailer, from.w32, count, layout->trailer_lanes);
}

void mr_sum_mask(struct mr_vector_sum *sum, const struct mr_layout *layout,
                 const struct mr_mask_stream *mask, const struct mr_kernels *kernels)
{
    switch (layout->ring_bits) {
    case 8:
        kernels->mask_add_w8(sum->lanes, mask, 0, layout->lanes);
        break;
    case 10:
    case 12:
        kernels->mask_add_narrow(sum->lanes, mask, 0, layout->lanes, layout->ring_bits);
        break;
    case 16:
        kernels->mask_add_w16(sum->lanes, mask, 0, layout->lanes);
        break;
    case 24:
        kernels->mask_add_w24(sum->lanes, mask, 0, layout->lanes);
        break;
    default:
        MR_ASSERT(layout->ring_bits == 32);
        kernels->mask_add_w32(sum->lanes, mask, 0, layout->lanes);
    }
    kernels->mask_add_w32(sum->trailer, mask, layout->main_bytes, layout->trailer_lanes);
}

void mr_sum_merge(struct mr_vector_sum *sum, const struct mr_layout *layout,
                  const struct mr_vector_sum *other, const struct mr_kernels *kernels)
{
    const uint8_t *const bytes = other->lanes;
    switch (mr_ring_accumulator(layout->ring_bits)) {
    case 1:
        kernels->fold_w8(sum->lanes, &bytes, 1, layout->lanes);
        break;
    case 2:
        kernels->add_w16(sum->lanes, other->lanes, layout->lanes);
        break;
    default:
        kernels->add_w32(sum->lanes, other->lanes, layout->lanes);
    }
    kernels->add_w32(sum->trailer, other->trailer, layout->trailer_lanes);
}

void mr_sum_pack(uint8_t *share, const struct mr_layout *layout, const struct mr_vector_sum *sum,
                 const struct mr_kernels *kernels)
{
    if (layout->ring_bits == 24) {
        kernels->pack_w24(share, sum->lanes, layout->lanes);
    } else if (mr_layout_packed(layout)) {
        kernels->pack_narrow(share, sum->lanes, layout->lanes, layout->ring_bits);
    } else if (share != sum->lanes) {
        memcpy(share, sum->lanes, layout->main_bytes);
    }
    memcpy(share + layout->main_bytes, sum->trailer, mr_layout_trailer_bytes(layout));
}

void mr_sum_unpack(struct mr_vector_sum *sum, const struct mr_layout *layout, const uint8_t *share,
                   const struct mr_kernels *kernels)
{
    if (mr_layout_packed(layout)) {
        mr_sum_zero(sum, layout);
        mr_sum_fold(sum, layout, &share, 1, kernels);
        return;
    }
    if (share != sum->lanes) {
        memcpy(sum->lanes, share, layout->main_bytes);
    }
    memcpy(sum->trailer, share + layout->main_bytes, mr_layout_trailer_bytes(layout));
}
