/* mask_neon.c - expand and add by the AES extension, eight blocks in flight. */
#include <arm_neon.h>

#include "kernels/counter.h"
#include "kernels/lane.h"
#include "kernels/levels.h"
#include "kernels/mask_span.h"
#include "kernels/w24_neon.h"

#define BATCH 8 /* blocks */

enum mask_op { MASK_EXPAND, MASK_ADD_W16, MASK_SUB_W16 };

/* Without it -O2 keeps the blocks in memory. */
#define UNROLL        _Pragma("GCC unroll 10")
#define ALWAYS_INLINE static inline __attribute__((always_inline))

ALWAYS_INLINE void load_keys(uint8x16_t keys[11], const struct mr_mask_stream *mask)
{
    UNROLL
    for (unsigned r = 0; r < 10; r++) {
        keys[r] = vld1q_u8(mask->round_keys[r]);
    }
    keys[10] = vld1q_u8(mask->round_keys[10]);
}

/* The next eight blocks of the stream. AESE adds the round key before the S-box, so the last key is
 * left for an exclusive or. */
ALWAYS_INLINE void keystream(uint8x16_t ks[BATCH], const uint8x16_t keys[11], struct counter *ctr)
{
    UNROLL
    for (unsigned b = 0; b < BATCH; b++) {
        const uint64x2_t words = vcombine_u64(vcreate_u64(ctr->hi), vcreate_u64(ctr->lo));
        ks[b] = vrev64q_u8(vreinterpretq_u8_u64(words));
        counter_add(ctr, 1);
    }
    UNROLL
    for (unsigned r = 0; r < 9; r++) {
        UNROLL
        for (unsigned b = 0; b < BATCH; b++) {
            ks[b] = vaesmcq_u8(vaeseq_u8(ks[b], keys[r]));
        }
    }
    UNROLL
    for (unsigned b = 0; b < BATCH; b++) {
        ks[b] = veorq_u8(vaeseq_u8(ks[b], keys[9]), keys[10]);
    }
}

ALWAYS_INLINE uint8x16_t combine(uint8x16_t v, uint8x16_t ks, enum mask_op op)
{
    const uint16x8_t v16 = vreinterpretq_u16_u8(v), ks16 = vreinterpretq_u16_u8(ks);
    switch (op) {
    case MASK_ADD_W16:
        return vreinterpretq_u8_u16(vaddq_u16(v16, ks16));
    case MASK_SUB_W16:
        return vreinterpretq_u8_u16(vsubq_u16(v16, ks16));
    case MASK_EXPAND:
        break;
    }
    return ks;
}

ALWAYS_INLINE void apply(uint8_t *at, uint8x16_t ks, enum mask_op op)
{
    const uint8x16_t v = op == MASK_EXPAND ? ks : vld1q_u8(at);
    vst1q_u8(at, combine(v, ks, op));
}

/* What is left, less than a batch: worked on in a copy, whole blocks at a time. */
ALWAYS_INLINE void apply_tail(uint8_t *at, const uint8x16_t ks[BATCH], size_t bytes,
                              enum mask_op op)
{
    uint8_t copy[16 * BATCH];
    memcpy(copy, at, op == MASK_EXPAND ? 0 : bytes);
    for (size_t b = 0; b < (bytes + 15) / 16; b++) {
        apply(copy + 16 * b, ks[b], op);
    }
    memcpy(at, copy, bytes);
    explicit_bzero(copy, sizeof copy);
}

ALWAYS_INLINE void run(uint8_t *at, const struct mr_mask_stream *mask, uint64_t offset,
                       size_t bytes, enum mask_op op)
{
    struct counter ctr = counter_at(mask, offset);
    uint8x16_t keys[11], ks[BATCH];
    load_keys(keys, mask);
    for (; bytes >= sizeof ks; bytes -= sizeof ks, at += sizeof ks) {
        keystream(ks, keys, &ctr);
        UNROLL
        for (unsigned b = 0; b < BATCH; b++) {
            apply(at + 16 * b, ks[b], op);
        }
    }
    if (bytes > 0) {
        uint8x16_t last[BATCH];
        keystream(last, keys, &ctr);
        apply_tail(at, last, bytes, op);
        explicit_bzero(last, sizeof last);
    }
}

void mr_mask_expand_neon(uint8_t *out, const struct mr_mask_stream *mask, uint64_t offset,
                         size_t bytes)
{
    run(out, mask, offset, bytes, MASK_EXPAND);
}

