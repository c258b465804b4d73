#include "appliance/model/retention.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "appliance/model/store_internal.h"
#include "appliance/storage/files.h"
#include "appliance/storage/folder.h"
#include "base/bytes.h"

#define DAY_S     86400
#define SECOND_NS INT64_C(1000000000)

const char *mr_stored_kind_name(enum mr_stored_kind kind)
{
    static const char *const names[] = {[MR_STORED_MODELS] = "models",
                                        [MR_STORED_SUMS] = "sums",
                                        [MR_STORED_ROUNDS] = "rounds",
                                        [MR_STORED_LOGS] = "logs"};
    return names[kind];
}

/* --- what is there --------------------------------------------------------------------------- */

struct found {
    uint64_t number; /* orders them: a model's newest version, or the round; 0: none */
    uint8_t hash[MR_HASH_BYTES];
    uint64_t bytes;
    int64_t changed_ns; /* for ages; two files may well have the same */
};

struct list {
    struct found *all;
    size_t count, capacity;
};

struct look {
    const struct mr_store *store;
    const char *folder;
    struct mr_survey *survey;
    struct list lists[MR_STORED_KINDS];
    struct mr_error *error;
    bool failed; /* the error says why */
};

static void count_file(struct look *look, enum mr_stored_kind kind,
                       const struct mr_folder_file *file)
{
    look->survey->files[kind]++;
    look->survey->bytes[kind] += file->bytes;
}

static void add(struct look *look, enum mr_stored_kind kind, const struct found *found)
{
    struct list *list = &look->lists[kind];
    if (list->count == list->capacity) {
        const size_t capacity = list->capacity ? 2 * list->capacity : 64;
        struct found *all = realloc(list->all, capacity * sizeof *all);
        if (!all) {
            (void)mr_error_set(look->error, "out of memory for the list of files");
            look->failed = true;
            return;
        }
        list->all = all;
        list->capacity = capacity;
    }
    list->all[list->count++] = *found;
}

static bool ends_with(const char *name, const char *end)
{
    const size_t length = strlen(name), tail = strlen(end);
    return length > tail && strcmp(name + length - tail, end) == 0;
}

/* What a crash left half written: the thread that writes is this one, so nobody is at it. */
static bool is_left_over(const struct look *look, const char *name)
{
    char path[MR_STORE_PATH_BYTES];
    if (!ends_with(name, ".tmp")) {
        return false;
    }
    if (snprintf(path, sizeof path, "%s/%s", look->folder, name) < (int)sizeof path) {
        (void)unlink(path); /* one that stays is found again */
    }
    return true;
}

static void take_model_file(void *context, const struct mr_folder_file *file)
{
    struct look *look = context;
    struct found found = {.bytes = file->bytes, .changed_ns = file->changed_ns};
    char hex[2 * MR_HASH_BYTES + 1] = "";
    struct mr_version version;
    if (is_left_over(look, file->name)) {
        return;
    }
    if (ends_with(file->name, ".json")) {
        count_file(look, MR_STORED_ROUNDS, file);
        return;
    }
    snprintf(hex, sizeof hex, "%s", file->name);
    if (!ends_with(file->name, ".safetensors") ||
        mr_hex_decode(found.hash, MR_HASH_BYTES, hex) != 0) {
        return; /* not the store's */
    }
    count_file(look, MR_STORED_MODELS, file);
    if (file->bytes > look->survey->model_bytes) {
        look->survey->model_bytes = file->bytes;
    }
    const int got = mr_versions_of(look->store->versions, found.hash, &version, look->error);
    if (got < 0) {
        look->failed = true;
        return;
    }
    found.number = got == 0 ? version.number : 0;
    add(look, MR_STORED_MODELS, &found);
}

static void take_round_file(void *context, const struct mr_folder_file *file)
{
    struct look *look = context;
    struct found found = {.bytes = file->bytes, .changed_ns = file->changed_ns};
    char *end;
    if (is_left_over(look, file->name)) {
        return;
    }
    found.number = strtoull(file->name, &end, 10);
    if (end == file->name || (strcmp(end, ".json") != 0 && strcmp(end, ".sum") != 0)) {
        return;
    }
    const enum mr_stored_kind kind = strcmp(end, ".sum") == 0 ? MR_STORED_SUMS : MR_STORED_ROUNDS;
    count_file(look, kind, file);
    if (kind == MR_STORED_SUMS && file->bytes > look->survey->sum_bytes) {
        look->survey->sum_bytes = file->bytes;
    }
    add(look, kind, &found);
}

static void take_log_file(void *context, const struct mr_folder_file *file)
{
    struct look *look = context;
    if (strncmp(file->name, "commit-", 7) == 0 || strncmp(file->name, "journal-", 8) == 0) {
        count_file(look, MR_STORED_LOGS, file);
    }
}

