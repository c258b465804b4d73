/* first_deltas.h - deltas to a new release from the models that devices are likely to have, made
 * before anybody asks: who asks first waits no longer than who asks later. */
#ifndef MR_MODEL_FIRST_DELTAS_H
#define MR_MODEL_FIRST_DELTAS_H

#include "appliance/model/deltas.h"
#include "appliance/runtime/loop.h"

/* The model before, and those before that. */
#define MR_FIRST_DELTAS 3
/* Devices pull a release the moment they hear of it, and nearly all have the model before: what
 * that takes comes first, on the same cores. Those from older models begin so long after it. */
#define MR_FIRST_DELTAS_PAUSE_MS 1000u

struct mr_delta_bases {
    uint8_t target[MR_HASH_BYTES];
    uint8_t hashes[MR_FIRST_DELTAS][MR_HASH_BYTES]; /* the nearest first */
    unsigned count;
};

/* Any thread. */
void mr_delta_bases_find(struct mr_delta_bases *bases, const struct mr_store *store,
                         const uint8_t target[MR_HASH_BYTES]);

/* Loop's thread only; zeroed at first, but for what is named as the owner's. */
struct mr_first_deltas {
    struct mr_loop *loop;     /* the owner's */
    struct mr_deltas *deltas; /* the owner's */
    struct mr_timer *timer;   /* the owner's: mr_first_deltas_go_on */
    struct mr_delta_bases bases;
    unsigned next;
    bool running;
    void (*first_made)(void *context); /* the delta from the nearest is there; the owner's */
    void *context;                     /* the owner's */
};

/* The nearest at once, the others after a pause and one after the other, so that what devices ask
 * for gets its turn: one of the others that somebody asks for sooner is made then. A newer
 * release's take the place of what is left. */
void mr_first_deltas_make(struct mr_first_deltas *first, const struct mr_delta_bases *bases);
/* The timer's. `first` is a struct mr_first_deltas. */
void mr_first_deltas_go_on(void *first);

#endif
