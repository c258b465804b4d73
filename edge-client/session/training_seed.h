/* training_seed.h - the seed that a trainer is handed (inside session/ only).
 *
 * Whoever knows the seed of a device's training can repeat its shuffling, and its noise where a
 * trainer adds some. So it comes from a secret of this device, 32 random bytes in
 * data_dir/training-secret (0600), made once: the same for a device, task and round, and nobody
 * else's to know. Experiments that have to be repeated elsewhere fix it by a number instead
 * (training_seed in device.json). */
#ifndef MR_SESSION_TRAINING_SEED_H
#define MR_SESSION_TRAINING_SEED_H

#include "edge-client/session/client.h"

/* The seed of that round. 0, or -1: the secret can be neither read nor made. */
int mr_training_seed(const struct mre_client *client, const struct mr_announcement *round,
                     uint64_t *seed, struct mr_error *error);

#endif
