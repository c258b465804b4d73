/* kernels.h - pure compute: the contract of every kernel.
 *
 * No I/O, no allocation, no clock, no threads, no errno. Every kernel has a scalar reference; every
 * other ISA level gives bit-identical results (floats included: each float kernel states its order
 * of operations, and the tree is built with -ffp-contract=off; the sign and the payload of a NaN
 * are the only bits that may differ). No level reads or writes a byte beside its buffers.
 *
 * Shapes. `lanes` counts ring lanes, `n` counts floats; any value including 0 is allowed unless a
 * kernel says otherwise. Pointers need only the natural alignment of their element type; packed
 * lanes and byte streams need none. Buffers must not overlap unless a kernel says so.
 * Lanes are little-endian in memory (the tree supports little-endian hosts only).
 *
 * Ring. w = 8, 10, 12, 16, 24 or 32 bits. On the wire lane i is the bits i·w to i·w + w − 1, the
 * least significant first, bit b of a byte string being bit b % 8 of byte b / 8: at 8, 16, 24 and
 * 32 that is whole bytes, low byte first; the lanes of 10 and 12 bits are called narrow. w=8
 * accumulates in uint8_t, w=10, 12 and 16 in uint16_t, w=24 and 32 in uint32_t. An accumulator
 * that is wider than its lane is kept mod 2^16 or 2^32, and only its low w bits mean anything until
 * it is packed. Narrow kernels take w as `bits`, 10 or 12 and nothing else, and a multiple of four
 * lanes, which are bits / 2 whole bytes.
 */
#ifndef MR_KERNELS_H
#define MR_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* Most sources that one fold call takes. */
#define MR_FOLD_MAX 8

/* ISA levels, in the order in which select.c prefers them (highest last). */
enum mr_cpu_level {
    MR_CPU_SCALAR = 1u << 0, /* always present, cannot be masked away */
    MR_CPU_AVX2 = 1u << 1,   /* AVX2 + AES-NI */
    MR_CPU_AVX512 = 1u << 2, /* AVX-512 F,BW,DQ,VL,VBMI + VAES + SHA */
    MR_CPU_NEON = 1u << 3,   /* AArch64 Advanced SIMD + AES extension */
};

/* One AES-128-CTR mask stream. `round_keys` is the FIPS-197 key schedule in byte order, `counter`
 * the initial 128-bit big-endian counter block; byte b of the stream is byte b % 16 of
 * AES(counter + b / 16 mod 2^128). Secret: wipe after use. */
struct mr_mask_stream {
    uint8_t round_keys[11][16];
    uint8_t counter[16];
};

struct mr_gauss_cells; /* gauss_cells.h */

/* Sixteen coders of integers that take turns (wire/integer_code.h): integer i is of coder i % 16.
 */
#define MR_TURN 16
struct mr_split_coders {
    uint32_t states[MR_TURN];
    /* 4,096: a token 7 bits from the top, its frequency less one 12, the slot's place within the
     * token 12, and the lowest bit nothing. Any content is allowed. */
    const uint32_t *slots;
    unsigned low; /* plain bits below each token, 0 to 25 */
};

struct mr_kernels {
    const char *name;   /* "scalar", "avx2", "avx512", "neon" */
    uint32_t cpu_level; /* one of enum mr_cpu_level */

    /* --- ring ---------------------------------------------------------------------------------
     * acc[i] += src[i] with wraparound. */
    void (*add_w16)(uint16_t *acc, const uint16_t *src, size_t lanes);
    void (*add_w24)(uint32_t *acc, const uint8_t *packed, size_t lanes);
    void (*add_w32)(uint32_t *acc, const uint32_t *src, size_t lanes);

    /* acc[i] += Σ_s src[s][i], 1 <= sources <= MR_FOLD_MAX, in one pass over acc. Sources may
     * overlap one another (not acc). */
    void (*fold_w8)(uint8_t *acc, const uint8_t *const *src, unsigned sources, size_t lanes);
    void (*fold_narrow)(uint16_t *acc, const uint8_t *const *packed, unsigned sources, size_t lanes,
                        unsigned bits);
    void (*fold_w16)(uint16_t *acc, const uint16_t *const *src, unsigned sources, size_t lanes);
    void (*fold_w24)(uint32_t *acc, const uint8_t *const *packed, unsigned sources, size_t lanes);
    void (*fold_w32)(uint32_t *acc, const uint32_t *const *src, unsigned sources, size_t lanes);

