/* integer_code.c - reading: every length and every table is checked before it is used. */
#include "wire/integer_code_bits.h"

#include <endian.h>
#include <string.h>

#include "base/bytes.h"

#define STATE_LEAST (1u << 16) /* of a coder's state between two symbols */

static int spoilt(struct mr_error *error)
{
    return mr_error_set(error, "a coded segment is damaged");
}

static int cut_short(struct mr_error *error)
{
    return mr_error_set(error, "a segment is cut short");
}

/* --- the table of frequencies ---------------------------------------------------------------- */

/* A count of tokens, then for each its frequency: one byte below 128, else two. */
static int read_table(uint16_t frequencies[MR_INTEGER_TOKENS], const uint8_t **at,
                      const uint8_t *end)
{
    uint32_t sum = 0;
    memset(frequencies, 0, MR_INTEGER_TOKENS * sizeof *frequencies);
    if (*at == end || **at == 0 || **at > MR_INTEGER_TOKENS) {
        return -1;
    }
    const unsigned count = *(*at)++;
    for (unsigned i = 0; i < count; i++) {
        if (*at == end) {
            return -1;
        }
        uint32_t frequency = *(*at)++;
        if (frequency >= 128) {
            if (*at == end) {
                return -1;
            }
            frequency = (frequency & 127) << 8 | *(*at)++;
        }
        sum += frequency;
        if (sum > MR_INTEGER_SCALE) {
            return -1;
        }
        frequencies[i] = (uint16_t)frequency;
    }
    return sum == MR_INTEGER_SCALE ? 0 : -1;
}

static void fill_slots(uint32_t *slots, const uint16_t *frequencies)
{
    for (uint32_t token = 0; token < MR_INTEGER_TOKENS; token++) {
        for (uint32_t i = 0; i < frequencies[token]; i++) {
            *slots++ = token << 25 | (frequencies[token] - 1u) << 13 | i << 1;
        }
    }
}

/* --- a coded segment ------------------------------------------------------------------------- */

struct coded {
    uint32_t states[2];
    const uint8_t *words, *words_end;
    struct bits bits;
};

/* words bytes ‖ words ‖ bits; the two states stand before. */
static int split(struct coded *coded, const uint8_t *at, const uint8_t *end)
{
    if (end - at < 12) {
        return -1;
    }
    coded->states[0] = mr_be32_get(at);
    coded->states[1] = mr_be32_get(at + 4);
    const uint32_t words = mr_be32_get(at + 8);
    at += 12;
    if (words % 2 != 0 || (size_t)(end - at) < words) {
        return -1;
    }
    coded->words = at;
    coded->words_end = at + words;
    coded->bits = (struct bits){.at = at + words, .end = end};
    return 0;
}

/* What a token stands for before its plain bits: the value is `base` plus that many of them. */
struct meaning {
    uint32_t base, bits;
};

static inline struct meaning meaning_of(uint32_t token)
{
    if (token < 16) {
        return (struct meaning){.base = token};
    }
    const uint32_t bits = 2 + (token - 16u) / 4;
    return (struct meaning){.base = (4u | (token & 3u)) << bits, .bits = bits};
}

static inline uint32_t after(uint32_t state, uint32_t slot)
{
    return ((slot >> 13 & 4095u) + 1) * (state >> MR_INTEGER_SCALE_LOG) + (slot >> 1 & 4095u);
}

static inline int step(struct coded *coded, const uint32_t *slots, unsigned which, uint32_t *value)
{
    uint32_t state = coded->states[which];
    const uint32_t slot = slots[state & (MR_INTEGER_SCALE - 1)];
    state = after(state, slot);
    if (state < STATE_LEAST) {
        if (coded->words == coded->words_end) {
            return -1;
        }
        state = state << 16 | mr_be16_get(coded->words);
        coded->words += 2;
    }
    coded->states[which] = state;
    const struct meaning meaning = meaning_of(slot >> 25);
    if (take_bits(&coded->bits, meaning.bits, value) != 0) {
        return -1;
    }
    *value += meaning.base;
    return 0;
}

/* The next 64 bits behind those that are held; 8 bytes are there. */
static inline void hold_more(struct bits *bits)
{
    uint64_t next;
    memcpy(&next, bits->at, sizeof next);
    bits->held |= le64toh(next) << bits->count;
    bits->at += (63 - bits->count) / 8; /* whole bytes that there was room for */
    bits->count |= 56;
}

