/* catalogue_verify.c - a store is looked at as a whole, and a lost versions.db is made anew. */
#include <inttypes.h>
#include <jansson.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "appliance/model/catalogue.h"
#include "appliance/model/store_internal.h"
#include "appliance/storage/files.h"
#include "appliance/storage/folder.h"
#include "base/bytes.h"
#include "base/json_text.h"

struct look {
    const struct mr_store *store;
    json_t *faults;
    unsigned models;
    bool failed; /* versions.db could not be asked: *error says why */
    struct mr_error *error;
};

static void fault(struct look *look, const char *what, const char *name)
{
    char text[200];
    snprintf(text, sizeof text, "%.100s: %.90s", name, what);
    json_array_append_new(look->faults, mr_json_text(text));
}

/* "<64 hex digits><suffix>" */
static bool read_name(uint8_t hash[MR_HASH_BYTES], const char *name, const char *suffix)
{
    char hex[2 * MR_HASH_BYTES + 1];
    snprintf(hex, sizeof hex, "%s", name);
    return strcmp(name + strlen(hex), suffix) == 0 && mr_hex_decode(hash, MR_HASH_BYTES, hex) == 0;
}

/* Against its name, and whether a version has it. */
static void check_model(void *context, const struct mr_folder_file *file)
{
    struct look *look = context;
    char path[MR_STORE_PATH_BYTES];
    uint8_t hash[MR_HASH_BYTES], actual[MR_HASH_BYTES], *bytes = NULL;
    struct mr_version version;
    size_t length = 0;
    if (!read_name(hash, file->name, ".safetensors") || look->failed) {
        return;
    }
    look->models++;
    mr_store_model_path(path, look->store, hash, "safetensors");
    if (mr_file_read(path, &bytes, &length, NULL) != 0) {
        fault(look, "cannot be read", file->name);
        return;
    }
    SHA256(bytes, length, actual);
    free(bytes);
    if (memcmp(actual, hash, MR_HASH_BYTES) != 0) {
        fault(look, "is damaged: its SHA-256 is not its name", file->name);
    }
    const int got = mr_versions_of(look->store->versions, hash, &version, look->error);
    look->failed = got < 0;
    if (got > 0) { /* a crash came before it had one, or its manifest; it does no harm */
        fault(look, "no version has it", file->name);
        return;
    }
    mr_store_model_path(path, look->store, hash, "json");
    if (access(path, F_OK) != 0) {
        fault(look, "has no manifest", file->name);
    }
}

static void check_state(void *context, const struct mr_folder_file *file)
{
    struct look *look = context;
    char path[MR_STORE_PATH_BYTES];
    uint8_t hash[MR_HASH_BYTES], actual[MR_HASH_BYTES], *bytes = NULL;
    size_t length = 0;
    if (!read_name(hash, file->name, ".state")) {
        return;
    }
    snprintf(path, sizeof path, "%s/optimisers/%s", look->store->data_dir, file->name);
    if (mr_file_read(path, &bytes, &length, NULL) == 0) {
        SHA256(bytes, length, actual);
        free(bytes);
        if (memcmp(actual, hash, MR_HASH_BYTES) != 0) {
            fault(look, "is damaged: its SHA-256 is not its name", file->name);
        }
    }
}

/* The current version's files are there. */
static int check_current(struct look *look)
{
    char path[MR_STORE_PATH_BYTES];
    struct mr_version current;
    if (mr_versions_current(look->store->versions, &current, look->error) != 0) {
        return -1;
    }
    mr_store_model_path(path, look->store, current.hash, "safetensors");
    if (access(path, F_OK) != 0) {
        fault(look, "its model is not there", "the current version");
    }
    return 0;
}

json_t *mr_catalogue_verify(const struct mr_store *store, struct mr_error *error)
{
    char path[MR_STORE_PATH_BYTES];
    struct look look = {.store = store, .faults = json_array(), .error = error};
    uint64_t highest = 0;
    struct mr_error why;
    if (mr_versions_check(store->versions, &why) != 0) {
        json_array_append_new(look.faults, mr_json_text(why.text));
    }
    snprintf(path, sizeof path, "%s/models", store->data_dir);
    int result = mr_folder_list(path, check_model, &look, error);
    snprintf(path, sizeof path, "%s/optimisers", store->data_dir);
    if (result == 0) {
        result = mr_folder_list(path, check_state, &look, error);
    }
    if (result != 0 || look.failed || check_current(&look) != 0 ||
        mr_versions_highest(store->versions, &highest, error) != 0) {
        json_decref(look.faults);
        return NULL;
    }
    return json_pack("{s:I, s:I, s:o}", "models", (json_int_t)look.models, "versions",
                     (json_int_t)highest, "faults", look.faults);
}

