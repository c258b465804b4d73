/* ring_avx512.c - ring add, fold and the packed lanes. */
#define VEC_BYTES 64
#include <immintrin.h>

#include "kernels/levels.h"
#include "kernels/narrow_avx512.h"
#include "kernels/ring_vec.h"
#include "kernels/w24_avx512.h"

void mr_add_w16_avx512(uint16_t *acc, const uint16_t *src, size_t lanes)
{
    vec_add_w16(acc, src, lanes);
}

void mr_add_w32_avx512(uint32_t *acc, const uint32_t *src, size_t lanes)
{
    vec_add_w32(acc, src, lanes);
}

void mr_fold_w16_avx512(uint16_t *acc, const uint16_t *const *src, unsigned sources, size_t lanes)
{
    vec_fold_w16(acc, src, sources, lanes);
}

void mr_fold_w32_avx512(uint32_t *acc, const uint32_t *const *src, unsigned sources, size_t lanes)
{
    vec_fold_w32(acc, src, sources, lanes);
}

void mr_fold_w8_avx512(uint8_t *acc, const uint8_t *const *src, unsigned sources, size_t lanes)
{
    vec_fold_w8(acc, src, sources, lanes);
}

void mr_fold_narrow_avx512(uint16_t *acc, const uint8_t *const *packed, unsigned sources,
                           size_t lanes, unsigned bits)
{
    const struct narrow how = narrow_of(bits);
    const size_t bytes = 32 * bits / 8; /* of a vector's lanes */
    size_t i = 0, at = 0;
    for (; i + 128 <= lanes; i += 128, at += 4 * bytes) {
        __m512i sum[4];
        VEC_UNROLL
        for (size_t v = 0; v < 4; v++) {
            sum[v] = _mm512_loadu_si512(acc + i + 32 * v);
        }
        for (unsigned s = 0; s < sources; s++) {
            const uint8_t *from = packed[s] + at;
            VEC_UNROLL
            for (size_t v = 0; v < 4; v++) {
                sum[v] = _mm512_add_epi16(sum[v], narrow_load32(from + v * bytes, &how));
            }
        }
        VEC_UNROLL
        for (size_t v = 0; v < 4; v++) {
            _mm512_storeu_si512(acc + i + 32 * v, sum[v]);
        }
    }
    fold_tail_narrow(acc, packed, sources, i, lanes, bits);
}

void mr_fold_w24_avx512(uint32_t *acc, const uint8_t *const *packed, unsigned sources, size_t lanes)
{
    size_t i = 0;
    for (; i + 64 <= lanes; i += 64) {
        __m512i sum[4];
        VEC_UNROLL
        for (size_t v = 0; v < 4; v++) {
            sum[v] = _mm512_loadu_si512(acc + i + 16 * v);
        }
        for (unsigned s = 0; s < sources; s++) {
            const uint8_t *from = packed[s] + 3 * i;
            VEC_UNROLL
            for (size_t v = 0; v < 4; v++) {
                sum[v] = _mm512_add_epi32(sum[v], w24_load16(from + 48 * v));
            }
        }
        VEC_UNROLL
        for (size_t v = 0; v < 4; v++) {
            _mm512_storeu_si512(acc + i + 16 * v, sum[v]);
        }
    }
    for (; i + 16 <= lanes; i += 16) {
        __m512i sum = _mm512_loadu_si512(acc + i);
        for (unsigned s = 0; s < sources; s++) {
            sum = _mm512_add_epi32(sum, w24_load16(packed[s] + 3 * i));
        }
        _mm512_storeu_si512(acc + i, sum);
    }
    fold_tail_w24(acc, packed, sources, i, lanes);
}

void mr_add_w24_avx512(uint32_t *acc, const uint8_t *packed, size_t lanes)
{
    mr_fold_w24_avx512(acc, &packed, 1, lanes);
}

void mr_pack_w24_avx512(uint8_t *packed, const uint32_t *acc, size_t lanes)
{
    size_t i = 0;
    for (; i + 16 <= lanes; i += 16) {
        w24_store16(packed + 3 * i, _mm512_loadu_si512(acc + i));
    }
    mr_pack_w24_scalar(packed + 3 * i, acc + i, lanes - i);
}

void mr_unpack_w24_avx512(uint32_t *acc, const uint8_t *packed, size_t lanes)
{
    size_t i = 0;
    for (; i + 16 <= lanes; i += 16) {
        _mm512_storeu_si512(acc + i, w24_load16(packed + 3 * i));
    }
    mr_unpack_w24_scalar(acc + i, packed + 3 * i, lanes - i);
}
