/* prepare_avx512.c - signs, rounding and lift; the rest of the group is memory or latency bound, so
 * that the table takes it from AVX2. */
#include <immintrin.h>

#include "kernels/levels.h"
#include "kernels/w24_avx512.h"

void mr_flip_signs_avx512(float *x, const uint8_t *bits, size_t n)
{
    const __m512i sign = _mm512_set1_epi32(INT32_MIN);
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        const __mmask16 set = (__mmask16)(bits[i / 8] | bits[i / 8 + 1] << 8);
        const __m512i v = _mm512_loadu_si512(x + i);
        _mm512_storeu_si512(x + i, _mm512_mask_xor_epi32(v, set, v, sign));
    }
    if (i < n) {
        mr_flip_signs_scalar(x + i, bits + i / 8, n - i);
    }
}

size_t mr_round_i8_avx512(int8_t *out, const float *x, float scale, uint8_t levels,
                          const uint16_t *rnd, size_t n)
{
    const __m512 most = _mm512_set1_ps(levels), least = _mm512_sub_ps(_mm512_setzero_ps(), most);
    const __m512 factor = _mm512_set1_ps(scale), one = _mm512_set1_ps(1.0f);
    const __m512 unit = _mm512_set1_ps(0x1p-16f);
    size_t inside = 0, i = 0;
    for (; i + 16 <= n; i += 16) {
        const __m512 y = _mm512_mul_ps(_mm512_loadu_ps(x + i), factor);
        const __m512 down = _mm512_roundscale_ps(y, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
        const __m512i r = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(rnd + i)));
        const __m512 dice = _mm512_mul_ps(_mm512_cvtepi32_ps(r), unit);
        const __mmask16 up = _mm512_cmp_ps_mask(dice, _mm512_sub_ps(y, down), _CMP_LT_OQ);
        const __m512 q = _mm512_mask_add_ps(down, up, down, one);
        const __mmask16 high_enough = _mm512_cmp_ps_mask(q, least, _CMP_GE_OQ);
        inside +=
            (size_t)__builtin_popcount(_mm512_mask_cmp_ps_mask(high_enough, q, most, _CMP_LE_OQ));
        const __m512 clamped = _mm512_max_ps(_mm512_min_ps(q, most), least);
        _mm_storeu_si128((__m128i *)(out + i), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(clamped)));
    }
    return i - inside + mr_round_i8_scalar(out + i, x + i, scale, levels, rnd + i, n - i);
}

void mr_lift_w16_avx512(uint16_t *out, const int8_t *q, size_t lanes)
{
    size_t i = 0;
    for (; i + 32 <= lanes; i += 32) {
        const __m256i bytes = _mm256_loadu_si256((const __m256i *)(q + i));
        _mm512_storeu_si512(out + i, _mm512_cvtepi8_epi16(bytes));
    }
    mr_lift_w16_scalar(out + i, q + i, lanes - i);
}

void mr_lift_w24_avx512(uint8_t *packed, const int8_t *q, size_t lanes)
{
    size_t i = 0;
    for (; i + 16 <= lanes; i += 16) {
        const __m128i bytes = _mm_loadu_si128((const __m128i *)(q + i));
        w24_store16(packed + 3 * i, _mm512_cvtepi8_epi32(bytes));
    }
    mr_lift_w24_scalar(packed + 3 * i, q + i, lanes - i);
}

void mr_lift_w32_avx512(uint32_t *out, const int8_t *q, size_t lanes)
{
    size_t i = 0;
    for (; i + 16 <= lanes; i += 16) {
        const __m128i bytes = _mm_loadu_si128((const __m128i *)(q + i));
        _mm512_storeu_si512(out + i, _mm512_cvtepi8_epi32(bytes));
    }
    mr_lift_w32_scalar(out + i, q + i, lanes - i);
}
