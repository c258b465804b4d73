/* hadamard_scalar.c - interleaved Hadamard transform: the reference. */
#include <math.h>

#include "kernels/levels.h"

/* All blocks go through a stage together: their elements of one place lie side by side. */
void mr_hadamard_scalar(float *x, size_t n, size_t block)
{
    const size_t blocks = n / block;
    for (size_t h = blocks; h < n; h *= 2) {
        for (size_t at = 0; at < n; at += 2 * h) {
            for (size_t i = at; i < at + h; i++) {
                const float a = x[i], b = x[i + h];
                x[i] = a + b;
                x[i + h] = a - b;
            }
        }
    }
    const float factor = (float)(1.0 / sqrt((double)block));
    for (size_t i = 0; i < n; i++) {
        x[i] *= factor;
    }
}
