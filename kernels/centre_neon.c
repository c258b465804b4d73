/* centre_neon.c - ring lanes to signed floats. */
#include <arm_neon.h>

#include "kernels/levels.h"

static inline void store4(float *out, int32x4_t lanes, float factor)
{
    vst1q_f32(out, vmulq_n_f32(vcvtq_f32_s32(lanes), factor));
}

void mr_centre_w16_neon(float *out, const uint16_t *acc, float factor, size_t lanes)
{
    size_t i = 0;
    for (; i + 8 <= lanes; i += 8) {
        const int16x8_t words = vreinterpretq_s16_u16(vld1q_u16(acc + i));
        store4(out + i, vmovl_s16(vget_low_s16(words)), factor);
        store4(out + i + 4, vmovl_high_s16(words), factor);
    }
    mr_centre_w16_scalar(out + i, acc + i, factor, lanes - i);
}

void mr_centre_w24_neon(float *out, const uint32_t *acc, float factor, size_t lanes)
{
    size_t i = 0;
    for (; i + 4 <= lanes; i += 4) {
        const int32x4_t top = vreinterpretq_s32_u32(vshlq_n_u32(vld1q_u32(acc + i), 8));
        store4(out + i, vshrq_n_s32(top, 8), factor);
    }
    mr_centre_w24_scalar(out + i, acc + i, factor, lanes - i);
}

void mr_centre_w32_neon(float *out, const uint32_t *acc, float factor, size_t lanes)
{
    size_t i = 0;
    for (; i + 4 <= lanes; i += 4) {
        store4(out + i, vreinterpretq_s32_u32(vld1q_u32(acc + i)), factor);
    }
    mr_centre_w32_scalar(out + i, acc + i, factor, lanes - i);
}
