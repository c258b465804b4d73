/* gauss_exp.h - inside gauss*.c only: exp(-t) of a rational t, to any number of bits, from below.
 */
#ifndef MR_WIRE_GAUSS_EXP_H
#define MR_WIRE_GAUSS_EXP_H

#include <openssl/bn.h>

/* How far below the true value `out` may be. */
#define MR_GAUSS_EXP_SLACK 3
/* Largest t that is worked out; beyond it `out` is 0, which is right up to 2^19 bits. */
#define MR_GAUSS_EXP_MAX (1u << 20)

/* out <= 2^bits * exp(-num / den) <= out + MR_GAUSS_EXP_SLACK. num >= 0, den > 0, bits < 2^19. 0,
 * or -1 when out of memory. */
int mr_gauss_exp(BIGNUM *out, const BIGNUM *num, const BIGNUM *den, unsigned bits, BN_CTX *context);

#endif
