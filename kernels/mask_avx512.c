/* mask_avx512.c - expand and add by VAES, four blocks a register. The counters of 32 blocks
 * are made at once, their rounds half of them at a time: all at once are slower on a Zen 4. */
#include <immintrin.h>

#include "kernels/counter.h"
#include "kernels/lane.h"
#include "kernels/levels.h"
#include "kernels/mask_span.h"
#include "kernels/narrow_avx512.h"
#include "kernels/w24_avx512.h"

#define QUADS      8    /* registers of four blocks in a batch */
#define HALF       4    /* of them */
#define SPAN_LANES 128u /* of w24: the least that is whole lanes and whole registers */
#define SPAN_QUADS 6    /* registers of key stream to a span */

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
#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* A big-endian counter four times. */
ALWAYS_INLINE __m512i counter_block(uint64_t hi, uint64_t lo)
{
    return _mm512_broadcast_i32x4(
        _mm_set_epi64x((long long)__builtin_bswap64(lo), (long long)__builtin_bswap64(hi)));
}

/* Counters of blocks that follow one another differ in their last byte alone, but for a carry out
 * of it. So both are kept ready: `base`, and `carried`, which has that carry in its other bytes and
 * base's last byte. Where the carry falls is a mask, no branch: the counter is secret. */
struct counters {
    __m512i base, carried;
    uint64_t after; /* bits 2b and 2b + 1: block b of the batch comes after the carry */
};

ALWAYS_INLINE struct counters counters_at(const struct counter *ctr)
{
    const uint64_t last = ctr->lo & 255, rest = (ctr->lo & ~UINT64_C(255)) + 256;
    const uint64_t first = 256 - last; /* block after the carry: 1 to 256 */

    return (struct counters){
        .base = counter_block(ctr->hi, ctr->lo),
        .carried = counter_block(ctr->hi + (rest == 0), rest | last),
        .after = (~UINT64_C(0) << (2 * first & 63)) & -(uint64_t)(first < 32),
    };
}

/* Blocks 4q .. 4q + 3 of a batch. */
ALWAYS_INLINE __m512i counter_quad(const struct counters *at, unsigned q)
{
    const uint64_t four = (uint64_t)(4 * q) << 56, one = UINT64_C(1) << 56;
    const __m512i step =
        _mm512_setr_epi64(0, four, 0, four + one, 0, four + 2 * one, 0, four + 3 * one);
    const __mmask8 after = (__mmask8)(at->after >> (8 * q));
    return _mm512_add_epi8(_mm512_mask_blend_epi64(after, at->base, at->carried), step);
}

ALWAYS_INLINE void load_keys(__m512i keys[11], const struct mr_mask_stream *mask)
{
    UNROLL
    for (unsigned r = 0; r < 11; r++) {
        const __m128i key = _mm_loadu_si128((const __m128i *)mask->round_keys[r]);
        keys[r] = _mm512_broadcast_i32x4(key);
    }
}

/* Registers first .. first + quads - 1 of a batch. */
ALWAYS_INLINE void encrypt(__m512i *ks, unsigned first, unsigned quads, const __m512i keys[11],
                           const struct counters *at)
{
    UNROLL
    for (unsigned q = 0; q < quads; q++) {
        ks[q] = _mm512_xor_si512(counter_quad(at, first + q), keys[0]);
    }
    UNROLL
    for (unsigned r = 1; r < 10; r++) {
        UNROLL
        for (unsigned q = 0; q < quads; q++) {
            ks[q] = _mm512_aesenc_epi128(ks[q], keys[r]);
        }
    }
    UNROLL
    for (unsigned q = 0; q < quads; q++) {
        ks[q] = _mm512_aesenclast_epi128(ks[q], keys[10]);
    }
}

/* The next 4 * quads blocks of the stream, quads <= QUADS. */
ALWAYS_INLINE void keystream(__m512i *ks, unsigned quads, const __m512i keys[11],
                             struct counter *ctr)
{
    const struct counters at = counters_at(ctr);
    counter_add(ctr, 4 * quads);
    encrypt(ks, 0, quads, keys, &at);
}

