/* rho.h - privacy that was spent, in zero-concentrated differential privacy (zCDP), as an integer.
 *
 * Everything that decides goes by it: what a ledger debits, what is left, what an announcement says
 * that a release costs. zCDP adds up over releases, whoever chooses them and whatever was seen
 * before (Bun and Steinke 2016, lemma 2.3), and a discrete Gaussian of variance sigma^2 on integers
 * whose L2 sensitivity is Delta costs Delta^2 / (2 sigma^2) (Canonne, Kamath, Steinke 2020, theorem
 * 4; each coordinate its own). Epsilon is what people read: epsilon.h.
 *
 * Units: 2^-40 of a rho. Costs are rounded up. Integers only, so every machine has the same. Pure,
 * any thread. */
#ifndef MR_WIRE_RHO_H
#define MR_WIRE_RHO_H

#include <stdint.h>

typedef uint64_t mr_rho;

#define MR_RHO_BITS 40
#define MR_RHO_ONE  (UINT64_C(1) << MR_RHO_BITS)
#define MR_RHO_MAX  UINT64_MAX /* that much or more */

/* a + b; MR_RHO_MAX where that is beyond the type. */
mr_rho mr_rho_add(mr_rho a, mr_rho b);
/* times * a, likewise. */
mr_rho mr_rho_times(mr_rho a, uint64_t times);

/* Of one release: sensitivity2 / (2 * sigma2), rounded up. `sensitivity2` is the square of the L2
 * distance that one device makes, `sigma2` the variance of the noise of one adder whose noise is
 * not known to the reader, both in squared steps of the lattice. sensitivity2 0: 0. sigma2 0, no
 * noise at all: MR_RHO_MAX. */
mr_rho mr_rho_of_release(uint64_t sensitivity2, uint64_t sigma2);
/* The least sigma2 of which a release costs `rho` at most; 0 where none fits the type or rho is 0.
 * mr_rho_of_release(s, mr_rho_sigma2(s, rho)) <= rho. */
uint64_t mr_rho_sigma2(uint64_t sensitivity2, mr_rho rho);

/* For people and for epsilon.h: the number itself. Exact up to 2^53 units. */
double mr_rho_value(mr_rho rho);
/* The largest that is not above the value; 0 for what is no positive number. */
mr_rho mr_rho_below(double value);
/* The smallest that is not below the value. */
mr_rho mr_rho_above(double value);

#endif
