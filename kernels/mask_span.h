/* mask_span.h - inside kernels/ only: masks of narrow lanes, and what need not be fast of 8 bits.
 *
 * Narrow lanes do not fit the cipher's blocks, so the stream is laid down in L1, a span at a time,
 * and read back as packed lanes. The including file names the level's own mask_expand.
 */
#ifndef MR_KERNELS_MASK_SPAN_H
#define MR_KERNELS_MASK_SPAN_H

#include <string.h>

#include "kernels/kernels.h"
#include "kernels/lane.h"
#include "kernels/levels.h"

#define MASK_SPAN_LANES 512u /* 640 or 768 bytes: whole batches of every level's cipher */
#define MASK_SPAN_BYTES (MASK_SPAN_LANES * 12 / 8)

static inline size_t mask_span_take(size_t lanes)
{
    return lanes < MASK_SPAN_LANES ? lanes : MASK_SPAN_LANES;
}

static inline void mask_span_add_narrow(uint16_t *acc, const struct mr_mask_stream *mask,
                                        uint64_t offset, size_t lanes, unsigned bits,
                                        MR_KERNEL_TYPE(mask_expand) expand,
                                        MR_KERNEL_TYPE(fold_narrow) fold)
{
    _Alignas(64) uint8_t span[MASK_SPAN_BYTES];
    const uint8_t *const source = span;
    for (size_t take; lanes > 0; lanes -= take, acc += take, offset += take * bits / 8) {
        take = mask_span_take(lanes);
        expand(span, mask, offset, take * bits / 8);
        fold(acc, &source, 1, take, bits);
    }
    explicit_bzero(span, sizeof span);
}

static inline void mask_span_sub_narrow(uint8_t *packed, const struct mr_mask_stream *mask,
                                        uint64_t offset, size_t lanes, unsigned bits,
                                        MR_KERNEL_TYPE(mask_expand) expand)
{
    _Alignas(64) uint8_t span[MASK_SPAN_BYTES];
    const size_t four = bits / 2; /* bytes of four lanes */
    for (size_t take; lanes > 0; lanes -= take, offset += take / 4 * four) {
        take = mask_span_take(lanes);
        expand(span, mask, offset, take / 4 * four);
        for (const uint8_t *ks = span; ks < span + take / 4 * four; ks += four, packed += four) {
            const uint64_t left =
                narrow_sub4(narrow_load4(packed, bits), narrow_load4(ks, bits), bits);
            narrow_store4(packed, left, bits);
        }
    }
    explicit_bzero(span, sizeof span);
}

static inline void mask_span_add_w8(uint8_t *acc, const struct mr_mask_stream *mask,
                                    uint64_t offset, size_t lanes,
                                    MR_KERNEL_TYPE(mask_expand) expand,
                                    MR_KERNEL_TYPE(fold_w8) fold)
{
    _Alignas(64) uint8_t span[MASK_SPAN_LANES];
    const uint8_t *const source = span;
    for (size_t take; lanes > 0; lanes -= take, acc += take, offset += take) {
        take = mask_span_take(lanes);
        expand(span, mask, offset, take);
        fold(acc, &source, 1, take);
    }
    explicit_bzero(span, sizeof span);
}

static inline void mask_span_sub_w8(uint8_t *vec, const struct mr_mask_stream *mask,
                                    uint64_t offset, size_t lanes,
                                    MR_KERNEL_TYPE(mask_expand) expand)
{
    _Alignas(64) uint8_t span[MASK_SPAN_LANES];
    for (size_t take; lanes > 0; lanes -= take, vec += take, offset += take) {
        take = mask_span_take(lanes);
        expand(span, mask, offset, take);
        for (size_t i = 0; i < take; i++) {
            vec[i] = (uint8_t)(vec[i] - span[i]);
        }
    }
    explicit_bzero(span, sizeof span);
}

#endif
