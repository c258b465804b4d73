/* store_versions.c - which model is current: a version first, then its copy in `current`. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "appliance/model/store_internal.h"
#include "appliance/storage/files.h"
#include "base/bytes.h"

int64_t mr_store_now_unix_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* --- what a manifest says of a version -------------------------------------------------------- */

static void take_hash(uint8_t out[MR_HASH_BYTES], const json_t *object, const char *name)
{
    const char *hex = json_string_value(json_object_get(object, name));
    if (!hex || mr_hex_decode(out, MR_HASH_BYTES, hex) != 0) {
        memset(out, 0, MR_HASH_BYTES);
    }
}

static void take_text(char *out, size_t room, const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    snprintf(out, room, "%s", text ? text : "");
}

static uint64_t take_number(const json_t *object, const char *name)
{
    const json_int_t number = json_integer_value(json_object_get(object, name));
    return number > 0 ? (uint64_t)number : 0;
}

static enum mr_version_kind kind_of(const json_t *manifest)
{
    return json_is_true(json_object_get(manifest, "resumed"))  ? MR_VERSION_RESUMED
           : json_is_null(json_object_get(manifest, "parent")) ? MR_VERSION_INITIAL
           : take_number(manifest, "round") > 0                ? MR_VERSION_ROUND
                                                               : MR_VERSION_IMPORTED;
}

static void take_metrics(struct mr_version *version, const json_t *manifest)
{
    char *text =
        json_dumps(json_object_get(manifest, "metrics"), JSON_COMPACT | JSON_REAL_PRECISION(9));
    if (text && strlen(text) < sizeof version->metrics) {
        memcpy(version->metrics, text, strlen(text) + 1);
    }
    free(text);
}

/* As the model's own header says it. */
static void take_state(const struct mr_store *store, struct mr_version *version)
{
    char path[MR_STORE_PATH_BYTES];
    uint8_t *bytes = NULL;
    size_t length = 0;
    mr_store_model_path(path, store, version->hash, "safetensors");
    if (mr_file_read(path, &bytes, &length, NULL) != 0 ||
        mr_store_state_of(bytes, length, version->state) != 0) {
        memset(version->state, 0, MR_HASH_BYTES);
    }
    free(bytes);
}

void mr_store_describe(const struct mr_store *store, const uint8_t hash[MR_HASH_BYTES],
                       struct mr_version *version)
{
    char path[MR_STORE_PATH_BYTES];
    uint8_t *text = NULL;
    size_t length = 0;
    json_t *manifest = NULL;
    *version = (struct mr_version){.number = 0};
    memcpy(version->hash, hash, MR_HASH_BYTES);
    mr_store_model_path(path, store, hash, "json");
    if (mr_file_read(path, &text, &length, NULL) == 0) {
        manifest = json_loadb((const char *)text, length, JSON_REJECT_DUPLICATES, NULL);
        free(text);
    }
    version->kind = kind_of(manifest);
    version->round = take_number(manifest, "round");
    version->included = (uint32_t)take_number(manifest, "included");
    version->clip_norm = json_number_value(json_object_get(manifest, "clip_norm"));
    version->epsilon = json_number_value(json_object_get(manifest, "epsilon"));
    take_hash(version->parent, manifest, "parent");
    take_state(store, version);
    take_hash(version->announcement, manifest, "announcement_hash");
    take_text(version->noise, sizeof version->noise, manifest, "noise");
    take_text(version->by, sizeof version->by, manifest, "by");
    take_text(version->note, sizeof version->note, manifest, "note");
    take_metrics(version, manifest);
    version->made_unix_ms = (int64_t)take_number(manifest, "ended_unix_ms");
    if (version->made_unix_ms == 0) {
        version->made_unix_ms = mr_store_now_unix_ms();
    }
    json_decref(manifest);
}

/* --- `current` -------------------------------------------------------------------------------- */

int mr_store_read_witness(struct mr_store_witness *witness, const char *data_dir,
                          struct mr_error *error)
{
    char path[MR_STORE_PATH_BYTES], hex[2 * MR_HASH_BYTES + 1];
    uint8_t *bytes = NULL;
    size_t length = 0;
    snprintf(path, sizeof path, "%s/current", data_dir);
    const int got = mr_file_read(path, &bytes, &length, error);
    if (got != 0) {
        return got;
    }
    *witness = (struct mr_store_witness){.highest = 0};
    const bool good =
        sscanf((const char *)bytes, "%64[0-9a-f] %" SCNu64, hex, &witness->highest) == 2 &&
        mr_hex_decode(witness->hash, MR_HASH_BYTES, hex) == 0;
    free(bytes);
    return good ? 0
                : mr_error_set(error,
                               "%s does not hold a model's hash and a version's number: move it "
                               "away, the next start writes it again from versions.db",
                               path);
}

