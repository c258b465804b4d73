/* integer_code_bits.h - what the forms of a segment of integers share when they are read; inside
 * wire/integer_code*.c only. */
#ifndef MR_WIRE_INTEGER_CODE_BITS_H
#define MR_WIRE_INTEGER_CODE_BITS_H

#include "base/bytes.h"
#include "wire/integer_code.h"

#define MR_INTEGER_STATE_LEAST (1u << 16) /* of a coder's state between two symbols */

/* From the lowest bit of the first byte on. */
struct bits {
    const uint8_t *at, *end;
    uint64_t held;
    unsigned count;
};

static inline int take_bits(struct bits *bits, unsigned count, uint32_t *value)
{
    while (bits->count < count) {
        if (bits->at == bits->end) {
            return -1;
        }
        bits->held |= (uint64_t)*bits->at++ << bits->count;
        bits->count += 8;
    }
    *value = (uint32_t)(bits->held & ((UINT64_C(1) << count) - 1));
    bits->held >>= count;
    bits->count -= count;
    return 0;
}

/* A coder's state behind the symbol of that slot, before it takes a word. */
static inline uint32_t after(uint32_t state, uint32_t slot)
{
    return ((slot >> 13 & 4095u) + 1) * (state >> MR_INTEGER_SCALE_LOG) + (slot >> 1 & 4095u);
}

/* Whether the state needs a word is no branch: no processor foresees one in three. Two bytes are
 * there whether it does or not. */
static inline uint32_t refill(uint32_t state, const uint8_t **words)
{
    const uint32_t low = state < MR_INTEGER_STATE_LEAST;
    const uint32_t filled = state << 16 | mr_be16_get(*words);
    *words += 2 * low;
    return state ^ ((state ^ filled) & (0u - low));
}

/* integer_code_coded.c: a segment of kind MR_INTEGER_CODED or MR_INTEGER_SPLIT, all that stands
 * behind its length. 0, or -1 where it is damaged. */
int mr_integer_read_coded(struct mr_integer_reader *reader, const uint8_t *at, const uint8_t *end,
                          enum mr_integer_kind kind, size_t count);

/* A coded segment's bytes behind its length. */
struct mr_integer_span {
    const uint8_t *at, *end;
};
/* Two whole segments of kind MR_INTEGER_SPLIT, side by side. 0, or -1 where one is damaged. */
int mr_integer_read_two(struct mr_integer_reader *reader, const struct mr_integer_span spans[2]);

/* integer_code_short.c: a segment of that kind. Returns the bytes behind the kind, or 0 where the
 * segment is damaged. */
size_t mr_integer_read_short(struct mr_integer_reader *reader, const uint8_t *at, size_t left,
                             size_t count);

#endif
