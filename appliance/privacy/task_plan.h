/* task_plan.h - the plan of a task as its operator configured it. Pure. */
#ifndef MR_PRIVACY_TASK_PLAN_H
#define MR_PRIVACY_TASK_PLAN_H

#include "appliance/config/hub_config.h"
#include "appliance/privacy/plan.h"

/* The question for a task whose `privacy` has noise, for a model of so many values; of a checked
 * configuration. `devices` is its quorum. */
struct mr_plan_question mr_task_plan_question(const struct mr_config_task *task,
                                              uint32_t dimension);

#endif
