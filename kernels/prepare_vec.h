/* prepare_vec.h - inside kernels/ only: scale and axpy at any vector width, and the tree that ends
 * every sum of squares. */
#ifndef MR_KERNELS_PREPARE_VEC_H
#define MR_KERNELS_PREPARE_VEC_H

#include "kernels/vec.h"

VEC_INLINE void vec_scale(float *x, float factor, size_t n)
{
    size_t i = 0;
    for (; i + VEC_F32 <= n; i += VEC_F32) {
        vec_store_f32(x + i, vec_load_f32(x + i) * factor);
    }
    for (; i < n; i++) {
        x[i] *= factor;
    }
}

VEC_INLINE void vec_axpy(float *y, float a, const float *x, size_t n)
{
    size_t i = 0;
    for (; i + VEC_F32 <= n; i += VEC_F32) {
        const vec_f32 product = vec_load_f32(x + i) * a;
        vec_store_f32(y + i, vec_load_f32(y + i) + product);
    }
    for (; i < n; i++) {
        const float product = a * x[i];
        y[i] += product;
    }
}

#endif
