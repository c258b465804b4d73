/* vec.h - inside kernels/ only: vectors of VEC_BYTES bytes, which the including ISA file defines.
 *
 * For kernels that are the same code at every width. The `_at` types may lie at any address that
 * suits their element and may alias anything; they are for loads and stores only.
 */
#ifndef MR_KERNELS_VEC_H
#define MR_KERNELS_VEC_H

#include <stddef.h>
#include <stdint.h>

#ifndef VEC_BYTES
#error "define VEC_BYTES before including vec.h"
#endif

#define VEC_INLINE static inline __attribute__((always_inline))

/* Before a short loop over an array of vectors: without it -O2 keeps the array in memory. */
#define VEC_UNROLL _Pragma("GCC unroll 8")

typedef uint8_t vec_u8 __attribute__((vector_size(VEC_BYTES)));
typedef uint16_t vec_u16 __attribute__((vector_size(VEC_BYTES)));
typedef uint32_t vec_u32 __attribute__((vector_size(VEC_BYTES)));
typedef float vec_f32 __attribute__((vector_size(VEC_BYTES)));

typedef uint8_t vec_u8_at __attribute__((vector_size(VEC_BYTES), aligned(1), may_alias));
typedef uint16_t vec_u16_at __attribute__((vector_size(VEC_BYTES), aligned(2), may_alias));
typedef uint32_t vec_u32_at __attribute__((vector_size(VEC_BYTES), aligned(4), may_alias));
typedef float vec_f32_at __attribute__((vector_size(VEC_BYTES), aligned(4), may_alias));

#define VEC_U16 (VEC_BYTES / 2) /* lanes of a vector */
#define VEC_U32 (VEC_BYTES / 4)
#define VEC_F32 (VEC_BYTES / 4)

VEC_INLINE vec_u8 vec_load_u8(const uint8_t *at)
{
    return *(const vec_u8_at *)at;
}

VEC_INLINE vec_u16 vec_load_u16(const uint16_t *at)
{
    return *(const vec_u16_at *)at;
}

VEC_INLINE vec_u32 vec_load_u32(const uint32_t *at)
{
    return *(const vec_u32_at *)at;
}

VEC_INLINE vec_f32 vec_load_f32(const float *at)
{
    return *(const vec_f32_at *)at;
}

VEC_INLINE void vec_store_u8(uint8_t *at, vec_u8 v)
{
    *(vec_u8_at *)at = v;
}

VEC_INLINE void vec_store_u16(uint16_t *at, vec_u16 v)
{
    *(vec_u16_at *)at = v;
}

VEC_INLINE void vec_store_u32(uint32_t *at, vec_u32 v)
{
    *(vec_u32_at *)at = v;
}

VEC_INLINE void vec_store_f32(float *at, vec_f32 v)
{
    *(vec_f32_at *)at = v;
}

#endif
