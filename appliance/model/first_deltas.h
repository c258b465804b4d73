/* first_deltas.h - deltas to a new release from the models that devices are likely to have, made
 * before anybody asks: who asks first waits no longer than who asks later. */
#ifndef MR_MODEL_FIRST_DELTAS_H
#define MR_MODEL_FIRST_DELTAS_H

#include "appliance/model/deltas.h"

/* The model before, and those before that. */
#define MR_FIRST_DELTAS 3

struct mr_delta_bases {
    uint8_t target[MR_HASH_BYTES];
    uint8_t hashes[MR_FIRST_DELTAS][MR_HASH_BYTES]; /* the nearest first */
    unsigned count;
};

/* Any thread. */
void mr_delta_bases_find(struct mr_delta_bases *bases, const struct mr_store *store,
                         const uint8_t target[MR_HASH_BYTES]);

/* Loop's thread only; zeroed at first. */
struct mr_first_deltas {
    struct mr_deltas *deltas;
    struct mr_delta_bases bases;
    unsigned next;
    bool running;
    void (*first_made)(void *context); /* the delta from the nearest is there */
    void *context;
};

/* One after the other, so that what others ask for gets its turn; a newer release's take the place
 * of what is left. */
void mr_first_deltas_make(struct mr_first_deltas *first, const struct mr_delta_bases *bases);

#endif