    /* Packs accumulators, the low bits of each, into bits * lanes / 8 bytes. */
    void (*pack_narrow)(uint8_t *packed, const uint16_t *acc, size_t lanes, unsigned bits);
    /* Likewise the low 24 bits into 3 * lanes bytes, and back (high byte zero). */
    void (*pack_w24)(uint8_t *packed, const uint32_t *acc, size_t lanes);
    void (*unpack_w24)(uint32_t *acc, const uint8_t *packed, size_t lanes);

    /* --- masks --------------------------------------------------------------------------------
     * The lanes of the mask stream, read from byte `offset` (a multiple of 16), are added to
     * (helper) or subtracted from (client) the vector, expanding and adding in one pass. Constant
     * time in key, counter and data at every level. */
    void (*mask_expand)(uint8_t *out, const struct mr_mask_stream *mask, uint64_t offset,
                        size_t bytes);
    void (*mask_add_w8)(uint8_t *acc, const struct mr_mask_stream *mask, uint64_t offset,
                        size_t lanes);
    void (*mask_add_narrow)(uint16_t *acc, const struct mr_mask_stream *mask, uint64_t offset,
                            size_t lanes, unsigned bits);
    void (*mask_add_w16)(uint16_t *acc, const struct mr_mask_stream *mask, uint64_t offset,
                         size_t lanes);
    void (*mask_add_w24)(uint32_t *acc, const struct mr_mask_stream *mask, uint64_t offset,
                         size_t lanes);
    void (*mask_add_w32)(uint32_t *acc, const struct mr_mask_stream *mask, uint64_t offset,
                         size_t lanes);
    void (*mask_sub_w8)(uint8_t *vec, const struct mr_mask_stream *mask, uint64_t offset,
                        size_t lanes);
    /* vec is packed here (a client's share), each lane reduced mod 2^bits. */
    void (*mask_sub_narrow)(uint8_t *packed, const struct mr_mask_stream *mask, uint64_t offset,
                            size_t lanes, unsigned bits);
    void (*mask_sub_w16)(uint16_t *vec, const struct mr_mask_stream *mask, uint64_t offset,
                         size_t lanes);
    /* Packed as well, three bytes a lane. */
    void (*mask_sub_w24)(uint8_t *packed, const struct mr_mask_stream *mask, uint64_t offset,
                         size_t lanes);
    void (*mask_sub_w32)(uint32_t *vec, const struct mr_mask_stream *mask, uint64_t offset,
                         size_t lanes);

    /* --- noise --------------------------------------------------------------------------------
     * Draw i (wire/gauss.c says of what) is the words 2i, its bits, and 2i + 1, its u. out[i] is
     * the sample that it gives if it is taken. Bit i % 64 of undecided[i / 64] is 0 where it is
     * taken for certain (mr_gauss_unsure) and is no second zero; (draws + 63) / 64 words are
     * written, bits beyond the last draw 0. No branch on a draw; addresses within the 2 KiB of
     * columns depend on it. */
    void (*gauss_draw)(int32_t *out, uint64_t *undecided, const struct mr_gauss_cells *cells,
                       const uint64_t *random, size_t draws);

    /* --- preparing a delta (client) -----------------------------------------------------------
     * Σ x[i]^2 in double: partial sum p (0 <= p < 16) takes the elements i with i % 16 == p in
     * rising order, each squared in double; then p += p+8, p += p+4, p += p+2, p += p+1 (tree).
     * NaN or infinity in x gives NaN or infinity here: the caller refuses the delta. */
    double (*sum_squares)(const float *x, size_t n);
    /* x[i] *= factor (one float multiply). */
    void (*scale)(float *x, float factor, size_t n);
    /* y[i] += a * x[i]: one float multiply, then one float add (never fused). */
    void (*axpy)(float *y, float a, const float *x, size_t n);
    /* Interleaved Hadamard transform in place: n is a multiple of block, block a power of two in
     * [1, 65536]. With m = n / block, block b is made of the elements b, b + m, b + 2m, … Per
     * block: stages h = 1, 2, 4, … block/2, each the butterfly (a, b) -> (a + b, a - b) on the
     * block's elements h apart (h * m apart in x); then every element is multiplied by (float)(1 /
     * sqrt(block)), computed in double. Orthonormal and its own inverse up to rounding.
     */
    void (*hadamard)(float *x, size_t n, size_t block);
    /* x[i] = -x[i] (the sign bit turns) where bit i of `bits` is set; bit i is bit i % 8 of byte
     * i / 8, (n + 7) / 8 bytes are read, the bits past n are ignored. */
    void (*flip_signs)(float *x, const uint8_t *bits, size_t n);
    /* Stochastic rounding: y = x[i] * scale; f = floorf(y); q = f + (rnd[i] * 2^-16 < y - f);
     * q saturates to [-levels, levels], 1 <= levels <= 127. Returns how many lanes saturated. x
     * must be finite (x * scale need not be: an infinity saturates). */
    size_t (*round_i8)(int8_t *out, const float *x, float scale, uint8_t levels,
                       const uint16_t *rnd, size_t n);
    /* Sign-extends int8 into the ring (narrow and w24 are packed; at w=8 int8 is the lane). Narrow
     * lanes take what fits: the low bits. */
    void (*lift_narrow)(uint8_t *packed, const int8_t *q, size_t lanes, unsigned bits);
    void (*lift_w16)(uint16_t *out, const int8_t *q, size_t lanes);
    void (*lift_w24)(uint8_t *packed, const int8_t *q, size_t lanes);
    void (*lift_w32)(uint32_t *out, const int8_t *q, size_t lanes);

