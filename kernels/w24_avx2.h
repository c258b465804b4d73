/* w24_avx2.h - inside kernels/ only: eight packed 24-bit lanes to and from a ymm register. Neither
 * touches a byte outside its 24. */
#ifndef MR_KERNELS_W24_AVX2_H
#define MR_KERNELS_W24_AVX2_H

#include <immintrin.h>
#include <stdint.h>

static inline __m256i w24_load8(const uint8_t *at)
{
    /* The upper half is loaded from byte 8, its lanes start at byte 4 of that. */
    const __m256i spread =
        _mm256_setr_epi8(0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11, -1, /* low */
                         4, 5, 6, -1, 7, 8, 9, -1, 10, 11, 12, -1, 13, 14, 15, -1);
    const __m128i lo = _mm_loadu_si128((const __m128i *)at);
    const __m128i hi = _mm_loadu_si128((const __m128i *)(at + 8));
    return _mm256_shuffle_epi8(_mm256_set_m128i(hi, lo), spread);
}

static inline void w24_store8(uint8_t *at, __m256i lanes)
{
    const __m256i squeeze =
        _mm256_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1, /* low */
                         0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1);
    const __m256i join = _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 3, 7);
    const __m256i packed = _mm256_permutevar8x32_epi32(_mm256_shuffle_epi8(lanes, squeeze), join);
    _mm_storeu_si128((__m128i *)at, _mm256_castsi256_si128(packed));
    _mm_storel_epi64((__m128i *)(at + 16), _mm256_extracti128_si256(packed, 1));
}

#endif
