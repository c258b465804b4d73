#include "wire/share.h"

#include <string.h>

#include "base/assert.h"

/* Lanes are little-endian in memory as on the wire, and share buffers are aligned: a cast reads
 * them (the tree is built with -fno-strict-aliasing). */
static uint32_t *trailer_of(uint8_t *share, const struct mr_layout *layout)
{
    return (uint32_t *)(void *)(share + layout->main_bytes);
}

uint32_t mr_share_count(const uint8_t *share, const struct mr_layout *layout)
{
    uint32_t count;
    memcpy(&count, share + layout->main_bytes + MR_TRAILER_COUNT * sizeof count, sizeof count);
    return count;
}

static void require_aligned(const void *p)
{
    MR_ASSERT((uintptr_t)p % 64 == 0);
}

void mr_share_lift(uint8_t *share, const struct mr_layout *layout, const int8_t *q,
                   const uint32_t *trailer, const struct mr_kernels *kernels)
{
    require_aligned(share);
    switch (layout->ring_bits) {
    case 8:
        memcpy(share, q, layout->lanes);
        break;
    case 10:
    case 12:
        kernels->lift_narrow(share, q, layout->lanes, layout->ring_bits);
        break;
    case 16:
        kernels->lift_w16((uint16_t *)(void *)share, q, layout->lanes);
        break;
    case 24:
        kernels->lift_w24(share, q, layout->lanes);
        break;
    default:
        MR_ASSERT(layout->ring_bits == 32);
        kernels->lift_w32((uint32_t *)(void *)share, q, layout->lanes);
    }
    memcpy(share + layout->main_bytes, trailer, mr_layout_trailer_bytes(layout));
}

void mr_share_mask(uint8_t *share, const struct mr_layout *layout,
                   const struct mr_mask_stream *mask, const struct mr_kernels *kernels)
{
    require_aligned(share);
    switch (layout->ring_bits) {
    case 8:
        kernels->mask_sub_w8(share, mask, 0, layout->lanes);
        break;
    case 10:
    case 12:
        kernels->mask_sub_narrow(share, mask, 0, layout->lanes, layout->ring_bits);
        break;
    case 16:
        kernels->mask_sub_w16((uint16_t *)(void *)share, mask, 0, layout->lanes);
        break;
    case 24:
        kernels->mask_sub_w24(share, mask, 0, layout->lanes);
        break;
    default:
        MR_ASSERT(layout->ring_bits == 32);
        kernels->mask_sub_w32((uint32_t *)(void *)share, mask, 0, layout->lanes);
    }
    kernels->mask_sub_w32(trailer_of(share, layout), mask, layout->main_bytes,
                          layout->trailer_lanes);
}
