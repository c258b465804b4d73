/* w24_avx512.h - inside kernels/ only: sixteen packed 24-bit lanes to and from a zmm register, by
 * byte permutes over the whole register (VBMI). Neither touches a byte outside its 48. */
#ifndef MR_KERNELS_W24_AVX512_H
#define MR_KERNELS_W24_AVX512_H

#include <immintrin.h>
#include <stdint.h>

/* Lane i, byte b comes from byte 3i + b; byte 3 of each lane is for a mask to zero. */
static inline __m512i w24_spread(void)
{
    return _mm512_set_epi32(0x002f2e2d, 0x002c2b2a, 0x00292827, 0x00262524, 0x00232221, 0x00201f1e,
                            0x001d1c1b, 0x001a1918, 0x00171615, 0x00141312, 0x0011100f, 0x000e0d0c,
                            0x000b0a09, 0x00080706, 0x00050403, 0x00020100);
}

static inline __m512i w24_load16(const uint8_t *at)
{
    const __m512i packed = _mm512_maskz_loadu_epi8(0x0000ffffffffffffu, at);
    return _mm512_maskz_permutexvar_epi8(0x7777777777777777u, w24_spread(), packed);
}

static inline void w24_store16(uint8_t *at, __m512i lanes)
{
    /* Byte 3i + b comes from lane i, byte b. */
    const __m512i squeeze = _mm512_set_epi32(
        0, 0, 0, 0, 0x3e3d3c3a, 0x39383635, 0x34323130, 0x2e2d2c2a, 0x29282625, 0x24222120,
        0x1e1d1c1a, 0x19181615, 0x14121110, 0x0e0d0c0a, 0x09080605, 0x04020100);
    _mm512_mask_storeu_epi8(at, 0x0000ffffffffffffu, _mm512_permutexvar_epi8(squeeze, lanes));
}

#endif
