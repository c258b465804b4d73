/* seeds.h - what a helper has admitted in a round: at most one seed for each (device, attempt).
 *
 * Bounded: `clients_max` devices with MR_ATTEMPTS_MAX attempts each; memory grows with the devices
 * that really come. Seeds are wiped when let go. Single-threaded. */
#ifndef MR_ROUND_HELPER_SEEDS_H
#define MR_ROUND_HELPER_SEEDS_H

#include <stdbool.h>

#include "appliance/round/id_table.h"
#include "wire/exchange.h"
#include "wire/keys.h"
#include "wire/messages.h"

struct mr_seed_client;

struct mr_seed {
    uint8_t bytes[MR_SEED_BYTES];
    uint8_t sealed_hash[MR_HASH_BYTES]; /* of the sealed bytes that brought it: public */
    struct mr_serial serial;            /* of the certificate that it came with */
};

struct mr_seeds {
    struct mr_id_table map;
    struct mr_seed_client *clients;
    uint32_t count; /* devices admitted */
    uint32_t capacity;
    uint32_t clients_max;
};

enum mr_seed_outcome {
    MR_SEED_ADMITTED,
    MR_SEED_KNOWN, /* that attempt has a seed, which stays */
    MR_SEED_FULL,  /* no room for another device, or out of memory */
};

void mr_seeds_init(struct mr_seeds *seeds, uint32_t clients_max, uint64_t salt);
void mr_seeds_wipe(struct mr_seeds *seeds); /* forgets and wipes everything; may be called again */

/* Copied; included->attempt < MR_ATTEMPTS_MAX. */
enum mr_seed_outcome mr_seeds_admit(struct mr_seeds *seeds, const struct mr_included *included,
                                    const struct mr_seed *seed);

/* The seed of a device's attempt, or NULL if this hub never admitted it. */
const struct mr_seed *mr_seeds_find(const struct mr_seeds *seeds,
                                    const struct mr_included *included);

/* The device's place in the order in which first seeds came, from 0; UINT32_MAX: none has. */
uint32_t mr_seeds_place(const struct mr_seeds *seeds, const uint8_t client_id[MR_CLIENT_ID_BYTES]);

/* What was admitted, as the root of a tree (wire/evidence.h), and of how many seeds. 0, or -1
 * without memory. */
int mr_seeds_root(const struct mr_seeds *seeds, uint8_t root[MR_HASH_BYTES], uint32_t *count);

#endif
