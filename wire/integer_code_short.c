/* integer_code_short.c - reading the form for few integers: exponential Golomb codes. */
#include "wire/integer_code_bits.h"

/* n zeros, a one, n bits: q = 2^n + those; then the lowest `order` bits of the integer, whose
 * others are q - 1. */
static int take_golomb(struct bits *bits, unsigned order, uint32_t *value)
{
    unsigned zeros = 0;
    uint32_t bit, high, low;
    for (;;) {
        if (take_bits(bits, 1, &bit) != 0) {
            return -1;
        }
        if (bit) {
            break;
        }
        if (++zeros > 32) {
            return -1;
        }
    }
    if (take_bits(bits, zeros, &high) != 0 || take_bits(bits, order, &low) != 0) {
        return -1;
    }
    const uint64_t whole = ((UINT64_C(1) << zeros) + high - 1) << order | low;
    *value = (uint32_t)whole;
    return whole <= UINT32_MAX ? 0 : -1;
}

size_t mr_integer_read_short(struct mr_integer_reader *reader, const uint8_t *at, size_t left,
                             size_t count)
{
    struct bits bits = {.at = at + 1, .end = at + left};
    const unsigned order = at[0];
    if (order > MR_INTEGER_ORDER_MAX) {
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        if (take_golomb(&bits, order, &reader->room->values[i]) != 0) {
            return 0;
        }
    }
    return bits.held == 0 ? (size_t)(bits.at - at) : 0;
}
