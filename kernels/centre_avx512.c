/* centre_avx512.c - ring lanes to signed floats. */
#include <immintrin.h>

#include "kernels/levels.h"

static inline void store16(float *out, __m512i lanes, __m512 factor)
{
    _mm512_storeu_ps(out, _mm512_mul_ps(_mm512_cvtepi32_ps(lanes), factor));
}

void mr_centre_w16_avx512(float *out, const uint16_t *acc, float factor, size_t lanes)
{
    const __m512 f = _mm512_set1_ps(factor);
    size_t i = 0;
    for (; i + 16 <= lanes; i += 16) {
        const __m256i words = _mm256_loadu_si256((const __m256i *)(acc + i));
        store16(out + i, _mm512_cvtepi16_epi32(words), f);
    }
    mr_centre_w16_scalar(out + i, acc + i, factor, lanes - i);
}

void mr_centre_w24_avx512(float *out, const uint32_t *acc, float factor, size_t lanes)
{
    const __m512 f = _mm512_set1_ps(factor);
    size_t i = 0;
    for (; i + 16 <= lanes; i += 16) {
        const __m512i top = _mm512_slli_epi32(_mm512_loadu_si512(acc + i), 8);
        store16(out + i, _mm512_srai_epi32(top, 8), f);
    }
    mr_centre_w24_scalar(out + i, acc + i, factor, lanes - i);
}

void mr_centre_w32_avx512(float *out, const uint32_t *acc, float factor, size_t lanes)
{
    const __m512 f = _mm512_set1_ps(factor);
    size_t i = 0;
    for (; i + 16 <= lanes; i += 16) {
        store16(out + i, _mm512_loadu_si512(acc + i), f);
    }
    mr_centre_w32_scalar(out + i, acc + i, factor, lanes - i);
}
