/* store_models.c - models: written, mapped, lent, and which of them is the current one. */
#include <fcntl.h>
#include <jansson.h>
#include <openssl/sha.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "appliance/model/retention.h"
#include "appliance/model/store_internal.h"
#include "appliance/storage/files.h"
#include "base/assert.h"
#include "base/bytes.h"
#include "wire/safetensors.h"

/* When so many are borrowed, devices get no further old one. The current one they get longer: it is
 * old after its round, so that each round may leave one more with a device that reads slowly … */
#define MODELS_LENT_OLD 16
/* … and that ends where the hub's own work would find no place: a lead's round, a helper's. */
#define MODELS_OWN 4
/* So many stay mapped while nobody borrows them, so that neither a round nor a late device pays for
 * checking their files again: the current one, those that the deltas of a release begin with
 * (first_deltas.h), and the one that was the last of these before: it is used after the newer ones,
 * so that else one of them would go. */
#define MODELS_KEPT 5

void mr_store_model_path(char path[MR_STORE_PATH_BYTES], const struct mr_store *store,
                         const uint8_t hash[MR_HASH_BYTES], const char *suffix)
{
    char hex[2 * MR_HASH_BYTES + 1];
    mr_hex_encode(hex, hash, MR_HASH_BYTES);
    snprintf(path, MR_STORE_PATH_BYTES, "%s/models/%s.%s", store->data_dir, hex, suffix);
}

void mr_store_unmap(struct mr_model *model)
{
    MR_ASSERT(model->borrowed == 0);
    if (model->bytes) {
        munmap(model->bytes, model->length);
    }
    *model = (struct mr_model){.bytes = NULL};
}

static int map_file(struct mr_model *model, const char *path, struct mr_error *error)
{
    struct stat about;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        mr_error_set(error, "%s is not in the store", path);
        return -1;
    }
    void *bytes = MAP_FAILED;
    if (fstat(fd, &about) == 0 && about.st_size > 0) {
        bytes = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    }
    close(fd);
    if (bytes == MAP_FAILED) {
        mr_error_set(error, "%s cannot be mapped", path);
        return -1;
    }
    model->bytes = bytes;
    model->length = (size_t)about.st_size;
    return 0;
}

/* What a file was written from a moment ago. */
struct written {
    const uint8_t *bytes;
    size_t length;
};

/* By its name; or, where `written` is not NULL, by the bytes that its name was computed from: equal
 * ones have the same SHA-256, and comparing costs an eighth of it. */
static bool is_whole(const struct mr_model *model, const uint8_t *hash,
                     const struct written *written)
{
    uint8_t actual[MR_HASH_BYTES];
    if (written) {
        return model->length == written->length &&
               memcmp(model->bytes, written->bytes, written->length) == 0;
    }
    SHA256(model->bytes, model->length, actual);
    return memcmp(actual, hash, MR_HASH_BYTES) == 0;
}

/* Maps and checks: a damaged file must never reach a device or a sum. */
static int load(const struct mr_store *store, struct mr_model *model, const uint8_t *hash,
                const struct written *written, struct mr_error *error)
{
    char path[MR_STORE_PATH_BYTES];
    struct mr_safetensors parsed;
    mr_store_model_path(path, store, hash, "safetensors");
    if (map_file(model, path, error) != 0) {
        return -1;
    }
    if (!is_whole(model, hash, written)) {
        return mr_error_set(error, "%s is damaged: its SHA-256 is not its name", path);
    }
    if (mr_safetensors_parse(&parsed, model->bytes, model->length, error) != 0) {
        return mr_error_prefix(error, "%s", path);
    }
    const size_t count = parsed.count;
    model->dimension = (uint32_t)parsed.trained;
    model->values = (uint32_t)count;
    mr_safetensors_fini(&parsed);
    if (count == 0 || count > MR_DIMENSION_MAX) {
        return mr_error_set(error, "%s has %zu values; 1 to %u are possible", path, count,
                            MR_DIMENSION_MAX);
    }
    memcpy(model->hash, hash, MR_HASH_BYTES);
    return 0;
}

static bool is_current(const struct mr_store *store, const struct mr_model *model)
{
    return memcmp(model->hash, store->current, MR_HASH_BYTES) == 0;
}

