#include "wire/gauss_exp.h"

#include <stdint.h>

#include "base/assert.h"

/* Bits that are worked out beyond those that are asked for. A term is off by less than 2, there are
 * fewer terms than 2^20, and each of at most 21 squarings doubles what is off: far less than 2^62.
 */
#define GUARD 64u

_Static_assert(sizeof(BN_ULONG) == sizeof(uint64_t), "words of BN hold 64 bits");

struct scratch {
    BIGNUM *t, *term, *power;
};

/* sum of (-t)^i / i! with t in [0, 1/2), all times 2^precision. */
static int series(BIGNUM *sum, const struct scratch *scratch, unsigned precision, BN_CTX *context)
{
    if (!BN_one(scratch->term) || !BN_lshift(scratch->term, scratch->term, (int)precision) ||
        !BN_copy(sum, scratch->term)) {
        return -1;
    }
    for (BN_ULONG i = 1; !BN_is_zero(scratch->term); i++) {
        if (!BN_mul(scratch->power, scratch->term, scratch->t, context) ||
            !BN_rshift(scratch->term, scratch->power, (int)precision)) {
            return -1;
        }
        BN_div_word(scratch->term, i);
        if (!(i % 2 != 0 ? BN_sub(sum, sum, scratch->term) : BN_add(sum, sum, scratch->term))) {
            return -1;
        }
    }
    return 0;
}

static int compute(BIGNUM *out, const BIGNUM *num, const BIGNUM *den, unsigned bits,
                   const struct scratch *scratch, BN_CTX *context)
{
    const unsigned precision = bits + GUARD;
    if (!BN_lshift(scratch->power, num, (int)precision) ||
        !BN_div(scratch->t, NULL, scratch->power, den, context)) {
        return -1;
    }
    const unsigned length = (unsigned)BN_num_bits(scratch->t);
    const unsigned halvings = length >= precision ? length - precision + 1 : 0;
    if (halvings > 21) { /* t >= MR_GAUSS_EXP_MAX */
        return BN_set_word(out, 0) ? 0 : -1;
    }
    if (!BN_rshift(scratch->t, scratch->t, (int)halvings) ||
        series(out, scratch, precision, context) != 0) {
        return -1;
    }
    for (unsigned i = 0; i < halvings; i++) {
        if (!BN_sqr(scratch->power, out, context) ||
            !BN_rshift(out, scratch->power, (int)precision)) {
            return -1;
        }
    }
    /* Within a quarter of a unit of `bits`, before it is rounded down: one below holds. */
    if (!BN_rshift(out, out, GUARD)) {
        return -1;
    }
    return BN_is_zero(out) || BN_sub_word(out, 1) ? 0 : -1;
}

int mr_gauss_exp(BIGNUM *out, const BIGNUM *num, const BIGNUM *den, unsigned bits, BN_CTX *context)
{
    MR_ASSERT(bits < 1u << 19);
    BN_CTX_start(context);
    const struct scratch scratch = {BN_CTX_get(context), BN_CTX_get(context), BN_CTX_get(context)};
    const int result =
        scratch.power ? compute(out, num, den, bits, &scratch, context) : -1; /* the last of them */
    BN_CTX_end(context);
    return result;
}
