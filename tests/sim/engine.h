/* engine.h - the engine's own life, for whoever runs a simulation. */
#ifndef MR_TESTS_SIM_ENGINE_H
#define MR_TESTS_SIM_ENGINE_H

#include "tests/sim/sim.h"

void sim_engine_open(struct sim *sim);  /* options are set */
void sim_engine_close(struct sim *sim); /* every node is down */
void sim_activate(struct sim *sim);     /* NULL: none */
/* Runs the next event. false: there is none. */
bool sim_step(struct sim *sim);

#endif
