/* privacy_terms.h - what a round with noise says of it: how much is added to each group of lanes
 * (noise.h), what a device pays for the release, and out of which budget. Why:
 * docs/decisions/0045-noise-in-the-shares.md.
 *
 * The cost follows from the other announced numbers, in integers, so that every hub and device
 * checks it by itself. */
#ifndef MR_WIRE_PRIVACY_TERMS_H
#define MR_WIRE_PRIVACY_TERMS_H

#include <stdint.h>

#include "wire/rho.h"
#include "wire/task.h"

#define MR_PRIVACY_RHO_MAX                                                                         \
    (UINT64_C(1) << 52) /* a rho of 4096; exact in a double, as JSON has it */
#define MR_PRIVACY_DELTA_MAX 0.5f

/* All zero, and the pool empty, in a round without noise. */
struct mr_privacy_terms {
    /* The variance of each adder's noise in the main lanes, the bins of norms and the sum of
     * weights, in squared steps: MR_NOISE_SIGMA2_MIN..MR_GAUSS_SIGMA2_MAX. Of the bins also 0: then
     * devices leave them empty. Of the weights 0 exactly where weight_max is 1. An evaluation round
     * has none of the first two, and noise on its metrics. */
    uint64_t model_sigma2, norms_sigma2, weight_sigma2;
    /* Of the named metrics (metric.h), likewise, or 0: devices leave them empty. */
    uint64_t metrics_sigma2;
    mr_rho rho;         /* what the release costs each device of its set: mr_announcement_rho */
    mr_rho budget;      /* what a device may spend in the pool; rho..MR_PRIVACY_RHO_MAX */
    uint32_t horizon_s; /* what was spent so long ago counts no more; 0: it counts for ever */
    float delta;        /* with which rho is shown as epsilon; normal, up to MR_PRIVACY_DELTA_MAX */
    /* With noise of devices: so many of cohort_min devices add theirs and tell nobody, by which rho
     * is reckoned; 2..cohort_min. 0 with noise of hubs. */
    uint32_t honest;
    char pool[MR_TASK_NAME_MAX + 1]; /* shared by tasks over the same data; mr_task_name_valid */
};

#endif
