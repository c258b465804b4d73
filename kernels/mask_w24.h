/* mask_w24.h - inside kernels/ only: masks of packed 24-bit lanes, for AVX2.
 *
 * Lanes of three bytes do not fit the batches of the cipher, so the stream is laid down in L1 and
 * read back as packed lanes. The spans are short, and the add runs one span behind, so that the
 * processor still has cipher rounds in flight while it adds.
 *
 * The including file defines `struct generator`, generator_init() and generator_span().
 */
#ifndef MR_KERNELS_MASK_W24_H
#define MR_KERNELS_MASK_W24_H

#include <string.h>

#include "kernels/kernels.h"

#define SPAN_LANES 128u
#define SPAN_BYTES (3 * SPAN_LANES) /* 24 blocks */

struct generator;

/* Sets the generator to stream byte `offset`. */
static void generator_init(struct generator *gen, const struct mr_mask_stream *mask,
                           uint64_t offset);

/* Writes the next SPAN_BYTES of the stream. */
static void generator_span(struct generator *gen, uint8_t span[SPAN_BYTES]);

#define MASK_W24_INLINE static inline __attribute__((always_inline))

/* add_w24(acc, span, lanes) is the level's ring add. */
MASK_W24_INLINE void mask_w24_add(struct generator *gen, uint32_t *acc, size_t lanes,
                                  void add_w24(uint32_t *, const uint8_t *, size_t))
{
    _Alignas(64) uint8_t span[2][SPAN_BYTES];
    unsigned turn = 0;
    if (lanes == 0) {
        return;
    }
    generator_span(gen, span[turn]);
    for (; lanes > SPAN_LANES; lanes -= SPAN_LANES, acc += SPAN_LANES, turn ^= 1) {
        generator_span(gen, span[turn ^ 1]);
        add_w24(acc, span[turn], SPAN_LANES);
    }
    add_w24(acc, span[turn], lanes);
    explicit_bzero(span, sizeof span);
}

/* sub_packed(packed, span, lanes) takes packed lanes from packed lanes. */
MASK_W24_INLINE void mask_w24_sub(struct generator *gen, uint8_t *packed, size_t lanes,
                                  void sub_packed(uint8_t *, const uint8_t *, size_t))
{
    _Alignas(64) uint8_t span[2][SPAN_BYTES];
    unsigned turn = 0;
    if (lanes == 0) {
        return;
    }
    generator_span(gen, span[turn]);
    for (; lanes > SPAN_LANES; lanes -= SPAN_LANES, packed += SPAN_BYTES, turn ^= 1) {
        generator_span(gen, span[turn ^ 1]);
        sub_packed(packed, span[turn], SPAN_LANES);
    }
    sub_packed(packed, span[turn], lanes);
    explicit_bzero(span, sizeof span);
}

#endif
