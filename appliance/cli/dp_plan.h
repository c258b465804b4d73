/* dp_plan.h - a plan for rounds with noise, as it is printed. */
#ifndef MR_CLI_DP_PLAN_H
#define MR_CLI_DP_PLAN_H

#include <jansson.h>

#include "appliance/privacy/plan.h"

/* What was asked, and what it comes to: one flat object. */
json_t *mr_cli_plan_json(const struct mr_plan_question *question, const struct mr_plan *plan);

#endif
