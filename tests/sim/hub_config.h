/* hub_config.h - the configuration of a simulated hub, made by hand: there is no file. */
#ifndef MR_TESTS_SIM_HUB_CONFIG_H
#define MR_TESTS_SIM_HUB_CONFIG_H

#include "appliance/config/hub_config.h"
#include "tests/sim/sim.h"

/* What the operators of the simulator's hubs accept: the defaults, and where leads lie fewer draws.
 */
#define SIM_SHARE_PERCENT       25u
#define SIM_PASSED_OVER_PERCENT 75u
#define SIM_DRAW_VOIDS          2u

/* A task as the configuration has it, with what that points at. */
struct sim_config_task {
    char name[MR_TASK_NAME_MAX + 1], initial[64], mark_key[64];
    char mark_hashes[SIM_HUBS * (2 * MR_WATERMARK_HASH_BYTES + 1)];
    uint16_t hubs[SIM_HUBS];
};

/* Points into itself: not to be copied. */
struct sim_hub_config {
    struct mr_hub_config config;
    struct mr_config_hub hubs[SIM_HUBS];
    char names[SIM_HUBS][16], hosts[SIM_HUBS][24];
    struct mr_config_task tasks[SIM_TASKS];
    struct sim_config_task own[SIM_TASKS];
    char data_dir[32];
};

void sim_hub_configure(const struct sim *sim, struct sim_hub_config *made,
                       const struct sim_node *node);

#endif
