/* narrow_neon.h - inside kernels/ only: eight packed lanes of 10 or 12 bits in a register, as
 * 16-bit lanes. What is above a lane's own bits is the next lane's: an accumulator means only its
 * low bits. Reads no byte outside its 10 or 12. */
#ifndef MR_KERNELS_NARROW_NEON_H
#define MR_KERNELS_NARROW_NEON_H

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>

/* A lane lies in two bytes, which `spread` brings together; `drop` moves its lowest bit down. The
 * bytes come as eight and as the last eight, which begin at `upper`. */
struct narrow {
    uint8x16_t spread;
    int16x8_t drop;
    size_t upper;
};

static inline struct narrow narrow_of(unsigned bits)
{
    /* From byte 8 on the second eight: byte b of 10 is their b − 2, of 12 their b − 4. */
    static const uint8_t spread[2][16] = {
        {0, 1, 1, 2, 2, 3, 3, 4, 5, 6, 6, 7, 7, 14, 14, 15},
        {0, 1, 1, 2, 3, 4, 4, 5, 6, 7, 7, 12, 13, 14, 14, 15},
    };
    static const int16_t drop[2][8] = {
        {0, -2, -4, -6, 0, -2, -4, -6},
        {0, -4, 0, -4, 0, -4, 0, -4},
    };
    const unsigned which = bits == 12;
    return (struct narrow){
        .spread = vld1q_u8(spread[which]),
        .drop = vld1q_s16(drop[which]),
        .upper = which ? 4 : 2,
    };
}

static inline uint16x8_t narrow_load8(const uint8_t *at, const struct narrow *how)
{
    const uint8x16_t packed = vcombine_u8(vld1_u8(at), vld1_u8(at + how->upper));
    return vshlq_u16(vreinterpretq_u16_u8(vqtbl1q_u8(packed, how->spread)), how->drop);
}

#endif
