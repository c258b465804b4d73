/* integer_code_plan.c - frequencies, and what they cost, in whole numbers. */
#include "wire/integer_code_plan.h"

#include "base/assert.h"

/* 16 + 4 * (high - 4) and the two bits below the highest. */
static unsigned token_of(uint32_t value)
{
    const unsigned high = 31u - (unsigned)__builtin_clz(value | 16);
    return value < 16 ? value : 4 * high + (value >> (high - 2) & 3);
}

static unsigned bits_of(unsigned token)
{
    return token < 16 ? 0 : token / 4 - 2;
}

struct mr_integer_token mr_integer_token_of(uint32_t value)
{
    const unsigned token = token_of(value), bits = bits_of(token);
    return (struct mr_integer_token){.token = (uint8_t)token,
                                     .bits = (uint8_t)bits,
                                     .rest = bits ? value & ((1u << bits) - 1) : 0};
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

/* --- plans ------------------------------------------------------------------------------------ */

/* log2 of MR_INTEGER_SCALE / frequency in 2^-8 bits, rounded down to whole ones of these. */
static uint32_t cost_of(uint32_t frequency)
{
    const unsigned high = 31u - (unsigned)__builtin_clz(frequency);
    uint64_t x = (uint64_t)frequency << (31 - high); /* 1 to 2, times 2^31 */
    uint32_t log = high;
    for (unsigned i = 0; i < 8; i++) {
        x = x * x >> 31;
        log = 2 * log + (uint32_t)(x >> 32);
        x >>= x >> 32;
    }
    return (MR_INTEGER_SCALE_LOG << 8) - log;
}

static void finish_plan(struct mr_integer_plan *plan, const uint32_t counts[MR_INTEGER_TOKENS],
                        size_t count)
{
    scale(plan->frequencies, counts, count);
    for (unsigned i = 0; i < MR_INTEGER_TOKENS; i++) {
        plan->cost += counts[i] ? (uint64_t)counts[i] * cost_of(plan->frequencies[i]) : 0;
    }
}

static void plan_tokens(struct mr_integer_plan *plan, const uint32_t *values, size_t count)
{
    uint32_t counts[MR_INTEGER_TOKENS] = {0};
    uint64_t bits = 32 * MR_INTEGER_CODERS;
    for (size_t i = 0; i < count; i++) {
        counts[token_of(values[i])]++;
    }
    for (unsigned i = 0; i < MR_INTEGER_TOKENS; i++) {
        bits += (uint64_t)counts[i] * bits_of(i);
    }
    *plan = (struct mr_integer_plan){.kind = MR_INTEGER_CODED, .cost = bits << 8};
    finish_plan(plan, counts, count);
}

/* Tokens of a split segment: up to so many, which are enough for what is smooth. */
#define SPLIT_TOKENS_LOG 6

static void plan_split(struct mr_integer_plan *plan, const uint32_t *values, size_t count)
{
    uint32_t counts[MR_INTEGER_TOKENS] = {0}, all = 1;
    for (size_t i = 0; i < count; i++) {
        all |= values[i];
    }
    const unsigned width = 32u - (unsigned)__builtin_clz(all);
    const unsigned low = width > SPLIT_TOKENS_LOG ? width - SPLIT_TOKENS_LOG : 0;
    *plan = (struct mr_integer_plan){.kind = MR_INTEGER_SPLIT, .low = low};
    plan->cost = ((uint64_t)low * count + 8 + 32 * MR_INTEGER_SPLIT_CODERS) << 8;
    if (low > MR_INTEGER_LOW_MAX) {
        plan->cost = UINT64_MAX;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        counts[values[i] >> low]++;
    }
    finish_plan(plan, counts, count);
}

/* A split segment is read in less than half the time, so it may be longer by a 256th. */
#define SLACK_LOG 8

void mr_integer_plan(struct mr_integer_plan *plan, const uint32_t *values, size_t count)
{
    struct mr_integer_plan split;
    MR_ASSERT(count >= 1);
    plan_tokens(plan, values, count);
    plan_split(&split, values, count);
    if (split.cost <= plan->cost + (plan->cost >> SLACK_LOG)) {
        *plan = split;
    }
}