/* The oldest of the mapped ones that nobody borrows, the current one only if it is alone. */
static struct mr_model *oldest_idle(struct mr_store *store, unsigned *idle)
{
    struct mr_model *oldest = NULL;
    *idle = 0;
    for (unsigned i = 0; i < MR_STORE_MAPPED; i++) {
        struct mr_model *model = &store->models[i];
        if (!model->bytes || model->borrowed) {
            continue;
        }
        ++*idle;
        if (!oldest || is_current(store, oldest) ||
            (!is_current(store, model) && model->used < oldest->used)) {
            oldest = model;
        }
    }
    return oldest;
}

static struct mr_model *free_place(struct mr_store *store)
{
    unsigned idle;
    for (unsigned i = 0; i < MR_STORE_MAPPED; i++) {
        if (!store->models[i].bytes) {
            return &store->models[i];
        }
    }
    struct mr_model *oldest = oldest_idle(store, &idle);
    if (oldest) {
        mr_store_unmap(oldest);
    }
    return oldest;
}

static struct mr_model *find_mapped(struct mr_store *store, const uint8_t *hash)
{
    for (unsigned i = 0; i < MR_STORE_MAPPED; i++) {
        if (store->models[i].bytes && memcmp(store->models[i].hash, hash, MR_HASH_BYTES) == 0) {
            return &store->models[i];
        }
    }
    return NULL;
}

/* It is being removed. */
static bool is_condemned(const struct mr_store *store, const uint8_t hash[MR_HASH_BYTES])
{
    for (unsigned i = 0; store->condemned && i < store->condemned->doomed_count; i++) {
        const struct mr_doomed *doomed = &store->condemned->doomed[i];
        if (doomed->kind == MR_STORED_MODELS && memcmp(doomed->hash, hash, MR_HASH_BYTES) == 0) {
            return true;
        }
    }
    return false;
}

void mr_store_unmap_condemned(struct mr_store *store)
{
    for (unsigned i = 0; i < MR_STORE_MAPPED; i++) {
        struct mr_model *model = &store->models[i];
        if (model->bytes && !model->borrowed && !is_current(store, model) &&
            is_condemned(store, model->hash)) {
            mr_store_unmap(model);
        }
    }
}

struct mr_model *mr_store_borrow(struct mr_store *store, const uint8_t hash[MR_HASH_BYTES],
                                 struct mr_error *error)
{
    struct mr_model *model = find_mapped(store, hash);
    if (memcmp(hash, store->current, MR_HASH_BYTES) != 0 && is_condemned(store, hash)) {
        mr_error_set(error, "the model is being removed (tasks.keep)");
        return NULL;
    }
    if (!model) {
        model = free_place(store);
        if (!model) {
            mr_error_set(error, "%d models are in use already", MR_STORE_MAPPED);
            return NULL;
        }
        if (load(store, model, hash, NULL, error) != 0) {
            mr_store_unmap(model);
            return NULL;
        }
    }
    model->borrowed++;
    model->used = ++store->borrowings;
    return model;
}

/* One more reader of a model that is borrowed takes no place. */
static bool may_lend(struct mr_store *store, const uint8_t *hash)
{
    const struct mr_model *model = find_mapped(store, hash);
    const bool current = memcmp(store->current, hash, MR_HASH_BYTES) == 0;
    unsigned borrowed = 0;
    for (unsigned i = 0; i < MR_STORE_MAPPED; i++) {
        borrowed += store->models[i].borrowed > 0;
    }
    return (model && model->borrowed) ||
           borrowed < (current ? MR_STORE_MAPPED - MODELS_OWN : MODELS_LENT_OLD);
}

struct mr_model *mr_store_lend(struct mr_store *store, const uint8_t hash[MR_HASH_BYTES],
                               bool *busy, struct mr_error *error)
{
    *busy = !may_lend(store, hash);
    if (*busy) {
        mr_error_set(error, "%d models are being sent already", MODELS_LENT_OLD);
        return NULL;
    }
    return mr_store_borrow(store, hash, error);
}

