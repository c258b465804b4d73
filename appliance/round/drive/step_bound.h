/* step_bound.h - the rule for step_max: the L2 norm of the largest step from one model to the next
 * that hubs take (docs/wire-format.md section 4, docs/decisions/0032-bounded-reach.md). Pure. */
#ifndef MR_ROUND_DRIVE_STEP_BOUND_H
#define MR_ROUND_DRIVE_STEP_BOUND_H

#include "appliance/round/drive/round_history.h"
#include "wire/announcement.h"

/* What the rule goes by. */
struct mr_step_rule {
    const struct mr_announcement *announcement; /* all of it but step_max */
    uint32_t lanes;                             /* L */
    const struct mr_round_history *history;
};

/* A finite, normal number above 0. With no round opened before: what honest devices can make at
 * most of a first round: what the announced optimiser makes of a mean update of ω_max * (C +
 * sqrt(L) / scale) (mr_optimiser_reach). Else four times the median of the last eight opened
 * rounds' steps, each times sqrt(N / cohort_min) of its set of N devices; at least what it usually
 * makes of M, the norm that the announced scale is made for, q sqrt(L) / (4 scale), and at most C.
 */
float mr_step_bound(const struct mr_step_rule *rule);

#endif
