/* ring_scalar.c - ring add, fold and the packed lanes: the reference. */
#include "kernels/fold_tail.h"
#include "kernels/levels.h"

void mr_add_w16_scalar(uint16_t *acc, const uint16_t *src, size_t lanes)
{
    for (size_t i = 0; i < lanes; i++) {
        acc[i] = (uint16_t)(acc[i] + src[i]);
    }
}

void mr_add_w24_scalar(uint32_t *acc, const uint8_t *packed, size_t lanes)
{
    for (size_t i = 0; i < lanes; i++) {
        acc[i] += lane_load24(packed + 3 * i);
    }
}

void mr_add_w32_scalar(uint32_t *acc, const uint32_t *src, size_t lanes)
{
    for (size_t i = 0; i < lanes; i++) {
        acc[i] += src[i];
    }
}

void mr_fold_w8_scalar(uint8_t *acc, const uint8_t *const *src, unsigned sources, size_t lanes)
{
    fold_tail_w8(acc, src, sources, 0, lanes);
}

void mr_fold_narrow_scalar(uint16_t *acc, const uint8_t *const *packed, unsigned sources,
                           size_t lanes, unsigned bits)
{
    fold_tail_narrow(acc, packed, sources, 0, lanes, bits);
}

void mr_fold_w16_scalar(uint16_t *acc, const uint16_t *const *src, unsigned sources, size_t lanes)
{
    fold_tail_w16(acc, src, sources, 0, lanes);
}

void mr_fold_w24_scalar(uint32_t *acc, const uint8_t *const *packed, unsigned sources, size_t lanes)
{
    fold_tail_w24(acc, packed, sources, 0, lanes);
}

void mr_fold_w32_scalar(uint32_t *acc, const uint32_t *const *src, unsigned sources, size_t lanes)
{
    fold_tail_w32(acc, src, sources, 0, lanes);
}

void mr_pack_narrow_scalar(uint8_t *packed, const uint16_t *acc, size_t lanes, unsigned bits)
{
    const uint64_t mask = (1u << bits) - 1;
    for (size_t i = 0; i < lanes; i += 4, packed += bits / 2) {
        uint64_t four = 0;
        for (unsigned j = 0; j < 4; j++) {
            four |= (acc[i + j] & mask) << (j * bits);
        }
        narrow_store4(packed, four, bits);
    }
}

void mr_pack_w24_scalar(uint8_t *packed, const uint32_t *acc, size_t lanes)
{
    for (size_t i = 0; i < lanes; i++) {
        lane_store24(packed + 3 * i, acc[i]);
    }
}

void mr_unpack_w24_scalar(uint32_t *acc, const uint8_t *packed, size_t lanes)
{
    for (size_t i = 0; i < lanes; i++) {
        acc[i] = lane_load24(packed + 3 * i);
    }
}
