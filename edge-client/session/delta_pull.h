/* delta_pull.h - a model by what changed since one that is here (inside edge-client/ only). */
#ifndef MR_SESSION_DELTA_PULL_H
#define MR_SESSION_DELTA_PULL_H

#include "edge-client/session/control.h"
#include "wire/release.h"

struct mr_delta_pull {
    const char *base_file; /* the model that is here */
    uint8_t base_hash[MR_HASH_BYTES];
    const struct mr_release *release; /* of the model that it leads to */
    const char *target_file; /* all of it is written; what is in it after a failure means nothing */
    uint64_t until_unix_ms;  /* as mr_question's */
};

/* Asks hub `position` for the delta, applies it and compares what it makes with the release's
 * blocks; the file and its name are synced. MRE_OK; MRE_REFUSED: the hub has none, or what it sent
 * makes another file (outcome->code "wrong_target" or "malformed"): the whole model is the way
 * then. *bytes: so many came. */
enum mre_result mr_delta_pull(struct mre_client *client, unsigned position,
                              const struct mr_delta_pull *pull, uint64_t *bytes,
                              struct mre_outcome *outcome);

/* A file of that size whose blocks are there, mapped for writing and shared. NULL with errno: a
 * full disk shows here, and not when the pages are written. */
uint8_t *mr_file_map_new(const char *path, size_t bytes, bool keep);
/* A file that is there, for reading, until munmap; NULL with errno. */
const uint8_t *mr_file_map(const char *path, size_t *length);
/* Synced and unmapped. 0, or -1 with errno. */
int mr_file_map_end(uint8_t *bytes, size_t length);

#endif
