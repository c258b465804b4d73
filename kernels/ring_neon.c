/* ring_neon.c - ring add, fold and the packed lanes. */
#define VEC_BYTES 16
#include <arm_neon.h>

#include "kernels/levels.h"
#include "kernels/narrow_neon.h"
#include "kernels/ring_vec.h"
#include "kernels/w24_neon.h"

void mr_add_w16_neon(uint16_t *acc, const uint16_t *src, size_t lanes)
{
    vec_add_w16(acc, src, lanes);
}

void mr_add_w32_neon(uint32_t *acc, const uint32_t *src, size_t lanes)
{
    vec_add_w32(acc, src, lanes);
}

void mr_fold_w16_neon(uint16_t *acc, const uint16_t *const *src, unsigned sources, size_t lanes)
{
    vec_fold_w16(acc, src, sources, lanes);
}

void mr_fold_w32_neon(uint32_t *acc, const uint32_t *const *src, unsigned sources, size_t lanes)
{
    vec_fold_w32(acc, src, sources, lanes);
}

void mr_fold_w8_neon(uint8_t *acc, const uint8_t *const *src, unsigned sources, size_t lanes)
{
    vec_fold_w8(acc, src, sources, lanes);
}

void mr_fold_narrow_neon(uint16_t *acc, const uint8_t *const *packed, unsigned sources,
                         size_t lanes, unsigned bits)
{
    const struct narrow how = narrow_of(bits);
    const size_t bytes = 8 * bits / 8; /* of a vector's lanes */
    size_t i = 0, at = 0;
    for (; i + 32 <= lanes; i += 32, at += 4 * bytes) {
        uint16x8_t sum[4];
        VEC_UNROLL
        for (size_t v = 0; v < 4; v++) {
            sum[v] = vld1q_u16(acc + i + 8 * v);
        }
        for (unsigned s = 0; s < sources; s++) {
            const uint8_t *from = packed[s] + at;
            VEC_UNROLL
            for (size_t v = 0; v < 4; v++) {
                sum[v] = vaddq_u16(sum[v], narrow_load8(from + v * bytes, &how));
            }
        }
        VEC_UNROLL
        for (size_t v = 0; v < 4; v++) {
            vst1q_u16(acc + i + 8 * v, sum[v]);
        }
    }
    fold_tail_narrow(acc, packed, sources, i, lanes, bits);
}

void mr_fold_w24_neon(uint32_t *acc, const uint8_t *const *packed, unsigned sources, size_t lanes)
{
    size_t i = 0;
    for (; i + 16 <= lanes; i += 16) {
        uint32x4_t sum[4], lane[4];
        VEC_UNROLL
        for (size_t v = 0; v < 4; v++) {
            sum[v] = vld1q_u32(acc + i + 4 * v);
        }
        for (unsigned s = 0; s < sources; s++) {
            w24_load16(lane, packed[s] + 3 * i);
            VEC_UNROLL
            for (size_t v = 0; v < 4; v++) {
                sum[v] = vaddq_u32(sum[v], lane[v]);
            }
        }
        VEC_UNROLL
        for (size_t v = 0; v < 4; v++) {
            vst1q_u32(acc + i + 4 * v, sum[v]);
        }
    }
    fold_tail_w24(acc, packed, sources, i, lanes);
}

void mr_add_w24_neon(uint32_t *acc, const uint8_t *packed, size_t lanes)
{
    mr_fold_w24_neon(acc, &packed, 1, lanes);
}

void mr_pack_w24_neon(uint8_t *packed, const uint32_t *acc, size_t lanes)
{
    size_t i = 0;
    for (; i + 16 <= lanes; i += 16) {
        uint32x4_t lane[4];
        VEC_UNROLL
        for (size_t v = 0; v < 4; v++) {
            lane[v] = vld1q_u32(acc + i + 4 * v);
        }
        w24_store16(packed + 3 * i, lane);
    }
    mr_pack_w24_scalar(packed + 3 * i, acc + i, lanes - i);
}

void mr_unpack_w24_neon(uint32_t *acc, const uint8_t *packed, size_t lanes)
{
    size_t i = 0;
    for (; i + 16 <= lanes; i += 16) {
        uint32x4_t lane[4];
        w24_load16(lane, packed + 3 * i);
        VEC_UNROLL
        for (size_t v = 0; v < 4; v++) {
            vst1q_u32(acc + i + 4 * v, lane[v]);
        }
    }
    mr_unpack_w24_scalar(acc + i, packed + 3 * i, lanes - i);
}
