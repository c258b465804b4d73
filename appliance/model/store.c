#include "appliance/model/store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <openssl/sha.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "appliance/storage/files.h"
#include "base/assert.h"
#include "base/bytes.h"
#include "wire/safetensors.h"

/* Mapped at once while borrowed. */
#define MODELS_MAPPED 64
/* … when so many are, devices get no further old one. The current one they get longer: it is old
 * after its round, so that each round may leave one more with a device that reads slowly … */
#define MODELS_LENT_OLD 16
/* … and that ends where the hub's own work would find no place: a lead's round, a helper's. */
#define MODELS_OWN 4
/* … and mapped while nobody borrows them: the current one and that of the round before, so that
 * neither a round nor a late device pays for checking its file again. */
#define MODELS_KEPT 2

struct mr_model {
    uint8_t hash[MR_HASH_BYTES];
    uint8_t *bytes; /* NULL: the place is free */
    size_t length;
    uint32_t dimension;
    unsigned borrowed;
    uint64_t used; /* by the store's count of borrowings */
};

struct mr_store {
    char data_dir[PATH_MAX];
    uint8_t current[MR_HASH_BYTES];
    uint64_t signed_round;
    uint8_t signed_hash[MR_HASH_BYTES];
    struct mr_model models[MODELS_MAPPED];
    uint64_t borrowings;
    bool closed; /* what is lent is not back yet */
};

#define PATH_BYTES (PATH_MAX + 128)

static void model_path(char path[PATH_BYTES], const struct mr_store *store, const uint8_t *hash,
                       const char *suffix)
{
    char hex[2 * MR_HASH_BYTES + 1];
    mr_hex_encode(hex, hash, MR_HASH_BYTES);
    snprintf(path, PATH_BYTES, "%s/models/%s.%s", store->data_dir, hex, suffix);
}

/* --- models ---------------------------------------------------------------------------------- */

static void unmap(struct mr_model *model)
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
        return mr_error_set(error, "%s is not in the store", path);
    }
    void *bytes = MAP_FAILED;
    if (fstat(fd, &about) == 0 && about.st_size > 0) {
        bytes = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    }
    close(fd);
    if (bytes == MAP_FAILED) {
        return mr_error_set(error, "%s cannot be mapped", path);
    }
    model->bytes = bytes;
    model->length = (size_t)about.st_size;
    return 0;
}

