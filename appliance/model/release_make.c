#include "appliance/model/release_make.h"

#include <inttypes.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/model/origin.h"
#include "appliance/storage/files.h"
#include "wire/release_epsilon.h"

#define DAY_S 86400u

void mr_release_path(char path[MR_RELEASE_PATH_BYTES], const char *data_dir,
                     const struct mr_release_version *version)
{
    snprintf(path, MR_RELEASE_PATH_BYTES, "%s/releases/%" PRIu64 ".%" PRIu32 ".manifest", data_dir,
             version->round, version->step);
}

static uint8_t *hash_blocks(const uint8_t *bytes, size_t length, uint32_t *count)
{
    const size_t block = (size_t)1 << MR_RELEASE_BLOCK_LOG2;
    *count = mr_release_block_count(length, MR_RELEASE_BLOCK_LOG2);
    uint8_t *hashes = *count <= MR_RELEASE_BLOCKS_MAX ? malloc(32 * (size_t)*count) : NULL;
    for (uint32_t i = 0; hashes && i < *count; i++) {
        const size_t at = i * block;
        SHA256(bytes + at, length - at < block ? length - at : block, hashes + 32 * (size_t)i);
    }
    return hashes;
}

/* What it was made from, and by which round. 0 or -1. */
static int name_origin(struct mr_release *release, const struct mr_release_making *making)
{
    struct mr_model_origin origin;
    if (making->place.is_chosen) { /* whatever led to that model when it was first here */
        memcpy(release->base_hash, making->place.before, MR_HASH_BYTES);
        return 0;
    }
    if (mr_model_origin_read(making->store, making->model_hash, &origin) != 0) {
        return -1;
    }
    memcpy(release->base_hash, origin.parent, MR_HASH_BYTES);
    if (origin.has_round) {
        memcpy(release->announcement_hash, origin.terms.hash, MR_HASH_BYTES);
        release->included = origin.included;
        release->epsilon = mr_release_epsilon(&origin.terms.announcement);
    }
    return 0;
}

/* The version, and the round that it counts from. 0; 1: there is none; -1 with an error. */
static int find_version(struct mr_release_version *version, struct mr_model_origin *round_origin,
                        const struct mr_release_making *making, struct mr_error *error)
{
    const struct mr_version_place *place = &making->place;
    if (!place->is_chosen) {
        return mr_model_version(making->store, making->model_hash, version, round_origin);
    }
    *version = (struct mr_release_version){.round = place->round, .step = place->step};
    return mr_model_origin_read(making->store, place->round_model, round_origin) == 0 &&
                   round_origin->has_round
               ? 0
               : mr_error_set(error,
                              "round %" PRIu64 "'s model is gone from the store (tasks.keep), and "
                              "with it what this version counts from: devices get the model of the "
                              "next round",
                              place->round);
}

/* Nothing in it is of this hub alone, no clock among it. */
static int encode(uint8_t **manifest, size_t *manifest_bytes,
                  const struct mr_release_making *making, const struct mr_release_version *version,
                  const struct mr_model_origin *round_origin)
{
    const struct mr_announcement *announcement = &round_origin->terms.announcement;
    struct mr_release release = {
        .version = *version,
        .expires_s =
            announcement->deadline_unix_ms / 1000 + (uint64_t)making->lifetime_days * DAY_S,
        .client_min = making->client_min,
        .format = MR_RELEASE_FORMAT_F32,
        .block_log2 = MR_RELEASE_BLOCK_LOG2,
    };
    size_t length;
    const uint8_t *bytes = mr_model_bytes(making->model, &length);
    uint8_t *blocks = hash_blocks(bytes, length, &release.block_count);
    if (!blocks || name_origin(&release, making) != 0) {
        free(blocks);
        return -1;
    }
    release.blocks = blocks;
    release.target_bytes = length;
    snprintf(release.task, sizeof release.task, "%s", making->task);
    memcpy(release.target_hash, making->model_hash, MR_HASH_BYTES);
    *manifest = mr_release_encode(&release, manifest_bytes);
    free(blocks);
    return *manifest ? 0 : -1;
}

/* The manifest of that version which is on the disk is the one, whatever would be made today. */
static int take_stored(uint8_t **manifest, size_t *length, const struct mr_release_making *making,
                       const char *path, struct mr_error *error)
{
    struct mr_release release;
    const int found = mr_file_read(path, manifest, length, error);
    if (found != 0) {
        return found;
    }
    if (mr_release_decode(&release, *manifest, *length, error) != 0) {
        return mr_error_prefix(error, "%s", path);
    }
    if (memcmp(release.target_hash, making->model_hash, MR_HASH_BYTES) != 0) {
        return mr_error_set(error,
                            "%s is of another model: this version was released before, and no "
                            "other is released under its number. Was the store put back?",
                            path);
    }
    return 0;
}

int mr_release_make(uint8_t **manifest, size_t *length, const struct mr_release_making *making,
                    struct mr_error *error)
{
    char path[MR_RELEASE_PATH_BYTES];
    struct mr_release_version version;
    struct mr_model_origin round_origin;
    *manifest = NULL;
    const int found = find_version(&version, &round_origin, making, error);
    if (found != 0) {
        return found;
    }
    mr_release_path(path, making->data_dir, &version);
    const int stored = take_stored(manifest, length, making, path, error);
    if (stored <= 0) {
        return stored;
    }
    return encode(manifest, length, making, &version, &round_origin) != 0
               ? mr_error_set(error, "out of memory, or the model's manifest is gone")
               : mr_file_replace(path, *manifest, *length, error);
}
