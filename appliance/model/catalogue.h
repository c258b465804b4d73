/* catalogue.h - what operators do with a store's versions: look, import, roll back, name, verify.
 *
 * Job thread only, as every function that touches the store's files; who may do what, and when, is
 * decided above (round/drive/store_desk.h). */
#ifndef MR_MODEL_CATALOGUE_H
#define MR_MODEL_CATALOGUE_H

#include "appliance/model/store.h"
#include "appliance/model/versions.h"

struct mr_versions *mr_store_versions(const struct mr_store *store);

/* "12", "current", or an alias. 0; 1 with an error: nothing is named so; -1. */
int mr_catalogue_find(const struct mr_store *store, const char *which, struct mr_version *version,
                      struct mr_error *error);

/* Other models of the store whose values are these, whatever their names: a set that was opened on
 * one is about the same start. At most `most` hashes; their number. */
unsigned mr_catalogue_twins(const struct mr_store *store, const uint8_t hash[MR_HASH_BYTES],
                            const uint8_t *bytes, size_t length, uint8_t (*twins)[MR_HASH_BYTES],
                            unsigned most);

/* Whether rounds can start from the file: 1 to MR_DIMENSION_MAX finite values, and an optimiser's
 * state that this store has where it names one. 0 or -1. */
int mr_catalogue_check(const struct mr_store *store, const uint8_t *bytes, size_t length,
                       struct mr_error *error);

struct mr_catalogue_wish {
    const char *by, *note;
    const uint8_t *bytes; /* of an import; NULL: a rollback to `source` */
    size_t length;
    struct mr_version source;
};
/* Makes the next version, durable: the model first, then its version. *version is that one. 0 or
 * -1: the hub must not go on. */
int mr_catalogue_make(struct mr_store *store, const struct mr_catalogue_wish *wish,
                      struct mr_version *version, struct mr_error *error);

/* Looks at every file and every row, and changes nothing: {"models": n, "versions": n, "faults":
 * [text …]}. NULL with an error. */
json_t *mr_catalogue_verify(const struct mr_store *store, struct mr_error *error);

/* A new versions.db from the manifests in models/, where there is none; without a hub. `made`: its
 * versions. Aliases and tags are not there any more. 0 or -1. */
int mr_catalogue_rebuild(const char *data_dir, uint64_t *made, struct mr_error *error);

#endif
