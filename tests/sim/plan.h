/* plan.h - what a seed decides before anything runs: the federation, its tasks, the faults. */
#ifndef MR_TESTS_SIM_PLAN_H
#define MR_TESTS_SIM_PLAN_H

#include "tests/sim/sim.h"

void sim_plan_draw(struct sim *sim);

/* The task that a path (/v1/tasks/NAME/…) or a log event's text (task=NAME …) is about; NULL: none.
 */
const struct sim_task *sim_task_of_path(const struct sim *sim, const char *path);
/* How a path ends, and the number behind "/rounds/" in it (0: none). */
bool sim_path_ends(const char *path, const char *end);
uint64_t sim_path_round(const char *path);
const struct sim_task *sim_task_of_event(const struct sim *sim, const char *text);

struct sim_node *sim_task_lead(struct sim *sim, const struct sim_task *task);
bool sim_task_leads(const struct sim_task *task, const struct sim_node *node);
bool sim_task_helps(const struct sim_task *task, const struct sim_node *node);
static inline bool sim_task_serves(const struct sim_task *task, const struct sim_node *node)
{
    return sim_task_leads(task, node) || sim_task_helps(task, node);
}
/* Whether this hub leads in any task. */
bool sim_leads_any(const struct sim *sim, const struct sim_node *node);

#endif
