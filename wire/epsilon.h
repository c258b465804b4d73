/* epsilon.h - from zCDP to the epsilon that people read, for a delta, and back.
 *
 * Three curves of the same noise:
 *   zCDP      any mechanism of that rho (Canonne, Kamath, Steinke 2020, corollary 13)
 *   RDP       integer orders 2..128 and 256, with the conversion of the same paper, proposition 12;
 *             of a rho alone never less than zCDP: for mechanisms whose RDP is no straight line
 *   Gaussian  rho of Gaussian noise alone: one Gaussian of mu = sqrt(2 rho) (Balle and Wang 2018;
 *             Dong, Roth, Su 2019), taken MR_EPSILON_LATTICE too long, since the noise is a
 *             discrete one; where each sigma^2 >= MR_NOISE_SIGMA2_MIN (docs/privacy.md)
 * For reading only: what decides is rho. Doubles of libm, whose last bits differ between machines;
 * what is in force is rounded away from the promise by more than that. Pure, any thread. */
#ifndef MR_WIRE_EPSILON_H
#define MR_WIRE_EPSILON_H

#include "wire/announcement.h"
#include "wire/rho.h"

#define MR_EPSILON_LATTICE (1.0 / 256)
#define MR_EPSILON_ORDERS  128 /* 2..128 and 256 */

/* In force, for all releases of a kind of noise that cost `rho` together: of hub noise the lesser
 * of Gaussian and zCDP, of device noise zCDP. 0 for rho 0, INFINITY for MR_RHO_MAX. delta in (0,
 * 1). */
double mr_epsilon_of(mr_rho rho, double delta, enum mr_noise_kind kind);
/* The largest rho whose epsilon in force is not above `epsilon`: what a budget is turned into,
 * once.
 */
mr_rho mr_epsilon_budget(double epsilon, double delta, enum mr_noise_kind kind);

/* --- the curves, by themselves ---------------------------------------------------------------- */
double mr_epsilon_zcdp(double rho, double delta);
double mr_epsilon_zcdp_delta(double rho, double epsilon);
double mr_epsilon_zcdp_rho(double epsilon, double delta);
double mr_epsilon_gaussian(double mu, double delta);
double mr_epsilon_gaussian_delta(double mu, double epsilon);

/* The order of a place in a curve of RDP. */
unsigned mr_epsilon_order(unsigned i);
/* rdp[i]: of mr_epsilon_order(i). *order (NULL allowed): the one that was best. */
double mr_epsilon_rdp(const double rdp[MR_EPSILON_ORDERS], double delta, unsigned *order);

#endif
