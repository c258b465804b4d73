/* lane.h - inside kernels/ only: one ring lane, or four narrow ones, at any address, little-endian
 * hosts. */
#ifndef MR_KERNELS_LANE_H
#define MR_KERNELS_LANE_H

#include <stdint.h>
#include <string.h>

static inline uint16_t lane_load16(const uint8_t *at)
{
    uint16_t v;
    memcpy(&v, at, sizeof v);
    return v;
}

static inline uint32_t lane_load24(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16;
}

static inline void lane_store24(uint8_t *at, uint32_t v)
{
    at[0] = (uint8_t)v;
    at[1] = (uint8_t)(v >> 8);
    at[2] = (uint8_t)(v >> 16);
}

static inline uint32_t lane_load32(const uint8_t *at)
{
    uint32_t v;
    memcpy(&v, at, sizeof v);
    return v;
}

/* Four narrow lanes, bits / 2 bytes, as one number: lane j is its bits j * bits and up. */
static inline uint64_t narrow_load4(const uint8_t *at, unsigned bits)
{
    const uint64_t high = bits == 10 ? at[4] : lane_load16(at + 4);
    return lane_load32(at) | high << 32;
}

static inline void narrow_store4(uint8_t *at, uint64_t four, unsigned bits)
{
    const uint32_t low = (uint32_t)four;
    memcpy(at, &low, sizeof low);
    at[4] = (uint8_t)(four >> 32);
    if (bits == 12) {
        at[5] = (uint8_t)(four >> 40);
    }
}

/* The most significant bit of each of the four. */
static inline uint64_t narrow_tops(unsigned bits)
{
    return bits == 10 ? UINT64_C(0x8020080200) : UINT64_C(0x800800800800);
}

/* a − b in each of the four: the differences are taken with the top bits apart, so that no borrow
 * leaves its lane, and the top bits are put right after. */
static inline uint64_t narrow_sub4(uint64_t a, uint64_t b, unsigned bits)
{
    const uint64_t tops = narrow_tops(bits);
    return ((a | tops) - (b & ~tops)) ^ (~(a ^ b) & tops);
}

#endif
