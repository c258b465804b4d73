/* half.h - a number of IEEE 754 binary16 as a float32: both are bits. Exact; infinity and NaN stay
 * what they are. Any thread. */
#ifndef MR_BASE_HALF_H
#define MR_BASE_HALF_H

#include <stdint.h>
#include <string.h>

static inline uint32_t mr_half_widen(uint16_t half)
{
    const uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    const uint32_t exponent = (half >> 10) & 0x1fu, fraction = half & 0x3ffu;
    if (exponent == 0x1f) {
        return sign | 0x7f800000u | fraction << 13;
    }
    if (exponent > 0) {
        return sign | (exponent + 112) << 23 | fraction << 13;
    }
    const float value = (float)fraction * 0x1p-24f; /* subnormal: a whole number of 2^-24 */
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return sign | bits;
}

#endif
