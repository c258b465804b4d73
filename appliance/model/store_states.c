/* store_states.c - states of the server optimiser: optimisers/<hash>.state, by the SHA-256 of the
 * file. A model names the one that goes with it in its header (next_model.h). */
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "appliance/model/next_model.h"
#include "appliance/model/retention.h"
#include "appliance/model/store_internal.h"
#include "appliance/storage/files.h"
#include "appliance/storage/folder.h"
#include "base/bytes.h"
#include "wire/safetensors.h"

static void path_of(char path[MR_STORE_PATH_BYTES], const struct mr_store *store,
                    const uint8_t hash[MR_HASH_BYTES])
{
    char hex[2 * MR_HASH_BYTES + 1];
    mr_hex_encode(hex, hash, MR_HASH_BYTES);
    snprintf(path, MR_STORE_PATH_BYTES, "%s/optimisers/%s.state", store->data_dir, hex);
}

int mr_store_state_of(const uint8_t *model, size_t length, uint8_t hash[MR_HASH_BYTES])
{
    char hex[2 * MR_HASH_BYTES + 1];
    const int got = mr_safetensors_text(model, length, MR_STATE_MEMBER, hex, sizeof hex);
    return got > 0 ? 1 : got == 0 && mr_hex_decode(hash, MR_HASH_BYTES, hex) == 0 ? 0 : -1;
}

bool mr_store_has_state(const struct mr_store *store, const struct mr_model *model)
{
    char path[MR_STORE_PATH_BYTES];
    uint8_t hash[MR_HASH_BYTES];
    const int named = mr_store_state_of(model->bytes, model->length, hash);
    path_of(path, store, hash);
    return named > 0 || (named == 0 && access(path, F_OK) == 0);
}

int mr_store_write_state(const struct mr_store *store, const uint8_t hash[MR_HASH_BYTES],
                         const uint8_t *bytes, size_t length, struct mr_error *error)
{
    char path[MR_STORE_PATH_BYTES];
    path_of(path, store, hash);
    return mr_file_replace(path, bytes, length, error);
}

int mr_store_read_state(const struct mr_store *store, const uint8_t *model, size_t model_bytes,
                        uint8_t **bytes, size_t *length, struct mr_error *error)
{
    char path[MR_STORE_PATH_BYTES];
    uint8_t hash[MR_HASH_BYTES], actual[MR_HASH_BYTES];
    *bytes = NULL;
    *length = 0;
    const int named = mr_store_state_of(model, model_bytes, hash);
    if (named != 0) {
        return named > 0 ? 0 : mr_error_set(error, "the model's " MR_STATE_MEMBER " is no SHA-256");
    }
    path_of(path, store, hash);
    const int got = mr_file_read(path, bytes, length, error);
    if (got != 0) {
        return got < 0 ? -1
                       : mr_error_set(error, "%s is not there: take it from another hub", path);
    }
    SHA256(*bytes, *length, actual);
    if (memcmp(actual, hash, MR_HASH_BYTES) != 0) {
        free(*bytes);
        *bytes = NULL;
        return mr_error_set(error, "%s is damaged: take it from another hub", path);
    }
    return 0;
}

/* --- those that no stored model goes with ------------------------------------------------------
 */

struct sweep {
    const struct mr_store *store;
    const char *folder;
    struct mr_error *error;
    int result;
};

static bool model_is_there(void *context, const uint8_t hash[MR_HASH_BYTES])
{
    char path[MR_STORE_PATH_BYTES];
    mr_store_model_path(path, context, hash, "safetensors");
    return access(path, F_OK) == 0;
}

static void sweep_one(void *context, const struct mr_folder_file *file)
{
    struct sweep *sweep = context;
    char hex[2 * MR_HASH_BYTES + 1], path[MR_STORE_PATH_BYTES];
    uint8_t hash[MR_HASH_BYTES];
    snprintf(hex, sizeof hex, "%s", file->name);
    const char *suffix = file->name + strlen(hex);
    const bool state =
        strcmp(suffix, ".state") == 0 && mr_hex_decode(hash, MR_HASH_BYTES, hex) == 0;
    if (sweep->result != 0 || (!state && strcmp(suffix, ".state.tmp") != 0)) {
        return;
    }
    const int needed = state
                           ? mr_versions_needs_state(sweep->store->versions, hash, model_is_there,
                                                     (void *)(uintptr_t)sweep->store, sweep->error)
                           : 0;
    if (needed < 0) {
        sweep->result = -1;
    } else if (!needed &&
               snprintf(path, sizeof path, "%s/%s", sweep->folder, file->name) < (int)sizeof path) {
        (void)unlink(path); /* one that stays is found again */
    }
}

int mr_store_sweep_states(const struct mr_store *store, struct mr_error *error)
{
    char path[MR_STORE_PATH_BYTES];
    struct sweep sweep = {.store = store, .folder = path, .error = error};
    snprintf(path, sizeof path, "%s/optimisers", store->data_dir);
    return mr_folder_list(path, sweep_one, &sweep, error) != 0 || sweep.result != 0
               ? -1
               : mr_dir_sync(path, error);
}
