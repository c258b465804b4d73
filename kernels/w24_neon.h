/* w24_neon.h - inside kernels/ only: sixteen packed 24-bit lanes (48 bytes, three registers) to and
 * from four registers, by table look-ups in registers. Neither touches a byte outside its 48. */
#ifndef MR_KERNELS_W24_NEON_H
#define MR_KERNELS_W24_NEON_H

#include <arm_neon.h>
#include <stdint.h>

/* An index past the table gives zero. */
#define W24_NONE 0xff

static inline void w24_load16(uint32x4_t lane[4], const uint8_t *at)
{
    static const uint8_t spread_bytes[16] = {0, 1, 2, W24_NONE, 3, 4,  5,  W24_NONE,
                                             6, 7, 8, W24_NONE, 9, 10, 11, W24_NONE};
    const uint8x16_t spread = vld1q_u8(spread_bytes);
    const uint8x16_t a = vld1q_u8(at), b = vld1q_u8(at + 16), c = vld1q_u8(at + 32);
    lane[0] = vreinterpretq_u32_u8(vqtbl1q_u8(a, spread));
    lane[1] = vreinterpretq_u32_u8(vqtbl1q_u8(vextq_u8(a, b, 12), spread));
    lane[2] = vreinterpretq_u32_u8(vqtbl1q_u8(vextq_u8(b, c, 8), spread));
    lane[3] = vreinterpretq_u32_u8(vqtbl1q_u8(vextq_u8(c, c, 4), spread));
}

static inline void w24_store16(uint8_t *at, const uint32x4_t lane[4])
{
    /* Bytes 0..15, 16..31, 32..47 of the packed lanes, each from two registers. */
    static const uint8_t squeeze[3][16] = {
        {0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 16, 17, 18, 20},
        {5, 6, 8, 9, 10, 12, 13, 14, 16, 17, 18, 20, 21, 22, 24, 25},
        {10, 12, 13, 14, 16, 17, 18, 20, 21, 22, 24, 25, 26, 28, 29, 30},
    };
    for (unsigned v = 0; v < 3; v++) {
        const uint8x16x2_t two = {
            {vreinterpretq_u8_u32(lane[v]), vreinterpretq_u8_u32(lane[v + 1])}};
        vst1q_u8(at + 16 * v, vqtbl2q_u8(two, vld1q_u8(squeeze[v])));
    }
}

#endif
