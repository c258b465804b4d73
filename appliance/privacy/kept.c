#include "appliance/privacy/kept.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "appliance/storage/files.h"
#include "appliance/storage/folder.h"
#include "appliance/storage/sealed_file.h"
#include "base/bytes.h"

#define HOUR_MS UINT64_C(3600000)

int mr_kept_path(char path[MR_KEPT_PATH_BYTES], const char *folder, uint64_t round, unsigned part)
{
    const int length =
        snprintf(path, MR_KEPT_PATH_BYTES, "%s/%" PRIu64 "-%u.kept", folder, round, part);
    return length > 0 && length < MR_KEPT_PATH_BYTES ? 0 : -1;
}

/* --- writing --------------------------------------------------------------------------------- */

struct mr_kept {
    struct mr_sealed_file *file;
    bool fresh; /* its name is not synced yet */
    char folder[MR_KEPT_PATH_BYTES];
};

static int too_long(struct mr_error *error)
{
    return mr_error_set(error, "data_dir: the path is too long");
}

static int free_part(char path[MR_KEPT_PATH_BYTES], const struct mr_kept_place *place,
                     struct mr_error *error)
{
    for (unsigned part = 1; part <= MR_KEPT_PARTS_MAX; part++) {
        if (mr_kept_path(path, place->folder, place->round, part) != 0) {
            return too_long(error);
        }
        if (access(path, F_OK) != 0 && errno == ENOENT) {
            return 0;
        }
    }
    return mr_error_set(error, "round %" PRIu64 " has %d files of what is kept for audits",
                        place->round, MR_KEPT_PARTS_MAX);
}

static int add_terms(struct mr_kept *kept, uint16_t hub_index,
                     const struct mr_announcement *announcement, struct mr_error *error)
{
    uint8_t head[3] = {MR_KEPT_TERMS}, canonical[MR_ANNOUNCEMENT_MAX];
    const size_t length = mr_announcement_encode(canonical, announcement);
    mr_be16_put(head + 1, hub_index);
    return mr_sealed_file_add(kept->file, head, sizeof head, canonical, length, error);
}

int mr_kept_begin(struct mr_kept **out, const struct mr_kept_place *place, uint16_t hub_index,
                  const struct mr_announcement *announcement, struct mr_error *error)
{
    char path[MR_KEPT_PATH_BYTES];
    const uint64_t until =
        announcement->deadline_unix_ms + (uint64_t)announcement->audit_hours * HOUR_MS;
    struct mr_kept *kept = calloc(1, sizeof *kept);
    if (!kept) {
        return mr_error_set(error, "out of memory");
    }
    kept->fresh = true;
    snprintf(kept->folder, sizeof kept->folder, "%s", place->folder);
    if (free_part(path, place, error) != 0 ||
        mr_sealed_file_create(&kept->file, path, until, place->private_key, error) != 0 ||
        add_terms(kept, hub_index, announcement, error) != 0) {
        mr_kept_close(kept);
        return -1;
    }
    *out = kept;
    return 0;
}

int mr_kept_add(struct mr_kept *kept, const struct mr_audit_entry *counted, const uint8_t *material,
                size_t bytes, struct mr_error *error)
{
    uint8_t head[MR_KEPT_COUNTED_BYTES] = {MR_KEPT_COUNTED};
    uint8_t *at = head + 1;
    memcpy(at, counted->of.client_id, MR_CLIENT_ID_BYTES);
    mr_be32_put(at + MR_CLIENT_ID_BYTES, counted->of.attempt);
    memcpy(at + MR_INCLUDED_BYTES, counted->salt, MR_AUDIT_SALT_BYTES);
    memcpy(at + MR_INCLUDED_BYTES + MR_AUDIT_SALT_BYTES, counted->hash, MR_HASH_BYTES);
    return mr_sealed_file_add(kept->file, head, sizeof head, material, bytes, error);
}

