/* hadamard_vec.h - inside kernels/ only: the interleaved Hadamard transform at any vector width.
 *
 * Every element goes through the same additions and subtractions as in the stage-by-stage
 * reference, only the schedule differs, so the result is the same to the bit: the stages run three
 * (with many registers four, or what is left) at a time across eight (sixteen, four, two)
 * registers; those of a single block whose distance is below a register's width run inside
 * registers; what is beyond L1 is first finished in pieces that fit, and what is beyond L2 in
 * slices.
 *
 * The including file defines vec_butterflies(v): the stages h = 1 .. VEC_F32 / 2 of one vector; and
 * vec_load_first(at, n), vec_store_first(at, v, n): the first n < VEC_F32 lanes of one, of memory
 * nothing else is touched. The number of blocks is odd in all rounds that rotate, so no row of a
 * place's blocks is whole registers.
 */
#ifndef MR_KERNELS_HADAMARD_VEC_H
#define MR_KERNELS_HADAMARD_VEC_H

#include <math.h>

#include "kernels/vec.h"

#define UNROLL _Pragma("GCC unroll 16")
#define BASE   (8 * VEC_F32) /* elements that eight registers hold */
#define PIECE  4096u         /* elements, 16 KiB: half of a small L1 */
/* Elements, 256 KiB: half of a small L2. With AVX-512 it is a MiB or more, and 512 KiB leave eight
 * rows for the last pass: sixteen, a multiple of a page apart, do not fit the ways of an L1. */
#define SLICE (VEC_BYTES == 64 ? 131072u : 65536u)
#define RADIX (VEC_BYTES == 64 ? 16u : 8u) /* the most: half of the registers */

static vec_f32 vec_butterflies(vec_f32 v);
static vec_f32 vec_load_first(const float *at, size_t n);
static void vec_store_first(float *at, vec_f32 v, size_t n);

/* The stages of distance 1 .. radix/2 across v[0..radix). */
VEC_INLINE void across(vec_f32 *v, unsigned radix)
{
    UNROLL
    for (unsigned h = 1; h < radix; h *= 2) {
        UNROLL
        for (unsigned i = 0; i < radix; i++) {
            if ((i & h) == 0) {
                const vec_f32 a = v[i], b = v[i + h];
                v[i] = a + b;
                v[i + h] = a - b;
            }
        }
    }
}

/* The same in memory, of the first `columns` < VEC_F32 lanes. */
VEC_INLINE void across_first(float *x, size_t columns, size_t h, unsigned radix, float factor)
{
    vec_f32 v[RADIX];
    UNROLL
    for (unsigned r = 0; r < radix; r++) {
        v[r] = vec_load_first(x + r * h, columns);
    }
    across(v, radix);
    UNROLL
    for (unsigned r = 0; r < radix; r++) {
        vec_store_first(x + r * h, v[r] * factor, columns);
    }
}

/* log2(radix) stages starting at distance h, then one multiplication by factor. */
VEC_INLINE void pass(float *x, size_t n, size_t h, unsigned radix, float factor)
{
    for (size_t at = 0; at < n; at += radix * h) {
        size_t i = at;
        for (; i + VEC_F32 <= at + h; i += VEC_F32) {
            vec_f32 v[RADIX];
            UNROLL
            for (unsigned r = 0; r < radix; r++) {
                v[r] = vec_load_f32(x + i + r * h);
            }
            across(v, radix);
            UNROLL
            for (unsigned r = 0; r < radix; r++) {
                vec_store_f32(x + i + r * h, v[r] * factor);
            }
        }
        if (i < at + h) {
            across_first(x + i, at + h - i, h, radix, factor);
        }
    }
}

/* The first stages of a single block: log2(BASE) of them. */
VEC_INLINE void base_pass(float *x, size_t n, float factor)
{
    for (size_t at = 0; at < n; at += BASE) {
        vec_f32 v[8];
        UNROLL
        for (unsigned r = 0; r < 8; r++) {
            v[r] = vec_butterflies(vec_load_f32(x + at + r * VEC_F32));
        }
        across(v, 8);
        UNROLL
        for (unsigned r = 0; r < 8; r++) {
            vec_store_f32(x + at + r * VEC_F32, v[r] * factor);
        }
    }
}

/* The stages from distance h up to n / 2; multiplies by factor in the last pass. A multiplication
 * by one in the others changes nothing. */
static __attribute__((noinline)) void passes(float *x, size_t n, size_t h, float factor)
{
    while (h < n) {
        if (RADIX == 16 && (n / h == 16 || n / h >= 128)) {
            pass(x, n, h, RADIX, n / h == 16 ? factor : 1.0f);
            h *= 16;
        } else if (n / h >= 8) {
            pass(x, n, h, 8, n / h == 8 ? factor : 1.0f);
            h *= 8;
        } else if (n / h == 4) {
            pass(x, n, h, 4, factor);
            h *= 4;
        } else {
            pass(x, n, h, 2, factor);
            h *= 2;
        }
    }
}

/* Elements that are worked on at once: whole places of all blocks, `most` or fewer where one of
 * them is. */
VEC_INLINE size_t piece_of(size_t n, size_t blocks, size_t most)
{
    size_t piece = blocks;
    while (2 * piece <= most && piece < n) {
        piece *= 2;
    }
    return piece;
}

static void hadamard_piece(float *x, size_t n, size_t blocks, float factor)
{
    if (blocks == 1) {
        base_pass(x, n, n == BASE ? factor : 1.0f);
        passes(x, n, BASE, factor);
    } else {
        passes(x, n, blocks, factor);
    }
}

/* n >= BASE where it is a single block. */
VEC_INLINE void vec_hadamard(float *x, size_t n, size_t block)
{
    const float factor = (float)(1.0 / sqrt((double)block));
    const size_t blocks = n / block;
    const size_t slice = piece_of(n, blocks, SLICE), piece = piece_of(slice, blocks, PIECE);
    for (size_t first = 0; first < n; first += slice) {
        const float slice_factor = slice == n ? factor : 1.0f;
        for (size_t at = first; at < first + slice; at += piece) {
            hadamard_piece(x + at, piece, blocks, piece == slice ? slice_factor : 1.0f);
        }
        passes(x + first, slice, piece, slice_factor);
    }
    passes(x, n, slice, factor);
}

#endif
