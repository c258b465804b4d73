/* store_rounds.c - what rounds left, and the highest one that was signed. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "appliance/model/store_internal.h"
#include "appliance/storage/files.h"
#include "base/bytes.h"

static void round_path(char path[MR_STORE_PATH_BYTES], const struct mr_store *store, uint64_t round,
                       const char *suffix)
{
    snprintf(path, MR_STORE_PATH_BYTES, "%s/rounds/%" PRIu64 ".%s", store->data_dir, round, suffix);
}

int mr_store_write_round(const struct mr_store *store, uint64_t round, const char *json,
                         const uint8_t *sum, size_t sum_bytes, struct mr_error *error)
{
    char path[MR_STORE_PATH_BYTES];
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
    char path[MR_STORE_PATH_BYTES];
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
    char path[MR_STORE_PATH_BYTES];
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
