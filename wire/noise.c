#include "wire/noise.h"

#include <math.h>

/* The largest double below 2^64 in steps that matter here. */
#define NORM2_MAX 0x1p63
#define TERMS     4096u /* of tau, one by one */

uint64_t mr_noise_rounded_norm2(double clip, uint32_t lanes)
{
    const double root = sqrt(lanes);
    const double worst = (clip + root) * (clip + root);
    const double likely = clip * clip + lanes / 4.0 + clip + root / 2;
    const double least = worst < likely ? worst : likely;
    return least < NORM2_MAX ? (uint64_t)least : UINT64_MAX; /* NaN too */
}

uint64_t mr_noise_sensitivity2(enum mr_noise_group group, float scale, float clip_norm,
                               uint32_t lanes, uint32_t weight_max)
{
    switch (group) {
    case MR_NOISE_MODEL:
        return mr_noise_rounded_norm2((double)scale * (double)clip_norm, lanes);
    case MR_NOISE_NORMS:
        return 1;
    case MR_NOISE_WEIGHT:
        return weight_max > 1 ? (uint64_t)weight_max * weight_max : 0;
    default:
        return 0;
    }
}

uint32_t mr_noise_lanes(enum mr_noise_group group, uint32_t lanes)
{
    return group == MR_NOISE_MODEL   ? lanes
           : group == MR_NOISE_NORMS ? MR_TRAILER_LANES - MR_TRAILER_NORMS
                                     : 1;
}

bool mr_noise_vector_holds(const int8_t *q, size_t lanes, uint64_t norm2)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < lanes; i++) {
        sum += (uint64_t)(q[i] * q[i]);
    }
    return sum <= norm2;
}

uint64_t mr_noise_tail(uint64_t sigma2, uint32_t adders)
{
    const double tail = ceil(MR_NOISE_TAIL * sqrt((double)sigma2 * adders));
    return tail < NORM2_MAX ? (uint64_t)tail : UINT64_MAX;
}

double mr_noise_norm_max(uint64_t sigma2, uint32_t adders, uint32_t lanes)
{
    return sqrt((double)sigma2 * adders) * (sqrt(lanes) + MR_NOISE_TAIL);
}

double mr_noise_tau(double sigma2, uint32_t devices)
{
    const uint32_t one_by_one = devices < TERMS ? devices : TERMS;
    double sum = 0;
    for (uint32_t k = 1; k < one_by_one; k++) {
        sum += exp(-2 * M_PI * M_PI * sigma2 * k / (k + 1.0));
    }
    /* The terms fall: what is left is at most so many of the next. */
    sum +=
        (devices - one_by_one) * exp(-2 * M_PI * M_PI * sigma2 * one_by_one / (one_by_one + 1.0));
    return 10 * sum;
}

mr_rho mr_noise_distributed_rho(uint64_t sensitivity2, uint64_t sigma2, uint32_t devices,
                                uint32_t lanes)
{
    if (sensitivity2 == 0) {
        return 0;
    }
    if (sigma2 == 0 || devices == 0) {
        return MR_RHO_MAX;
    }
    const double far = sqrt((double)sensitivity2), root = sqrt(lanes);
    /* Of integers the L1 norm is at most the squared L2 norm. */
    const double l1 = far * root < (double)sensitivity2 ? far * root : (double)sensitivity2;
    const double noise = sqrt((double)sigma2 * devices);
    const double tau = mr_noise_tau((double)sigma2, devices);
    const double spread = far * far / (noise * noise) + 2 * tau * l1 / noise + tau * tau * lanes;
    const double whole = (far / noise + tau * root) * (far / noise + tau * root);
    return mr_rho_above((spread < whole ? spread : whole) / 2 * (1 + 0x1p-40));
}
