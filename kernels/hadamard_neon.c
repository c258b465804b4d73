/* hadamard_neon.c - interleaved Hadamard transform. */
#define VEC_BYTES 16
#include "kernels/hadamard_vec.h"
#include "kernels/levels.h"

/* Partner h lanes away; the lane whose bit h is set becomes partner - itself. */
VEC_INLINE vec_f32 vec_butterflies(vec_f32 v)
{
    vec_f32 t = __builtin_shufflevector(v, v, 1, 0, 3, 2);
    v = __builtin_shufflevector(v + t, t - v, 0, 5, 2, 7);
    t = __builtin_shufflevector(v, v, 2, 3, 0, 1);
    return __builtin_shufflevector(v + t, t - v, 0, 1, 6, 7);
}

VEC_INLINE vec_f32 vec_load_first(const float *at, size_t n)
{
    return (vec_f32){at[0], n > 1 ? at[1] : 0, n > 2 ? at[2] : 0, 0};
}

VEC_INLINE void vec_store_first(float *at, vec_f32 v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        at[i] = v[i];
    }
}

void mr_hadamard_neon(float *x, size_t n, size_t block)
{
    if (n == block && block < BASE) {
        mr_hadamard_scalar(x, n, block);
    } else {
        vec_hadamard(x, n, block);
    }
}
