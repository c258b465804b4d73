/* store_internal.h - the inside of store.h: store_models.c and store_rounds.c stand side by side,
 * store_versions.c above the models, store.c, which opens and checks, above all three. The end of a
 * store stands with the models: the last lent one that comes back brings it about. */
#ifndef MR_MODEL_STORE_INTERNAL_H
#define MR_MODEL_STORE_INTERNAL_H

#include <limits.h>

#include "appliance/model/store.h"
#include "appliance/model/versions.h"

/* Mapped at once while borrowed. */
#define MR_STORE_MAPPED 64

struct mr_model {
    uint8_t hash[MR_HASH_BYTES];
    uint8_t *bytes; /* NULL: the place is free */
    size_t length;
    uint32_t dimension, values; /* that are trained, of so many */
    unsigned borrowed;
    uint64_t used; /* by the store's count of borrowings */
};

struct mr_store {
    char data_dir[PATH_MAX];
    uint8_t current[MR_HASH_BYTES];
    struct mr_version_place place; /* of the current one */
    struct mr_versions *versions;  /* NULL: a store that is only looked at (mr_store_check) */
    uint64_t signed_round;
    uint8_t signed_hash[MR_HASH_BYTES];
    struct mr_model models[MR_STORE_MAPPED];
    uint64_t borrowings;
    const struct mr_survey *condemned; /* nobody can borrow these; NULL: none */
    /* Written last, by whichever thread, and not adopted yet; malloc'd. NULL: none. */
    _Atomic(struct mr_model *) written;
    /* A file that waits for its name (mr_store_write_ahead); malloc'd. NULL: none. */
    _Atomic(struct mr_model_draft *) draft;
    bool closed; /* what is lent is not back yet */
};

#define MR_STORE_PATH_BYTES (PATH_MAX + 128)

/* store_rounds.c. "rounds/{round}.{suffix}" */
void mr_store_round_path(char path[MR_STORE_PATH_BYTES], const struct mr_store *store,
                         uint64_t round, const char *suffix);
/* store_models.c. "models/{hash}.{suffix}" */
void mr_store_model_path(char path[MR_STORE_PATH_BYTES], const struct mr_store *store,
                         const uint8_t hash[MR_HASH_BYTES], const char *suffix);
/* store_versions.c. `current`, as the last version left it: 0; 1: there is none; -1. */
struct mr_store_witness {
    uint8_t hash[MR_HASH_BYTES];
    uint64_t highest; /* number of a version at that time */
};
int mr_store_read_witness(struct mr_store_witness *witness, const char *data_dir,
                          struct mr_error *error);
/* store_versions.c. What the model's manifest says of a version; its number is not given yet. */
void mr_store_describe(const struct mr_store *store, const uint8_t hash[MR_HASH_BYTES],
                       struct mr_version *version);
/* store_versions.c. Appends it, and then its copy in `current`. 0 or -1. */
int mr_store_append_version(const struct mr_store *store, struct mr_version *version,
                            struct mr_error *error);
int64_t mr_store_now_unix_ms(void);
/* store.c. Whether rounds can start from the file. 0 or -1. */
int mr_store_check_values(const uint8_t *bytes, size_t length, uint32_t *dimension,
                          struct mr_error *error);
/* store_versions.c. Opens the versions, and holds them against `current`. 0; 1: the store is empty;
 * -1. */
int mr_store_open_versions(struct mr_store *store, struct mr_error *error);
/* store_models.c. Maps a model's file while the bytes that it was written from are at hand, for the
 * next _adopt. Nothing is lost where that fails: whoever borrows the model maps it and finds out
 * why. */
void mr_store_map_written(struct mr_store *store, const uint8_t hash[MR_HASH_BYTES],
                          const uint8_t *bytes, size_t length);
/* store_models.c. Lets go of what is mapped of the models that are being removed: their room on the
 * disk is free once nobody has them. */
void mr_store_unmap_condemned(struct mr_store *store);
/* store_models.c. A model that nobody borrows; its place is free then. */
void mr_store_unmap(struct mr_model *model);

#endif