ALWAYS_INLINE __m512i combine(__m512i v, __m512i ks, enum mask_op op)
{
    switch (op) {
    case MASK_ADD_W8:
        return _mm512_add_epi8(v, ks);
    case MASK_ADD_W16:
        return _mm512_add_epi16(v, ks);
    case MASK_ADD_W32:
        return _mm512_add_epi32(v, ks);
    case MASK_SUB_W8:
        return _mm512_sub_epi8(v, ks);
    case MASK_SUB_W16:
        return _mm512_sub_epi16(v, ks);
    case MASK_SUB_W32:
        return _mm512_sub_epi32(v, ks);
    case MASK_EXPAND:
        break;
    }
    return ks;
}

ALWAYS_INLINE void run(uint8_t *at, const struct mr_mask_stream *mask, uint64_t offset,
                       size_t bytes, enum mask_op op)
{
    struct counter ctr = counter_at(mask, offset);
    __m512i keys[11], ks[QUADS];
    load_keys(keys, mask);
    for (; bytes >= sizeof ks; bytes -= sizeof ks, at += sizeof ks) {
        const struct counters counters = counters_at(&ctr);
        counter_add(&ctr, 4 * QUADS);
        UNROLL
        for (unsigned q = 0; q < QUADS; q++) {
            if (q % HALF == 0) {
                encrypt(ks, q, HALF, keys, &counters);
            }
            const __m512i part = ks[q % HALF];
            const __m512i v = op == MASK_EXPAND ? part : _mm512_loadu_si512(at + 64 * q);
            _mm512_storeu_si512(at + 64 * q, combine(v, part, op));
        }
    }
    if (bytes == 0) {
        return;
    }
    keystream(ks, QUADS, keys, &ctr);
    UNROLL
    for (unsigned q = 0; q < QUADS; q++) {
        const size_t left = bytes > 64 * q ? bytes - 64 * q : 0;
        const __mmask64 some = left >= 64 ? UINT64_MAX : ((uint64_t)1 << left) - 1;
        const __m512i v = _mm512_maskz_loadu_epi8(some, at + 64 * q);
        _mm512_mask_storeu_epi8(at + 64 * q, some, combine(v, ks[q], op));
    }
}

void mr_mask_expand_avx512(uint8_t *out, const struct mr_mask_stream *mask, uint64_t offset,
                           size_t bytes)
{
    run(out, mask, offset, bytes, MASK_EXPAND);
}

void mr_mask_add_w8_avx512(uint8_t *acc, const struct mr_mask_stream *mask, uint64_t offset,
                           size_t lanes)
{
    run(acc, mask, offset, lanes, MASK_ADD_W8);
}

void mr_mask_sub_w8_avx512(uint8_t *vec, const struct mr_mask_stream *mask, uint64_t offset,
                           size_t lanes)
{
    run(vec, mask, offset, lanes, MASK_SUB_W8);
}

void mr_mask_sub_narrow_avx512(uint8_t *packed, const struct mr_mask_stream *mask, uint64_t offset,
                               size_t lanes, unsigned bits)
{
    mr_mask_span_sub_narrow(packed, mask, offset, lanes, bits, mr_mask_expand_avx512);
}

void mr_mask_add_w16_avx512(uint16_t *acc, const struct mr_mask_stream *mask, uint64_t offset,
                            size_t lanes)
{
    run((uint8_t *)acc, mask, offset, 2 * lanes, MASK_ADD_W16);
}

void mr_mask_add_w32_avx512(uint32_t *acc, const struct mr_mask_stream *mask, uint64_t offset,
                            size_t lanes)
{
    run((uint8_t *)acc, mask, offset, 4 * lanes, MASK_ADD_W32);
}

void mr_mask_sub_w16_avx512(uint16_t *vec, const struct mr_mask_stream *mask, uint64_t offset,
                            size_t lanes)
{
    run((uint8_t *)vec, mask, offset, 2 * lanes, MASK_SUB_W16);
}

void mr_mask_sub_w32_avx512(uint32_t *vec, const struct mr_mask_stream *mask, uint64_t offset,
                            size_t lanes)
{
    run((uint8_t *)vec, mask, offset, 4 * lanes, MASK_SUB_W32);
}

