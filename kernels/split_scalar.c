/* split_scalar.c - integers of sixteen coders. */
#include <stdbool.h>
#include <string.h>

#include "kernels/levels.h"

/* Whether a state needs a word is no branch: no processor foresees one in three. */
static const uint8_t *turn(uint32_t *out, struct mr_split_coders *coders, const uint8_t *words)
{
    for (unsigned i = 0; i < MR_TURN; i++) {
        const uint32_t state = coders->states[i], slot = coders->slots[state % 4096];
        const uint32_t next = ((slot >> 13 & 4095) + 1) * (state >> 12) + (slot >> 1 & 4095);
        const uint32_t low = next < 1u << 16;
        const uint32_t filled = next << 16 | (uint32_t)words[0] << 8 | words[1];
        coders->states[i] = next ^ ((next ^ filled) & (0u - low));
        words += 2 * low;
        out[i] = slot >> 25;
    }
    return words;
}

/* Eight bytes from there on; those at and behind the end are zero. */
static uint64_t load_last(const uint8_t *at, const uint8_t *end)
{
    uint64_t held = 0;
    for (unsigned i = 0; i < sizeof held && at + i < end; i++) {
        held |= (uint64_t)at[i] << (8 * i);
    }
    return held;
}

/* The plain bits of a turn below its tokens. */
static void join(uint32_t *out, const uint8_t *bits, const uint8_t *end, unsigned low)
{
    const uint32_t mask = (1u << low) - 1;
    const bool is_inside = end - bits >= (ptrdiff_t)(2 * low + sizeof(uint64_t));
    for (unsigned i = 0, from = 0; i < MR_TURN; i++, from += low) {
        uint64_t held;
        if (is_inside) {
            memcpy(&held, bits + from / 8, sizeof held);
        } else {
            held = load_last(bits + from / 8, end);
        }
        out[i] = out[i] << low | ((uint32_t)(held >> (from % 8)) & mask);
    }
}

size_t mr_split_turns_scalar(uint32_t *out, struct mr_split_coders *coders, const uint8_t *words,
                             const uint8_t *bits, size_t turns)
{
    const unsigned low = coders->low;
    const uint8_t *at = words, *end = bits + 2 * low * turns;
    for (; turns > 0; turns--, out += MR_TURN, bits += 2 * low) {
        at = turn(out, coders, at);
        join(out, bits, end, low);
    }
    return (size_t)(at - words);
}
