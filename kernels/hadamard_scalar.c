/* hadamard_scalar.c - blockwise Hadamard transform: the reference. */
#include <math.h>

#include "kernels/levels.h"

static void transform(float *x, size_t block)
{
    for (size_t h = 1; h < block; h *= 2) {
        for (size_t at = 0; at < block; at += 2 * h) {
            for (size_t i = at; i < at + h; i++) {
                const float a = x[i], b = x[i + h];
                x[i] = a + b;
                x[i + h] = a - b;
            }
        }
    }
    const float factor = (float)(1.0 / sqrt((double)block));
    for (size_t i = 0; i < block; i++) {
        x[i] *= factor;
    }
}

void mr_hadamard_scalar(float *x, size_t n, size_t block)
{
    for (size_t at = 0; at < n; at += block) {
        transform(x + at, block);
    }
}
