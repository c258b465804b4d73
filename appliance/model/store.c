#include "appliance/model/store.h"

#include <inttypes.h>
#include <math.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/model/store_internal.h"
#include "appliance/storage/files.h"
#include "base/bytes.h"
#include "wire/safetensors.h"

static int read_signed(struct mr_store *store, struct mr_error *error)
{
    char path[MR_STORE_PATH_BYTES], hex[2 * MR_HASH_BYTES + 1];
    uint8_t *bytes = NULL;
    size_t length = 0;
    snprintf(path, sizeof path, "%s/signed-round", store->data_dir);
    const int got = mr_file_read(path, &bytes, &length, error);
    if (got != 0) {
        return got < 0 ? -1 : 0;
    }
    /* A hub that forgot what it signed could sign two announcements of one round. */
    const bool good =
        sscanf((char *)bytes, "%" SCNu64 " %64[0-9a-f]", &store->signed_round, hex) == 2 &&
        mr_hex_decode(store->signed_hash, MR_HASH_BYTES, hex) == 0;
    free(bytes);
    return good ? 0
                : mr_error_set(error,
                               "%s is damaged: take it away and give this hub a new signing "
                               "key; an older copy could make it sign one round twice",
                               path);
}

/* A round that starts from a NaN ends in one, after everybody's work. */
int mr_store_check_values(const uint8_t *bytes, size_t length, uint32_t *dimension,
                          struct mr_error *error)
{
    struct mr_safetensors model;
    if (mr_safetensors_parse(&model, bytes, length, error) != 0) {
        return -1;
    }
    int bad = 0;
    if (model.count == 0 || model.count > MR_DIMENSION_MAX) {
        bad = mr_error_set(error, "it has %zu values; 1 to %u are possible", model.count,
                           MR_DIMENSION_MAX);
    }
    unsigned tensor = 0;
    for (size_t i = 0; bad == 0 && i < model.count; i++) {
        float value;
        memcpy(&value, bytes + model.data_offset + i * sizeof value, sizeof value);
        while (i >= model.tensors[tensor].offset + model.tensors[tensor].count) {
            tensor++;
        }
        if (!isfinite(value)) {
            bad = mr_error_set(error,
                               "value %zu of tensor %.80s is %s: no round can start from it; give "
                               "a model whose values are all finite",
                               i - model.tensors[tensor].offset, model.tensors[tensor].name,
                               isnan(value) ? "NaN" : "infinite");
        }
    }
    *dimension = (uint32_t)model.trained;
    mr_safetensors_fini(&model);
    return bad;
}

/* The file's bytes, malloc'd, when it is a model. 0 or -1. */
static int read_initial(const struct mr_store *store, const char *file, uint8_t **bytes,
                        size_t *length, uint32_t *dimension, struct mr_error *error)
{
    if (!file || !file[0]) {
        return mr_error_set(error,
                            "%s has no model yet: set tasks.initial_model_file to a safetensors "
                            "file with F32 tensors",
                            store->data_dir);
    }
    const int got = mr_file_read(file, bytes, length, error);
    if (got != 0) {
        return got < 0 ? -1
                       : mr_error_set(error, "tasks.initial_model_file: %s does not exist", file);
    }
    if (mr_store_check_values(*bytes, *length, dimension, error) != 0) {
        free(*bytes);
        mr_error_prefix(error, "tasks.initial_model_file: %s", file);
        return -1;
    }
    return 0;
}

static int take_initial(struct mr_store *store, const char *file, struct mr_error *error)
{
    uint8_t *bytes = NULL, hash[MR_HASH_BYTES];
    size_t length = 0;
    uint32_t dimension;
    if (read_initial(store, file, &bytes, &length, &dimension, error) != 0) {
        return -1;
    }
    SHA256(bytes, length, hash);
    int result = mr_store_write_model(store, hash, bytes, length, "{\"parent\": null}\n", error);
    if (result >= 0) {
        result = mr_store_write_current(store, hash, error);
        mr_store_adopt(store, hash);
    }
    free(bytes);
    return result;
}

/* An empty store's first model is only looked at. Of a store with a model `current` is read: the
 * database may be a running hub's. */
static int check_store(struct mr_store *store, const char *initial, struct mr_store_found *found,
                       struct mr_error *error)
{
    struct mr_store_witness witness;
    uint8_t *bytes = NULL;
    size_t length = 0;
    const int witnessed = mr_store_read_witness(&witness, store->data_dir, error);
    if (witnessed > 0) {
        if (read_initial(store, initial, &bytes, &length, &found->dimension, error) != 0) {
            return -1;
        }
        SHA256(bytes, length, found->model_hash);
        free(bytes);
        return 0;
    }
    if (witnessed < 0 || read_signed(store, error) != 0) {
        return -1;
    }
    mr_store_adopt(store, witness.hash);
    struct mr_model *model = mr_store_borrow(store, store->current, error);
    if (!model) {
        return -1;
    }
    memcpy(found->model_hash, store->current, MR_HASH_BYTES);
    int bad = mr_store_check_values(model->bytes, model->length, &found->dimension, error);
    if (bad != 0) {
        bad = mr_error_prefix(error, "%s/current: the model that it names", store->data_dir);
    }
    mr_store_return(store, model);
    return bad;
}

int mr_store_check(const char *data_dir, const char *initial_model_file,
                   struct mr_store_found *found, struct mr_error *error)
{
    struct mr_store *store = calloc(1, sizeof *store);
    if (!store) {
        return mr_error_set(error, "out of memory");
    }
    snprintf(store->data_dir, sizeof store->data_dir, "%s", data_dir);
    const int result = check_store(store, initial_model_file, found, error);
    mr_store_close(store);
    return result;
}

static int make_folders(struct mr_store *store, struct mr_error *error)
{
    char path[MR_STORE_PATH_BYTES];
    static const char *const names[] = {"", "/models", "/rounds", "/optimisers"};
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s%s", store->data_dir, names[i]);
        if (mr_dir_make(path, error) != 0) {
            return mr_error_prefix(error, "data_dir");
        }
    }
    return mr_dir_sync(store->data_dir, error);
}

int mr_store_open(struct mr_store **out, const char *data_dir, const char *initial_model_file,
                  struct mr_error *error)
{
    struct mr_store *store = calloc(1, sizeof *store);
    if (!store) {
        return mr_error_set(error, "out of memory");
    }
    snprintf(store->data_dir, sizeof store->data_dir, "%s", data_dir);
    struct mr_model *model = NULL;
    int result = -1;
    if (make_folders(store, error) == 0 && read_signed(store, error) == 0) {
        result = mr_store_open_versions(store, error);
    }
    if (result > 0) {
        result = take_initial(store, initial_model_file, error);
    }
    if (result == 0) {
        model = mr_store_borrow(store, store->current, error);
    }
    if (!model) {
        mr_store_close(store);
        return -1;
    }
    mr_store_return(store, model);
    *out = store;
    return 0;
}