static bool is_lent(const struct mr_store *store)
{
    for (unsigned i = 0; i < MR_STORE_MAPPED; i++) {
        if (store->models[i].borrowed > 0) {
            return true;
        }
    }
    return false;
}

static void drop_written(struct mr_model *model)
{
    if (model) {
        mr_store_unmap(model);
        free(model);
    }
}

/* --- written ahead ---------------------------------------------------------------------------- */

struct mr_model_draft {
    int fd;
    uint8_t hash[MR_HASH_BYTES];
};

/* The one that was written ahead, out of the store's hands. -1: there is none of that model (NULL:
 * of none), and any other is gone. */
static int take_draft(struct mr_store *store, const uint8_t hash[MR_HASH_BYTES])
{
    char path[MR_STORE_PATH_BYTES];
    int fd = -1;
    struct mr_model_draft *draft = atomic_exchange(&store->draft, NULL);
    if (draft && hash && memcmp(draft->hash, hash, MR_HASH_BYTES) == 0) {
        fd = draft->fd;
    } else if (draft) {
        mr_store_model_path(path, store, draft->hash, "safetensors");
        mr_file_draft_drop(draft->fd, path);
    }
    free(draft);
    return fd;
}

int mr_store_write_ahead(struct mr_store *store, const uint8_t hash[MR_HASH_BYTES],
                         const uint8_t *bytes, size_t length, struct mr_error *error)
{
    char path[MR_STORE_PATH_BYTES];
    (void)take_draft(store, NULL);
    struct mr_model_draft *draft = malloc(sizeof *draft);
    if (!draft) {
        return mr_error_set(error, "out of memory");
    }
    mr_store_model_path(path, store, hash, "safetensors");
    memcpy(draft->hash, hash, MR_HASH_BYTES);
    draft->fd = mr_file_draft(path, bytes, length, error);
    if (draft->fd < 0) {
        free(draft);
        return -1;
    }
    atomic_store(&store->draft, draft);
    return 0;
}

void mr_store_close(struct mr_store *store)
{
    if (!store) {
        return;
    }
    store->closed = true;
    if (is_lent(store)) {
        return;
    }
    for (unsigned i = 0; i < MR_STORE_MAPPED; i++) {
        mr_store_unmap(&store->models[i]);
    }
    drop_written(atomic_load(&store->written));
    (void)take_draft(store, NULL);
    mr_versions_close(store->versions);
    free(store);
}

static void keep_few(struct mr_store *store)
{
    unsigned idle;
    struct mr_model *oldest = oldest_idle(store, &idle);
    if (idle > MODELS_KEPT) {
        mr_store_unmap(oldest);
    }
}

void mr_store_return(struct mr_store *store, struct mr_model *model)
{
    MR_ASSERT(model->borrowed > 0);
    model->borrowed--;
    if (store->closed && !is_lent(store)) {
        mr_store_close(store);
        return;
    }
    keep_few(store);
}

const uint8_t *mr_model_bytes(const struct mr_model *model, size_t *length)
{
    *length = model->length;
    return model->bytes;
}

uint32_t mr_model_dimension(const struct mr_model *model)
{
    return model->dimension;
}

uint32_t mr_model_values(const struct mr_model *model)
{
    return model->values == model->dimension ? 0 : model->values;
}

/* Whether two manifests are of one origin: the same text, or the same round's. A lead and a helper
 * that are killed and come to their end again write other times and signatures. */
static bool same_origin(const char *before, const char *now)
{
    json_t *a = json_loads(before, JSON_REJECT_DUPLICATES, NULL);
    json_t *b = json_loads(now, JSON_REJECT_DUPLICATES, NULL);
    const char *x = json_string_value(json_object_get(a, "announcement_hash"));
    const char *y = json_string_value(json_object_get(b, "announcement_hash"));
    const bool same = strcmp(before, now) == 0 || (x && y && strcmp(x, y) == 0);
    json_decref(a);
    json_decref(b);
    return same;
}

/* The first origin of a model stands, also where only its manifest is left. 0, 1 or -1 as
 * mr_store_write_model. */