/* --- a new database ----------------------------------------------------------------------------
 */

struct list {
    const struct mr_store *store;
    struct mr_version *all;
    size_t count, capacity;
    bool failed;
};

static void take_manifest(void *context, const struct mr_folder_file *file)
{
    struct list *list = context;
    uint8_t hash[MR_HASH_BYTES];
    if (!read_name(hash, file->name, ".json") || list->failed) {
        return;
    }
    if (list->count == list->capacity) {
        const size_t capacity = list->capacity ? 2 * list->capacity : 64;
        struct mr_version *all = realloc(list->all, capacity * sizeof *all);
        list->failed = !all;
        if (!all) {
            return;
        }
        list->all = all;
        list->capacity = capacity;
    }
    mr_store_describe(list->store, hash, &list->all[list->count++]);
}

/* The first model, then rounds in their order, what operators brought by its time. */
static int by_age(const void *a, const void *b)
{
    const struct mr_version *x = a, *y = b;
    if (x->round != y->round && x->round && y->round) {
        return x->round > y->round ? 1 : -1;
    }
    if ((x->kind == MR_VERSION_INITIAL) != (y->kind == MR_VERSION_INITIAL)) {
        return x->kind == MR_VERSION_INITIAL ? -1 : 1;
    }
    if (x->made_unix_ms != y->made_unix_ms) {
        return x->made_unix_ms > y->made_unix_ms ? 1 : -1;
    }
    return memcmp(x->hash, y->hash, MR_HASH_BYTES);
}

/* Numbers go on behind the highest that `current` knows; its model comes last. */
static int put_all(const struct mr_store *store, struct list *list,
                   const struct mr_store_witness *witness, struct mr_error *error)
{
    struct mr_version last;
    int result = mr_versions_start_at(store->versions, witness->highest + 1, error);
    if (list->count) {
        qsort(list->all, list->count, sizeof *list->all, by_age);
    }
    for (size_t i = 0; i < list->count && result == 0; i++) {
        list->all[i].kind = MR_VERSION_REBUILT;
        if (memcmp(list->all[i].hash, witness->hash, MR_HASH_BYTES) != 0) {
            result = mr_versions_append(store->versions, &list->all[i], error);
        }
    }
    mr_store_describe(store, witness->hash, &last);
    last.kind = MR_VERSION_REBUILT;
    return result != 0 ? -1 : mr_store_append_version(store, &last, error);
}

static int rebuild(struct mr_store *store, const struct mr_store_witness *witness,
                   struct mr_error *error)
{
    char path[MR_STORE_PATH_BYTES];
    struct list list = {.store = store};
    bool made;
    if (mr_versions_open(&store->versions, store->data_dir, &made, error) != 0) {
        return -1;
    }
    snprintf(path, sizeof path, "%s/models", store->data_dir);
    int result = mr_folder_list(path, take_manifest, &list, error);
    if (result == 0 && list.failed) {
        result = mr_error_set(error, "out of memory for the list of models");
    }
    if (result == 0) {
        result = put_all(store, &list, witness, error);
    }
    free(list.all);
    return result;
}

int mr_catalogue_rebuild(const char *data_dir, uint64_t *made, struct mr_error *error)
{
    char path[MR_STORE_PATH_BYTES];
    struct mr_store_witness witness;
    struct mr_store *store = calloc(1, sizeof *store);
    *made = 0;
    if (!store) {
        return mr_error_set(error, "out of memory");
    }
    snprintf(store->data_dir, sizeof store->data_dir, "%s", data_dir);
    snprintf(path, sizeof path, "%s/versions.db", data_dir);
    int result = mr_store_read_witness(&witness, data_dir, error);
    if (result > 0) {
        mr_error_set(error, "%s/current is not there: nothing says which model is current",
                     data_dir);
    } else if (result == 0 && access(path, F_OK) == 0) {
        result = mr_error_set(error, "%s is there: move it away first", path);
    } else if (result == 0) {
        result = rebuild(store, &witness, error);
    }
    if (result == 0) {
        result = mr_versions_highest(store->versions, made, error);
        *made -= witness.highest;
    }
    mr_store_close(store);
    return result == 0 ? 0 : -1;
}