/* Maps and checks: a damaged file must never reach a device or a sum. */
static int load(struct mr_store *store, struct mr_model *model, const uint8_t *hash,
                struct mr_error *error)
{
    char path[PATH_BYTES];
    uint8_t actual[MR_HASH_BYTES];
    struct mr_safetensors parsed;
    model_path(path, store, hash, "safetensors");
    if (map_file(model, path, error) != 0) {
        return -1;
    }
    SHA256(model->bytes, model->length, actual);
    if (memcmp(actual, hash, MR_HASH_BYTES) != 0) {
        return mr_error_set(error, "%s is damaged: its SHA-256 is not its name", path);
    }
    if (mr_safetensors_parse(&parsed, model->bytes, model->length, error) != 0) {
        return mr_error_prefix(error, "%s", path);
    }
    const size_t count = parsed.count;
    mr_safetensors_fini(&parsed);
    if (count == 0 || count > MR_DIMENSION_MAX) {
        return mr_error_set(error, "%s has %zu values; 1 to %u are possible", path, count,
                            MR_DIMENSION_MAX);
    }
    model->dimension = (uint32_t)count;
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
    for (unsigned i = 0; i < MODELS_MAPPED; i++) {
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
    for (unsigned i = 0; i < MODELS_MAPPED; i++) {
        if (!store->models[i].bytes) {
            return &store->models[i];
        }
    }
    struct mr_model *oldest = oldest_idle(store, &idle);
    if (oldest) {
        unmap(oldest);
    }
    return oldest;
}

static struct mr_model *find_mapped(struct mr_store *store, const uint8_t *hash)
{
    for (unsigned i = 0; i < MODELS_MAPPED; i++) {
        if (store->models[i].bytes && memcmp(store->models[i].hash, hash, MR_HASH_BYTES) == 0) {
            return &store->models[i];
        }
    }
    return NULL;
}

struct mr_model *mr_store_borrow(struct mr_store *store, const uint8_t hash[MR_HASH_BYTES],
                                 struct mr_error *error)
{
    struct mr_model *model = find_mapped(store, hash);
    if (!model) {
        model = free_place(store);
        if (!model) {
            mr_error_set(error, "%d models are in use already", MODELS_MAPPED);
            return NULL;
        }
        if (load(store, model, hash, error) != 0) {
            unmap(model);
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
    for (unsigned i = 0; i < MODELS_MAPPED; i++) {
        borrowed += store->models[i].borrowed > 0;
    }
    return (model && model->borrowed) ||
           borrowed < (current ? MODELS_MAPPED - MODELS_OWN : MODELS_LENT_OLD);
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
    for (unsigned i = 0; i < MODELS_MAPPED; i++) {
        if (store->models[i].borrowed > 0) {
            return true;
        }
    }
    return false;
}

void mr_store_return(struct mr_store *store, struct mr_model *model)
{
    unsigned idle;
    MR_ASSERT(model->borrowed > 0);
    model->borrowed--;
    if (store->closed && !is_lent(store)) {
        mr_store_close(store);
        return;
    }
    struct mr_model *oldest = oldest_idle(store, &idle);
    if (idle > MODELS_KEPT) {
        unmap(oldest);
    }
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

int mr_store_write_model(const struct mr_store *store, const uint8_t hash[MR_HASH_BYTES],
                         const uint8_t *bytes, size_t length, const char *manifest,
                         struct mr_error *error)
{
    char path[PATH_BYTES];
    model_path(path, store, hash, "safetensors");
    if (mr_file_replace(path, bytes, length, error) != 0) {
        return -1;
    }
    model_path(path, store, hash, "json");
    return mr_file_replace(path, manifest, strlen(manifest), error);
}

const uint8_t *mr_store_current(const struct mr_store *store)
{
    return store->current;
}

int mr_store_write_current(const struct mr_store *store, const uint8_t hash[MR_HASH_BYTES],
                           struct mr_error *error)
{
    char path[PATH_BYTES], hex[2 * MR_HASH_BYTES + 2];
    mr_hex_encode(hex, hash, MR_HASH_BYTES);
    hex[2 * MR_HASH_BYTES] = '\n';
    snprintf(path, sizeof path, "%s/current", store->data_dir);
    return mr_file_replace(path, hex, 2 * MR_HASH_BYTES + 1, error);
}

void mr_store_adopt(struct mr_store *store, const uint8_t hash[MR_HASH_BYTES])
{
    memcpy(store->current, hash, MR_HASH_BYTES);
}

/* --- rounds ---------------------------------------------------------------------------------- */

static void round_path(char path[PATH_BYTES], const struct mr_store *store, uint64_t round,
                       const char *suffix)
{
    snprintf(path, PATH_BYTES, "%s/rounds/%" PRIu64 ".%s", store->data_dir, round, suffix);
}

int mr_store_write_round(const struct mr_store *store, uint64_t round, const char *json,
                         const uint8_t *sum, size_t sum_bytes, struct mr_error *error)
{
    char path[PATH_BYTES];
    if (sum) {
        round_path(path, store, round, "sum");
        if (mr_file_replace(path, sum, sum_bytes, error) != 0) {
            return -1;
        }
    }
    round_path(path, store, round, "json");
    return mr_file_replace(path, json, strlen(json), error);
}

int mr_store_drop_sum(const struct mr_store *store, uint64_t round, struct mr_error *error)
{
    static const char *const suffixes[] = {"sum", "sum.tmp"};
    char path[PATH_BYTES];
    for (unsigned i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        round_path(path, store, round, suffixes[i]);
        if (unlink(path) != 0 && errno != ENOENT) {
            return mr_error_set(error, "%s: %s", path, strerror(errno));
        }
    }
    snprintf(path, sizeof path, "%s/rounds", store->data_dir);
    return mr_dir_sync(path, error); /* also when a crash came between the two */
}

int mr_store_read_round(const struct mr_store *store, uint64_t round, char **text,
                        struct mr_error *error)
{
    char path[PATH_BYTES];
    uint8_t *bytes;
    size_t length;
    round_path(path, store, round, "json");
    const int found = mr_file_read(path, &bytes, &length, error);
    *text = found == 0 ? (char *)bytes : NULL;
    return found;
}

uint64_t mr_store_signed_round(const struct mr_store *store, uint8_t hash[MR_HASH_BYTES])
{
    memcpy(hash, store->signed_hash, MR_HASH_BYTES);
    return store->signed_round;
}

int mr_store_write_signed(const struct mr_store *store, uint64_t round,
                          const uint8_t hash[MR_HASH_BYTES], struct mr_error *error)
{
    char path[PATH_BYTES], hex[2 * MR_HASH_BYTES + 1], line[128];
    mr_hex_encode(hex, hash, MR_HASH_BYTES);
    const int length = snprintf(line, sizeof line, "%" PRIu64 " %s\n", round, hex);
    snprintf(path, sizeof path, "%s/signed-round", store->data_dir);
    return mr_file_replace(path, line, (size_t)length, error);
}

void mr_store_adopt_signed(struct mr_store *store, uint64_t round,
                           const uint8_t hash[MR_HASH_BYTES])
{
    store->signed_round = round;
    memcpy(store->signed_hash, hash, MR_HASH_BYTES);
}

/* --- opening --------------------------------------------------------------------------------- */

static int read_signed(struct mr_store *store, struct mr_error *error)
{
    char path[PATH_BYTES], hex[2 * MR_HASH_BYTES + 1];
    uint8_t *bytes;
    size_t length;
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
    return good ? 0 : mr_error_set(error, "%s is damaged: restore it from a backup", path);
}

/* The file's bytes, malloc'd, when it is a model. 0 or -1. */
static int read_initial(const struct mr_store *store, const char *file, uint8_t **bytes,
                        size_t *length, struct mr_error *error)
{
    struct mr_safetensors parsed;
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
    if (mr_safetensors_parse(&parsed, *bytes, *length, error) != 0) {
        free(*bytes);
        return mr_error_prefix(error, "tasks.initial_model_file: %s", file);
    }
    mr_safetensors_fini(&parsed);
    return 0;
}

static int take_initial(struct mr_store *store, const char *file, struct mr_error *error)
{
    uint8_t *bytes, hash[MR_HASH_BYTES];
    size_t length;
    if (read_initial(store, file, &bytes, &length, error) != 0) {
        return -1;
    }
    SHA256(bytes, length, hash);
    int result = mr_store_write_model(store, hash, bytes, length, "{\"parent\": null}\n", error);
    if (result == 0) {
        result = mr_store_write_current(store, hash, error);
        mr_store_adopt(store, hash);
    }
    free(bytes);
    return result;
}

static int read_current(struct mr_store *store, const char *initial, struct mr_error *error)
{
    char path[PATH_BYTES];
    uint8_t *bytes;
    size_t length;
    snprintf(path, sizeof path, "%s/current", store->data_dir);
    const int got = mr_file_read(path, &bytes, &length, error);
    if (got != 0) {
        return got < 0 ? -1 : take_initial(store, initial, error);
    }
    if (length > 2 * MR_HASH_BYTES) {
        bytes[2 * MR_HASH_BYTES] = '\0';
    }
    const int bad = mr_hex_decode(store->current, MR_HASH_BYTES, (char *)bytes);
    free(bytes);
    return bad ? mr_error_set(error, "%s does not hold a model's hash", path) : 0;
}

/* An empty store's first model is only looked at; a store with a model is read as at a start. */
static int check_store(struct mr_store *store, const char *initial, struct mr_error *error)
{
    char path[PATH_BYTES];
    uint8_t *bytes;
    size_t length;
    snprintf(path, sizeof path, "%s/current", store->data_dir);
    if (access(path, F_OK) != 0) {
        if (read_initial(store, initial, &bytes, &length, error) != 0) {
            return -1;
        }
        free(bytes);
        return 0;
    }
    if (read_signed(store, error) != 0 || read_current(store, initial, error) != 0) {
        return -1;
    }
    struct mr_model *model = mr_store_borrow(store, store->current, error);
    if (!model) {
        return -1;
    }
    mr_store_return(store, model);
    return 0;
}

int mr_store_check(const char *data_dir, const char *initial_model_file, struct mr_error *error)
{
    struct mr_store *store = calloc(1, sizeof *store);
    if (!store) {
        return mr_error_set(error, "out of memory");
    }
    snprintf(store->data_dir, sizeof store->data_dir, "%s", data_dir);
    const int result = check_store(store, initial_model_file, error);
    mr_store_close(store);
    return result;
}

static int make_folders(struct mr_store *store, struct mr_error *error)
{
    char path[PATH_BYTES];
    static const char *const names[] = {"", "/models", "/rounds"};
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
    if (make_folders(store, error) == 0 && read_signed(store, error) == 0 &&
        read_current(store, initial_model_file, error) == 0) {
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

void mr_store_close(struct mr_store *store)
{
    if (!store) {
        return;
    }
    store->closed = true;
    if (is_lent(store)) {
        return;
    }
    for (unsigned i = 0; i < MODELS_MAPPED; i++) {
        unmap(&store->models[i]);
    }
    free(store);
}
