/* plan.h - from what an operator wants (epsilon, delta, how many rounds) to the numbers of a
 * private round, or the bound that does not hold. docs/privacy.md, "From epsilon to a round".
 *
 *   budget   = the largest rho that is in force for (epsilon, delta)     (wire/epsilon.h)
 *   rounds of one device k = ceil(rounds * participation)
 *   rho      = floor(budget / k), of one round: norms and weights (where weight_max > 1) get a part
 *              of it each, the model what is left of it; norms whose noise would be more than a
 *              quarter of the devices are not sent, and cost nothing; so it is with metrics whose
 *              means would be off by more than a quarter of their range. Of an evaluation round
 *              they get what the weights leave, and there are no norms and no model
 *   levels   = the most in LEVELS_MIN..127 with
 *              headroom * (cohort_max * levels + tail of the model's noise) < 2^(ring_bits - 1)
 *   scale    = levels * sqrt(L) / (4 * clip_norm): no honest vector is cut off. The norms that
 *              opened rounds told are not asked: the noise hides what a finer step would show.
 *
 * A round's noise, scale and levels follow from the question alone, nothing opened goes into them.
 * Pure, any thread. */
#ifndef MR_PRIVACY_PLAN_H
#define MR_PRIVACY_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "wire/announcement.h"
#include "wire/epsilon.h"
#include "wire/noise.h"

#define MR_PLAN_EPSILON_MAX   64
#define MR_PLAN_DELTA_MIN     1e-15
#define MR_PLAN_ROUND_MIN     (MR_RHO_ONE >> 24) /* rho of a round */
#define MR_PLAN_LEVELS_MIN    4  /* rounding makes the noise longer by sqrt(1 + 4 / levels^2) */
#define MR_PLAN_LEVELS_ENOUGH 16 /* less than a hundredth: no wider ring is chosen for more */

struct mr_plan_question {
    enum mr_noise_kind noise; /* HUB or DEVICE */
    double epsilon, delta;
    uint32_t rounds;      /* the budget is for so many */
    double participation; /* of which one device is in so many at most; (0, 1] */
    uint32_t devices;     /* of a round, as expected; only the errors go by it */
    uint32_t cohort_min, cohort_max;
    uint32_t colluders; /* DEVICE: of cohort_min, so many may tell or leave out their noise */
    uint32_t hubs;
    uint32_t dimension;
    uint8_t ring_bits;     /* one of mr_ring_widths; 0: the narrowest that leaves
                              MR_PLAN_LEVELS_ENOUGH, or the widest */
    uint8_t rotation_log2; /* as announced */
    uint32_t chunk_bytes;
    uint32_t headroom;
    uint32_t weight_max;
    float clip_norm;
    bool evaluation;       /* no model: the metrics get what is left of a round */
    uint32_t metric_lanes; /* named metrics (wire/metric.h), all stages; 0: none */
    uint32_t metric_unit;
};

struct mr_plan_release {
    uint64_t sensitivity2; /* squared steps */
    uint64_t sigma2;       /* of one adder's noise, squared steps; 0: no such release */
    mr_rho rho;            /* what it costs, of a round */
};

struct mr_plan {
    mr_rho budget; /* for (epsilon, delta) */
    mr_rho round;  /* what one round costs: the sum of the releases */
    uint32_t device_rounds;
    struct mr_plan_release releases[MR_NOISE_GROUPS];
    double z; /* standard deviation of one hub's noise (DEVICE: of all honest devices') over the
                 sensitivity of the model's lanes */
    double epsilon; /* in force after device_rounds rounds: at most the one asked for */
    float scale;
    uint8_t levels;
    struct mr_layout layout; /* ring_bits as asked for or chosen; share_bytes: a device's upload */
    uint32_t adders;         /* whose noise is in a sum at most: hubs, or cohort_max devices */
    /* Expected, of an update of `devices` devices of full weight: */
    double error_lane;   /* standard deviation of one value of the model's step */
    double error_update; /* L2 norm of the step's error, of all values */
    double error_weight; /* relative, of the sum of weights, where all have half of weight_max */
    double error_metric; /* of a metric's mean, in parts of its range, likewise; 0: none is told */
    double tail; /* chance that any lane's noise is beyond its tail: an honest round is void */
    double wrap; /* chance that any lane leaves the ring, at most */
};

/* 0, or -1 with an error that names the bound that broke, its figures and the remedy. */
int mr_plan_make(struct mr_plan *plan, const struct mr_plan_question *question,
                 struct mr_error *error);

#endif
