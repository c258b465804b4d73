/* operator.h - the operators: they open rounds of every task as long as there is a reason to, and
 * copy models to helpers with new disks. */
#ifndef MR_TESTS_SIM_OPERATOR_H
#define MR_TESTS_SIM_OPERATOR_H

#include "tests/sim/sim.h"

/* Everything is over when each task has published a round of the fault-free phase. */
void sim_operators_begin(struct sim *sim);

#endif
