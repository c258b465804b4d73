/* integer_code.c - reading: every length and every table is checked before it is used. */
#include <stdbool.h>

#include "wire/integer_code_bits.h"

static int spoilt(struct mr_error *error)
{
    return mr_error_set(error, "a coded segment is damaged");
}

static int cut_short(struct mr_error *error)
{
    return mr_error_set(error, "a segment is cut short");
}

static int read_kind(struct mr_integer_reader *reader, size_t count, struct mr_error *error)
{
    const uint8_t *at = reader->bytes + reader->at + 1;
    const size_t left = reader->length - reader->at - 1;
    const enum mr_integer_kind kind = at[-1];
    const size_t plain = kind == MR_INTEGER_PLAIN ? 4 * count : kind == MR_INTEGER_SHORT ? 1 : 4;
    if (kind > MR_INTEGER_SPLIT) {
        return mr_error_set(error, "a segment is of kind %u, which is unknown", at[-1]);
    }
    if (left < plain) {
        return cut_short(error);
    }
    size_t used = plain;
    if (kind == MR_INTEGER_CODED || kind == MR_INTEGER_SPLIT) {
        const uint32_t length = mr_be32_get(at);
        if (left - 4 < length) {
            return cut_short(error);
        }
        used += length;
        if (used >= MR_INTEGER_SEGMENT_BYTES_MAX ||
            mr_integer_read_coded(reader, at + 4, at + 4 + length, kind, count) != 0) {
            return spoilt(error);
        }
    } else if (kind == MR_INTEGER_SHORT) {
        used = mr_integer_read_short(reader, at, left, count);
        if (used == 0) {
            return spoilt(error);
        }
    } else {
        for (size_t i = 0; i < count; i++) {
            reader->room->values[i] = mr_be32_get(kind == MR_INTEGER_PLAIN ? at + 4 * i : at);
        }
    }
    reader->at += 1 + used;
    return 0;
}

long mr_integer_read(struct mr_integer_reader *reader, struct mr_error *error)
{
    const size_t count =
        reader->left < MR_INTEGER_SEGMENT ? (size_t)reader->left : MR_INTEGER_SEGMENT;
    if (count == 0) {
        return 0;
    }
    if (reader->at >= reader->length) {
        return cut_short(error);
    }
    if (read_kind(reader, count, error) != 0) {
        return -1;
    }
    reader->left -= count;
    return (long)count;
}

/* A whole split segment stands there. What is no such is left to mr_integer_read to judge. */
static bool find_split(struct mr_integer_span *span, const struct mr_integer_reader *reader,
                       size_t at)
{
    if (reader->length < 5 || at > reader->length - 5 || reader->bytes[at] != MR_INTEGER_SPLIT) {
        return false;
    }
    const uint32_t length = mr_be32_get(reader->bytes + at + 1);
    if (length > reader->length - at - 5 || length >= MR_INTEGER_SEGMENT_BYTES_MAX - 4) {
        return false;
    }
    *span = (struct mr_integer_span){.at = reader->bytes + at + 5,
                                     .end = reader->bytes + at + 5 + length};
    return true;
}

long mr_integer_read_more(struct mr_integer_reader *reader, struct mr_error *error)
{
    struct mr_integer_span two[2];
    if (!MR_KERNELS_OF_TWO || !reader->kernels->split_turns_two ||
        reader->left < 2 * (uint64_t)MR_INTEGER_SEGMENT ||
        !find_split(&two[0], reader, reader->at) ||
        !find_split(&two[1], reader, (size_t)(two[0].end - reader->bytes))) {
        return mr_integer_read(reader, error);
    }
    if (mr_integer_read_two(reader, two) != 0) {
        spoilt(error);
        return -1;
    }
    reader->at = (size_t)(two[1].end - reader->bytes);
    reader->left -= 2 * MR_INTEGER_SEGMENT;
    return 2 * MR_INTEGER_SEGMENT;
}
