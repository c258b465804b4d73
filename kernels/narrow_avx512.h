/* narrow_avx512.h - inside kernels/ only: 32 packed lanes of 10 or 12 bits in a zmm register, as
 * 16-bit lanes, by byte permutes over the whole register (VBMI). What is above a lane's own bits is
 * the next lane's: an accumulator means only its low bits. Reads no byte outside its 40 or 48. */
#ifndef MR_KERNELS_NARROW_AVX512_H
#define MR_KERNELS_NARROW_AVX512_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

/* A lane lies in two bytes, which `spread` brings together; `drop` moves its lowest bit down. */
struct narrow {
    __m512i spread, drop;
    __mmask64 bytes; /* of 32 lanes */
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
    return (struct narrow){
        .spread = pair,
        .drop = _mm512_and_si512(bit, _mm512_set1_epi16(7)),
        .bytes = ((__mmask64)1 << (4 * bits)) - 1,
    };
}

static inline __m512i narrow_spread32(__m512i packed, const struct narrow *how)
{
    return _mm512_srlv_epi16(_mm512_permutexvar_epi8(how->spread, packed), how->drop);
}

static inline __m512i narrow_load32(const uint8_t *at, const struct narrow *how)
{
    return narrow_spread32(_mm512_maskz_loadu_epi8(how->bytes, at), how);
}

#endif
