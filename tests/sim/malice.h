/* malice.h - leads that want a device in two sums on one model: they set their current model back,
 * give rounds up at any step, and go by no ledger of their own. What the other hubs open is held
 * against the rule by check_opened.c. */
#ifndef MR_TESTS_SIM_MALICE_H
#define MR_TESTS_SIM_MALICE_H

#include "tests/sim/sim.h"

/* Whether that hub lies in this history: the one that leads the first task. */
bool sim_is_malicious(const struct sim_node *node);
/* One thing that its operator tries in that task, by chance. */
void sim_malice(struct sim *sim, const struct sim_task *task);

#endif