static int list_folder(struct look *look, const struct mr_store *store, const char *name,
                       mr_folder_fn fn, struct mr_error *error)
{
    char path[MR_STORE_PATH_BYTES];
    snprintf(path, sizeof path, "%s%s", store->data_dir, name);
    look->folder = path;
    const int result = mr_folder_list(path, fn, look, error);
    look->folder = NULL;
    return result;
}

/* --- what is over ---------------------------------------------------------------------------- */

static int newest_first(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    if (x->number != y->number) {
        return x->number > y->number ? -1 : 1;
    }
    if (x->changed_ns != y->changed_ns) {
        return x->changed_ns > y->changed_ns ? -1 : 1;
    }
    return memcmp(x->hash, y->hash, MR_HASH_BYTES);
}

/* A store begins with it, and an operator may want to begin again. */
static bool is_first_model(const struct mr_store *store, const uint8_t hash[MR_HASH_BYTES])
{
    char path[MR_STORE_PATH_BYTES];
    uint8_t *text = NULL;
    size_t length = 0;
    mr_store_model_path(path, store, hash, "json");
    if (mr_file_read(path, &text, &length, NULL) != 0) {
        return false;
    }
    json_t *manifest = json_loadb((const char *)text, length, 0, NULL);
    const bool first = json_is_null(json_object_get(manifest, "parent"));
    json_decref(manifest);
    free(text);
    return first;
}

/* The first, and what an operator gave a name. What cannot be asked stays. */
static bool stays(const struct mr_store *store, const uint8_t hash[MR_HASH_BYTES])
{
    return is_first_model(store, hash) || mr_versions_aliased(store->versions, hash, NULL) != 0;
}

static void doom(struct look *look, const struct mr_store *store, const struct mr_keep *keep,
                 enum mr_stored_kind kind, int64_t unix_s)
{
    struct mr_survey *survey = look->survey;
    struct list *list = &look->lists[kind];
    const struct mr_keep_limit *limit = &keep->limits[kind];
    if (list->count) {
        qsort(list->all, list->count, sizeof *list->all, newest_first);
    }
    for (size_t i = list->count; i-- > 0;) {
        const struct found *one = &list->all[i];
        const bool over = limit->count && i >= limit->count;
        const bool old =
            limit->days && unix_s - one->changed_ns / SECOND_NS > (int64_t)limit->days * DAY_S;
        if ((!over && !old) || (kind == MR_STORED_MODELS && stays(store, one->hash))) {
            continue;
        }
        if (survey->doomed_count == MR_DOOMED_MAX) {
            survey->more = true;
            return;
        }
        struct mr_doomed *doomed = &survey->doomed[survey->doomed_count++];
        *doomed = (struct mr_doomed){.kind = kind, .round = one->number, .bytes = one->bytes};
        memcpy(doomed->hash, one->hash, MR_HASH_BYTES);
    }
}

int mr_store_survey(const struct mr_store *store, const struct mr_keep *keep, int64_t unix_s,
                    struct mr_survey *survey, struct mr_error *error)
{
    struct look look = {.store = store, .survey = survey, .error = error};
    *survey = (struct mr_survey){.doomed_count = 0};
    int result = list_folder(&look, store, "/models", take_model_file, error);
    if (result == 0) {
        result = list_folder(&look, store, "/rounds", take_round_file, error);
    }
    if (result == 0) {
        result = list_folder(&look, store, "", take_log_file, error);
    }
    if (look.failed) {
        result = -1;
    }
    for (enum mr_stored_kind kind = 0; kind < MR_STORED_LOGS && result == 0; kind++) {
        doom(&look, store, keep, kind, unix_s);
    }
    for (enum mr_stored_kind kind = 0; kind < MR_STORED_KINDS; kind++) {
        free(look.lists[kind].all);
    }
    return result;
}

/* --- what stays ------------------------------------------------------------------------------ */

static bool is_needed(const struct mr_store *store, const struct mr_doomed *doomed,
                      const struct mr_needed *needed)
{
    if (doomed->kind != MR_STORED_MODELS) {
        return doomed->round >= needed->from_round;
    }
    bool found = memcmp(doomed->hash, store->current, MR_HASH_BYTES) == 0;
    for (unsigned i = 0; i < needed->models_count; i++) {
        found |= memcmp(doomed->hash, needed->models[i], MR_HASH_BYTES) == 0;
    }
    return found;
}

void mr_store_condemn(struct mr_store *store, struct mr_survey *survey,
                      const struct mr_needed *needed)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < survey->doomed_count; i++) {
        if (!is_needed(store, &survey->doomed[i], needed)) {
            survey->doomed[kept++] = survey->doomed[i];
        }
    }
    /* Where all that had a place is needed, others would never come to one: no pass is worth a
     * second look at once. */
    survey->more = survey->more && kept > 0;
    survey->doomed_count = kept;
    store->condemned = survey;
    mr_store_unmap_condemned(store);
}

void mr_store_acquit(struct mr_store *store)
{
    store->condemned = NULL;
}

/* --- removing -------------------------------------------------------------------------------- */

