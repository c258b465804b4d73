/* hadamard_avx512.c - interleaved Hadamard transform. */
#define VEC_BYTES 64
#include <immintrin.h>

#include "kernels/hadamard_vec.h"
#include "kernels/levels.h"

/* Partner h lanes away; the lane whose bit h is set becomes partner - itself. */
VEC_INLINE vec_f32 vec_butterflies(vec_f32 v)
{
    vec_f32 t = __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
    v = __builtin_shufflevector(v + t, t - v, 0, 17, 2, 19, 4, 21, 6, 23, 8, 25, 10, 27, 12, 29, 14,
                                31);
    t = __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
    v = __builtin_shufflevector(v + t, t - v, 0, 1, 18, 19, 4, 5, 22, 23, 8, 9, 26, 27, 12, 13, 30,
                                31);
    t = __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11);
    v = __builtin_shufflevector(v + t, t - v, 0, 1, 2, 3, 20, 21, 22, 23, 8, 9, 10, 11, 28, 29, 30,
                                31);
    t = __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
    return __builtin_shufflevector(v + t, t - v, 0, 1, 2, 3, 4, 5, 6, 7, 24, 25, 26, 27, 28, 29, 30,
                                   31);
}

VEC_INLINE vec_f32 vec_load_first(const float *at, size_t n)
{
    return (vec_f32)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), at);
}

VEC_INLINE void vec_store_first(float *at, vec_f32 v, size_t n)
{
    _mm512_mask_storeu_ps(at, (__mmask16)((1u << n) - 1), (__m512)v);
}

void mr_hadamard_avx512(float *x, size_t n, size_t block)
{
    if (n == block && block < BASE) {
        mr_hadamard_avx2(x, n, block);
    } else {
        vec_hadamard(x, n, block);
    }
}
