/* opened_sum.h - the hubs' opened results added to one sum, and what that sum must be. Pure
 * compute. */
#ifndef MR_AGGREGATE_OPENED_SUM_H
#define MR_AGGREGATE_OPENED_SUM_H

#include "base/error.h"
#include "kernels/kernels.h"
#include "wire/announcement.h"
#include "appliance/aggregate/sum.h"

/* What the trailer says of a round. A mean is NaN where the cohort is so large that it may have
 * wrapped (wire/layout.h). */
struct mr_round_metrics {
    uint32_t weight; /* Σ ω */
    double examples_mean;
    double loss_mean;
    double drift_mean;
    double clipped_mean;
};

/* Adds one result a hub (in list order: share_bytes each, 64-byte aligned) into `sum`, whose lanes
 * are the caller's accumulator for that layout. Refuses (-1) a sum whose count lane is not
 * included_count ("count lane"), whose weight lane is out of range ("weight lane"), or that holds a
 * lane no such set of int8 vectors can reach ("range"). */
int mr_opened_sum_add(struct mr_vector_sum *sum, const struct mr_round_terms *terms,
                      const uint8_t *const *results, uint32_t included_count,
                      const struct mr_kernels *kernels, struct mr_error *error);

void mr_round_metrics_read(struct mr_round_metrics *metrics, const struct mr_vector_sum *sum,
                           uint32_t included_count);

#endif