/* One that is not there any more is fine: a crash came before. */
static int remove_file(const char *path, struct mr_error *error)
{
    return unlink(path) == 0 || errno == ENOENT
               ? 0
               : mr_error_set(error, "%s cannot be removed: %s", path, strerror(errno));
}

/* A member of a JSON file; NULL where there is none. *object is owed json_decref. */
static const json_t *read_member(json_t **object, const char *path, const char *name)
{
    uint8_t *text = NULL;
    size_t length = 0;
    *object = NULL;
    if (mr_file_read(path, &text, &length, NULL) == 0) {
        *object = json_loadb((const char *)text, length, 0, NULL);
        free(text);
    }
    return json_object_get(*object, name);
}

/* Whether the record of that round names the model as what it led to. */
static bool record_names(const struct mr_store *store, uint64_t round,
                         const uint8_t hash[MR_HASH_BYTES])
{
    char path[MR_STORE_PATH_BYTES], hex[2 * MR_HASH_BYTES + 1];
    json_t *record;
    mr_hex_encode(hex, hash, MR_HASH_BYTES);
    mr_store_round_path(path, store, round, "json");
    const char *named = json_string_value(read_member(&record, path, "model_hash"));
    const bool same = named && strcmp(named, hex) == 0;
    json_decref(record);
    return same;
}

/* Where a model came from stays on record as long as its round does. */
static int remove_model(const struct mr_store *store, const struct mr_doomed *doomed,
                        struct mr_error *error)
{
    char path[MR_STORE_PATH_BYTES];
    json_t *manifest;
    mr_store_model_path(path, store, doomed->hash, "safetensors");
    if (remove_file(path, error) != 0) {
        return -1;
    }
    mr_store_model_path(path, store, doomed->hash, "json");
    const json_int_t round = json_integer_value(read_member(&manifest, path, "round"));
    json_decref(manifest);
    return record_names(store, (uint64_t)round, doomed->hash) ? 0 : remove_file(path, error);
}

static int remove_round(const struct mr_store *store, const struct mr_doomed *doomed,
                        struct mr_error *error)
{
    char record_path[MR_STORE_PATH_BYTES], path[MR_STORE_PATH_BYTES];
    uint8_t hash[MR_HASH_BYTES];
    json_t *record, *manifest;
    mr_store_round_path(record_path, store, doomed->round, "json");
    const char *named = json_string_value(read_member(&record, record_path, "model_hash"));
    const bool has_model = named && mr_hex_decode(hash, MR_HASH_BYTES, named) == 0;
    json_decref(record);
    mr_store_round_path(path, store, doomed->round, "sum"); /* none without its record */
    if (remove_file(path, error) != 0) {
        return -1;
    }
    if (has_model) {
        mr_store_model_path(path, store, hash, "safetensors");
        const bool gone = access(path, F_OK) != 0;
        mr_store_model_path(path, store, hash, "json");
        const json_t *round = read_member(&manifest, path, "round");
        const bool own = (uint64_t)json_integer_value(round) == doomed->round;
        json_decref(manifest);
        if (gone && own && remove_file(path, error) != 0) {
            return -1;
        }
    }
    return remove_file(record_path, error);
}

/* As the versions say it: a round may have ended since the loop looked. */
static bool is_current_now(const struct mr_store *store, const uint8_t hash[MR_HASH_BYTES])
{
    struct mr_version current;
    return mr_versions_current(store->versions, &current, NULL) != 0 || /* not known */
           memcmp(current.hash, hash, MR_HASH_BYTES) == 0;
}

static int remove_one(const struct mr_store *store, struct mr_doomed *doomed,
                      struct mr_error *error)
{
    char path[MR_STORE_PATH_BYTES];
    int result;
    switch (doomed->kind) {
    case MR_STORED_MODELS:
        if (is_current_now(store, doomed->hash)) {
            return 0;
        }
        result = remove_model(store, doomed, error);
        break;
    case MR_STORED_ROUNDS:
        result = remove_round(store, doomed, error);
        break;
    default:
        mr_store_round_path(path, store, doomed->round, "sum");
        result = remove_file(path, error);
    }
    doomed->removed = result == 0;
    return result;
}

int mr_store_remove(const struct mr_store *store, struct mr_survey *survey, struct mr_error *error)
{
    static const char *const folders[] = {"models", "rounds"};
    int result = 0;
    for (unsigned i = 0; i < survey->doomed_count && result == 0; i++) {
        result = remove_one(store, &survey->doomed[i], error) == 0 ? 0 : 1;
    }
    for (unsigned i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        char path[MR_STORE_PATH_BYTES];
        struct mr_error why;
        snprintf(path, sizeof path, "%s/%s", store->data_dir, folders[i]);
        if (mr_dir_sync(path, &why) != 0) {
            *error = why;
            return -1;
        }
    }
    struct mr_error why;
    if (mr_store_sweep_states(store, &why) != 0) {
        *error = why;
        return -1;
    }
    return result;
}