/* The 128 lanes of three bytes in six registers of key stream, one register for sixteen of them,
 * high byte zero. Three registers hold four times 48 bytes: the outer two windows lie in one
 * register, the inner two in two. A byte's index is taken mod 64, so that one index vector serves
 * both. */
ALWAYS_INLINE void spread_w24(__m512i lane[8], const __m512i ks[SPAN_QUADS])
{
    const __mmask64 all = 0x7777777777777777u;
    const __mmask64 first16 = 0x0000000000177777u, first32 = 0x0000037777777777u;
    const __m512i at0 = w24_spread(), by16 = _mm512_set1_epi8(16);
    const __m512i at16 = _mm512_add_epi8(at0, by16), at32 = _mm512_add_epi8(at16, by16);
    const __m512i at48 = _mm512_add_epi8(at32, by16);
    UNROLL
    for (unsigned half = 0; half < 2; half++) {
        const __m512i *z = ks + 3 * half;
        __m512i *out = lane + 4 * half;
        out[0] = _mm512_maskz_permutexvar_epi8(all, at0, z[0]);
        out[1] = _mm512_maskz_permutexvar_epi8(first16, at48, z[0]);
        out[1] = _mm512_mask_permutexvar_epi8(out[1], all & ~first16, at48, z[1]);
        out[2] = _mm512_maskz_permutexvar_epi8(first32, at32, z[1]);
        out[2] = _mm512_mask_permutexvar_epi8(out[2], all & ~first32, at32, z[2]);
        out[3] = _mm512_maskz_permutexvar_epi8(all, at16, z[2]);
    }
}

ALWAYS_INLINE void store_span(uint8_t span[64 * SPAN_QUADS], const __m512i ks[SPAN_QUADS])
{
    UNROLL
    for (unsigned q = 0; q < SPAN_QUADS; q++) {
        _mm512_storeu_si512(span + 64 * q, ks[q]);
    }
}

void mr_mask_add_w24_avx512(uint32_t *acc, const struct mr_mask_stream *mask, uint64_t offset,
                            size_t lanes)
{
    struct counter ctr = counter_at(mask, offset);
    __m512i keys[11], ks[SPAN_QUADS], lane[8];
    load_keys(keys, mask);
    for (; lanes >= SPAN_LANES; lanes -= SPAN_LANES, acc += SPAN_LANES) {
        keystream(ks, SPAN_QUADS / 2, keys, &ctr);
        keystream(ks + SPAN_QUADS / 2, SPAN_QUADS / 2, keys, &ctr);
        spread_w24(lane, ks);
        UNROLL
        for (unsigned v = 0; v < 8; v++) {
            const __m512i sum = _mm512_add_epi32(_mm512_loadu_si512(acc + 16 * v), lane[v]);
            _mm512_storeu_si512(acc + 16 * v, sum);
        }
    }
    if (lanes > 0) {
        uint8_t span[64 * SPAN_QUADS];
        keystream(ks, SPAN_QUADS, keys, &ctr);
        store_span(span, ks);
        mr_add_w24_avx512(acc, span, lanes);
        explicit_bzero(span, sizeof span);
    }
}

static void sub_packed(uint8_t *packed, const uint8_t *ks, size_t lanes)
{
    for (size_t left = lanes / 16; left > 0; left--, packed += 48, ks += 48) {
        w24_store16(packed, _mm512_sub_epi32(w24_load16(packed), w24_load16(ks)));
    }
    for (size_t left = lanes % 16; left > 0; left--, packed += 3, ks += 3) {
        lane_store24(packed, lane_load24(packed) - lane_load24(ks));
    }
}

