/* store_rounds.c - what rounds left, and the highest one that was signed. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "appliance/model/store_internal.h"
#include "appliance/storage/files.h"
#include "base/bytes.h"

void mr_store_round_path(char path[MR_STORE_PATH_BYTES], const struct mr_store *store,
                         uint64_t round, const char *suffix)
{
    snprintf(path, MR_STORE_PATH_BYTES, "%s/rounds/%" PRIu64 ".%s", store->data_dir, round, suffix);
}

int mr_store_read_round(const struct mr_store *store, uint64_t round, char **text,
                        struct mr_error *error)
{
    char path[MR_STORE_PATH_BYTES];
    uint8_t *bytes;
    size_t length;
    mr_store_round_path(path, store, round, "json");
    const int found = mr_file_read(path, &bytes, &length, error);
    *text = found == 0 ? (char *)bytes : NULL;
    return found;
}

/* --- what may stand in whose place ----------------------------------------------------------- */

enum mr_stored_end mr_stored_end_of(const char *record)
{
    if (!record) {
        return MR_STORED_END_NONE;
    }
    json_t *object = json_loads(record, JSON_REJECT_DUPLICATES, NULL);
    const char *state = json_string_value(json_object_get(object, "state"));
    const enum mr_stored_end end =
        !state                                                              ? MR_STORED_END_UNKNOWN
        : strcmp(state, "void") == 0                                        ? MR_STORED_END_VOID
        : strcmp(state, "published") == 0 || strcmp(state, "revealed") == 0 ? MR_STORED_END_OPENED
                                                                            : MR_STORED_END_UNKNOWN;
    json_decref(object);
    return end;
}

static bool same_member(const json_t *a, const json_t *b, const char *name)
{
    const char *x = json_string_value(json_object_get(a, name));
    const char *y = json_string_value(json_object_get(b, name));
    return x && y ? strcmp(x, y) == 0 : x == y;
}

/* Of one announcement, one end, and one result. Times may differ: a hub that was killed between the
 * record and its journal comes to the same end twice. */
static bool says_the_same(const char *before, const char *now)
{
    json_t *a = json_loads(before, JSON_REJECT_DUPLICATES, NULL);
    json_t *b = json_loads(now, JSON_REJECT_DUPLICATES, NULL);
    const bool same =
        a && b && same_member(a, b, "state") && same_member(a, b, "announcement_hash") &&
        same_member(a, b, "model_hash") &&
        (mr_stored_end_of(before) == MR_STORED_END_VOID || same_member(a, b, "set_hash"));
    json_decref(a);
    json_decref(b);
    return same;
}

static const char *end_name(enum mr_stored_end end)
{
    return end == MR_STORED_END_VOID     ? "void"
           : end == MR_STORED_END_OPENED ? "opened"
                                         : "something that this hub cannot read";
}

/* The one place where it is decided whether a record may be written: a round gets one, once. 0: it
 * has none, write it; 2: it has this one; 1 with an error: it has another, which stays; -1. `kept`
 * is the record that is there, malloc'd, or NULL. */
static int judge(const struct mr_store *store, uint64_t round, const char *json, char **kept,
                 struct mr_error *error)
{
    const int found = mr_store_read_round(store, round, kept, error);
    if (found != 0) {
        return found < 0 ? -1 : 0;
    }
    if (strcmp(*kept, json) == 0 || says_the_same(*kept, json)) {
        return 2;
    }
    mr_error_set(error,
                 "round %" PRIu64 " has a record already, which says %s: that one stays, and "
                 "%s is not written over it",
                 round, end_name(mr_stored_end_of(*kept)), end_name(mr_stored_end_of(json)));
    return 1;
}

/* --- writing --------------------------------------------------------------------------------- */

static int put_record(const struct mr_store *store, uint64_t round, const char *json,
                      struct mr_error *error)
{
    char path[MR_STORE_PATH_BYTES];
    mr_store_round_path(path, store, round, "json");
    return mr_file_replace(path, json, strlen(json), error);
}

static int put_sum(const struct mr_store *store, uint64_t round, const uint8_t *sum, size_t bytes,
                   struct mr_error *error)
{
    char path[MR_STORE_PATH_BYTES];
    mr_store_round_path(path, store, round, "sum");
    return mr_file_replace(path, sum, bytes, error);
}

/* Also when a crash came between unlinking and the folder's sync. */
static int drop_sum(const struct mr_store *store, uint64_t round, struct mr_error *error)
{
    static const char *const suffixes[] = {"sum", "sum.tmp"};
    char path[MR_STORE_PATH_BYTES];
    for (unsigned i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        mr_store_round_path(path, store, round, suffixes[i]);
        if (unlink(path) != 0 && errno != ENOENT) {
            return mr_error_set(error, "%s: %s", path, strerror(errno));
        }
    }
    snprintf(path, sizeof path, "%s/rounds", store->data_dir);
    return mr_dir_sync(path, error);
}

int mr_store_write_round(const struct mr_store *store, uint64_t round, const char *json,
                         const uint8_t *sum, size_t sum_bytes, struct mr_error *error)
{
    char *kept = NULL;
    const bool is_void = !sum && mr_stored_end_of(json) == MR_STORED_END_VOID;
    int result = judge(store, round, json, &kept, error);
    if (result == 2) { /* the same bytes once more: whether they were synced, nobody knows */
        result = put_record(store, round, kept, error);
        if (result == 0 && is_void) {
            result = drop_sum(store, round, error);
        }
    } else if (result == 0) {
        /* The sum is there before a record says that it is, and gone before one says that there is
         * none. */
        if (is_void) {
            result = drop_sum(store, round, error);
        } else if (sum) {
            result = put_sum(store, round, sum, sum_bytes, error);
        }
        if (result == 0) {
            result = put_record(store, round, json, error);
        }
    }
    free(kept);
    return result;
}

/* --- the highest round that was signed ------------------------------------------------------- */

uint64_t mr_store_signed_round(const struct mr_store *store, uint8_t hash[MR_HASH_BYTES])
{
    memcpy(hash, store->signed_hash, MR_HASH_BYTES);
    return store->signed_round;
}

int mr_store_write_signed(const struct mr_store *store, uint64_t round,
                          const uint8_t hash[MR_HASH_BYTES], struct mr_error *error)
{
    char path[MR_STORE_PATH_BYTES], hex[2 * MR_HASH_BYTES + 1], line[128];
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
