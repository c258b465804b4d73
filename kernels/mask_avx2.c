/* mask_avx2.c - expand and add by AES-NI, eight blocks in flight. */
#include <immintrin.h>

#include "kernels/counter.h"
#include "kernels/lane.h"
#include "kernels/levels.h"
#include "kernels/mask_span.h"
#include "kernels/mask_w24.h"
#include "kernels/narrow_avx2.h"
#include "kernels/w24_avx2.h"

#define BATCH 8 /* blocks */

enum mask_op {
    MASK_EXPAND,
    MASK_ADD_W8,
    MASK_ADD_W16,
    MASK_ADD_W32,
    MASK_SUB_W8,
    MASK_SUB_W16,
    MASK_SUB_W32
};

/* Without it -O2 keeps the blocks in memory. */
#define UNROLL        _Pragma("GCC unroll 10")
#define UNROLL16      _Pragma("GCC unroll 16")
#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* The counters of blocks 2p and 2p + 1 of a batch. base = {lo, hi} twice, step = {2p, 0, 2p + 1,
 * 0}. A carry out of the low word is where its top bit falls; no branch, the counter is secret. */
ALWAYS_INLINE __m256i counter_pair(__m256i base, __m256i step)
{
    const __m256i big_endian =
        _mm256_setr_epi8(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, /* low */
                         15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    const __m256i sum = _mm256_add_epi64(base, step);
    const __m256i carry = _mm256_srli_epi64(_mm256_andnot_si256(sum, base), 63);
    return _mm256_shuffle_epi8(_mm256_add_epi64(sum, _mm256_bslli_epi128(carry, 8)), big_endian);
}

/* The next eight blocks of the stream. */
ALWAYS_INLINE void keystream(__m128i ks[BATCH], const struct mr_mask_stream *mask,
                             struct counter *ctr)
{
    const __m256i base = _mm256_setr_epi64x((long long)ctr->lo, (long long)ctr->hi,
                                            (long long)ctr->lo, (long long)ctr->hi);
    const __m128i first = _mm_loadu_si128((const __m128i *)mask->round_keys[0]);
    UNROLL
    for (int p = 0; p < BATCH / 2; p++) {
        const __m256i pair = counter_pair(base, _mm256_setr_epi64x(2 * p, 0, 2 * p + 1, 0));
        ks[2 * p] = _mm_xor_si128(_mm256_castsi256_si128(pair), first);
        ks[2 * p + 1] = _mm_xor_si128(_mm256_extracti128_si256(pair, 1), first);
    }
    counter_add(ctr, BATCH);
    UNROLL
    for (unsigned r = 1; r < 10; r++) {
        const __m128i key = _mm_loadu_si128((const __m128i *)mask->round_keys[r]);
        UNROLL
        for (unsigned b = 0; b < BATCH; b++) {
            ks[b] = _mm_aesenc_si128(ks[b], key);
        }
    }
    const __m128i last = _mm_loadu_si128((const __m128i *)mask->round_keys[10]);
    UNROLL
    for (unsigned b = 0; b < BATCH; b++) {
        ks[b] = _mm_aesenclast_si128(ks[b], last);
    }
}

ALWAYS_INLINE void apply(uint8_t *at, __m128i ks, enum mask_op op)
{
    const __m128i v = op == MASK_EXPAND ? ks : _mm_loadu_si128((const __m128i *)at);
    __m128i out = ks;
    if (op == MASK_ADD_W8) {
        out = _mm_add_epi8(v, ks);
    } else if (op == MASK_ADD_W16) {
        out = _mm_add_epi16(v, ks);
    } else if (op == MASK_ADD_W32) {
        out = _mm_add_epi32(v, ks);
    } else if (op == MASK_SUB_W8) {
        out = _mm_sub_epi8(v, ks);
    } else if (op == MASK_SUB_W16) {
        out = _mm_sub_epi16(v, ks);
    } else if (op == MASK_SUB_W32) {
        out = _mm_sub_epi32(v, ks);
    }
    _mm_storeu_si128((__m128i *)at, out);
}

/* What is left, less than a batch: worked on in a copy, whole blocks at a time. */
ALWAYS_INLINE void apply_tail(uint8_t *at, const __m128i ks[BATCH], size_t bytes, enum mask_op op)
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
    __m128i ks[BATCH];
    for (; bytes >= sizeof ks; bytes -= sizeof ks, at += sizeof ks) {
        keystream(ks, mask, &ctr);
        UNROLL
        for (unsigned b = 0; b < BATCH; b++) {
            apply(at + 16 * b, ks[b], op);
        }
    }
    if (bytes > 0) {
        keystream(ks, mask, &ctr);
        apply_tail(at, ks, bytes, op);
        explicit_bzero(ks, sizeof ks);
    }
}

void mr_mask_expand_avx2(uint8_t *out, const struct mr_mask_stream *mask, uint64_t offset,
                         size_t bytes)
{
    run(out, mask, offset, bytes, MASK_EXPAND);
}

void mr_mask_add_w8_avx2(uint8_t *acc, const struct mr_mask_stream *mask, uint64_t offset,
                         size_t lanes)
{
    run(acc, mask, offset, lanes, MASK_ADD_W8);
}

