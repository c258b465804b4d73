/* narrow_avx2.h - inside kernels/ only: sixteen packed lanes of 10 or 12 bits in a ymm register, as
 * 16-bit lanes. What is above a lane's own bits may be the next lane's: an accumulator means only
 * its low bits. Reads no byte outside its 20 or 24. */
#ifndef MR_KERNELS_NARROW_AVX2_H
#define MR_KERNELS_NARROW_AVX2_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

/* `bits` is a constant where it is inlined. A lane lies in two bytes, which a shuffle brings
 * together; then its lowest bit has to come down. Every second lane of 12 bits is there already;
 * lanes of 10 bits first go up by 6, 4, 2 and 0, and then all down by 6. */
static inline __attribute__((always_inline)) __m256i narrow_load16(const uint8_t *at, unsigned bits)
{
    /* 10 or 12 bytes a half; the upper is loaded so that it ends with its last. */
    const __m256i spread10 =
        _mm256_setr_epi8(0, 1, 1, 2, 2, 3, 3, 4, 5, 6, 6, 7, 7, 8, 8, 9, /* low */
                         6, 7, 7, 8, 8, 9, 9, 10, 11, 12, 12, 13, 13, 14, 14, 15);
    const __m256i spread12 =
        _mm256_setr_epi8(0, 1, 1, 2, 3, 4, 4, 5, 6, 7, 7, 8, 9, 10, 10, 11, /* low */
                         4, 5, 5, 6, 7, 8, 8, 9, 10, 11, 11, 12, 13, 14, 14, 15);
    const __m256i up10 = _mm256_set1_epi64x(0x0001000400100040);
    const __m128i low = _mm_loadu_si128((const __m128i *)at);
    const __m128i high = _mm_loadu_si128((const __m128i *)(at + (2 * bits - 16)));
    const __m256i both = _mm256_set_m128i(high, low);
    const __m256i pairs = _mm256_shuffle_epi8(both, bits == 10 ? spread10 : spread12);
    return bits == 10 ? _mm256_srli_epi16(_mm256_mullo_epi16(pairs, up10), 6)
                      : _mm256_blend_epi16(pairs, _mm256_srli_epi16(pairs, 4), 0xaa);
}

#endif
