/* integer_code.h - a sequence of 32-bit integers in nearly as few bytes as their distribution asks
 * for: the coder under deltas (delta.h). Format: docs/wire-format.md, "Deltas".
 *
 * The sequence is cut into segments, each whole by itself: a kind, and what that kind needs. Coded
 * is the token of an integer (its magnitude, in quarters of an octave; of a split segment, all but
 * its lowest bits) by range asymmetric numeral systems with a table of its own; what the token
 * leaves open follows as plain bits. Split is what sums are: smooth, without a far tail, and soon
 * read, since sixteen coders do not wait for one another and the plain bits lie at known places.
 * Pure; reads no byte beside what it is given, whatever the bytes say. */
#ifndef MR_WIRE_INTEGER_CODE_H
#define MR_WIRE_INTEGER_CODE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "kernels/kernels.h"

#define MR_INTEGER_SEGMENT 32768u /* integers of every segment but the last */
/* A segment's bytes: more than these are never written, and never taken. */
#define MR_INTEGER_SEGMENT_BYTES_MAX (1 + 4 * MR_INTEGER_SEGMENT)

#define MR_INTEGER_TOKENS    128
#define MR_INTEGER_SCALE_LOG 12
#define MR_INTEGER_SCALE     (1u << MR_INTEGER_SCALE_LOG)

enum mr_integer_kind {
    MR_INTEGER_EQUAL = 0, /* be32: all are this one */
    MR_INTEGER_PLAIN = 1, /* be32 each */
    MR_INTEGER_CODED = 2, /* be32 length ‖ table ‖ two states ‖ words ‖ bits */
    MR_INTEGER_SHORT =
        3, /* u8 order ‖ bits: exponential Golomb codes, for too few to pay a table */
    MR_INTEGER_SPLIT = 4, /* be32 length ‖ u8 low ‖ table ‖ sixteen states ‖ words ‖ bits */
};
#define MR_INTEGER_ORDER_MAX 31
#define MR_INTEGER_LOW_MAX   25 /* bits below a token of a split segment */

/* Coders that take turns: integer i is of number i % so many. */
#define MR_INTEGER_CODERS       2
#define MR_INTEGER_SPLIT_CODERS MR_TURN

/* What a coded segment's header is made of, for both directions. Small integers are tokens of their
 * own; from 16 on a token says the highest bit and the two below it. */
struct mr_integer_token {
    uint8_t token;
    uint8_t bits;  /* that follow as they are */
    uint32_t rest; /* their value */
};
struct mr_integer_token mr_integer_token_of(uint32_t value);

/* Signed numbers as the coder likes them: 0, -1, 1, -2, … become 0, 1, 2, 3, … */
static inline uint32_t mr_zigzag(int32_t value)
{
    return (uint32_t)value << 1 ^ (uint32_t)(value >> 31);
}

static inline int32_t mr_unzigzag(uint32_t code)
{
    return (int32_t)(code >> 1 ^ (0u - (code & 1)));
}

/* --- reading --------------------------------------------------------------------------------- */
struct mr_integer_room {
    uint32_t values[2 * MR_INTEGER_SEGMENT]; /* of two segments at most */
    /* Of each of them. One load says all of a slot: its token 7 bits from the top, the token's
     * frequency less one 12, the slot's place within its token 12; the lowest bit is nothing. */
    uint32_t slots[2][MR_INTEGER_SCALE];
};

/* Reads a sequence segment by segment; bytes and room stay the caller's. */
struct mr_integer_reader {
    const uint8_t *bytes;
    size_t length, at;
    uint64_t left; /* integers of the sequence that were not read yet */
    struct mr_integer_room *room;
    const struct mr_kernels *kernels;
};

/* The next segment into room->values. Returns how many integers that are, 0 where none are left, or
 * -1 with an error: cut short, or not what a writer writes. */
long mr_integer_read(struct mr_integer_reader *reader, struct mr_error *error);
/* Likewise, but two segments where they are split ones and that takes less time. */
long mr_integer_read_more(struct mr_integer_reader *reader, struct mr_error *error);

/* --- writing --------------------------------------------------------------------------------- */
struct mr_integer_scratch {
    struct mr_integer_token tokens[MR_INTEGER_SEGMENT];
    uint8_t words[2 * MR_INTEGER_SEGMENT];
};

/* One segment of `count` integers (1 .. MR_INTEGER_SEGMENT) into `out`, of
 * MR_INTEGER_SEGMENT_BYTES_MAX bytes. Returns its length. The same integers give the same bytes. */
size_t mr_integer_write(uint8_t *out, const uint32_t *values, size_t count,
                        struct mr_integer_scratch *scratch);

#endif
