/* centre_scalar.c - ring lanes to signed floats: the reference. */
#include "kernels/levels.h"

void mr_centre_w8_scalar(float *out, const uint8_t *acc, float factor, size_t lanes)
{
    for (size_t i = 0; i < lanes; i++) {
        out[i] = (float)(int8_t)acc[i] * factor;
    }
}

void mr_centre_narrow_scalar(float *out, const uint16_t *acc, float factor, size_t lanes,
                             unsigned bits)
{
    const unsigned spare = 16 - bits;
    for (size_t i = 0; i < lanes; i++) {
        out[i] = (float)((int16_t)(acc[i] << spare) >> spare) * factor;
    }
}

void mr_centre_w16_scalar(float *out, const uint16_t *acc, float factor, size_t lanes)
{
    for (size_t i = 0; i < lanes; i++) {
        out[i] = (float)(int16_t)acc[i] * factor;
    }
}

void mr_centre_w24_scalar(float *out, const uint32_t *acc, float factor, size_t lanes)
{
    for (size_t i = 0; i < lanes; i++) {
        out[i] = (float)((int32_t)(acc[i] << 8) >> 8) * factor;
    }
}

void mr_centre_w32_scalar(float *out, const uint32_t *acc, float factor, size_t lanes)
{
    for (size_t i = 0; i < lanes; i++) {
        out[i] = (float)(int32_t)acc[i] * factor;
    }
}
