/* ring_neon.c - ring add, fold and the packed 24-bit lanes. */
#define VEC_BYTES 16
#include <arm_neon.h>

#include "kernels/levels.h"
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
