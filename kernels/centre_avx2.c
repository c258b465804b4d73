/* centre_avx2.c - ring lanes to signed floats. */
#include <immintrin.h>

#include "kernels/levels.h"

static inline void store8(float *out, __m256i lanes, __m256 factor)
{
    _mm256_storeu_ps(out, _mm256_mul_ps(_mm256_cvtepi32_ps(lanes), factor));
}

void mr_centre_w16_avx2(float *out, const uint16_t *acc, float factor, size_t lanes)
{
    const __m256 f = _mm256_set1_ps(factor);
    size_t i = 0;
    for (; i + 8 <= lanes; i += 8) {
        store8(out + i, _mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *)(acc + i))), f);
    }
    mr_centre_w16_scalar(out + i, acc + i, factor, lanes - i);
}

void mr_centre_w24_avx2(float *out, const uint32_t *acc, float factor, size_t lanes)
{
    const __m256 f = _mm256_set1_ps(factor);
    size_t i = 0;
    for (; i + 8 <= lanes; i += 8) {
        const __m256i top = _mm256_slli_epi32(_mm256_loadu_si256((const __m256i *)(acc + i)), 8);
        store8(out + i, _mm256_srai_epi32(top, 8), f);
    }
    mr_centre_w24_scalar(out + i, acc + i, factor, lanes - i);
}

void mr_centre_w32_avx2(float *out, const uint32_t *acc, float factor, size_t lanes)
{
    const __m256 f = _mm256_set1_ps(factor);
    size_t i = 0;
    for (; i + 8 <= lanes; i += 8) {
        store8(out + i, _mm256_loadu_si256((const __m256i *)(acc + i)), f);
    }
    mr_centre_w32_scalar(out + i, acc + i, factor, lanes - i);
}
