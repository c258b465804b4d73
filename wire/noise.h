/* noise.h - which lanes of a sum get noise, how far one device moves them, how far the noise does.
 *
 * Four groups of lanes, each with its own variance; all other lanes of a private round are
 * constant (lane 0, the count: membership is public) or sent as 0 (lanes 2 to 7 of the trailer).
 * The mechanism, its proof and its units: docs/privacy.md.
 *
 * Sensitivities are of honest devices, which keep to them by themselves (mr_noise_vector_holds).
 * Doubles here are products, sums and square roots only, which every machine rounds alike: hubs and
 * devices get the same integers. Pure, any thread. */
#ifndef MR_WIRE_NOISE_H
#define MR_WIRE_NOISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/announcement.h"
#include "wire/rho.h"

enum mr_noise_group {
    MR_NOISE_MODEL,   /* the main lanes */
    MR_NOISE_NORMS,   /* the trailer's bins of norms */
    MR_NOISE_WEIGHT,  /* the trailer's sum of weights; constant where weight_max is 1 */
    MR_NOISE_METRICS, /* the trailer's named metrics (metric.h) */
    MR_NOISE_GROUPS,
};

/* From here on the exact curve of the discrete Gaussian is within what epsilon.h adds. */
#define MR_NOISE_SIGMA2_MIN 64
/* Standard deviations of the whole noise that no lane leaves: less than 2^-71 for each. */
#define MR_NOISE_TAIL 10

/* ‖q‖², at most, of a vector whose norm was `clip` steps before stochastic rounding of `lanes`
 * lanes: the lesser of (clip + √lanes)² and clip² + lanes/4 + clip + √lanes/2 (arXiv 2102.06387,
 * proposition 22 with beta = e^-1/2), rounded down to an integer. A device rounds again until it
 * holds. UINT64_MAX where it does not fit. */
uint64_t mr_noise_rounded_norm2(double clip, uint32_t lanes);

/* Squared L2 distance of the group's lanes that one device makes; 0: none, the group has no noise.
 * Of the metrics it needs more than these (mr_announcement_sensitivity2): 0. */
uint64_t mr_noise_sensitivity2(enum mr_noise_group group, float scale, float clip_norm,
                               uint32_t lanes, uint32_t weight_max);

/* How many lanes the group has; `lanes` are the main ones. Not of the metrics (mr_metric_lanes). */
uint32_t mr_noise_lanes(enum mr_noise_group group, uint32_t lanes);

/* Whether Σ q[i]² <= norm2. */
bool mr_noise_vector_holds(const int8_t *q, size_t lanes, uint64_t norm2);

/* What a sum of `adders` samples of variance sigma2 does not leave: MR_NOISE_TAIL standard
 * deviations, rounded up. 0 where there is no noise. */
uint64_t mr_noise_tail(uint64_t sigma2, uint32_t adders);
/* What the L2 norm of such noise on `lanes` lanes does not exceed but for e^-50: the standard
 * deviation times (√lanes + MR_NOISE_TAIL). */
double mr_noise_norm_max(uint64_t sigma2, uint32_t adders, uint32_t lanes);

/* rho of the distributed discrete Gaussian (arXiv 2102.06387, proposition 14): `devices` honest
 * devices each add noise of variance sigma2 to `lanes` lanes. Rounded up by more than libm may be
 * off. */
mr_rho mr_noise_distributed_rho(uint64_t sensitivity2, uint64_t sigma2, uint32_t devices,
                                uint32_t lanes);
/* τ of it: 10 Σ_{k<n} exp(-2π²σ² k/(k+1)); above 4,096 devices not below that. */
double mr_noise_tau(double sigma2, uint32_t devices);

#endif
