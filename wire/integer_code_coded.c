/* integer_code_coded.c - reading what coders have written: by two that take turns, or by sixteen.
 */
#include <endian.h>
#include <stdbool.h>
#include <string.h>

#include "wire/integer_code_bits.h"

#define STATE_LEAST MR_INTEGER_STATE_LEAST

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
    unsigned coders;
    uint32_t states[MR_INTEGER_SPLIT_CODERS];
    const uint8_t *words, *words_end;
    struct bits bits;
};

/* words bytes ‖ words ‖ bits; the states stand before. */
static int open_states(struct coded *coded, const uint8_t *at, const uint8_t *end)
{
    if (end - at < 4 * (ptrdiff_t)coded->coders + 4) {
        return -1;
    }
    for (unsigned i = 0; i < coded->coders; i++, at += 4) {
        coded->states[i] = mr_be32_get(at);
    }
    const uint32_t words = mr_be32_get(at);
    at += 4;
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

/* One token, wherever the words end. */
static inline int step(struct coded *coded, const uint32_t *slots, unsigned which, uint32_t *token)
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
    *token = slot >> 25;
    return 0;
}

static inline int step_with_bits(struct coded *coded, const uint32_t *slots, unsigned which,
                                 uint32_t *value)
{
    uint32_t token;
    if (step(coded, slots, which, &token) != 0) {
        return -1;
    }
    const struct meaning meaning = meaning_of(token);
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

static inline uint32_t fast_step(struct fast *fast, uint32_t *state)
{
    const uint32_t slot = fast->slots[*state & (MR_INTEGER_SCALE - 1)];
    *state = refill(after(*state, slot), &fast->words);
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

/* The writer began with these states, and left nothing over. */
static int ends_well(const struct coded *coded)
{
    bool well = coded->words == coded->words_end;
    for (unsigned i = 0; i < coded->coders; i++) {
        well = well && coded->states[i] == STATE_LEAST;
    }
    return well ? 0 : -1;
}

static int read_tokens(struct coded *coded, struct mr_integer_room *room, size_t count,
                       const uint8_t *readable)
{
    const long fast = read_fast(coded, room->slots[0], room->values, count, readable);
    if (fast < 0) {
        return -1;
    }
    for (size_t i = (size_t)fast; i < count; i++) {
        if (step_with_bits(coded, room->slots[0], i & 1, &room->values[i]) != 0) {
            return -1;
        }
    }
    const struct bits *bits = &coded->bits;
    return ends_well(coded) == 0 && bits->at == bits->end && bits->count < 8 && bits->held == 0
               ? 0
               : -1;
}

/* So many plain bits are there as the integers need, and what is left of the last byte is zero. */
static bool has_low_bits(const struct bits *bits, unsigned low, size_t count)
{
    const size_t all = low * count, last = all % 8;
    return (size_t)(bits->end - bits->at) == (all + 7) / 8 &&
           (last == 0 || bits->end[-1] >> last == 0);
}

/* A split segment, and how far it was read. */
struct split {
    struct coded coded;
    uint32_t *values, *slots;
    unsigned low;
    size_t read; /* integers */
};

static int open_split(struct split *split, const struct mr_integer_span *span, size_t count)
{
    uint16_t frequencies[MR_INTEGER_TOKENS];
    const uint8_t *at = span->at;
    if (at == span->end || *at > MR_INTEGER_LOW_MAX) {
        return -1;
    }
    split->low = *at++;
    split->read = 0;
    split->coded = (struct coded){.coders = MR_INTEGER_SPLIT_CODERS};
    if (read_table(frequencies, &at, span->end) != 0 ||
        open_states(&split->coded, at, span->end) != 0) {
        return -1;
    }
    fill_slots(split->slots, frequencies);
    return has_low_bits(&split->coded.bits, split->low, count) ? 0 : -1;
}

/* So many turns that words can be read for them: these may lie beyond the segment's end, and are
 * judged afterwards. */
static size_t safe_turns(const struct split *split, const struct mr_integer_reader *reader,
                         size_t count)
{
    const uint8_t *readable = reader->bytes + reader->length;
    const size_t left = (count - split->read) / MR_TURN;
    const size_t safe = (size_t)(readable - split->coded.words) / (2 * MR_TURN);
    return left < safe ? left : safe;
}

static struct mr_split_coders coders_of(const struct split *split)
{
    struct mr_split_coders coders = {.slots = split->slots, .low = split->low};
    memcpy(coders.states, split->coded.states, sizeof coders.states);
    return coders;
}

/* A turn's plain bits are whole bytes. */
static const uint8_t *bits_of(const struct split *split)
{
    return split->coded.bits.at + split->low * split->read / 8;
}

static void went_on(struct split *split, const struct mr_split_coders *coders, size_t turns)
{
    memcpy(split->coded.states, coders->states, sizeof split->coded.states);
    split->read += turns * MR_TURN;
}

/* Whole turns, then what is left one by one. */
static int read_rest(struct split *split, const struct mr_integer_reader *reader, size_t count)
{
    struct coded *coded = &split->coded;
    for (size_t turns; (turns = safe_turns(split, reader, count)) > 0;) {
        struct mr_split_coders coders = coders_of(split);
        coded->words += reader->kernels->split_turns(split->values + split->read, &coders,
                                                     coded->words, bits_of(split), turns);
        went_on(split, &coders, turns);
    }
    if (coded->words > coded->words_end) {
        return -1;
    }
    struct bits *bits = &coded->bits;
    bits->at = bits_of(split);
    for (size_t i = split->read; i < count; i++) {
        uint32_t token, rest;
        if (step(coded, split->slots, i % MR_TURN, &token) != 0 ||
            take_bits(bits, split->low, &rest) != 0) {
            return -1;
        }
        split->values[i] = token << split->low | rest;
    }
    return ends_well(coded);
}

int mr_integer_read_two(struct mr_integer_reader *reader, const struct mr_integer_span spans[2])
{
    struct mr_integer_room *room = reader->room;
    struct split two[2] = {{.values = room->values, .slots = room->slots[0]},
                           {.values = room->values + MR_INTEGER_SEGMENT, .slots = room->slots[1]}};
    if (open_split(&two[0], &spans[0], MR_INTEGER_SEGMENT) != 0 ||
        open_split(&two[1], &spans[1], MR_INTEGER_SEGMENT) != 0) {
        return -1;
    }
    for (;;) {
        const size_t first = safe_turns(&two[0], reader, MR_INTEGER_SEGMENT);
        const size_t second = safe_turns(&two[1], reader, MR_INTEGER_SEGMENT);
        const size_t turns = first < second ? first : second;
        if (turns == 0) {
            break;
        }
        struct mr_split_coders coders[2] = {coders_of(&two[0]), coders_of(&two[1])};
        uint32_t *const out[2] = {two[0].values + two[0].read, two[1].values + two[1].read};
        const uint8_t *words[2] = {two[0].coded.words, two[1].coded.words};
        const uint8_t *const bits[2] = {bits_of(&two[0]), bits_of(&two[1])};
        reader->kernels->split_turns_two(out, coders, words, bits, turns);
        for (unsigned i = 0; i < 2; i++) {
            two[i].coded.words = words[i];
            went_on(&two[i], &coders[i], turns);
        }
    }
    return read_rest(&two[0], reader, MR_INTEGER_SEGMENT) == 0 &&
                   read_rest(&two[1], reader, MR_INTEGER_SEGMENT) == 0
               ? 0
               : -1;
}

int mr_integer_read_coded(struct mr_integer_reader *reader, const uint8_t *at, const uint8_t *end,
                          enum mr_integer_kind kind, size_t count)
{
    struct mr_integer_room *room = reader->room;
    if (kind == MR_INTEGER_SPLIT) {
        struct split split = {.values = room->values, .slots = room->slots[0]};
        const struct mr_integer_span span = {at, end};
        return open_split(&split, &span, count) == 0 ? read_rest(&split, reader, count) : -1;
    }
    uint16_t frequencies[MR_INTEGER_TOKENS];
    struct coded coded = {.coders = MR_INTEGER_CODERS};
    if (read_table(frequencies, &at, end) != 0 || open_states(&coded, at, end) != 0) {
        return -1;
    }
    fill_slots(room->slots[0], frequencies);
    return read_tokens(&coded, room, count, reader->bytes + reader->length);
}
