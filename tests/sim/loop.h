/* loop.h - the simulated event loop's own side: who it belongs to, and what wakes it. */
#ifndef MR_TESTS_SIM_LOOP_H
#define MR_TESTS_SIM_LOOP_H

#include "appliance/runtime/loop.h"
#include "tests/sim/sim.h"

struct mr_loop *sim_loop_open(struct sim_node *node, void (*stopped)(struct sim_node *node));
struct sim_node *sim_loop_node(const struct mr_loop *loop);
/* Whether events reach it: not while its hub starts or stops, which runs the loop itself. */
void sim_loop_turns(struct mr_loop *loop, bool turning);
void sim_loop_close(struct mr_loop *loop);
/* Bytes were written to a real descriptor: if a loop watches it, its callback is due. */
void sim_loop_written(int fd);

#endif