    /* --- opening a sum (hub) ------------------------------------------------------------------
     * Centre: a lane is read as signed two's complement of its width; out = (float)signed * factor
     * (conversion to nearest even, then one float multiply). Narrow and w24 read accumulators
     * (their low bits). */
    void (*centre_w8)(float *out, const uint8_t *acc, float factor, size_t lanes);
    void (*centre_narrow)(float *out, const uint16_t *acc, float factor, size_t lanes,
                          unsigned bits);
    void (*centre_w16)(float *out, const uint16_t *acc, float factor, size_t lanes);
    void (*centre_w24)(float *out, const uint32_t *acc, float factor, size_t lanes);
    void (*centre_w32)(float *out, const uint32_t *acc, float factor, size_t lanes);

    /* --- reading a delta (client) -------------------------------------------------------------
     * Each coder in turn: with slot s = slots[state % 4096], state becomes frequency · (state /
     * 4096) + place (mod 2^32), and where that is below 2^16, state · 2^16 + the next word; the
     * integer is token · 2^low (mod 2^32) + its plain bits. Words are big-endian u16, 2 * MR_TURN
     * bytes of them are read for every turn that there still is; of plain bits, the lowest of the
     * first byte first, 2 * low bytes a turn. Writes MR_TURN * turns integers; returns the bytes of
     * words that were used. */
    size_t (*split_turns)(uint32_t *out, struct mr_split_coders *coders, const uint8_t *words,
                          const uint8_t *bits, size_t turns);

    /* --- two at a time ------------------------------------------------------------------------
     * What waits for itself, beside another. No kernel_list.def has these, since a level has them
     * or not: NULL where they are no faster than one after the other. MR_KERNELS_OF_TWO is 0 where
     * no level of the architecture has them.
     *
     * As split_turns, of two sequences; `words` become what follows those that were used. */
    void (*split_turns_two)(uint32_t *const out[2], struct mr_split_coders coders[2],
                            const uint8_t *words[2], const uint8_t *const bits[2], size_t turns);

    /* SHA-256 (FIPS 180-4, 6.2.2): `blocks` blocks of 64 bytes of each message into its state. */
    void (*sha256_two)(uint32_t states[2][8], const uint8_t *const messages[2], size_t blocks);
};

/* Expands an AES-128 key and stores the counter block. Constant time. Uses no ISA extension. */
void mr_mask_stream_init(struct mr_mask_stream *mask, const uint8_t key[16],
                         const uint8_t counter[16]);

/* The levels this machine has (always includes MR_CPU_SCALAR). Thread-safe. */
uint32_t mr_cpu_levels(void);

/* The kernels for the best level in mr_cpu_levels() & mask; scalar when nothing else is left.
 * The table is static and immutable. Thread-safe. */
const struct mr_kernels *mr_kernels_select(uint32_t mask);

/* The table of exactly that level, or NULL where the build or the machine lacks it (for tests). */
const struct mr_kernels *mr_kernels_at(enum mr_cpu_level level);

/* Parses a --cpu-mask value: "all", a comma list of level names to keep ("scalar", "avx2,neon"), or
 * a comma list of names with a leading '-' to take away from all ("-avx512"); the two kinds do not
 * mix. Names of other architectures are accepted. MR_CPU_SCALAR is always in the result and cannot
 * be taken away. Returns 0, or -1 (mask untouched) for an empty, unknown or mixed value. */
int mr_cpu_mask_parse(const char *text, uint32_t *mask);

#endif
