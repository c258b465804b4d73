/* mask_span.c - masks of packed lanes over a span of the stream in L1. */
#include "kernels/mask_span.h"

static size_t take_of(size_t lanes)
{
    return lanes < MASK_SPAN_LANES ? lanes : MASK_SPAN_LANES;
}

void mr_mask_span_add_w8(uint8_t *acc, const struct mr_mask_stream *mask, uint64_t offset,
                         size_t lanes, mr_mask_expand_fn *expand, MR_KERNEL_TYPE(fold_w8) * fold)
{
    _Alignas(64) uint8_t span[MASK_SPAN_BYTES];
    const uint8_t *const source = span;
    for (size_t take; lanes > 0; lanes -= take, acc += take, offset += take) {
        take = take_of(lanes);
        expand(span, mask, offset, take);
        fold(acc, &source, 1, take);
    }
    explicit_bzero(span, sizeof span);
}

void mr_mask_span_sub_w8(uint8_t *vec, const struct mr_mask_stream *mask, uint64_t offset,
                         size_t lanes, mr_mask_expand_fn *expand)
{
    _Alignas(64) uint8_t span[MASK_SPAN_BYTES];
    for (size_t take; lanes > 0; lanes -= take, vec += take, offset += take) {
        take = take_of(lanes);
        expand(span, mask, offset, take);
        for (size_t i = 0; i < take; i++) {
            vec[i] = (uint8_t)(vec[i] - span[i]);
        }
    }
    explicit_bzero(span, sizeof span);
}

void mr_mask_span_add_narrow(uint16_t *acc, const struct mr_mask_stream *mask, uint64_t offset,
                             size_t lanes, unsigned bits, mr_mask_expand_fn *expand,
                             MR_KERNEL_TYPE(fold_narrow) * fold)
{
    _Alignas(64) uint8_t span[MASK_SPAN_BYTES];
    const uint8_t *const source = span;
    for (size_t take; lanes > 0; lanes -= take, acc += take, offset += take * bits / 8) {
        take = take_of(lanes);
        expand(span, mask, offset, take * bits / 8);
        fold(acc, &source, 1, take, bits);
    }
    explicit_bzero(span, sizeof span);
}

void mr_mask_span_sub_narrow(uint8_t *packed, const struct mr_mask_stream *mask, uint64_t offset,
                             size_t lanes, unsigned bits, mr_mask_expand_fn *expand)
{
    _Alignas(64) uint8_t span[MASK_SPAN_BYTES];
    const size_t four = bits / 2; /* bytes of four lanes */
    for (size_t take; lanes > 0; lanes -= take, offset += take / 4 * four) {
        take = take_of(lanes);
        expand(span, mask, offset, take / 4 * four);
        for (const uint8_t *ks = span; ks < span + take / 4 * four; ks += four, packed += four) {
            const uint64_t left =
                narrow_sub4(narrow_load4(packed, bits), narrow_load4(ks, bits), bits);
            narrow_store4(packed, left, bits);
        }
    }
    explicit_bzero(span, sizeof span);
}

void mr_mask_span_add_w24(uint32_t *acc, const struct mr_mask_stream *mask, uint64_t offset,
                          size_t lanes, mr_mask_expand_fn *expand, MR_KERNEL_TYPE(add_w24) * add)
{
    _Alignas(64) uint8_t span[MASK_SPAN_BYTES];
    for (size_t take; lanes > 0; lanes -= take, acc += take, offset += 3 * take) {
        take = take_of(lanes);
        expand(span, mask, offset, 3 * take);
        add(acc, span, take);
    }
    explicit_bzero(span, sizeof span);
}

void mr_mask_span_sub_w24(uint8_t *packed, const struct mr_mask_stream *mask, uint64_t offset,
                          size_t lanes, mr_mask_expand_fn *expand,
                          void (*sub)(uint8_t *, const uint8_t *, size_t))
{
    _Alignas(64) uint8_t span[MASK_SPAN_BYTES];
    for (size_t take; lanes > 0; lanes -= take, packed += 3 * take, offset += 3 * take) {
        take = take_of(lanes);
        expand(span, mask, offset, 3 * take);
        sub(packed, span, take);
    }
    explicit_bzero(span, sizeof span);
}
