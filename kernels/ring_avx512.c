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

/* Vector v of four: its lanes' two bytes each, from `at` on. The last is loaded so that it ends
 * with the four's last byte. */
VEC_INLINE __m512i narrow_pairs(const uint8_t *at, size_t v, unsigned bits, __m512i spread)
{
    const size_t bytes = 4 * bits, from = v < 3 ? v * bytes : 4 * bytes - 64;
    const __m512i index = _mm512_add_epi8(spread, _mm512_set1_epi8((char)(v * bytes - from)));
    return _mm512_permutexvar_epi8(index, _mm512_loadu_si512(at + from));
}

/* The lanes are added up where they lie in their two bytes, above `drop` zeros, and moved down
 * once for all sources. */
VEC_INLINE void fold_narrow(uint16_t *acc, const uint8_t *const *packed, unsigned sources,
                            size_t lanes, unsigned bits)
{
    const struct narrow how = narrow_of(bits);
    size_t i = 0;
    for (; i + 128 <= lanes; i += 128) {
        __m512i sum[4] = {0};
        for (unsigned s = 0; s < sources; s++) {
            const uint8_t *from = packed[s] + i / 8 * bits;
            VEC_UNROLL
            for (size_t v = 0; v < 4; v++) {
                const __m512i pairs = narrow_pairs(from, v, bits, how.spread);
                sum[v] = _mm512_add_epi16(sum[v], _mm512_and_si512(pairs, how.own));
            }
        }
        VEC_UNROLL
        for (size_t v = 0; v < 4; v++) {
            const __m512i lane = _mm512_srlv_epi16(sum[v], how.drop);
            uint16_t *to = acc + i + 32 * v;
            _mm512_storeu_si512(to, _mm512_add_epi16(_mm512_loadu_si512(to), lane));
        }
    }
    fold_tail_narrow(acc, packed, sources, i, lanes, bits);
}

void mr_fold_narrow_avx512(uint16_t *acc, const uint8_t *const *packed, unsigned sources,
                           size_t lanes, unsigned bits)
{
    if (bits == 10) {
        fold_narrow(acc, packed, sources, lanes, 10);
    } else {
        fold_narrow(acc, packed, sources, lanes, 12);
    }
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