static int write_origin(const char *path, const char *manifest, struct mr_error *error)
{
    uint8_t *before = NULL;
    size_t length = 0;
    const int found = mr_file_read(path, &before, &length, error);
    if (found < 0) {
        return -1;
    }
    const char *first = found == 0 ? (const char *)before : manifest;
    const bool same = found > 0 || same_origin(first, manifest);
    const int result = mr_file_replace(path, first, strlen(first), error);
    free(before);
    return result != 0 ? -1 : same ? 0 : 1;
}

void mr_store_map_written(struct mr_store *store, const uint8_t hash[MR_HASH_BYTES],
                          const uint8_t *bytes, size_t length)
{
    const struct written written = {bytes, length};
    struct mr_model *model = calloc(1, sizeof *model);
    if (model && load(store, model, hash, &written, NULL) != 0) {
        drop_written(model);
        model = NULL;
    }
    drop_written(atomic_exchange(&store->written, model));
}

/* Among the mapped ones, so that the next round need not check the file again. */
static void take_written(struct mr_store *store)
{
    struct mr_model *model = atomic_exchange(&store->written, NULL);
    struct mr_model *place = NULL;
    if (model && is_current(store, model) && !find_mapped(store, model->hash)) {
        place = free_place(store);
    }
    if (place) {
        *place = *model;
        place->used = ++store->borrowings;
        free(model);
        keep_few(store);
    } else {
        drop_written(model);
    }
}

int mr_store_write_model(struct mr_store *store, const uint8_t hash[MR_HASH_BYTES],
                         const uint8_t *bytes, size_t length, const char *manifest,
                         struct mr_error *error)
{
    char path[MR_STORE_PATH_BYTES];
    const int draft = take_draft(store, hash);
    mr_store_model_path(path, store, hash, "safetensors");
    /* Somebody may have cleared the folder of what looks left over. */
    const int put = draft < 0 ? 1 : mr_file_put(draft, path, error);
    if (put < 0 || (put > 0 && mr_file_replace(path, bytes, length, error) != 0)) {
        return -1;
    }
    mr_store_map_written(store, hash, bytes, length);
    mr_store_model_path(path, store, hash, "json");
    return write_origin(path, manifest, error);
}

/* A member of a model's manifest that is a hash: 0; 1: there is none. */
static int hash_in_manifest(const struct mr_store *store, const uint8_t hash[MR_HASH_BYTES],
                            const char *member, uint8_t found[MR_HASH_BYTES])
{
    char path[MR_STORE_PATH_BYTES];
    uint8_t *text = NULL;
    size_t length = 0;
    mr_store_model_path(path, store, hash, "json");
    if (mr_file_read(path, &text, &length, NULL) != 0) {
        return 1;
    }
    json_t *object = json_loads((const char *)text, JSON_REJECT_DUPLICATES, NULL);
    const char *hex = json_string_value(json_object_get(object, member));
    const int result = hex && mr_hex_decode(found, MR_HASH_BYTES, hex) == 0 ? 0 : 1;
    json_decref(object);
    free(text);
    return result;
}

int mr_store_parent(const struct mr_store *store, const uint8_t hash[MR_HASH_BYTES],
                    uint8_t parent[MR_HASH_BYTES])
{
    return hash_in_manifest(store, hash, "parent", parent);
}

bool mr_store_made_by(const struct mr_store *store, const uint8_t hash[MR_HASH_BYTES],
                      const uint8_t announcement_hash[MR_HASH_BYTES])
{
    uint8_t maker[MR_HASH_BYTES];
    return hash_in_manifest(store, hash, "announcement_hash", maker) == 0 &&
           memcmp(maker, announcement_hash, MR_HASH_BYTES) == 0;
}

const uint8_t *mr_store_current(const struct mr_store *store)
{
    return store->current;
}

void mr_store_adopt(struct mr_store *store, const uint8_t hash[MR_HASH_BYTES])
{
    if (memcmp(store->current, hash, MR_HASH_BYTES) != 0) {
        store->place = (struct mr_version_place){.is_chosen = false};
    }
    memcpy(store->current, hash, MR_HASH_BYTES);
    take_written(store);
}

void mr_store_set_place(struct mr_store *store, const struct mr_version_place *place)
{
    store->place = *place;
}

const struct mr_version_place *mr_store_place(const struct mr_store *store)
{
    return &store->place;
}
