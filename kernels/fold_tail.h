/* fold_tail.h - inside kernels/ only: the lanes [from, lanes) of a fold, one by one. The scalar
 * level folds from 0, the others what their last whole vector leaves. */
#ifndef MR_KERNELS_FOLD_TAIL_H
#define MR_KERNELS_FOLD_TAIL_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/lane.h"

static inline void fold_tail_w8(uint8_t *acc, const uint8_t *const *src, unsigned sources,
                                size_t from, size_t lanes)
{
    for (size_t i = from; i < lanes; i++) {
        uint8_t sum = acc[i];
        for (unsigned s = 0; s < sources; s++) {
            sum = (uint8_t)(sum + src[s][i]);
        }
        acc[i] = sum;
    }
}

/* `from` and `lanes` are multiples of four. */
static inline void fold_tail_narrow(uint16_t *acc, const uint8_t *const *packed, unsigned sources,
                                    size_t from, size_t lanes, unsigned bits)
{
    for (size_t i = from; i < lanes; i += 4) {
        for (unsigned s = 0; s < sources; s++) {
            const uint64_t four = narrow_load4(packed[s] + i / 4 * (bits / 2), bits);
            for (unsigned j = 0; j < 4; j++) {
                acc[i + j] = (uint16_t)(acc[i + j] + (four >> (j * bits)));
            }
        }
    }
}

static inline void fold_tail_w16(uint16_t *acc, const uint16_t *const *src, unsigned sources,
                                 size_t from, size_t lanes)
{
    for (size_t i = from; i < lanes; i++) {
        uint16_t sum = acc[i];
        for (unsigned s = 0; s < sources; s++) {
            sum = (uint16_t)(sum + src[s][i]);
        }
        acc[i] = sum;
    }
}

static inline void fold_tail_w24(uint32_t *acc, const uint8_t *const *packed, unsigned sources,
                                 size_t from, size_t lanes)
{
    for (size_t i = from; i < lanes; i++) {
        uint32_t sum = acc[i];
        for (unsigned s = 0; s < sources; s++) {
            sum += lane_load24(packed[s] + 3 * i);
        }
        acc[i] = sum;
    }
}

static inline void fold_tail_w32(uint32_t *acc, const uint32_t *const *src, unsigned sources,
                                 size_t from, size_t lanes)
{
    for (size_t i = from; i < lanes; i++) {
        uint32_t sum = acc[i];
        for (unsigned s = 0; s < sources; s++) {
            sum += src[s][i];
        }
        acc[i] = sum;
    }
}

#endif