void mr_mask_sub_w8_avx2(uint8_t *vec, const struct mr_mask_stream *mask, uint64_t offset,
                         size_t lanes)
{
    run(vec, mask, offset, lanes, MASK_SUB_W8);
}

void mr_mask_sub_narrow_avx2(uint8_t *packed, const struct mr_mask_stream *mask, uint64_t offset,
                             size_t lanes, unsigned bits)
{
    mr_mask_span_sub_narrow(packed, mask, offset, lanes, bits, mr_mask_expand_avx2);
}

void mr_mask_add_w16_avx2(uint16_t *acc, const struct mr_mask_stream *mask, uint64_t offset,
                          size_t lanes)
{
    run((uint8_t *)acc, mask, offset, 2 * lanes, MASK_ADD_W16);
}

void mr_mask_add_w32_avx2(uint32_t *acc, const struct mr_mask_stream *mask, uint64_t offset,
                          size_t lanes)
{
    run((uint8_t *)acc, mask, offset, 4 * lanes, MASK_ADD_W32);
}

void mr_mask_sub_w16_avx2(uint16_t *vec, const struct mr_mask_stream *mask, uint64_t offset,
                          size_t lanes)
{
    run((uint8_t *)vec, mask, offset, 2 * lanes, MASK_SUB_W16);
}

void mr_mask_sub_w32_avx2(uint32_t *vec, const struct mr_mask_stream *mask, uint64_t offset,
                          size_t lanes)
{
    run((uint8_t *)vec, mask, offset, 4 * lanes, MASK_SUB_W32);
}

struct generator {
    const struct mr_mask_stream *mask;
    struct counter ctr;
};

ALWAYS_INLINE void generator_init(struct generator *gen, const struct mr_mask_stream *mask,
                                  uint64_t offset)
{
    gen->mask = mask;
    gen->ctr = counter_at(mask, offset);
}

ALWAYS_INLINE void generator_bytes(struct generator *gen, uint8_t *span, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += 16 * BATCH) {
        __m128i ks[BATCH];
        keystream(ks, gen->mask, &gen->ctr);
        UNROLL
        for (unsigned b = 0; b < BATCH; b++) {
            _mm_store_si128((__m128i *)(span + at + 16 * b), ks[b]);
        }
    }
}

ALWAYS_INLINE void generator_span(struct generator *gen, uint8_t span[SPAN_BYTES])
{
    generator_bytes(gen, span, SPAN_BYTES);
}

static void sub_packed(uint8_t *packed, const uint8_t *ks, size_t lanes)
{
    for (size_t left = lanes / 8; left > 0; left--, packed += 24, ks += 24) {
        w24_store8(packed, _mm256_sub_epi32(w24_load8(packed), w24_load8(ks)));
    }
    for (size_t left = lanes % 8; left > 0; left--, packed += 3, ks += 3) {
        lane_store24(packed, lane_load24(packed) - lane_load24(ks));
    }
}

void mr_mask_add_w24_avx2(uint32_t *acc, const struct mr_mask_stream *mask, uint64_t offset,
                          size_t lanes)
{
    struct generator gen;
    generator_init(&gen, mask, offset);
    mask_w24_add(&gen, acc, lanes, mr_add_w24_avx2);
}

void mr_mask_sub_w24_avx2(uint8_t *packed, const struct mr_mask_stream *mask, uint64_t offset,
                          size_t lanes)
{
    struct generator gen;
    generator_init(&gen, mask, offset);
    mask_w24_sub(&gen, packed, lanes, sub_packed);
}

/* As mask_w24.h: the add runs one span behind, so that cipher rounds are in flight while it adds.
 */
ALWAYS_INLINE void add_narrow(uint16_t *acc, const struct mr_mask_stream *mask, uint64_t offset,
                              size_t lanes, unsigned bits, size_t span_lanes)
{
    _Alignas(64) uint8_t span[2][MASK_SPAN_BYTES];
    const size_t bytes = span_lanes * bits / 8;
    unsigned turn = 0;
    struct generator gen;
    if (lanes == 0) {
        return;
    }
    generator_init(&gen, mask, offset);
    generator_bytes(&gen, span[turn], bytes);
    for (; lanes > span_lanes; lanes -= span_lanes, acc += span_lanes, turn ^= 1) {
        generator_bytes(&gen, span[turn ^ 1], bytes);
        UNROLL16
        for (size_t v = 0; v < span_lanes / 16; v++) {
            __m256i *at = (__m256i *)(acc + 16 * v);
            const __m256i lane = narrow_load16(span[turn] + v * 2 * bits, bits);
            _mm256_storeu_si256(at, _mm256_add_epi16(_mm256_loadu_si256(at), lane));
        }
    }
    const uint8_t *const last = span[turn];
    mr_fold_narrow_avx2(acc, &last, 1, lanes, bits);
    explicit_bzero(span, sizeof span);
}

void mr_mask_add_narrow_avx2(uint16_t *acc, const struct mr_mask_stream *mask, uint64_t offset,
                             size_t lanes, unsigned bits)
{
    if (bits == 10) {
        add_narrow(acc, mask, offset, lanes, 10, 512);
    } else {
        add_narrow(acc, mask, offset, lanes, 12, 256);
    }
}
