/* integer_code_bits.h - what the forms of a segment of integers share when they are read; inside
 * wire/integer_code*.c only. */
#ifndef MR_WIRE_INTEGER_CODE_BITS_H
#define MR_WIRE_INTEGER_CODE_BITS_H

#include "wire/integer_code.h"

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

/* integer_code_short.c: a segment of that kind. Returns the bytes behind the kind, or 0 where the
 * segment is damaged. */
size_t mr_integer_read_short(struct mr_integer_reader *reader, const uint8_t *at, size_t left,
                             size_t count);

#endif