/* What was taken beyond the bits in hand is given back. */
static void put_back(struct bits *bits)
{
    bits->at -= bits->count / 8;
    bits->count %= 8;
    bits->held &= (1u << bits->count) - 1;
}

struct fast {
    const uint32_t *slots;
    const uint8_t *words;
    struct bits bits;
    struct meaning meanings[MR_INTEGER_TOKENS];
};

/* As `step`, but whether the state needs a word is no branch: no processor foresees one in three.
 */
static inline uint32_t fast_step(struct fast *fast, uint32_t *state)
{
    const uint32_t slot = fast->slots[*state & (MR_INTEGER_SCALE - 1)];
    const uint32_t next = after(*state, slot), low = next < STATE_LEAST;
    const uint32_t filled = next << 16 | mr_be16_get(fast->words);
    *state = next ^ ((next ^ filled) & (0u - low));
    fast->words += 2 * low;
    const struct meaning meaning = fast->meanings[slot >> 25];
    if (fast->bits.count < meaning.bits) { /* two of the largest are more than what is held */
        hold_more(&fast->bits);
    }
    const uint64_t rest = fast->bits.held & ((UINT64_C(1) << meaning.bits) - 1);
    fast->bits.held >>= meaning.bits;
    fast->bits.count -= meaning.bits;
    return meaning.base + (uint32_t)rest;
}

/* Two integers at a time, as long as `readable` is so far away that no byte has to be asked for.
 * Returns how many were read, or -1 where they went beyond the segment's words or bits. */
static long read_fast(struct coded *coded, const uint32_t *slots, uint32_t *values, size_t count,
                      const uint8_t *readable)
{
    struct fast fast = {.slots = slots, .words = coded->words, .bits = coded->bits};
    uint32_t even = coded->states[0], odd = coded->states[1];
    size_t i = 0;
    for (uint32_t token = 0; token < MR_INTEGER_TOKENS; token++) {
        fast.meanings[token] = meaning_of(token);
    }
    for (; i + 2 <= count && readable - fast.words >= 4 && readable - fast.bits.at >= 16; i += 2) {
        hold_more(&fast.bits);
        values[i] = fast_step(&fast, &even);
        values[i + 1] = fast_step(&fast, &odd);
    }
    put_back(&fast.bits);
    coded->states[0] = even;
    coded->states[1] = odd;
    coded->words = fast.words;
    coded->bits = fast.bits;
    return fast.words <= coded->words_end && fast.bits.at <= coded->bits.end ? (long)i : -1;
}

static int read_coded(struct mr_integer_reader *reader, const uint8_t *at, const uint8_t *end,
                      size_t count)
{
    uint16_t frequencies[MR_INTEGER_TOKENS];
    struct coded coded;
    if (read_table(frequencies, &at, end) != 0 || split(&coded, at, end) != 0) {
        return -1;
    }
    fill_slots(reader->room->slots, frequencies);
    const long fast = read_fast(&coded, reader->room->slots, reader->room->values, count,
                                reader->bytes + reader->length);
    if (fast < 0) {
        return -1;
    }
    for (size_t i = (size_t)fast; i < count; i++) {
        if (step(&coded, reader->room->slots, i & 1, &reader->room->values[i]) != 0) {
            return -1;
        }
    }
    /* The writer began with these states, and left nothing over. */
    const struct bits *bits = &coded.bits;
    return coded.states[0] == STATE_LEAST && coded.states[1] == STATE_LEAST &&
                   coded.words == coded.words_end && bits->at == bits->end && bits->count < 8 &&
                   bits->held == 0
               ? 0
               : -1;
}

static int read_kind(struct mr_integer_reader *reader, size_t count, struct mr_error *error)
{
    const uint8_t *at = reader->bytes + reader->at + 1;
    const size_t left = reader->length - reader->at - 1;
    const enum mr_integer_kind kind = at[-1];
    const size_t plain = kind == MR_INTEGER_PLAIN ? 4 * count : kind == MR_INTEGER_SHORT ? 1 : 4;
    if (kind > MR_INTEGER_SHORT) {
        return mr_error_set(error, "a segment is of kind %u, which is unknown", at[-1]);
    }
    if (left < plain) {
        return cut_short(error);
    }
    size_t used = plain;
    if (kind == MR_INTEGER_CODED) {
        const uint32_t length = mr_be32_get(at);
        if (left - 4 < length) {
            return cut_short(error);
        }
        used += length;
        if (used >= MR_INTEGER_SEGMENT_BYTES_MAX ||
            read_coded(reader, at + 4, at + 4 + length, count) != 0) {
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
