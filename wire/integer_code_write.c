/* integer_code_write.c - writing, the way of each segment that takes the fewest bytes. */
#include <stdbool.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "wire/integer_code_plan.h"

#define STATE_LEAST (1u << 16)

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

struct symbol {
    uint64_t inverse; /* 2^44 / frequency, rounded up */
    uint64_t full;    /* a state from here on gives a word away first */
    uint32_t start;
    uint32_t spread; /* MR_INTEGER_SCALE less the frequency */
};

struct encoder {
    unsigned coders;
    const uint16_t *frequencies;
    struct symbol symbols[MR_INTEGER_TOKENS];
    uint32_t states[MR_INTEGER_SPLIT_CODERS];
    uint8_t *words; /* written downwards */
};

#define INVERSE_LOG 44

/* state / frequency by the inverse: exact, since a state is below frequency * 2^20 and what the
 * inverse is too large by is below frequency <= 2^12, so that their product is below 2^44; and
 * below 2^64 in between. Whether a word is given is no branch: no processor foresees one in three.
 * Two bytes are free below `words` as long as a symbol is left. */
static inline void encode(struct encoder *encoder, unsigned which, uint8_t token)
{
    const struct symbol *symbol = &encoder->symbols[token];
    uint32_t state = encoder->states[which];
    const unsigned gives = state >= symbol->full;
    mr_be16_put(encoder->words - 2, (uint16_t)state);
    encoder->words -= 2 * (size_t)gives;
    state >>= 16 * gives;
    const uint32_t quotient = (uint32_t)(state * symbol->inverse >> INVERSE_LOG);
    encoder->states[which] = state + symbol->start + quotient * symbol->spread;
}

/* The frequencies are there. */
static void prepare(struct encoder *encoder)
{
    uint32_t start = 0;
    for (unsigned i = 0; i < MR_INTEGER_TOKENS; i++) {
        const uint32_t frequency = encoder->frequencies[i];
        if (frequency > 0) {
            encoder->symbols[i] = (struct symbol){
                .inverse = ((UINT64_C(1) << INVERSE_LOG) + frequency - 1) / frequency,
                .full = (uint64_t)frequency << (32 - MR_INTEGER_SCALE_LOG),
                .start = start,
                .spread = MR_INTEGER_SCALE - frequency};
        }
        start += frequency;
    }
    for (unsigned i = 0; i < encoder->coders; i++) {
        encoder->states[i] = STATE_LEAST;
    }
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

/* A token's are 29 at most, so that four bytes go out at a time. */
static size_t put_bits(uint8_t *out, const struct mr_integer_token *tokens, size_t count)
{
    struct bits bits = {.out = out};
    for (size_t i = 0; i < count; i++) {
        bits.held |= (uint64_t)tokens[i].rest << bits.count;
        bits.count += tokens[i].bits;
        if (bits.count >= 32) {
            const uint32_t whole = htole32((uint32_t)bits.held);
            memcpy(out + bits.used, &whole, sizeof whole);
            bits.used += sizeof whole;
            bits.held >>= 32;
            bits.count -= 32;
        }
    }
    give(&bits, 0, 0);
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

static void make_tokens(struct mr_integer_token *tokens, const struct mr_integer_plan *plan,
                        const uint32_t *values, size_t count)
{
    const unsigned low = plan->low;
    if (plan->kind != MR_INTEGER_SPLIT) {
        for (size_t i = 0; i < count; i++) {
            tokens[i] = mr_integer_token_of(values[i]);
        }
        return;
    }
    for (size_t i = 0; i < count; i++) {
        tokens[i] = (struct mr_integer_token){.token = (uint8_t)(values[i] >> low),
                                              .bits = (uint8_t)low,
                                              .rest = values[i] & ((1u << low) - 1)};
    }
}

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

static size_t put_states(uint8_t *out, const struct encoder *encoder)
{
    for (unsigned i = 0; i < encoder->coders; i++) {
        mr_be32_put(out + 4 * i, encoder->states[i]);
    }
    return 4 * encoder->coders;
}

/* 0: it would take more than the plain ones. `words_room` has 2 * count bytes. */
static size_t put_coded(uint8_t *out, const struct mr_integer_plan *plan,
                        const struct mr_integer_token *tokens, size_t count, uint8_t *words_room)
{
    const bool is_split = plan->kind == MR_INTEGER_SPLIT;
    struct encoder encoder = {.coders = is_split ? MR_INTEGER_SPLIT_CODERS : MR_INTEGER_CODERS,
                              .frequencies = plan->frequencies,
                              .words = words_room + 2 * count};
    prepare(&encoder);
    for (size_t i = count; i-- > 0;) {
        encode(&encoder, (unsigned)i & (encoder.coders - 1), tokens[i].token);
    }
    const size_t words = (size_t)(words_room + 2 * count - encoder.words);
    const size_t bits = (bits_of(tokens, count) + 7) / 8;
    uint8_t table[1 + 2 * MR_INTEGER_TOKENS];
    const size_t table_bytes = put_table(table, encoder.frequencies);
    if (5 + is_split + table_bytes + 4 * encoder.coders + 4 + words + bits > 4 * count) {
        return 0;
    }
    size_t used = 5;
    if (is_split) {
        out[used++] = (uint8_t)plan->low;
    }
    memcpy(out + used, table, table_bytes);
    used += table_bytes;
    used += put_states(out + used, &encoder);
    mr_be32_put(out + used, (uint32_t)words);
    memcpy(out + used + 4, encoder.words, words);
    used += 4 + words;
    used += put_bits(out + used, tokens, count);
    out[0] = (uint8_t)plan->kind;
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
    struct mr_integer_plan plan;
    mr_integer_plan(&plan, values, count);
    make_tokens(scratch->tokens, &plan, values, count);
    const size_t coded = put_coded(out, &plan, scratch->tokens, count, scratch->words);
    const size_t least = coded ? coded : 1 + 4 * count;
    unsigned order = 0;
    if (count <= SHORT_COUNT_MAX && plan_short(&order, values, count) < least) {
        return put_short(out, values, count, order);
    }
    return coded ? coded : put_plain(out, values, count);
}
