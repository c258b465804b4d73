/* training.h - the seed of a device's training, from a secret that never leaves the device. */
#ifndef MR_WIRE_TRAINING_H
#define MR_WIRE_TRAINING_H

#include <stdint.h>

#define MR_TRAINING_SECRET_BYTES 32

/* The first 8 bytes, big-endian, of HMAC-SHA256(secret, len8 ‖ "millrace training" ‖ len8(task) ‖
 * task ‖ be64(round)). 0, or -1 when OpenSSL fails. */
int mr_training_seed_derive(uint64_t *seed, const uint8_t secret[MR_TRAINING_SECRET_BYTES],
                            const char *task, uint64_t round);

#endif
