/* hub_noise.h - this hub's noise of one release, added to its result before it commits to it. Why
 * before: at the reveal every hub computes the same from all results, and noise that all of them
 * know hides nothing. Pure compute. */
#ifndef MR_PRIVACY_HUB_NOISE_H
#define MR_PRIVACY_HUB_NOISE_H

#include "base/error.h"
#include "kernels/kernels.h"
#include "wire/noise_add.h"

/* Makes the tables of that announcement where this hub is to add noise (mr_noise_tables_prepare).
 */
int mr_hub_noise_prepare(struct mr_noise_tables **tables,
                         const struct mr_announcement *announcement);

struct mr_hub_noise {
    const struct mr_noise_tables *tables; /* of the terms' announcement */
    const struct mr_round_terms *terms;
    const uint8_t *set_hash;
    uint16_t hub_index;
    const uint8_t *private_key; /* Ed25519 seed */
};

/* Adds it to a packed result (share_bytes of the terms' layout): nothing in a round without noise
 * of hubs. Of the same release always the same. How long it takes says next to nothing of the
 * samples (docs/privacy.md). 0, or -1 with an error: the result must not be used. */
int mr_hub_noise_add(uint8_t *result, const struct mr_hub_noise *noise,
                     const struct mr_kernels *kernels, struct mr_error *error);
/* The hash of its seed, for the transcript. 0, or -1 when OpenSSL fails. */
int mr_hub_noise_hash(uint8_t hash[MR_HASH_BYTES], const struct mr_hub_noise *noise);

#endif
