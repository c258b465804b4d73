/* prepare_avx2.c - norm, scale, signs, rounding and lift. */
#define VEC_BYTES 32
#include <immintrin.h>

#include "kernels/levels.h"
#include "kernels/prepare_vec.h"
#include "kernels/sum_tail.h"
#include "kernels/w24_avx2.h"

double mr_sum_squares_avx2(const float *x, size_t n)
{
    __m256d sum[4] = {_mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd(),
                      _mm256_setzero_pd()};
    double part[16];
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        VEC_UNROLL
        for (unsigned v = 0; v < 4; v++) {
            const __m256d wide = _mm256_cvtps_pd(_mm_loadu_ps(x + i + 4 * v));
            sum[v] = _mm256_add_pd(sum[v], _mm256_mul_pd(wide, wide));
        }
    }
    VEC_UNROLL
    for (unsigned v = 0; v < 4; v++) {
        _mm256_storeu_pd(part + 4 * v, sum[v]);
    }
    return sum_tail(part, x, i, n);
}

void mr_scale_avx2(float *x, float factor, size_t n)
{
    vec_scale(x, factor, n);
}

void mr_axpy_avx2(float *y, float a, const float *x, size_t n)
{
    vec_axpy(y, a, x, n);
}

void mr_flip_signs_avx2(float *x, const uint8_t *bits, size_t n)
{
    const __m256i bit_of_lane = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    const __m256i sign = _mm256_set1_epi32(INT32_MIN);
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        const __m256i set = _mm256_and_si256(_mm256_set1_epi32(bits[i / 8]), bit_of_lane);
        const __m256i flip = _mm256_and_si256(_mm256_cmpeq_epi32(set, bit_of_lane), sign);
        const __m256i v = _mm256_loadu_si256((const __m256i *)(x + i));
        _mm256_storeu_si256((__m256i *)(x + i), _mm256_xor_si256(v, flip));
    }
    if (i < n) {
        mr_flip_signs_scalar(x + i, bits + i / 8, n - i);
    }
}

/* Eight rounded lanes as int32; adds to *saturated how many were out of range. */
static inline __m256i round8(const float *x, __m256 scale, __m256 most, const uint16_t *rnd,
                             size_t *saturated)
{
    const __m256 least = _mm256_sub_ps(_mm256_setzero_ps(), most);
    const __m256 y = _mm256_mul_ps(_mm256_loadu_ps(x), scale);
    const __m256 down = _mm256_floor_ps(y);
    const __m256i r = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)rnd));
    const __m256 dice = _mm256_mul_ps(_mm256_cvtepi32_ps(r), _mm256_set1_ps(0x1p-16f));
    const __m256 up = _mm256_cmp_ps(dice, _mm256_sub_ps(y, down), _CMP_LT_OQ);
    const __m256 q = _mm256_add_ps(down, _mm256_and_ps(up, _mm256_set1_ps(1.0f)));
    const __m256 inside =
        _mm256_and_ps(_mm256_cmp_ps(q, least, _CMP_GE_OQ), _mm256_cmp_ps(q, most, _CMP_LE_OQ));
    *saturated += (size_t)__builtin_popcount(~(unsigned)_mm256_movemask_ps(inside) & 0xff);
    return _mm256_cvtps_epi32(_mm256_max_ps(_mm256_min_ps(q, most), least));
}

size_t mr_round_i8_avx2(int8_t *out, const float *x, float scale, uint8_t levels,
                        const uint16_t *rnd, size_t n)
{
    const __m256 factor = _mm256_set1_ps(scale), most = _mm256_set1_ps(levels);
    /* The two packs work within halves: their four dword groups come out interleaved. */
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    size_t saturated = 0, i = 0;
    for (; i + 32 <= n; i += 32) {
        __m256i q[4];
        VEC_UNROLL
        for (unsigned v = 0; v < 4; v++) {
            q[v] = round8(x + i + 8 * v, factor, most, rnd + i + 8 * v, &saturated);
        }
        const __m256i bytes =
            _mm256_packs_epi16(_mm256_packs_epi32(q[0], q[1]), _mm256_packs_epi32(q[2], q[3]));
        _mm256_storeu_si256((__m256i *)(out + i), _mm256_permutevar8x32_epi32(bytes, order));
    }
    return saturated + mr_round_i8_scalar(out + i, x + i, scale, levels, rnd + i, n - i);
}

void mr_lift_w16_avx2(uint16_t *out, const int8_t *q, size_t lanes)
{
    size_t i = 0;
    for (; i + 16 <= lanes; i += 16) {
        const __m128i bytes = _mm_loadu_si128((const __m128i *)(q + i));
        _mm256_storeu_si256((__m256i *)(out + i), _mm256_cvtepi8_epi16(bytes));
    }
    mr_lift_w16_scalar(out + i, q + i, lanes - i);
}

void mr_lift_w24_avx2(uint8_t *packed, const int8_t *q, size_t lanes)
{
    size_t i = 0;
    for (; i + 8 <= lanes; i += 8) {
        const __m128i bytes = _mm_loadl_epi64((const __m128i *)(q + i));
        w24_store8(packed + 3 * i, _mm256_cvtepi8_epi32(bytes));
    }
    mr_lift_w24_scalar(packed + 3 * i, q + i, lanes - i);
}

void mr_lift_w32_avx2(uint32_t *out, const int8_t *q, size_t lanes)
{
    size_t i = 0;
    for (; i + 8 <= lanes; i += 8) {
        const __m128i bytes = _mm_loadl_epi64((const __m128i *)(q + i));
        _mm256_storeu_si256((__m256i *)(out + i), _mm256_cvtepi8_epi32(bytes));
    }
    mr_lift_w32_scalar(out + i, q + i, lanes - i);
}
