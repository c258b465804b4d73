#include "edge-client/release/slots.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "edge-client/files/files.h"
#include "edge-client/release/short_copy.h"
#include "edge-client/release/slots_internal.h"

#define LOOKS 3 /* without the lock */

static const char *const files[MR_SLOTS] = {"a.safetensors", "b.safetensors", "c.safetensors",
                                            "part.safetensors"};
static const char *const short_files[MR_SLOTS_COPIES] = {"a.16.safetensors", "b.16.safetensors",
                                                         "c.16.safetensors"};

static void path_of(char path[MR_SLOTS_PATH_BYTES], const struct mr_slots *slots, const char *name)
{
    snprintf(path, MR_SLOTS_PATH_BYTES, "%s/%s", slots->folder, name);
}

void mr_slots_path(char path[MR_SLOTS_PATH_BYTES], const struct mr_slots *slots, enum mr_slot which)
{
    path_of(path, slots, files[which]);
}

/* The active copy as the application opens it. */
static const char *opened_name(const struct mr_slots *slots)
{
    return (slots->models[slots->active].installed_as == MRE_F32 ? files
                                                                 : short_files)[slots->active];
}

static const struct mr_slot_model *known(const struct mr_slot_model *model)
{
    return model->known ? model : NULL;
}

const struct mr_slot_model *mr_slots_active(const struct mr_slots *slots)
{
    return known(&slots->models[slots->active]);
}

const struct mr_slot_model *mr_slots_before(const struct mr_slots *slots)
{
    return known(&slots->models[slots->before]);
}

const struct mr_slot_model *mr_slots_next(const struct mr_slots *slots)
{
    return known(&slots->models[slots->next]);
}

bool mr_slots_refuses(const struct mr_slots *slots, const uint8_t manifest[MR_HASH_BYTES])
{
    for (unsigned i = 0; i < slots->refused_count; i++) {
        if (memcmp(slots->refused[i], manifest, MR_HASH_BYTES) == 0) {
            return true;
        }
    }
    return false;
}

/* --- steps ------------------------------------------------------------------------------------ */

/* From a state that is on the disk to what it says. Every step may have been done already. */
static int finish(struct mr_slots *slots, struct mr_error *error)
{
    char copy[MR_SLOTS_PATH_BYTES];
    if (!mr_slots_active(slots)) {
        return 0;
    }
    path_of(copy, slots, opened_name(slots));
    if (access(copy, R_OK) != 0) {
        return mr_error_set(error, "%s: %s; pull again", copy, strerror(errno));
    }
    if (mr_slots_lead(slots, opened_name(slots), error) != 0) {
        return -1;
    }
    if (slots->models[slots->active].installed_as == MRE_F32) { /* a model before it may have one */
        path_of(copy, slots, short_files[slots->active]);
        (void)unlink(copy);
    }
    return 0;
}

void mr_slots_raise(struct mr_slots *slots, const struct mr_release_version *floor,
                    const uint8_t manifest[MR_HASH_BYTES])
{
    slots->unsaved |= memcmp(slots->floor_manifest, manifest, MR_HASH_BYTES) != 0;
    slots->floor = *floor;
    memcpy(slots->floor_manifest, manifest, MR_HASH_BYTES);
}

int mr_slots_settle(struct mr_slots *slots, struct mr_error *error)
{
    return slots->unsaved ? mr_slots_save(slots, error) : 0;
}

/* A description never stands beside another model's bytes. */
static int take_part(struct mr_slots *slots, const char *part, struct mr_error *error)
{
    char next[MR_SLOTS_PATH_BYTES];
    mr_slots_path(next, slots, slots->next);
    if (mr_slots_next(slots)) {
        slots->models[slots->next].known = false;
        if (mr_slots_save(slots, error) != 0) {
            return -1;
        }
    }
    return rename(part, next) || mr_folder_sync(slots->folder)
               ? mr_error_set(error, "%s: %s", next, strerror(errno))
               : 0;
}

int mr_slots_pulled(struct mr_slots *slots, const struct mr_slot_model *model, enum mr_slot from,
                    struct mr_error *error)
{
    char part[MR_SLOTS_PATH_BYTES];
    MR_ASSERT(!slots->trial && (from == MR_SLOT_PART || !mr_slots_next(slots)));
    mr_slots_path(part, slots, MR_SLOT_PART);
    if (from != MR_SLOT_PART) {
        (void)unlink(part); /* what came of another one in pieces */
    } else if (take_part(slots, part, error) != 0) {
        return -1;
    }
    slots->models[slots->next] = *model;
    return mr_slots_save(slots, error);
}

static void owe(struct mr_slots *slots, const uint8_t manifest[MR_HASH_BYTES],
                enum mr_release_outcome outcome)
{
    slots->outcome_owed = true;
    slots->outcome = outcome;
    memcpy(slots->outcome_manifest, manifest, MR_HASH_BYTES);
}

/* What lies in the next one's place is nobody's way back any more. A small file stays, to be
 * written over: that is half the work of a new one. */
static void leave_room(const struct mr_slots *slots)
{
    char path[MR_SLOTS_PATH_BYTES];
    struct stat about;
    path_of(path, slots, short_files[slots->next]);
    (void)unlink(path);
    mr_slots_path(path, slots, slots->next);
    if (stat(path, &about) == 0 && about.st_size > MR_SLOTS_ROOM_MAX) {
        (void)unlink(path);
    }
}

