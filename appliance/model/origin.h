/* origin.h - where a model came from, as its manifest in the store says. Any thread. */
#ifndef MR_MODEL_ORIGIN_H
#define MR_MODEL_ORIGIN_H

#include "appliance/model/store.h"
#include "wire/release.h"

struct mr_model_origin {
    bool has_parent;
    uint8_t parent[MR_HASH_BYTES];
    bool has_round; /* a round made it, and all that this took is known: */
    struct mr_round_terms terms;
    uint32_t included; /* devices in the set */
};

/* 0; 1: the store has no manifest of that model, or none that says where it came from. */
int mr_model_origin_read(const struct mr_store *store, const uint8_t hash[MR_HASH_BYTES],
                         struct mr_model_origin *origin);

/* The version of a model: the round that made it or the nearest one before it, and how many
 * versions were made without a round since. *round_origin is that round's. 0; 1: no round led
 * there. */
int mr_model_version(const struct mr_store *store, const uint8_t hash[MR_HASH_BYTES],
                     struct mr_release_version *version, struct mr_model_origin *round_origin);

#endif
