#include "appliance/model/catalogue.h"

#include <jansson.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/model/store_internal.h"
#include "appliance/storage/files.h"
#include "appliance/storage/folder.h"
#include "base/bytes.h"
#include "base/json_text.h"
#include "wire/safetensors.h"

struct mr_versions *mr_store_versions(const struct mr_store *store)
{
    return store->versions;
}

static bool is_number(const char *text)
{
    const size_t digits = strspn(text, "0123456789");
    return digits > 0 && digits <= 15 && text[digits] == '\0';
}

int mr_catalogue_find(const struct mr_store *store, const char *which, struct mr_version *version,
                      struct mr_error *error)
{
    uint64_t number = 0;
    int got = 0;
    if (strcmp(which, "current") == 0) {
        return mr_versions_current(store->versions, version, error);
    }
    if (is_number(which)) {
        number = strtoull(which, NULL, 10);
    } else {
        got = mr_versions_alias(store->versions, which, &number, error);
    }
    if (got == 0) {
        got = mr_versions_find(store->versions, number, version, error);
    }
    if (got > 0) {
        mr_error_set(error, "no version is named %.50s: give a number, `current` or an alias",
                     which);
    }
    return got;
}

/* --- models with the same values -------------------------------------------------------------- */

struct twins {
    const struct mr_store *store;
    const uint8_t *hash, *data;
    size_t data_bytes;
    uint8_t (*found)[MR_HASH_BYTES];
    unsigned count, most;
};

static bool has_values(const struct twins *twins, const uint8_t hash[MR_HASH_BYTES])
{
    char path[MR_STORE_PATH_BYTES];
    struct mr_safetensors model;
    uint8_t *bytes = NULL;
    size_t length = 0;
    bool same = false;
    mr_store_model_path(path, twins->store, hash, "safetensors");
    if (mr_file_read(path, &bytes, &length, NULL) != 0) {
        return false;
    }
    if (mr_safetensors_parse(&model, bytes, length, NULL) == 0) {
        same = length - model.data_offset == twins->data_bytes &&
               memcmp(bytes + model.data_offset, twins->data, twins->data_bytes) == 0;
        mr_safetensors_fini(&model);
    }
    free(bytes);
    return same;
}

static void look_for_twin(void *context, const struct mr_folder_file *file)
{
    struct twins *twins = context;
    char hex[2 * MR_HASH_BYTES + 1];
    uint8_t hash[MR_HASH_BYTES];
    snprintf(hex, sizeof hex, "%s", file->name);
    if (strcmp(file->name + strlen(hex), ".safetensors") == 0 && twins->count < twins->most &&
        file->bytes > twins->data_bytes && mr_hex_decode(hash, MR_HASH_BYTES, hex) == 0 &&
        memcmp(hash, twins->hash, MR_HASH_BYTES) != 0 && has_values(twins, hash)) {
        memcpy(twins->found[twins->count++], hash, MR_HASH_BYTES);
    }
}

unsigned mr_catalogue_twins(const struct mr_store *store, const uint8_t hash[MR_HASH_BYTES],
                            const uint8_t *bytes, size_t length, uint8_t (*found)[MR_HASH_BYTES],
                            unsigned most)
{
    char path[MR_STORE_PATH_BYTES];
    struct mr_safetensors model;
    struct twins twins = {.store = store, .hash = hash, .found = found, .most = most};
    if (mr_safetensors_parse(&model, bytes, length, NULL) == 0) {
        twins.data = bytes + model.data_offset;
        twins.data_bytes = length - model.data_offset;
        mr_safetensors_fini(&model);
        snprintf(path, sizeof path, "%s/models", store->data_dir);
        (void)mr_folder_list(path, look_for_twin, &twins, NULL);
    }
    return twins.count;
}

int mr_catalogue_check(const struct mr_store *store, const uint8_t *bytes, size_t length,
                       struct mr_error *error)
{
    uint32_t dimension;
    uint8_t *state = NULL;
    size_t state_bytes;
    if (mr_store_check_values(bytes, length, &dimension, error) != 0 ||
        mr_store_read_state(store, bytes, length, &state, &state_bytes, error) != 0) {
        return -1;
    }
    free(state);
    return 0;
}

/* --- making a version ------------------------------------------------------------------------- */

static int put_model(struct mr_store *store, const struct mr_catalogue_wish *wish,
                     struct mr_version *version, struct mr_error *error)
{
    uint8_t hash[MR_HASH_BYTES];
    SHA256(wish->bytes, wish->length, hash);
    json_t *manifest = json_pack("{s:b, s:o, s:o}", "imported", 1, "by", mr_json_text(wish->by),
                                 "note", mr_json_text(wish->note));
    char *text = json_dumps(manifest, JSON_INDENT(1));
    json_decref(manifest);
    const int written =
        text ? mr_store_write_model(store, hash, wish->bytes, wish->length, text, error)
             : mr_error_set(error, "out of memory");
    free(text);
    mr_store_describe(store, hash, version);
    version->kind = MR_VERSION_IMPORTED;
    return written < 0 ? -1 : 0;
}

int mr_catalogue_make(struct mr_store *store, const struct mr_catalogue_wish *wish,
                      struct mr_version *version, struct mr_error *error)
{
    if (wish->bytes) {
        if (put_model(store, wish, version, error) != 0) {
            return -1;
        }
    } else {
        mr_store_describe(store, wish->source.hash, version);
        version->kind = MR_VERSION_ROLLBACK;
        version->source = wish->source.number;
    }
    version->made_unix_ms = mr_store_now_unix_ms();
    snprintf(version->by, sizeof version->by, "%s", wish->by);
    snprintf(version->note, sizeof version->note, "%s", wish->note);
    return mr_store_append_version(store, version, error);
}