static int write_witness(const struct mr_store *store, const uint8_t hash[MR_HASH_BYTES],
                         struct mr_error *error)
{
    char path[MR_STORE_PATH_BYTES], hex[2 * MR_HASH_BYTES + 1], line[128];
    uint64_t highest;
    if (mr_versions_highest(store->versions, &highest, error) != 0) {
        return -1;
    }
    mr_hex_encode(hex, hash, MR_HASH_BYTES);
    const int length = snprintf(line, sizeof line, "%s %" PRIu64 "\n", hex, highest);
    snprintf(path, sizeof path, "%s/current", store->data_dir);
    return mr_file_replace(path, line, (size_t)length, error);
}

/* --- writing ---------------------------------------------------------------------------------- */

/* 1, 0 or -1. */
static int is_current(const struct mr_store *store, const uint8_t hash[MR_HASH_BYTES],
                      struct mr_error *error)
{
    struct mr_version current;
    const int got = mr_versions_current(store->versions, &current, error);
    return got < 0 ? -1 : got == 0 && memcmp(current.hash, hash, MR_HASH_BYTES) == 0;
}

int mr_store_write_current(const struct mr_store *store, const uint8_t hash[MR_HASH_BYTES],
                           struct mr_error *error)
{
    struct mr_version version;
    const int already = is_current(store, hash, error);
    if (already < 0) {
        return -1;
    }
    if (already) {
        return write_witness(store, hash, error);
    }
    mr_store_describe(store, hash, &version);
    return mr_store_append_version(store, &version, error);
}

int mr_store_append_version(const struct mr_store *store, struct mr_version *version,
                            struct mr_error *error)
{
    return mr_versions_append(store->versions, version, error) != 0
               ? -1
               : write_witness(store, version->hash, error);
}

int mr_store_write_back(const struct mr_store *store, const uint8_t hash[MR_HASH_BYTES],
                        struct mr_error *error)
{
    struct mr_version version;
    mr_store_describe(store, hash, &version);
    version.kind = MR_VERSION_RETURNED;
    version.made_unix_ms = mr_store_now_unix_ms();
    return mr_versions_go_back(store->versions, &version, error) != 0
               ? -1
               : write_witness(store, hash, error);
}

/* --- opening ---------------------------------------------------------------------------------- */

static int missing(const struct mr_store *store, const char *what, struct mr_error *error)
{
    return mr_error_set(error,
                        "%s/versions.db %s: put it back from a copy that is not older, or start "
                        "the hub once with --rebuild-versions, which makes a new one from models/ "
                        "and loses aliases and tags",
                        store->data_dir, what);
}

/* The witness is written after the version: it may be older by one crash, never newer. */
static int hold_against(const struct mr_store *store, const struct mr_store_witness *witness,
                        const struct mr_version *current, struct mr_error *error)
{
    uint64_t highest;
    char what[120];
    if (mr_versions_highest(store->versions, &highest, error) != 0) {
        return -1;
    }
    if (highest < witness->highest) {
        snprintf(what, sizeof what, "ends with version %" PRIu64 ", but `current` knows %" PRIu64,
                 highest, witness->highest);
        return missing(store, what, error);
    }
    return highest == witness->highest && memcmp(witness->hash, current->hash, MR_HASH_BYTES) == 0
               ? 0
               : write_witness(store, current->hash, error);
}

int mr_store_open_versions(struct mr_store *store, struct mr_error *error)
{
    char path[MR_STORE_PATH_BYTES];
    struct mr_store_witness witness = {.highest = 0};
    struct mr_version current;
    bool made;
    snprintf(path, sizeof path, "%s/versions.db", store->data_dir);
    const int known = mr_store_read_witness(&witness, store->data_dir, error);
    if (known < 0) {
        return -1;
    }
    if (known == 0 && access(path, F_OK) != 0) {
        return missing(store, "is not there", error);
    }
    if (mr_versions_open(&store->versions, store->data_dir, &made, error) != 0) {
        return mr_error_prefix(error, "%s", store->data_dir);
    }
    const int got = mr_versions_current(store->versions, &current, error);
    if (got != 0) {
        return got < 0 || known > 0 ? got : missing(store, "is empty", error);
    }
    mr_store_adopt(store, current.hash);
    if (mr_versions_place(store->versions, &current, &store->place, error) != 0) {
        return -1;
    }
    return hold_against(store, &witness, &current, error);
}
