/* faults.h - what the simulator makes go wrong, and how it is called in the totals. */
#ifndef MR_TESTS_SIM_FAULTS_H
#define MR_TESTS_SIM_FAULTS_H

struct sim;

enum sim_fault {
#define SIM_FAULT(name, label, sentence) SIM_FAULT_##name,
#include "tests/sim/faults.def"
#undef SIM_FAULT
    SIM_FAULTS
};

const char *sim_fault_label(enum sim_fault fault);

/* Plans the next fault; it plans the one after it, until the fault-free phase. */
void sim_faults_begin(struct sim *sim);
/* Everything that is broken is repaired: the fault-free phase begins. */
void sim_faults_end(struct sim *sim);

/* An event: this node's machine dies now. */
void sim_fault_at_disk(struct sim *sim, void *node);

#endif
