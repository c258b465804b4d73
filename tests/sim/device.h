/* device.h - devices of the simulation: one real client (mre_client_round) in a coroutine for
 * each task that it takes part in, with a trainer whose result is one-hot, so that a sum tells who
 * is in it. */
#ifndef MR_TESTS_SIM_DEVICE_H
#define MR_TESTS_SIM_DEVICE_H

#include "tests/sim/sim.h"
#include "wire/identity.h"

void sim_devices_new(struct sim *sim);
void sim_devices_free(struct sim *sim);
void sim_device_start(struct sim_node *node);
/* It starts again after `again_us`; UINT64_MAX: never. */
void sim_device_kill(struct sim_node *node, uint64_t again_us);

void sim_device_id(uint8_t client_id[MR_CLIENT_ID_BYTES], unsigned device);
/* The device of that id, or -1. */
int sim_device_by_id(const struct sim *sim, const uint8_t client_id[MR_CLIENT_ID_BYTES]);

/* What a device trains in a round: this value in the lane of its own number, zero elsewhere. */
int sim_device_value(const struct sim_task *task, unsigned device, uint64_t round);
#define SIM_MOMENTUM  0.5f /* of the server optimiser, where it has one */
#define SIM_LOSS      0.5f
#define SIM_CLIP_NORM 100.0f /* of every round; above every device's norm */

static inline uint32_t sim_device_examples(unsigned device)
{
    return device + 1;
}

#endif
