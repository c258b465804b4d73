/* ring_vec.h - inside kernels/ only: ring add and fold of 8-, 16- and 32-bit lanes at any vector
 * width. The including file defines what vec.h asks for. */
#ifndef MR_KERNELS_RING_VEC_H
#define MR_KERNELS_RING_VEC_H

#include "kernels/fold_tail.h"
#include "kernels/vec.h"

VEC_INLINE void vec_add_w16(uint16_t *acc, const uint16_t *src, size_t lanes)
{
    size_t i = 0;
    for (; i + 4 * VEC_U16 <= lanes; i += 4 * VEC_U16) {
        VEC_UNROLL
        for (size_t v = 0; v < 4 * VEC_U16; v += VEC_U16) {
            vec_store_u16(acc + i + v, vec_load_u16(acc + i + v) + vec_load_u16(src + i + v));
        }
    }
    for (; i + VEC_U16 <= lanes; i += VEC_U16) {
        vec_store_u16(acc + i, vec_load_u16(acc + i) + vec_load_u16(src + i));
    }
    fold_tail_w16(acc, &src, 1, i, lanes);
}

VEC_INLINE void vec_add_w32(uint32_t *acc, const uint32_t *src, size_t lanes)
{
    size_t i = 0;
    for (; i + 4 * VEC_U32 <= lanes; i += 4 * VEC_U32) {
        VEC_UNROLL
        for (size_t v = 0; v < 4 * VEC_U32; v += VEC_U32) {
            vec_store_u32(acc + i + v, vec_load_u32(acc + i + v) + vec_load_u32(src + i + v));
        }
    }
    for (; i + VEC_U32 <= lanes; i += VEC_U32) {
        vec_store_u32(acc + i, vec_load_u32(acc + i) + vec_load_u32(src + i));
    }
    fold_tail_w32(acc, &src, 1, i, lanes);
}

/* Vectors of each source at a time: 256 bytes of one before the next's, where registers allow. With
 * 128 a Zen 4 read eight sources and the sum at 0.75 of its best reader's rate, with 256 at 0.88.
 */
#define FOLD_VECS (VEC_BYTES == 32 ? 8 : 4)

VEC_INLINE void vec_fold_w8(uint8_t *acc, const uint8_t *const *src, unsigned sources, size_t lanes)
{
    size_t i = 0;
    for (; i + FOLD_VECS * VEC_BYTES <= lanes; i += FOLD_VECS * VEC_BYTES) {
        vec_u8 sum[FOLD_VECS];
        VEC_UNROLL
        for (size_t v = 0; v < FOLD_VECS; v++) {
            sum[v] = vec_load_u8(acc + i + v * VEC_BYTES);
        }
        for (unsigned s = 0; s < sources; s++) {
            const uint8_t *from = src[s] + i;
            VEC_UNROLL
            for (size_t v = 0; v < FOLD_VECS; v++) {
                sum[v] += vec_load_u8(from + v * VEC_BYTES);
            }
        }
        VEC_UNROLL
        for (size_t v = 0; v < FOLD_VECS; v++) {
            vec_store_u8(acc + i + v * VEC_BYTES, sum[v]);
        }
    }
    for (; i + VEC_BYTES <= lanes; i += VEC_BYTES) {
        vec_u8 sum = vec_load_u8(acc + i);
        for (unsigned s = 0; s < sources; s++) {
            sum += vec_load_u8(src[s] + i);
        }
        vec_store_u8(acc + i, sum);
    }
    fold_tail_w8(acc, src, sources, i, lanes);
}

VEC_INLINE void vec_fold_w16(uint16_t *acc, const uint16_t *const *src, unsigned sources,
                             size_t lanes)
{
    size_t i = 0;
    for (; i + FOLD_VECS * VEC_U16 <= lanes; i += FOLD_VECS * VEC_U16) {
        vec_u16 sum[FOLD_VECS];
        VEC_UNROLL
        for (size_t v = 0; v < FOLD_VECS; v++) {
            sum[v] = vec_load_u16(acc + i + v * VEC_U16);
        }
        for (unsigned s = 0; s < sources; s++) {
            const uint16_t *from = src[s] + i;
            VEC_UNROLL
            for (size_t v = 0; v < FOLD_VECS; v++) {
                sum[v] += vec_load_u16(from + v * VEC_U16);
            }
        }
        VEC_UNROLL
        for (size_t v = 0; v < FOLD_VECS; v++) {
            vec_store_u16(acc + i + v * VEC_U16, sum[v]);
        }
    }
    for (; i + VEC_U16 <= lanes; i += VEC_U16) {
        vec_u16 sum = vec_load_u16(acc + i);
        for (unsigned s = 0; s < sources; s++) {
            sum += vec_load_u16(src[s] + i);
        }
        vec_store_u16(acc + i, sum);
    }
    fold_tail_w16(acc, src, sources, i, lanes);
}

VEC_INLINE void vec_fold_w32(uint32_t *acc, const uint32_t *const *src, unsigned sources,
                             size_t lanes)
{
    size_t i = 0;
    for (; i + FOLD_VECS * VEC_U32 <= lanes; i += FOLD_VECS * VEC_U32) {
        vec_u32 sum[FOLD_VECS];
        VEC_UNROLL
        for (size_t v = 0; v < FOLD_VECS; v++) {
            sum[v] = vec_load_u32(acc + i + v * VEC_U32);
        }
        for (unsigned s = 0; s < sources; s++) {
            const uint32_t *from = src[s] + i;
            VEC_UNROLL
            for (size_t v = 0; v < FOLD_VECS; v++) {
                sum[v] += vec_load_u32(from + v * VEC_U32);
            }
        }
        VEC_UNROLL
        for (size_t v = 0; v < FOLD_VECS; v++) {
            vec_store_u32(acc + i + v * VEC_U32, sum[v]);
        }
    }
    for (; i + VEC_U32 <= lanes; i += VEC_U32) {
        vec_u32 sum = vec_load_u32(acc + i);
        for (unsigned s = 0; s < sources; s++) {
            sum += vec_load_u32(src[s] + i);
        }
        vec_store_u32(acc + i, sum);
    }
    fold_tail_w32(acc, src, sources, i, lanes);
}

#endif
