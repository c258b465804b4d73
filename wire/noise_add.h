/* noise_add.h - the noise of one release in the lanes of a packed vector: of a hub's result, or of
 * a device's lifted share. Pure compute; memory for the tables only. */
#ifndef MR_WIRE_NOISE_ADD_H
#define MR_WIRE_NOISE_ADD_H

#include "kernels/kernels.h"
#include "wire/noise_seed.h"

/* What samples of the announced variances are drawn with; a few milliseconds to make, so a hub
 * makes it when a round begins. No secret. */
struct mr_noise_tables;
/* Makes *tables (NULL: none yet) those of that announcement, where they are not. 0, or -1 without
 * memory. */
int mr_noise_tables_prepare(struct mr_noise_tables **tables,
                            const struct mr_announcement *announcement);
void mr_noise_tables_free(struct mr_noise_tables *tables); /* NULL allowed */

/* Adds a sample to each lane with noise of a packed vector (share_bytes of the terms' layout), from
 * the seed of this release and of no other. How long it takes says next to nothing of the samples
 * (docs/privacy.md). 0, or -1 without memory: the vector must not be used. */
int mr_noise_add_seed(uint8_t *packed, const struct mr_noise_tables *tables,
                      const struct mr_round_terms *terms, const uint8_t seed[MR_NOISE_SEED_BYTES],
                      const struct mr_kernels *kernels);

#endif
