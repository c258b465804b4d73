/* operator.h - the operators: they open rounds of every task as long as there is a reason to, and
 * copy models to helpers with new disks. */
#ifndef MR_TESTS_SIM_OPERATOR_H
#define MR_TESTS_SIM_OPERATOR_H

#include "tests/sim/sim.h"

/* Everything is over when each task has published a round of the fault-free phase. */
void sim_operators_begin(struct sim *sim);

/* What models of the task other hubs have and this one lacks. */
void sim_fetch_models(struct sim_node *node, const struct sim_task *task);

/* Hubs of the task that are older than themselves recover. */
enum sim_recovering {
    SIM_RECOVERED,  /* there is none */
    SIM_RECOVERING, /* no round is opened meanwhile */
    SIM_RESUMES,    /* all go on with the version of task->resume */
};
enum sim_recovering sim_recover(struct sim *sim, struct sim_task *task);

#endif