void mr_mask_add_w8_neon(uint8_t *acc, const struct mr_mask_stream *mask, uint64_t offset,
                         size_t lanes)
{
    mr_mask_span_add_w8(acc, mask, offset, lanes, mr_mask_expand_neon, mr_fold_w8_neon);
}

void mr_mask_sub_w8_neon(uint8_t *vec, const struct mr_mask_stream *mask, uint64_t offset,
                         size_t lanes)
{
    mr_mask_span_sub_w8(vec, mask, offset, lanes, mr_mask_expand_neon);
}

void mr_mask_add_narrow_neon(uint16_t *acc, const struct mr_mask_stream *mask, uint64_t offset,
                             size_t lanes, unsigned bits)
{
    mr_mask_span_add_narrow(acc, mask, offset, lanes, bits, mr_mask_expand_neon,
                            mr_fold_narrow_neon);
}

void mr_mask_sub_narrow_neon(uint8_t *packed, const struct mr_mask_stream *mask, uint64_t offset,
                             size_t lanes, unsigned bits)
{
    mr_mask_span_sub_narrow(packed, mask, offset, lanes, bits, mr_mask_expand_neon);
}

void mr_mask_add_w16_neon(uint16_t *acc, const struct mr_mask_stream *mask, uint64_t offset,
                          size_t lanes)
{
    run((uint8_t *)acc, mask, offset, 2 * lanes, MASK_ADD_W16);
}

void mr_mask_sub_w16_neon(uint16_t *vec, const struct mr_mask_stream *mask, uint64_t offset,
                          size_t lanes)
{
    run((uint8_t *)vec, mask, offset, 2 * lanes, MASK_SUB_W16);
}

/* The rarest ring, so over a span: whole loops of its own would be four kilobytes of a device's
 * library. `flip` is 0 to add, all ones to subtract: a − b is ~(~a + b). */
static void span_w32(uint32_t *vec, const struct mr_mask_stream *mask, uint64_t offset,
                     size_t lanes, uint32_t flip)
{
    _Alignas(64) uint32_t span[MASK_SPAN_BYTES / 4];
    const uint32x4_t flips = vdupq_n_u32(flip);
    for (size_t take; lanes > 0; lanes -= take, vec += take, offset += 4 * take) {
        take = lanes < MASK_SPAN_BYTES / 4 ? lanes : MASK_SPAN_BYTES / 4;
        mr_mask_expand_neon((uint8_t *)span, mask, offset, 4 * take);
        size_t i = 0;
        for (; i + 4 <= take; i += 4) {
            const uint32x4_t sum =
                vaddq_u32(veorq_u32(vld1q_u32(vec + i), flips), vld1q_u32(span + i));
            vst1q_u32(vec + i, veorq_u32(sum, flips));
        }
        for (; i < take; i++) {
            vec[i] = ((vec[i] ^ flip) + span[i]) ^ flip;
        }
    }
    explicit_bzero(span, sizeof span);
}

void mr_mask_add_w32_neon(uint32_t *acc, const struct mr_mask_stream *mask, uint64_t offset,
                          size_t lanes)
{
    span_w32(acc, mask, offset, lanes, 0);
}

void mr_mask_sub_w32_neon(uint32_t *vec, const struct mr_mask_stream *mask, uint64_t offset,
                          size_t lanes)
{
    span_w32(vec, mask, offset, lanes, UINT32_MAX);
}

static void sub_packed(uint8_t *packed, const uint8_t *ks, size_t lanes)
{
    for (size_t left = lanes / 16; left > 0; left--, packed += 48, ks += 48) {
        uint32x4_t v[4], k[4];
        w24_load16(v, packed);
        w24_load16(k, ks);
        UNROLL
        for (unsigned r = 0; r < 4; r++) {
            v[r] = vsubq_u32(v[r], k[r]);
        }
        w24_store16(packed, v);
    }
    for (size_t left = lanes % 16; left > 0; left--, packed += 3, ks += 3) {
        lane_store24(packed, lane_load24(packed) - lane_load24(ks));
    }
}

void mr_mask_add_w24_neon(uint32_t *acc, const struct mr_mask_stream *mask, uint64_t offset,
                          size_t lanes)
{
    mr_mask_span_add_w24(acc, mask, offset, lanes, mr_mask_expand_neon, mr_add_w24_neon);
}

void mr_mask_sub_w24_neon(uint8_t *packed, const struct mr_mask_stream *mask, uint64_t offset,
                          size_t lanes)
{
    mr_mask_span_sub_w24(packed, mask, offset, lanes, mr_mask_expand_neon, sub_packed);
}
