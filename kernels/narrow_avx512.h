/* narrow_avx512.h - inside kernels/ only: 32 packed lanes of 10 or 12 bits in a zmm register, as
 * 16-bit lanes, by byte permutes over the whole register (VBMI). What is above a lane's own bits is
 * the next lane's: an accumulator means only its low bits. */
#ifndef MR_KERNELS_NARROW_AVX512_H
#define MR_KERNELS_NARROW_AVX512_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

/* A lane lies in two bytes, which `spread` brings together; `drop` moves its lowest bit down. */
struct narrow {
    __m512i spread, drop;
    __m512i own; /* of two bytes the lane's lowest bit and what is above: not the lane before */
};

static inline struct narrow narrow_of(unsigned bits)
{
    /* Byte i · bits / 8 and the next, for the lanes i of the low and of the high half. */
    const __m512i lane =
        _mm512_set_epi16(31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13,
                         12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    const __m512i bit = _mm512_mullo_epi16(lane, _mm512_set1_epi16((short)bits));
    const __m512i byte = _mm512_srli_epi16(bit, 3);
    const __m512i pair =
        _mm512_or_si512(byte, _mm512_slli_epi16(_mm512_add_epi16(byte, _mm512_set1_epi16(1)), 8));
    const __m512i drop = _mm512_and_si512(bit, _mm512_set1_epi16(7));
    return (struct narrow){
        .spread = pair,
        .drop = drop,
        .own = _mm512_sllv_epi16(_mm512_set1_epi16(-1), drop),
    };
}

#endif
