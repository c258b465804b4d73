/* retention.h - how long what a store holds stays there: the newest so many, and none older than so
 * many days; what is needed stays whatever its age.
 *
 * A pass has four steps. Those on files are jobs of the thread that writes the store, so that
 * nothing is written while they look or remove; the others belong to the loop's thread, which alone
 * knows what a round needs.
 *
 *   job   mr_store_survey    what is there, and the oldest of what is over
 *   loop  mr_store_condemn   strikes off what is needed; nobody can borrow what is left
 *   job   mr_store_remove    removes it; the current model never, whatever came in between
 *   loop  mr_store_acquit    the pass is over
 *
 * A crash at any point leaves files that the next pass finds again.
 * docs/decisions/0026-retention.md.
 */
#ifndef MR_MODEL_RETENTION_H
#define MR_MODEL_RETENTION_H

#include <stdbool.h>
#include <stdint.h>

#include "appliance/model/store.h"

enum mr_stored_kind {
    MR_STORED_MODELS, /* and their manifests, which stay as long as their round's record */
    MR_STORED_SUMS,
    MR_STORED_ROUNDS, /* records */
    MR_STORED_LOGS,   /* commit log, journal: counted here, removed by who writes them */
    MR_STORED_KINDS,
};
const char *mr_stored_kind_name(enum mr_stored_kind kind);

/* 0: no limit. Of LOGS nothing. */
struct mr_keep_limit {
    uint32_t count, days;
};
struct mr_keep {
    struct mr_keep_limit limits[MR_STORED_KINDS];
};

/* Removed in one pass at most: the thread has rounds to serve. */
#define MR_DOOMED_MAX 64

struct mr_doomed {
    enum mr_stored_kind kind;
    uint8_t hash[MR_HASH_BYTES]; /* of a model */
    uint64_t round;              /* of the others */
    uint64_t bytes;
    bool removed;
};

struct mr_survey {
    uint64_t files[MR_STORED_KINDS], bytes[MR_STORED_KINDS];
    uint64_t model_bytes, sum_bytes; /* of the largest */
    struct mr_doomed doomed[MR_DOOMED_MAX];
    unsigned doomed_count;
    bool more; /* there was no place for all that are over */
};

/* `unix_s`: now, by the clock that the files' times come from. Removes what a crash left half
 * written. 0 or -1. */
int mr_store_survey(const struct mr_store *store, const struct mr_keep *keep, int64_t unix_s,
                    struct mr_survey *survey, struct mr_error *error);

#define MR_NEEDED_MODELS_MAX 8
struct mr_needed {
    uint8_t models[MR_NEEDED_MODELS_MAX][MR_HASH_BYTES];
    unsigned models_count;
    uint64_t from_round; /* this one and those after it */
};
/* The survey is the caller's and stays until _acquit. */
void mr_store_condemn(struct mr_store *store, struct mr_survey *survey,
                      const struct mr_needed *needed);
/* What was removed is marked in the list. 0; 1 with an error: something could not be removed, which
 * the next pass tries again; -1: a folder could not be synced, and nobody may go on. */
int mr_store_remove(const struct mr_store *store, struct mr_survey *survey, struct mr_error *error);
void mr_store_acquit(struct mr_store *store);
/* Of _remove: states of optimisers go with the last stored model that names them. 0 or -1. */
int mr_store_sweep_states(const struct mr_store *store, struct mr_error *error);

#endif
