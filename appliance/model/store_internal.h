/* store_internal.h - the inside of store.h: store_models.c and store_rounds.c stand side by side,
 * store.c, which opens and checks, above both. The end of a store stands with the models: the
 * last lent one that comes back brings it about. */
#ifndef MR_MODEL_STORE_INTERNAL_H
#define MR_MODEL_STORE_INTERNAL_H

#include <limits.h>

#include "appliance/model/store.h"

/* Mapped at once while borrowed. */
#define MR_STORE_MAPPED 64

struct mr_model {
    uint8_t hash[MR_HASH_BYTES];
    uint8_t *bytes; /* NULL: the place is free */
    size_t length;
    uint32_t dimension;
    unsigned borrowed;
    uint64_t used; /* by the store's count of borrowings */
};

struct mr_store {
    char data_dir[PATH_MAX];
    uint8_t current[MR_HASH_BYTES];
    uint64_t signed_round;
    uint8_t signed_hash[MR_HASH_BYTES];
    struct mr_model models[MR_STORE_MAPPED];
    uint64_t borrowings;
    const struct mr_survey *condemned; /* nobody can borrow these; NULL: none */
    bool closed;                       /* what is lent is not back yet */
};

#define MR_STORE_PATH_BYTES (PATH_MAX + 128)

/* store_rounds.c. "rounds/{round}.{suffix}" */
void mr_store_round_path(char path[MR_STORE_PATH_BYTES], const struct mr_store *store,
                         uint64_t round, const char *suffix);
/* store_models.c. "models/{hash}.{suffix}" */
void mr_store_model_path(char path[MR_STORE_PATH_BYTES], const struct mr_store *store,
                         const uint8_t hash[MR_HASH_BYTES], const char *suffix);
/* store_models.c. A model that nobody borrows; its place is free then. */
void mr_store_unmap(struct mr_model *model);

#endif