int mr_slots_install(struct mr_slots *slots, const enum mre_number_type *wanted, bool kept,
                     struct mr_error *error)
{
    const enum mr_slot free_place = slots->before;
    struct mr_slot_model *model = &slots->models[slots->next];
    char next[MR_SLOTS_PATH_BYTES], next_short[MR_SLOTS_PATH_BYTES];
    mr_slots_path(next, slots, slots->next);
    path_of(next_short, slots, short_files[slots->next]);
    if (mr_short_copy(model, next, next_short, wanted, error) != 0) {
        return -1;
    }
    if (model->installed_as != MRE_F32 && mr_folder_sync(slots->folder) != 0) {
        return mr_error_set(error, "%s: %s", slots->folder, strerror(errno));
    }
    slots->before = slots->active;
    slots->active = slots->next;
    slots->next = free_place;
    slots->models[free_place] = (struct mr_slot_model){.known = false};
    slots->trial = !kept;
    if (kept) {
        owe(slots, model->manifest, MR_RELEASE_KEPT);
    }
    if (mr_slots_save(slots, error) != 0) {
        return -1;
    }
    leave_room(slots);
    return finish(slots, error);
}

int mr_slots_confirm(struct mr_slots *slots, enum mr_release_outcome outcome,
                     struct mr_error *error)
{
    slots->trial = false;
    owe(slots, slots->models[slots->active].manifest, outcome);
    return mr_slots_save(slots, error);
}

int mr_slots_failed(struct mr_slots *slots, const uint8_t manifest[MR_HASH_BYTES],
                    struct mr_error *error)
{
    owe(slots, manifest, MR_RELEASE_FAILED);
    return mr_slots_save(slots, error);
}

void mr_slots_told(struct mr_slots *slots)
{
    slots->outcome_owed = false;
    slots->unsaved = true;
}

int mr_slots_go_back(struct mr_slots *slots, struct mr_error *error)
{
    const enum mr_slot back = slots->before;
    const unsigned kept = slots->refused_count < MR_SLOTS_REFUSED_MAX ? slots->refused_count
                                                                      : MR_SLOTS_REFUSED_MAX - 1;
    if (!mr_slots_active(slots) || !mr_slots_before(slots)) {
        return 1;
    }
    memmove(slots->refused[1], slots->refused[0], kept * sizeof slots->refused[0]);
    memcpy(slots->refused[0], slots->models[slots->active].manifest, MR_HASH_BYTES);
    slots->refused_count = kept + 1;
    owe(slots, slots->models[slots->active].manifest, MR_RELEASE_WENT_BACK);
    slots->before = slots->active;
    slots->active = back;
    slots->trial = false;
    return mr_slots_save(slots, error) != 0 ? -1 : finish(slots, error);
}

/* --- opening ---------------------------------------------------------------------------------- */

/* 0; 1: another process has it; -1. */
static int take_lock(struct mr_slots *slots, struct mr_error *error)
{
    char path[MR_SLOTS_PATH_BYTES];
    snprintf(path, sizeof path, "%s/lock", slots->folder);
    slots->lock = mr_fd_above_standard(open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (slots->lock < 0 || flock(slots->lock, LOCK_EX | LOCK_NB)) {
        const bool taken = slots->lock >= 0 && errno == EWOULDBLOCK;
        mr_error_set(error, "%s: %s", path,
                     taken ? "another process pulls or installs here" : strerror(errno));
        if (slots->lock >= 0) {
            close(slots->lock);
        }
        slots->lock = -1;
        return taken ? 1 : -1;
    }
    return 0;
}

static int set_paths(struct mr_slots *slots, const char *file, struct mr_error *error)
{
    *slots =
        (struct mr_slots){.lock = -1, .active = MR_SLOT_A, .before = MR_SLOT_B, .next = MR_SLOT_C};
    const int length = snprintf(slots->folder, sizeof slots->folder, "%s" MR_SLOTS_SUFFIX, file);
    if (length < 0 || (size_t)length >= sizeof slots->folder - 32) {
        return mr_error_set(error, "the file's path is too long");
    }
    snprintf(slots->file, sizeof slots->file, "%s", file);
    return 0;
}

static int load_locked(struct mr_slots *slots, struct mr_error *error)
{
    if (mr_slots_check_file(slots, error) != 0 || mr_slots_load(slots, error) != 0 ||
        finish(slots, error) != 0) {
        mr_slots_close(slots);
        return -1;
    }
    return 0;
}

int mr_slots_open(struct mr_slots *slots, const char *file, struct mr_error *error)
{
    if (set_paths(slots, file, error) != 0) {
        return -1;
    }
    if (mr_folder_private(slots->folder) != 0) {
        return mr_error_set(error, "%s: %s", slots->folder, strerror(errno));
    }
    return take_lock(slots, error) != 0 ? -1 : load_locked(slots, error);
}

/* A record that is being written does not hold, and the other one does; who reads while the writer
 * comes to that one, too, reads once more. */
static int load_unlocked(struct mr_slots *slots, struct mr_error *error)
{
    const struct mr_slots fresh = *slots;
    int result = -1;
    for (unsigned i = 0; i < LOOKS && result != 0; i++) {
        *slots = fresh;
        result = mr_slots_load(slots, error);
    }
    return result;
}

int mr_slots_look(struct mr_slots *slots, const char *file, struct mr_error *error)
{
    if (set_paths(slots, file, error) != 0) {
        return -1;
    }
    if (access(slots->folder, F_OK) != 0 && errno == ENOENT) {
        return mr_slots_check_file(slots, error);
    }
    const int locked = take_lock(slots, error);
    return locked == 0 ? load_locked(slots, error) : locked > 0 ? load_unlocked(slots, error) : -1;
}

void mr_slots_close(struct mr_slots *slots)
{
    if (slots->lock >= 0) {
        mr_lock_release(slots->lock);
    }
    slots->lock = -1;
}
