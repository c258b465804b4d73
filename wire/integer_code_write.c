/* integer_code_write.c - writing, the way of each segment that takes the fewest bytes. */
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "wire/integer_code.h"

#define STATE_LEAST (1u << 16)

struct mr_integer_token mr_integer_token_of(uint32_t value)
{
    if (value < 16) {
        return (struct mr_integer_token){.token = (uint8_t)value};
    }
    const unsigned high = 31u - (unsigned)__builtin_clz(value);
    const unsigned bits = high - 2;
    return (struct mr_integer_token){.token = (uint8_t)(16 + 4 * (high - 4) + (value >> bits & 3)),
                                     .bits = (uint8_t)bits,
                                     .rest = value & ((1u << bits) - 1)};
}

/* --- frequencies ----------------------------------------------------------------------------- */

/* Scaled to MR_INTEGER_SCALE in all; a token that occurs keeps one at least. What rounding leaves
 * over or takes too much goes to the most frequent ones. */
static void scale(uint16_t out[MR_INTEGER_TOKENS], const uint32_t counts[MR_INTEGER_TOKENS],
                  size_t total)
{
    int32_t left = MR_INTEGER_SCALE;
    for (unsigned i = 0; i < MR_INTEGER_TOKENS; i++) {
        uint64_t share = ((uint64_t)counts[i] * MR_INTEGER_SCALE + total / 2) / total;
        share = counts[i] && share == 0 ? 1 : share;
        out[i] = (uint16_t)share;
        left -= (int32_t)share;
    }
    while (left != 0) {
        unsigned most = 0;
        for (unsigned i = 1; i < MR_INTEGER_TOKENS; i++) {
            most = out[i] > out[most] ? i : most;
        }
        /* At most half of it at once, so that one token does not pay for all. */
        const int32_t half = out[most] > 1 ? out[most] / 2 : 1;
        const int32_t part = left > 0 ? left : -left < half ? left : -half;
        out[most] = (uint16_t)(out[most] + part);
        left -= part;
    }
}

static size_t put_table(uint8_t *out, const uint16_t frequencies[MR_INTEGER_TOKENS])
{
    unsigned count = MR_INTEGER_TOKENS;
    size_t used = 1;
    while (frequencies[count - 1] == 0) {
        count--;
    }
    out[0] = (uint8_t)count;
    for (unsigned i = 0; i < count; i++) {
        if (frequencies[i] >= 128) {
            out[used++] = (uint8_t)(128 | frequencies[i] >> 8);
        }
        out[used++] = (uint8_t)frequencies[i];
    }
    return used;
}

/* --- symbols --------------------------------------------------------------------------------- */

struct encoder {
    uint16_t frequencies[MR_INTEGER_TOKENS], starts[MR_INTEGER_TOKENS];
    uint32_t states[2];
    uint8_t *words; /* written downwards */
};

static void encode(struct encoder *encoder, unsigned which, uint8_t token)
{
    uint32_t state = encoder->states[which];
    const uint32_t frequency = encoder->frequencies[token];
    if (state >= (uint64_t)frequency << (32 - MR_INTEGER_SCALE_LOG)) {
        encoder->words -= 2;
        mr_be16_put(encoder->words, (uint16_t)state);
        state >>= 16;
    }
    encoder->states[which] =
        ((state / frequency) << MR_INTEGER_SCALE_LOG) + state % frequency + encoder->starts[token];
}

static void prepare(struct encoder *encoder, const struct mr_integer_token *tokens, size_t count)
{
    uint32_t counts[MR_INTEGER_TOKENS] = {0}, start = 0;
    for (size_t i = 0; i < count; i++) {
        counts[tokens[i].token]++;
    }
    scale(encoder->frequencies, counts, count);
    for (unsigned i = 0; i < MR_INTEGER_TOKENS; i++) {
        encoder->starts[i] = (uint16_t)start;
        start += encoder->frequencies[i];
    }
    encoder->states[0] = encoder->states[1] = STATE_LEAST;
}

/* --- bits, from the lowest of each byte on ---------------------------------------------------- */

struct bits {
    uint8_t *out;
    size_t used;
    uint64_t held;
    unsigned count;
};

/* `count` up to 33. */
static void give(struct bits *bits, uint64_t value, unsigned count)
{
    bits->held |= value << bits->count;
    bits->count += count;
    for (; bits->count >= 8; bits->count -= 8, bits->held >>= 8) {
        bits->out[bits->used++] = (uint8_t)bits->held;
    }
}

static size_t finish(struct bits *bits)
{
    if (bits->count > 0) {
        bits->out[bits->used++] = (uint8_t)bits->held;
    }
    return bits->used;
}

static size_t put_bits(uint8_t *out, const struct mr_integer_token *tokens, size_t count)
{
    struct bits bits = {.out = out};
    for (size_t i = 0; i < count; i++) {
        give(&bits, tokens[i].rest, tokens[i].bits);
    }
    return finish(&bits);
}

