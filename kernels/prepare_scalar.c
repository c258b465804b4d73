/* prepare_scalar.c - norm, scale, signs, rounding and lift: the reference. */
#include <math.h>

#include "kernels/lane.h"
#include "kernels/levels.h"
#include "kernels/sum_tail.h"

double mr_sum_squares_scalar(const float *x, size_t n)
{
    double part[16] = {0};
    return sum_tail(part, x, 0, n);
}

void mr_scale_scalar(float *x, float factor, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        x[i] *= factor;
    }
}

void mr_axpy_scalar(float *y, float a, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const float product = a * x[i];
        y[i] += product;
    }
}

void mr_flip_signs_scalar(float *x, const uint8_t *bits, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t v;
        memcpy(&v, x + i, sizeof v);
        v ^= (uint32_t)(bits[i / 8] >> (i % 8)) << 31;
        memcpy(x + i, &v, sizeof v);
    }
}

size_t mr_round_i8_scalar(int8_t *out, const float *x, float scale, uint8_t levels,
                          const uint16_t *rnd, size_t n)
{
    const float most = levels, least = -most;
    size_t saturated = 0;
    for (size_t i = 0; i < n; i++) {
        const float y = x[i] * scale;
        const float down = floorf(y);
        const float up = (float)rnd[i] * 0x1p-16f < y - down ? 1.0f : 0.0f;
        float q = down + up;
        saturated += !(q >= least && q <= most);
        q = q < most ? q : most;
        q = q > least ? q : least;
        out[i] = (int8_t)q;
    }
    return saturated;
}

void mr_lift_narrow_scalar(uint8_t *packed, const int8_t *q, size_t lanes, unsigned bits)
{
    const uint64_t mask = (1u << bits) - 1;
    for (size_t i = 0; i < lanes; i += 4, packed += bits / 2) {
        uint64_t four = 0;
        for (unsigned j = 0; j < 4; j++) {
            four |= ((uint64_t)q[i + j] & mask) << (j * bits);
        }
        narrow_store4(packed, four, bits);
    }
}

void mr_lift_w16_scalar(uint16_t *out, const int8_t *q, size_t lanes)
{
    for (size_t i = 0; i < lanes; i++) {
        out[i] = (uint16_t)q[i];
    }
}

void mr_lift_w24_scalar(uint8_t *packed, const int8_t *q, size_t lanes)
{
    for (size_t i = 0; i < lanes; i++) {
        lane_store24(packed + 3 * i, (uint32_t)q[i]);
    }
}

void mr_lift_w32_scalar(uint32_t *out, const int8_t *q, size_t lanes)
{
    for (size_t i = 0; i < lanes; i++) {
        out[i] = (uint32_t)q[i];
    }
}
