/* noise_seed.h - what a hub's noise of one release is made from. Byte layouts:
 * docs/wire-format.md, "Noise".
 *
 * A function of the hub's signing key, the announcement and the set, and of nothing else: whoever
 * asks again, crashes or restores gets the same noise over the same set, and never the same over
 * another. Secret, as the noise is. */
#ifndef MR_WIRE_NOISE_SEED_H
#define MR_WIRE_NOISE_SEED_H

#include "wire/noise.h"

#define MR_NOISE_SEED_BYTES 32

/* The release that it is for. */
struct mr_noise_scope {
    const uint8_t *announcement_hash, *set_hash; /* MR_HASH_BYTES each */
    uint16_t hub_index;
};

/* All return 0, or -1 when OpenSSL fails. `private_key` is the raw Ed25519 seed. */
int mr_noise_seed_derive(uint8_t seed[MR_NOISE_SEED_BYTES], const uint8_t private_key[32],
                         const struct mr_noise_scope *scope);
/* The key of the group's samples (gauss.h). */
int mr_noise_key_derive(uint8_t key[32], const uint8_t seed[MR_NOISE_SEED_BYTES],
                        enum mr_noise_group group);
/* What a transcript says of the seed before anything is opened: its hash. */
int mr_noise_seed_hash(uint8_t hash[MR_HASH_BYTES], const uint8_t seed[MR_NOISE_SEED_BYTES],
                       const struct mr_noise_scope *scope);

#endif
