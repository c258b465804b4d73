/* sum_tail.h - inside kernels/ only: the elements [from, n) of a sum of squares, `from` a multiple
 * of 16, and the tree over the partial sums (kernels.h states the order). */
#ifndef MR_KERNELS_SUM_TAIL_H
#define MR_KERNELS_SUM_TAIL_H

#include <stddef.h>

static inline double sum_tail(double part[16], const float *x, size_t from, size_t n)
{
    for (size_t i = from; i < n; i++) {
        const double v = x[i];
        part[i % 16] += v * v;
    }
    for (unsigned width = 8; width > 0; width /= 2) {
        for (unsigned p = 0; p < width; p++) {
            part[p] += part[p + width];
        }
    }
    return part[0];
}

#endif
