/* opened_sum.h - the hubs' opened results added to one sum, and what that sum must be. Pure
 * compute. */
#ifndef MR_AGGREGATE_OPENED_SUM_H
#define MR_AGGREGATE_OPENED_SUM_H

#include "base/error.h"
#include "kernels/kernels.h"
#include "wire/announcement.h"
#include "wire/metric.h"
#include "appliance/aggregate/sum.h"

/* What the trailer says of a round. A mean is NaN where the cohort is so large that it may have
 * wrapped (wire/layout.h). */
struct mr_round_metrics {
    uint32_t weight; /* Σ ω */
    double examples_mean;
    double loss_mean;
    double drift_mean;
    double
        saturated; /* share of the lanes, mean over the devices; NaN, as the next two, with noise */
    double resolution; /* |q| in steps, mean over lanes and devices */
    double noise;      /* Σ over the devices of the mean squared rounding error, steps^2 */
    double error; /* of the update by rounding, relative: estimated, at most 10; NaN: unknown */
    uint32_t norms[MR_NORM_BINS]; /* devices by weighted norm; all 0: the lanes made no sense */
    struct mr_norm_memory memory; /* for the next round's step, with this round's norms */
    double step;                  /* L2 norm of the step to the next model; 0: not known */
    /* The named metrics, weighted means; NaN where the round does not tell it. */
    unsigned metric_count;
    struct {
        char name[MR_METRIC_NAME_MAX + 1];
        double mean[MR_METRIC_STAGES];
    } metrics[MR_METRICS_MAX];
};

/* How far a sum reaches. */
struct mr_sum_reach {
    double norm; /* L2 norm of its main lanes, in quantisation steps */
    double step; /* L2 norm of the step to the next model that it makes, padding included */
};

/* Adds one result a hub (in list order: share_bytes each, 64-byte aligned) into `sum`, whose lanes
 * are the caller's accumulator for that layout. Refuses (-1) a sum whose count lane is not
 * included_count ("count lane"), whose weight lane is out of range ("weight lane"), that holds a
 * lane no such set of int8 vectors can reach ("range"), a metric beyond what devices of that weight
 * can report ("metric lane"), or an update in an evaluation round ("evaluation"). */
int mr_opened_sum_add(struct mr_vector_sum *sum, const struct mr_round_terms *terms,
                      const uint8_t *const *results, uint32_t included_count,
                      const struct mr_kernels *kernels, struct mr_error *error);

/* Σ ω of a sum that was not refused: its lane, kept within what its devices can have where that has
 * noise. */
uint32_t mr_opened_sum_weight(const struct mr_vector_sum *sum, const struct mr_round_terms *terms);

/* The largest norm that the sums of so many honest devices have, N (C scale + sqrt(L)), with a
 * slack of 2^-10 for the floats of the devices, and that of the hubs' noise. */
double mr_opened_sum_norm_max(const struct mr_round_terms *terms, uint32_t included_count);

/* Refuses (-1) a sum of a larger norm ("norm"), or that takes a larger step than the announced
 * step_max ("step"). */
int mr_opened_sum_check_reach(const struct mr_sum_reach *reach, const struct mr_round_terms *terms,
                              uint32_t included_count, struct mr_error *error);

/* What the trailer says; `memory` is that of the opened round before (zeros: none). error is NaN:
 * it needs mr_round_metrics_judge. */
void mr_round_metrics_read(struct mr_round_metrics *metrics, const struct mr_vector_sum *sum,
                           const struct mr_round_terms *terms, const struct mr_norm_memory *memory);

/* Estimates the update's error, sqrt(noise / (P - noise)), with P the mean square of the sum's
 * lanes in steps: what is not rounding noise in it is the update. No noise is taken for less than
 * its lane can tell, and what was cut off at the levels for the same on all devices. 1 where the
 * sum is nothing but zeros: rounding left nothing of the update, or there was none. */
void mr_round_metrics_judge(struct mr_round_metrics *metrics, const struct mr_vector_sum *sum,
                            const struct mr_round_terms *terms, double mean_square);

#endif
