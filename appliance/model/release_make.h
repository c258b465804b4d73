/* release_make.h - the manifest of one model, from what the store says of it: the same bytes at
 * every hub of the task. Takes long: on a job thread. */
#ifndef MR_MODEL_RELEASE_MAKE_H
#define MR_MODEL_RELEASE_MAKE_H

#include <limits.h>

#include "appliance/model/store.h"
#include "wire/release.h"

#define MR_RELEASE_PATH_BYTES (PATH_MAX + 64)

/* releases/<round>.<step>.manifest in the task's folder. */
void mr_release_path(char path[MR_RELEASE_PATH_BYTES], const char *data_dir,
                     const struct mr_release_version *version);

struct mr_release_making {
    const struct mr_store *store;
    const char *task, *data_dir;
    const uint8_t *model_hash;
    const struct mr_model *model; /* borrowed while it is made */
    struct mr_version_place place;
    uint32_t lifetime_days;
    uint32_t client_min; /* as the release has it */
};

/* The manifest is on the disk, malloc'd in *manifest: made now or, where that version has one, as
 * it was. 0; 1: no round led to this model; -1 with an error. *manifest is owed a free always. */
int mr_release_make(uint8_t **manifest, size_t *length, const struct mr_release_making *making,
                    struct mr_error *error);

#endif