void mr_mask_sub_w24_avx512(uint8_t *packed, const struct mr_mask_stream *mask, uint64_t offset,
                            size_t lanes)
{
    struct counter ctr = counter_at(mask, offset);
    __m512i keys[11], ks[SPAN_QUADS], lane[8];
    load_keys(keys, mask);
    for (; lanes >= SPAN_LANES; lanes -= SPAN_LANES, packed += 3 * SPAN_LANES) {
        keystream(ks, SPAN_QUADS / 2, keys, &ctr);
        keystream(ks + SPAN_QUADS / 2, SPAN_QUADS / 2, keys, &ctr);
        spread_w24(lane, ks);
        UNROLL
        for (unsigned v = 0; v < 8; v++) {
            const __m512i left = _mm512_sub_epi32(w24_load16(packed + 48 * v), lane[v]);
            w24_store16(packed + 48 * v, left);
        }
    }
    if (lanes > 0) {
        uint8_t span[64 * SPAN_QUADS];
        keystream(ks, SPAN_QUADS, keys, &ctr);
        store_span(span, ks);
        sub_packed(packed, span, lanes);
        explicit_bzero(span, sizeof span);
    }
}

#define NARROW_LANES 256u /* 320 or 384 bytes of key stream: whole registers at either width */

/* Window v of the key stream is the bytes of lanes 32v and up; it lies in one register or in two,
 * whose bytes a permute takes by an index that goes on from the first to the second. */
ALWAYS_INLINE __m512i narrow_window(const __m512i *ks, unsigned v, unsigned bits, __m512i spread)
{
    const unsigned first = v * 4 * bits / 64, from = v * 4 * bits % 64;
    const __m512i index = _mm512_add_epi8(spread, _mm512_set1_epi8((char)from));
    return from + 4 * bits <= 64 ? _mm512_permutexvar_epi8(index, ks[first])
                                 : _mm512_permutex2var_epi8(ks[first], index, ks[first + 1]);
}

/* Adds window v of the key stream to its 32 lanes. */
ALWAYS_INLINE void add_window(uint16_t *acc, const __m512i *ks, unsigned v, unsigned bits,
                              const struct narrow *how)
{
    const __m512i lane = _mm512_srlv_epi16(narrow_window(ks, v, bits, how->spread), how->drop);
    _mm512_storeu_si512(acc + 32 * v, _mm512_add_epi16(_mm512_loadu_si512(acc + 32 * v), lane));
}

/* The windows of a batch are added between the rounds of the next one's blocks: what they do is as
 * much as half of the rounds, and behind one another neither unit is busy while the other works. */
ALWAYS_INLINE size_t add_narrow(uint16_t *acc, const struct mr_mask_stream *mask, uint64_t offset,
                                size_t lanes, unsigned bits)
{
    const struct narrow how = narrow_of(bits);
    const unsigned quads = bits / 2; /* NARROW_LANES * bits / 8 / 64 */
    struct counter ctr = counter_at(mask, offset);
    __m512i keys[11], ks[QUADS], next[QUADS];
    size_t done = 0;
    load_keys(keys, mask);
    keystream(ks, quads, keys, &ctr);
    for (; done + NARROW_LANES <= lanes; done += NARROW_LANES, acc += NARROW_LANES) {
        const struct counters at = counters_at(&ctr);
        counter_add(&ctr, 4 * quads);
        UNROLL
        for (unsigned q = 0; q < quads; q++) {
            next[q] = _mm512_xor_si512(counter_quad(&at, q), keys[0]);
        }
        UNROLL
        for (unsigned r = 1; r < 10; r++) {
            UNROLL
            for (unsigned q = 0; q < quads; q++) {
                next[q] = _mm512_aesenc_epi128(next[q], keys[r]);
            }
            if (r <= NARROW_LANES / 32) {
                add_window(acc, ks, r - 1, bits, &how);
            }
        }
        UNROLL
        for (unsigned q = 0; q < quads; q++) {
            ks[q] = _mm512_aesenclast_epi128(next[q], keys[10]);
        }
    }
    return done;
}

void mr_mask_add_narrow_avx512(uint16_t *acc, const struct mr_mask_stream *mask, uint64_t offset,
                               size_t lanes, unsigned bits)
{
    const size_t done = bits == 10 ? add_narrow(acc, mask, offset, lanes, 10)
                                   : add_narrow(acc, mask, offset, lanes, 12);
    mr_mask_span_add_narrow(acc + done, mask, offset + done * bits / 8, lanes - done, bits,
                            mr_mask_expand_avx512, mr_fold_narrow_avx512);
}
