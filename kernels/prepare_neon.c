/* prepare_neon.c - norm, scale, signs, rounding and lift. */
#define VEC_BYTES 16
#include <arm_neon.h>

#include "kernels/levels.h"
#include "kernels/prepare_vec.h"
#include "kernels/sum_tail.h"
#include "kernels/w24_neon.h"

double mr_sum_squares_neon(const float *x, size_t n)
{
    float64x2_t sum[8];
    double part[16];
    size_t i = 0;
    VEC_UNROLL
    for (unsigned v = 0; v < 8; v++) {
        sum[v] = vdupq_n_f64(0.0);
    }
    for (; i + 16 <= n; i += 16) {
        VEC_UNROLL
        for (unsigned v = 0; v < 8; v += 2) {
            const float32x4_t four = vld1q_f32(x + i + 2 * v);
            const float64x2_t low = vcvt_f64_f32(vget_low_f32(four));
            const float64x2_t high = vcvt_high_f64_f32(four);
            sum[v] = vaddq_f64(sum[v], vmulq_f64(low, low));
            sum[v + 1] = vaddq_f64(sum[v + 1], vmulq_f64(high, high));
        }
    }
    VEC_UNROLL
    for (unsigned v = 0; v < 8; v++) {
        vst1q_f64(part + 2 * v, sum[v]);
    }
    return sum_tail(part, x, i, n);
}

void mr_scale_neon(float *x, float factor, size_t n)
{
    vec_scale(x, factor, n);
}

void mr_axpy_neon(float *y, float a, const float *x, size_t n)
{
    vec_axpy(y, a, x, n);
}

void mr_flip_signs_neon(float *x, const uint8_t *bits, size_t n)
{
    /* Shifts that bring the bit of each lane to the sign. */
    static const int32_t to_sign[8] = {31, 30, 29, 28, 27, 26, 25, 24};
    const int32x4_t low = vld1q_s32(to_sign), high = vld1q_s32(to_sign + 4);
    const uint32x4_t sign = vdupq_n_u32(0x80000000u);
    uint32_t *words = (uint32_t *)x;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        const uint32x4_t byte = vdupq_n_u32(bits[i / 8]);
        const uint32x4_t flip_low = vandq_u32(vshlq_u32(byte, low), sign);
        const uint32x4_t flip_high = vandq_u32(vshlq_u32(byte, high), sign);
        vst1q_u32(words + i, veorq_u32(vld1q_u32(words + i), flip_low));
        vst1q_u32(words + i + 4, veorq_u32(vld1q_u32(words + i + 4), flip_high));
    }
    if (i < n) {
        mr_flip_signs_scalar(x + i, bits + i / 8, n - i);
    }
}

/* Four rounded lanes as int32; counts the lanes in range, each in its place of *inside. */
static inline int32x4_t round4(float32x4_t x, float scale, float32x4_t most, uint16x4_t rnd,
                               uint32x4_t *inside)
{
    const float32x4_t least = vnegq_f32(most);
    const float32x4_t y = vmulq_n_f32(x, scale);
    const float32x4_t down = vrndmq_f32(y);
    const float32x4_t dice = vmulq_n_f32(vcvtq_f32_u32(vmovl_u16(rnd)), 0x1p-16f);
    const uint32x4_t up = vcltq_f32(dice, vsubq_f32(y, down));
    const uint32x4_t one = vandq_u32(up, vreinterpretq_u32_f32(vdupq_n_f32(1.0f)));
    const float32x4_t q = vaddq_f32(down, vreinterpretq_f32_u32(one));
    /* A true lane is -1. */
    *inside = vsubq_u32(*inside, vandq_u32(vcgeq_f32(q, least), vcleq_f32(q, most)));
    const float32x4_t low = vbslq_f32(vcltq_f32(q, most), q, most);
    return vcvtq_s32_f32(vbslq_f32(vcgtq_f32(low, least), low, least));
}

size_t mr_round_i8_neon(int8_t *out, const float *x, float scale, uint8_t levels,
                        const uint16_t *rnd, size_t n)
{
    const float32x4_t most = vdupq_n_f32(levels);
    size_t saturated = 0, i = 0;
    for (; i + 16 <= n; i += 16) {
        uint32x4_t inside = vdupq_n_u32(0);
        int16x4_t q[4];
        VEC_UNROLL
        for (unsigned v = 0; v < 4; v++) {
            const size_t at = i + 4 * v;
            q[v] = vmovn_s32(round4(vld1q_f32(x + at), scale, most, vld1_u16(rnd + at), &inside));
        }
        vst1_s8(out + i, vmovn_s16(vcombine_s16(q[0], q[1])));
        vst1_s8(out + i + 8, vmovn_s16(vcombine_s16(q[2], q[3])));
        saturated += 16 - vaddvq_u32(inside);
    }
    return saturated + mr_round_i8_scalar(out + i, x + i, scale, levels, rnd + i, n - i);
}

void mr_lift_w16_neon(uint16_t *out, const int8_t *q, size_t lanes)
{
    size_t i = 0;
    for (; i + 16 <= lanes; i += 16) {
        const int8x16_t bytes = vld1q_s8(q + i);
        vst1q_u16(out + i, vreinterpretq_u16_s16(vmovl_s8(vget_low_s8(bytes))));
        vst1q_u16(out + i + 8, vreinterpretq_u16_s16(vmovl_high_s8(bytes)));
    }
    mr_lift_w16_scalar(out + i, q + i, lanes - i);
}

/* Sixteen bytes, sign-extended to 32 bits. */
static inline void widen16(uint32x4_t lane[4], const int8_t *q)
{
    const int8x16_t bytes = vld1q_s8(q);
    const int16x8_t low = vmovl_s8(vget_low_s8(bytes)), high = vmovl_high_s8(bytes);
    lane[0] = vreinterpretq_u32_s32(vmovl_s16(vget_low_s16(low)));
    lane[1] = vreinterpretq_u32_s32(vmovl_high_s16(low));
    lane[2] = vreinterpretq_u32_s32(vmovl_s16(vget_low_s16(high)));
    lane[3] = vreinterpretq_u32_s32(vmovl_high_s16(high));
}

void mr_lift_w24_neon(uint8_t *packed, const int8_t *q, size_t lanes)
{
    size_t i = 0;
    for (; i + 16 <= lanes; i += 16) {
        uint32x4_t lane[4];
        widen16(lane, q + i);
        w24_store16(packed + 3 * i, lane);
    }
    mr_lift_w24_scalar(packed + 3 * i, q + i, lanes - i);
}

void mr_lift_w32_neon(uint32_t *out, const int8_t *q, size_t lanes)
{
    size_t i = 0;
    for (; i + 16 <= lanes; i += 16) {
        uint32x4_t lane[4];
        widen16(lane, q + i);
        VEC_UNROLL
        for (unsigned v = 0; v < 4; v++) {
            vst1q_u32(out + i + 4 * v, lane[v]);
        }
    }
    mr_lift_w32_scalar(out + i, q + i, lanes - i);
}
