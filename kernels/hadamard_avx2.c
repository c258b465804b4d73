/* hadamard_avx2.c - interleaved Hadamard transform. */
#define VEC_BYTES 32
#include <immintrin.h>

#include "kernels/hadamard_vec.h"
#include "kernels/levels.h"

/* Partner h lanes away; the lane whose bit h is set becomes partner - itself. */
VEC_INLINE vec_f32 vec_butterflies(vec_f32 v)
{
    vec_f32 t = __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6);
    v = __builtin_shufflevector(v + t, t - v, 0, 9, 2, 11, 4, 13, 6, 15);
    t = __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5);
    v = __builtin_shufflevector(v + t, t - v, 0, 1, 10, 11, 4, 5, 14, 15);
    t = __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3);
    return __builtin_shufflevector(v + t, t - v, 0, 1, 2, 3, 12, 13, 14, 15);
}

static const int32_t chosen[2 * VEC_F32] = {-1, -1, -1, -1, -1, -1, -1, -1};

VEC_INLINE vec_f32 vec_load_first(const float *at, size_t n)
{
    return (vec_f32)_mm256_maskload_ps(at,
                                       _mm256_loadu_si256((const __m256i *)(chosen + VEC_F32 - n)));
}

VEC_INLINE void vec_store_first(float *at, vec_f32 v, size_t n)
{
    _mm256_maskstore_ps(at, _mm256_loadu_si256((const __m256i *)(chosen + VEC_F32 - n)), (__m256)v);
}

void mr_hadamard_avx2(float *x, size_t n, size_t block)
{
    if (n == block && block < BASE) {
        mr_hadamard_scalar(x, n, block);
    } else {
        vec_hadamard(x, n, block);
    }
}
