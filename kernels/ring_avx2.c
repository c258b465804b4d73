/* ring_avx2.c - ring add, fold and the packed lanes. */
#define VEC_BYTES 32
#include "kernels/levels.h"
#include "kernels/narrow_avx2.h"
#include "kernels/ring_vec.h"
#include "kernels/w24_avx2.h"

void mr_add_w16_avx2(uint16_t *acc, const uint16_t *src, size_t lanes)
{
    vec_add_w16(acc, src, lanes);
}

void mr_add_w32_avx2(uint32_t *acc, const uint32_t *src, size_t lanes)
{
    vec_add_w32(acc, src, lanes);
}

void mr_fold_w16_avx2(uint16_t *acc, const uint16_t *const *src, unsigned sources, size_t lanes)
{
    vec_fold_w16(acc, src, sources, lanes);
}

void mr_fold_w32_avx2(uint32_t *acc, const uint32_t *const *src, unsigned sources, size_t lanes)
{
    vec_fold_w32(acc, src, sources, lanes);
}

void mr_fold_w8_avx2(uint8_t *acc, const uint8_t *const *src, unsigned sources, size_t lanes)
{
    vec_fold_w8(acc, src, sources, lanes);
}

VEC_INLINE void fold_narrow(uint16_t *acc, const uint8_t *const *packed, unsigned sources,
                            size_t lanes, unsigned bits)
{
    size_t i = 0, at = 0;
    for (; i + 64 <= lanes; i += 64, at += 8 * bits) {
        __m256i sum[4];
        VEC_UNROLL
        for (size_t v = 0; v < 4; v++) {
            sum[v] = _mm256_loadu_si256((const __m256i *)(acc + i + 16 * v));
        }
        for (unsigned s = 0; s < sources; s++) {
            const uint8_t *from = packed[s] + at;
            VEC_UNROLL
            for (size_t v = 0; v < 4; v++) {
                sum[v] = _mm256_add_epi16(sum[v], narrow_load16(from + v * 2 * bits, bits));
            }
        }
        VEC_UNROLL
        for (size_t v = 0; v < 4; v++) {
            _mm256_storeu_si256((__m256i *)(acc + i + 16 * v), sum[v]);
        }
    }
    fold_tail_narrow(acc, packed, sources, i, lanes, bits);
}

void mr_fold_narrow_avx2(uint16_t *acc, const uint8_t *const *packed, unsigned sources,
                         size_t lanes, unsigned bits)
{
    if (bits == 10) {
        fold_narrow(acc, packed, sources, lanes, 10);
    } else {
        fold_narrow(acc, packed, sources, lanes, 12);
    }
}

void mr_fold_w24_avx2(uint32_t *acc, const uint8_t *const *packed, unsigned sources, size_t lanes)
{
    size_t i = 0;
    for (; i + 32 <= lanes; i += 32) {
        __m256i sum[4];
        VEC_UNROLL
        for (size_t v = 0; v < 4; v++) {
            sum[v] = _mm256_loadu_si256((const __m256i *)(acc + i + 8 * v));
        }
        for (unsigned s = 0; s < sources; s++) {
            const uint8_t *from = packed[s] + 3 * i;
            VEC_UNROLL
            for (size_t v = 0; v < 4; v++) {
                sum[v] = _mm256_add_epi32(sum[v], w24_load8(from + 24 * v));
            }
        }
        VEC_UNROLL
        for (size_t v = 0; v < 4; v++) {
            _mm256_storeu_si256((__m256i *)(acc + i + 8 * v), sum[v]);
        }
    }
    for (; i + 8 <= lanes; i += 8) {
        __m256i sum = _mm256_loadu_si256((const __m256i *)(acc + i));
        for (unsigned s = 0; s < sources; s++) {
            sum = _mm256_add_epi32(sum, w24_load8(packed[s] + 3 * i));
        }
        _mm256_storeu_si256((__m256i *)(acc + i), sum);
    }
    fold_tail_w24(acc, packed, sources, i, lanes);
}

void mr_add_w24_avx2(uint32_t *acc, const uint8_t *packed, size_t lanes)
{
    mr_fold_w24_avx2(acc, &packed, 1, lanes);
}

void mr_pack_w24_avx2(uint8_t *packed, const uint32_t *acc, size_t lanes)
{
    size_t i = 0;
    for (; i + 8 <= lanes; i += 8) {
        w24_store8(packed + 3 * i, _mm256_loadu_si256((const __m256i *)(acc + i)));
    }
    mr_pack_w24_scalar(packed + 3 * i, acc + i, lanes - i);
}

void mr_unpack_w24_avx2(uint32_t *acc, const uint8_t *packed, size_t lanes)
{
    size_t i = 0;
    for (; i + 8 <= lanes; i += 8) {
        _mm256_storeu_si256((__m256i *)(acc + i), w24_load8(packed + 3 * i));
    }
    mr_unpack_w24_scalar(acc + i, packed + 3 * i, lanes - i);
}
