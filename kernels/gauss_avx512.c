/* gauss_avx512.c - draws of the discrete Gaussian, sixteen at a time. */
#include <immintrin.h>

#include "kernels/gauss_cells.h"
#include "kernels/levels.h"

struct lookup {
    const void *columns;
    __m128i shift, within_shift;
    __m512i place_mask, up, slope, sure;
    __mmask16 two_zeros;
};

/* The 32-bit parts that decide, of sixteen draws. */
struct draws {
    __m512i low, high, u;
};

static inline struct draws load(const uint64_t *random)
{
    const __m512i of_bits =
        _mm512_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28, 1, 5, 9, 13, 17, 21, 25, 29);
    const __m512i of_u =
        _mm512_setr_epi32(3, 7, 11, 15, 19, 23, 27, 31, 3, 7, 11, 15, 19, 23, 27, 31);
    const __m512i a = _mm512_loadu_si512(random), b = _mm512_loadu_si512(random + 8);
    const __m512i c = _mm512_loadu_si512(random + 16), d = _mm512_loadu_si512(random + 24);
    const __m512i first = _mm512_permutex2var_epi32(a, of_bits, b);
    const __m512i second = _mm512_permutex2var_epi32(c, of_bits, d);
    return (struct draws){
        .low = _mm512_shuffle_i64x2(first, second, 0x44),
        .high = _mm512_shuffle_i64x2(first, second, 0xee),
        .u = _mm512_shuffle_i64x2(_mm512_permutex2var_epi32(a, of_u, b),
                                  _mm512_permutex2var_epi32(c, of_u, d), 0x44),
    };
}

/* Which are left undecided. */
static inline __mmask16 draw16(int32_t *out, const struct lookup *at, const uint64_t *random)
{
    const __m512i one = _mm512_set1_epi32(1);
    const struct draws draws = load(random);
    const __m512i own = _mm512_and_si512(draws.low, _mm512_set1_epi32(MR_GAUSS_CELLS - 1));
    const __m512i column = _mm512_i32gather_epi32(own, at->columns, 4);
    const __m512i share = _mm512_and_si512(column, _mm512_set1_epi32(MR_GAUSS_COLUMN_FULL - 1));
    const __mmask16 mine = _mm512_cmplt_epu32_mask(_mm512_srli_epi32(draws.low, 9), share);
    const __m512i other = _mm512_srli_epi32(column, MR_GAUSS_SHARE_BITS);
    const __m512i cell = _mm512_mask_mov_epi32(other, mine, own);
    const __m512i within = _mm512_and_si512(_mm512_srli_epi32(draws.high, 1), at->place_mask);
    const __m512i x = _mm512_add_epi32(_mm512_sll_epi32(cell, at->shift), within);
    const __m512i part = _mm512_srl_epi32(_mm512_add_epi32(within, at->up), at->within_shift);
    const __m512i twice = _mm512_add_epi32(_mm512_add_epi32(cell, cell), one);
    const __m512i far = _mm512_mullo_epi32(_mm512_mullo_epi32(part, twice), at->slope);
    const __m512i bound = _mm512_sub_epi32(_mm512_set1_epi32((int)MR_GAUSS_FLOOR), far);
    const __mmask16 unsure =
        _mm512_cmpge_epu32_mask(draws.u, bound) | _mm512_cmpge_epu32_mask(cell, at->sure);
    const __mmask16 negative = _mm512_test_epi32_mask(draws.high, one);
    const __mmask16 zero = _mm512_testn_epi32_mask(x, x);
    _mm512_storeu_si512(out, _mm512_mask_sub_epi32(x, negative, _mm512_setzero_si512(), x));
    return unsure | (zero & negative & at->two_zeros);
}

void mr_gauss_draw_avx512(int32_t *out, uint64_t *undecided, const struct mr_gauss_cells *cells,
                          const uint64_t *random, size_t draws)
{
    const struct lookup at = {
        .columns = cells->columns,
        .shift = _mm_cvtsi32_si128((int)cells->block_log2),
        .within_shift = _mm_cvtsi32_si128((int)cells->within_shift),
        .place_mask = _mm512_set1_epi32((1 << cells->block_log2) - 1),
        .up = _mm512_set1_epi32((1 << cells->within_shift) - 1),
        .slope = _mm512_set1_epi32((int)cells->slope),
        .sure = _mm512_set1_epi32((int)cells->sure),
        .two_zeros = cells->block_log2 != 0 ? UINT16_MAX : 0,
    };
    for (size_t take; draws > 0; draws -= take, out += take, random += 2 * take) {
        uint64_t word = 0, rest = 0;
        size_t i = 0;
        take = draws < 64 ? draws : 64;
        for (; i + 16 <= take; i += 16) {
            word |= (uint64_t)draw16(out + i, &at, random + 2 * i) << i;
        }
        if (i < take) {
            mr_gauss_draw_scalar(out + i, &rest, cells, random + 2 * i, take - i);
            word |= rest << i;
        }
        *undecided++ = word;
    }
}
