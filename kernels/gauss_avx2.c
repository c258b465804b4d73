/* gauss_avx2.c - draws of the discrete Gaussian, eight at a time. */
#include <immintrin.h>

#include "kernels/gauss_cells.h"
#include "kernels/levels.h"

struct lookup {
    const int *columns;
    __m128i shift, within_shift;
    __m256i place_mask, up, slope, last_sure, two_zeros;
};

/* The 32-bit parts that decide, of eight draws in the order 0 2 4 6 1 3 5 7. */
struct draws {
    __m256i low, high, u;
};

static inline struct draws load(const uint64_t *random)
{
    const __m256i a = _mm256_loadu_si256((const __m256i *)random);
    const __m256i b = _mm256_loadu_si256((const __m256i *)(random + 4));
    const __m256i c = _mm256_loadu_si256((const __m256i *)(random + 8));
    const __m256i d = _mm256_loadu_si256((const __m256i *)(random + 12));
    const __m256i first = _mm256_unpacklo_epi32(a, b), second = _mm256_unpacklo_epi32(c, d);
    return (struct draws){
        .low = _mm256_unpacklo_epi64(first, second),
        .high = _mm256_unpackhi_epi64(first, second),
        .u = _mm256_unpackhi_epi64(_mm256_unpackhi_epi32(a, b), _mm256_unpackhi_epi32(c, d)),
    };
}

static inline __m256i in_order(__m256i v)
{
    return _mm256_permutevar8x32_epi32(v, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

/* Which are left undecided. */
static inline unsigned draw8(int32_t *out, const struct lookup *at, const uint64_t *random)
{
    const __m256i zero = _mm256_setzero_si256(), one = _mm256_set1_epi32(1);
    const struct draws draws = load(random);
    const __m256i own = _mm256_and_si256(draws.low, _mm256_set1_epi32(MR_GAUSS_CELLS - 1));
    const __m256i column = _mm256_i32gather_epi32(at->columns, own, 4);
    const __m256i share = _mm256_and_si256(column, _mm256_set1_epi32(MR_GAUSS_COLUMN_FULL - 1));
    const __m256i mine = _mm256_cmpgt_epi32(share, _mm256_srli_epi32(draws.low, 9));
    const __m256i other = _mm256_srli_epi32(column, MR_GAUSS_SHARE_BITS);
    const __m256i cell = _mm256_blendv_epi8(other, own, mine);
    const __m256i within = _mm256_and_si256(_mm256_srli_epi32(draws.high, 1), at->place_mask);
    const __m256i x = _mm256_add_epi32(_mm256_sll_epi32(cell, at->shift), within);
    const __m256i negative = _mm256_sub_epi32(zero, _mm256_and_si256(draws.high, one));
    const __m256i sample = _mm256_sub_epi32(_mm256_xor_si256(x, negative), negative);
    const __m256i part = _mm256_srl_epi32(_mm256_add_epi32(within, at->up), at->within_shift);
    const __m256i twice = _mm256_add_epi32(_mm256_add_epi32(cell, cell), one);
    const __m256i far = _mm256_mullo_epi32(_mm256_mullo_epi32(part, twice), at->slope);
    const __m256i bound = _mm256_sub_epi32(_mm256_set1_epi32((int)MR_GAUSS_FLOOR), far);
    const __m256i above = _mm256_cmpeq_epi32(_mm256_max_epu32(draws.u, bound), draws.u);
    const __m256i unsure = _mm256_or_si256(above, _mm256_cmpgt_epi32(cell, at->last_sure));
    const __m256i second_zero =
        _mm256_and_si256(_mm256_and_si256(_mm256_cmpeq_epi32(x, zero), negative), at->two_zeros);
    _mm256_storeu_si256((__m256i *)out, in_order(sample));
    return (unsigned)_mm256_movemask_ps(
        _mm256_castsi256_ps(in_order(_mm256_or_si256(unsure, second_zero))));
}

void mr_gauss_draw_avx2(int32_t *out, uint64_t *undecided, const struct mr_gauss_cells *cells,
                        const uint64_t *random, size_t draws)
{
    const struct lookup at = {
        .columns = (const int *)cells->columns,
        .shift = _mm_cvtsi32_si128((int)cells->block_log2),
        .within_shift = _mm_cvtsi32_si128((int)cells->within_shift),
        .place_mask = _mm256_set1_epi32((1 << cells->block_log2) - 1),
        .up = _mm256_set1_epi32((1 << cells->within_shift) - 1),
        .slope = _mm256_set1_epi32((int)cells->slope),
        .last_sure = _mm256_set1_epi32((int)cells->sure - 1),
        .two_zeros = _mm256_set1_epi32(cells->block_log2 != 0 ? -1 : 0),
    };
    for (size_t take; draws > 0; draws -= take, out += take, random += 2 * take) {
        uint64_t word = 0, rest = 0;
        size_t i = 0;
        take = draws < 64 ? draws : 64;
        for (; i + 8 <= take; i += 8) {
            word |= (uint64_t)draw8(out + i, &at, random + 2 * i) << i;
        }
        if (i < take) {
            mr_gauss_draw_scalar(out + i, &rest, cells, random + 2 * i, take - i);
            word |= rest << i;
        }
        *undecided++ = word;
    }
}
