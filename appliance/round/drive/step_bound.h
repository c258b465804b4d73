/* step_bound.h - the rule for step_max: the L2 norm of the largest step from one model to the next
 * that hubs take (docs/wire-format.md section 4, docs/decisions/0032-bounded-reach.md). Pure. */
#ifndef MR_ROUND_DRIVE_STEP_BOUND_H
#define MR_ROUND_DRIVE_STEP_BOUND_H

#include "wire/announcement.h"

/* The largest step that honest devices can make: rate * ω_max * (C + sqrt(L) / scale). Of an
 * announcement whose other numbers are filled; a finite, normal number above 0. */
float mr_step_bound_honest(const struct mr_announcement *announcement, uint32_t lanes,
                           float server_learning_rate);

#endif