int mr_kept_add_set(struct mr_kept *kept, const struct mr_included *set, uint32_t count,
                    struct mr_error *error)
{
    static const uint8_t head[1] = {MR_KEPT_SET};
    uint8_t *bytes = malloc(4 + (size_t)count * MR_INCLUDED_BYTES);
    if (!bytes) {
        return mr_error_set(error, "out of memory for a set of %u devices", count);
    }
    const size_t length = mr_included_encode(bytes, set, count);
    const int result = mr_sealed_file_add(kept->file, head, sizeof head, bytes, length, error);
    free(bytes);
    return result;
}

int mr_kept_add_commitments(struct mr_kept *kept, const struct mr_commitment *list, unsigned count,
                            struct mr_error *error)
{
    static const uint8_t head[1] = {MR_KEPT_COMMITMENTS};
    uint8_t bytes[MR_HUBS_MAX * MR_COMMITMENT_BYTES];
    for (unsigned i = 0; i < count; i++) {
        mr_commitment_encode(bytes + (size_t)i * MR_COMMITMENT_BYTES, &list[i]);
    }
    return mr_sealed_file_add(kept->file, head, sizeof head, bytes,
                              (size_t)count * MR_COMMITMENT_BYTES, error);
}

int mr_kept_sync(struct mr_kept *kept, struct mr_error *error)
{
    if (mr_sealed_file_sync(kept->file, error) != 0 ||
        (kept->fresh && mr_dir_sync(kept->folder, error) != 0)) {
        return -1;
    }
    kept->fresh = false;
    return 0;
}

void mr_kept_close(struct mr_kept *kept)
{
    if (kept) {
        mr_sealed_file_close(kept->file);
    }
    free(kept);
}

/* --- the end --------------------------------------------------------------------------------- */

int mr_kept_destroy(const char *folder, uint64_t round, struct mr_error *error)
{
    for (unsigned part = 1; part <= MR_KEPT_PARTS_MAX; part++) {
        char path[MR_KEPT_PATH_BYTES];
        if (mr_kept_path(path, folder, round, part) != 0) {
            return too_long(error);
        }
        if (access(path, F_OK) != 0 && errno == ENOENT) {
            return part == 1 ? 0 : mr_dir_sync(folder, error);
        }
        if (mr_sealed_file_destroy(path, error) != 0) {
            return -1;
        }
    }
    return mr_dir_sync(folder, error);
}

struct sweep {
    const char *folder;
    uint64_t unix_ms, spared;
    unsigned removed;
    int result;
    struct mr_error *error;
};

static void sweep_one(void *context, const struct mr_folder_file *file)
{
    struct sweep *sweep = context;
    char path[MR_KEPT_PATH_BYTES];
    uint64_t round, until = 0;
    unsigned part;
    int end = 0;
    if (sweep->result != 0 ||
        sscanf(file->name, "%" SCNu64 "-%u.kept%n", &round, &part, &end) != 2 || end == 0 ||
        file->name[end] != '\0' || round == sweep->spared ||
        mr_kept_path(path, sweep->folder, round, part) != 0) {
        return;
    }
    const int found = mr_sealed_file_until(path, &until, sweep->error);
    if (found == 0 && until > sweep->unix_ms) {
        return;
    }
    sweep->result = found < 0 ? -1 : mr_sealed_file_destroy(path, sweep->error);
    sweep->removed += sweep->result == 0;
}

int mr_kept_sweep(const char *folder, uint64_t unix_ms, uint64_t spared, unsigned *removed,
                  struct mr_error *error)
{
    struct sweep sweep = {.folder = folder, .unix_ms = unix_ms, .spared = spared, .error = error};
    if (mr_folder_list(folder, sweep_one, &sweep, error) != 0) {
        return -1;
    }
    *removed = sweep.removed;
    return sweep.result != 0 ? -1 : sweep.removed > 0 ? mr_dir_sync(folder, error) : 0;
}

/* Beside the share or the seed: the unit with its tag, and the device's place in the set. */
#define DEVICE_BYTES 192u

uint64_t mr_kept_bytes(uint64_t material_bytes, uint32_t devices)
{
    return devices * (material_bytes + DEVICE_BYTES);
}
