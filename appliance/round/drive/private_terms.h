/* private_terms.h - the terms of noise of a round: filled in by its lead, judged by every hub.
 * Pure.
 */
#ifndef MR_ROUND_DRIVE_PRIVATE_TERMS_H
#define MR_ROUND_DRIVE_PRIVATE_TERMS_H

#include <stdbool.h>

#include "appliance/config/hub_config.h"
#include "appliance/task/budget.h"
#include "wire/announcement.h"
#include "wire/refusal.h"

/* What the operator has configured. */
struct mr_private_policy {
    const struct mr_config_privacy *privacy;
    const struct mr_config_round *round;
};

/* Noise, levels, scale, cost and budget, for an announcement that is filled but for these, of a
 * task whose privacy has noise; `devices` are expected, and so many of cohort_min as the round's
 * policy says may be one adversary's. 0, or -1 with an error that names the bound
 * that does not hold. */
int mr_private_terms_fill(struct mr_announcement *announcement,
                          const struct mr_private_policy *policy, uint32_t devices,
                          struct mr_error *error);

/* Whether a hub whose operator has configured that (without noise: anything) signs such terms:
 * noise of that kind, no budget above its own, no shorter horizon, the same pool, and no more
 * devices counted as honest than its own colluders leave. False with the refusal filled. */
bool mr_private_terms_hold(const struct mr_announcement *announcement,
                           const struct mr_private_policy *policy, struct mr_refusal *refusal);

/* What the release of a round costs each device of its set. False: nothing. */
bool mr_private_terms_debit(struct mr_budget_debit *debit,
                            const struct mr_announcement *announcement, uint64_t unix_ms);

#endif
