#include "appliance/model/rollout_log.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "appliance/storage/append_log.h"
#include "appliance/storage/files.h"

#define PATH_BYTES (PATH_MAX + 64)

struct mr_rollout_log {
    char folder[PATH_BYTES];
    struct mr_disk_file *file;
    struct mr_append_log *log;
    bool failed;
};

static void folder_of(char folder[PATH_BYTES], const char *data_dir)
{
    snprintf(folder, PATH_BYTES, "%s/releases/rollout", data_dir);
}

/* --- reading ---------------------------------------------------------------------------------- */

static unsigned newest_number(const char *folder)
{
    DIR *entries = opendir(folder);
    unsigned newest = 0;
    for (struct dirent *entry; entries && (entry = readdir(entries));) {
        unsigned number;
        char name[32];
        if (sscanf(entry->d_name, "%u.log", &number) == 1 && number > newest) {
            snprintf(name, sizeof name, "%06u.log", number);
            newest = strcmp(name, entry->d_name) == 0 ? number : newest;
        }
    }
    if (entries) {
        closedir(entries);
    }
    return newest;
}

/* What a file's bytes say, as far as they are whole. False: not even its first entry is. */
static bool replay(struct mr_rollout *rollout, const uint8_t *bytes, size_t length)
{
    const uint8_t *entry;
    size_t at = 0, entry_bytes;
    unsigned count = 0;
    while (mr_append_log_next(bytes, length, &at, &entry, &entry_bytes) > 0 &&
           mr_rollout_replay(rollout, entry, entry_bytes) == 0) {
        count++;
    }
    return count > 0;
}

static bool read_one(const struct mr_disk *disk, unsigned number, struct mr_rollout *rollout)
{
    uint8_t *bytes = NULL;
    size_t length = 0;
    struct mr_error error;
    const bool read = mr_append_log_read(disk, number, &bytes, &length, &error) == 0;
    const bool good = read && replay(rollout, bytes, length);
    free(bytes);
    if (!good) {
        mr_rollout_fini(rollout);
    }
    return good;
}

unsigned mr_rollout_log_read(const char *data_dir, struct mr_rollout *rollouts, unsigned most)
{
    char folder[PATH_BYTES];
    struct mr_disk_file *file;
    struct mr_error error;
    unsigned count = 0;
    folder_of(folder, data_dir);
    if (mr_disk_file_open(&file, folder, &error) != 0) {
        return 0;
    }
    const unsigned newest = newest_number(folder);
    for (unsigned back = 0; back < newest && back < MR_ROLLOUT_FILES_KEPT && count < most; back++) {
        struct mr_rollout *rollout = &rollouts[count];
        *rollout = (struct mr_rollout){.known = false};
        if (!read_one(mr_disk_file_ops(file), newest - back, rollout)) {
            continue;
        }
        /* A release that has several files, after a disk that failed: the newest says all. */
        if (count > 0 && memcmp(rollout->release, rollout[-1].release, MR_HASH_BYTES) == 0) {
            mr_rollout_fini(rollout);
            continue;
        }
        count++;
    }
    mr_disk_file_close(file);
    return count;
}

/* --- writing ---------------------------------------------------------------------------------- */

int mr_rollout_log_write(struct mr_rollout_log *log, const uint8_t *const *records,
                         const size_t *lengths, unsigned count, struct mr_error *error)
{
    int bad = 0;
    for (unsigned i = 0; bad == 0 && i < count; i++) {
        bad = mr_append_log_add(log->log, records[i], lengths[i], error);
    }
    if (bad == 0) {
        bad = mr_append_log_write(log->log, error);
    }
    log->failed = bad != 0;
    return bad;
}

/* After a failure what was added and not written is given up with the log itself. */
static int reopen(struct mr_rollout_log *log, struct mr_error *error)
{
    uint8_t *bytes;
    size_t length;
    struct mr_append_log *fresh;
    if (mr_append_log_open(&fresh, mr_disk_file_ops(log->file), newest_number(log->folder), &bytes,
                           &length, error) != 0) {
        return -1;
    }
    free(bytes);
    mr_append_log_close(log->log);
    log->log = fresh;
    return 0;
}

int mr_rollout_log_anew(struct mr_rollout_log *log, const uint8_t *record, size_t length,
                        struct mr_error *error)
{
    if (log->failed && reopen(log, error) != 0) {
        return -1;
    }
    log->failed = false;
    mr_append_log_roll(log->log);
    const unsigned number = mr_append_log_number(log->log);
    if (mr_rollout_log_write(log, &record, &length, 1, error) != 0) {
        return -1;
    }
    if (number > MR_ROLLOUT_FILES_KEPT) {
        char path[PATH_BYTES + 32];
        snprintf(path, sizeof path, "%s/%06u.log", log->folder, number - MR_ROLLOUT_FILES_KEPT);
        (void)unlink(path);
    }
    return 0;
}

bool mr_rollout_log_is_whole(const struct mr_rollout_log *log)
{
    return !log->failed && mr_append_log_number(log->log) > 0 && !mr_append_log_is_torn(log->log);
}

/* --- opening ---------------------------------------------------------------------------------- */

static int open_log(struct mr_rollout_log *log, struct mr_rollout *rollout, struct mr_error *error)
{
    uint8_t *bytes;
    size_t length;
    const unsigned newest = newest_number(log->folder);
    if (mr_append_log_open(&log->log, mr_disk_file_ops(log->file), newest, &bytes, &length,
                           error) != 0) {
        return -1;
    }
    const bool good = bytes && replay(rollout, bytes, length);
    free(bytes);
    /* A file whose first entry a crash tore says nothing: nobody has heard of it either. */
    for (unsigned back = 1; !good && back < newest && back < MR_ROLLOUT_FILES_KEPT; back++) {
        mr_rollout_fini(rollout);
        if (read_one(mr_disk_file_ops(log->file), newest - back, rollout)) {
            break;
        }
    }
    log->failed = newest > 0 && !good;
    return 0;
}

int mr_rollout_log_open(struct mr_rollout_log **out, const char *data_dir,
                        struct mr_rollout *rollout, struct mr_error *error)
{
    struct mr_rollout_log *log = calloc(1, sizeof *log);
    if (!log) {
        return mr_error_set(error, "out of memory");
    }
    folder_of(log->folder, data_dir);
    if (mr_dir_make(log->folder, error) != 0 ||
        mr_disk_file_open(&log->file, log->folder, error) != 0 ||
        open_log(log, rollout, error) != 0) {
        mr_rollout_log_close(log);
        return -1;
    }
    *out = log;
    return 0;
}

void mr_rollout_log_close(struct mr_rollout_log *log)
{
    if (!log) {
        return;
    }
    mr_append_log_close(log->log);
    mr_disk_file_close(log->file);
    free(log);
}