/* --- a short segment ------------------------------------------------------------------------- */

/* From so many on a table always pays: the orders are not tried. */
#define SHORT_COUNT_MAX 1024

/* Zeros before the one, of the exponential Golomb code of that order. */
static unsigned zeros_of(uint32_t value, unsigned order)
{
    return 63u - (unsigned)__builtin_clzll((uint64_t)(value >> order) + 1);
}

/* The order that takes the fewest bytes, of kind and order as well. */
static size_t plan_short(unsigned *order, const uint32_t *values, size_t count)
{
    size_t least = SIZE_MAX;
    *order = 0;
    for (unsigned tried = 0; tried <= MR_INTEGER_ORDER_MAX; tried++) {
        size_t bits = 0;
        for (size_t i = 0; i < count; i++) {
            bits += 2 * zeros_of(values[i], tried) + 1 + tried;
        }
        if (bits < least) {
            least = bits;
            *order = tried;
        }
    }
    return 2 + (least + 7) / 8;
}

static size_t put_short(uint8_t *out, const uint32_t *values, size_t count, unsigned order)
{
    struct bits bits = {.out = out + 2};
    for (size_t i = 0; i < count; i++) {
        const unsigned zeros = zeros_of(values[i], order);
        const uint64_t high = (uint64_t)(values[i] >> order) + 1 - (UINT64_C(1) << zeros);
        give(&bits, UINT64_C(1) << zeros, zeros + 1);
        give(&bits, high, zeros);
        give(&bits, values[i] & ((UINT64_C(1) << order) - 1), order);
    }
    out[0] = MR_INTEGER_SHORT;
    out[1] = (uint8_t)order;
    return 2 + finish(&bits);
}

/* --- a segment ------------------------------------------------------------------------------- */

/* Whether tokens' words and bits stay below what the integers have as they are: two bytes a token
 * at most, and their bits. */
static size_t bits_of(const struct mr_integer_token *tokens, size_t count)
{
    size_t bits = 0;
    for (size_t i = 0; i < count; i++) {
        bits += tokens[i].bits;
    }
    return bits;
}

/* 0: it would take more than the plain ones. `words_room` has 2 * count bytes. */
static size_t put_coded(uint8_t *out, const struct mr_integer_token *tokens, size_t count,
                        uint8_t *words_room)
{
    struct encoder encoder;
    prepare(&encoder, tokens, count);
    encoder.words = words_room + 2 * count;
    for (size_t i = count; i-- > 0;) {
        encode(&encoder, i & 1, tokens[i].token);
    }
    const size_t words = (size_t)(words_room + 2 * count - encoder.words);
    const size_t bits = (bits_of(tokens, count) + 7) / 8;
    uint8_t table[1 + 2 * MR_INTEGER_TOKENS];
    const size_t table_bytes = put_table(table, encoder.frequencies);
    if (5 + table_bytes + 12 + words + bits > 4 * count) {
        return 0;
    }
    memcpy(out + 5, table, table_bytes);
    size_t used = 5 + table_bytes;
    mr_be32_put(out + used, encoder.states[0]);
    mr_be32_put(out + used + 4, encoder.states[1]);
    mr_be32_put(out + used + 8, (uint32_t)words);
    memcpy(out + used + 12, encoder.words, words);
    used += 12 + words;
    used += put_bits(out + used, tokens, count);
    out[0] = MR_INTEGER_CODED;
    mr_be32_put(out + 1, (uint32_t)(used - 5));
    return used;
}

static size_t put_plain(uint8_t *out, const uint32_t *values, size_t count)
{
    out[0] = MR_INTEGER_PLAIN;
    for (size_t i = 0; i < count; i++) {
        mr_be32_put(out + 1 + 4 * i, values[i]);
    }
    return 1 + 4 * count;
}

size_t mr_integer_write(uint8_t *out, const uint32_t *values, size_t count,
                        struct mr_integer_scratch *scratch)
{
    size_t same = 1;
    MR_ASSERT(count >= 1 && count <= MR_INTEGER_SEGMENT);
    while (same < count && values[same] == values[0]) {
        same++;
    }
    if (same == count) {
        out[0] = MR_INTEGER_EQUAL;
        mr_be32_put(out + 1, values[0]);
        return 5;
    }
    for (size_t i = 0; i < count; i++) {
        scratch->tokens[i] = mr_integer_token_of(values[i]);
    }
    const size_t coded = put_coded(out, scratch->tokens, count, scratch->words);
    const size_t least = coded ? coded : 1 + 4 * count;
    unsigned order = 0;
    if (count <= SHORT_COUNT_MAX && plan_short(&order, values, count) < least) {
        return put_short(out, values, count, order);
    }
    return coded ? coded : put_plain(out, values, count);
}
