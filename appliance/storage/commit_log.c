#include "appliance/storage/commit_log.h"

#include <stdlib.h>

struct mr_commit_log {
    const struct mr_disk *disk;
    uint64_t generation; /* of the newest write, or of what was read */
    uint8_t *buffer;
    size_t capacity;
};

static const char *const names[2] = {"commit-0", "commit-1"};

/* Takes the file's generation if it is whole and newer than the one that is there. One that is
 * whole and cannot be taken (there is no memory) is an error: what it calls committed was told. */
static int read_one(struct mr_commit_log *log, const char *name, struct mr_commit_read *newest,
                    struct mr_error *error)
{
    struct mr_commit_read read;
    uint8_t *bytes;
    size_t length;
    const int got = log->disk->read(log->disk->context, name, &bytes, &length, error);
    if (got != 0) {
        return got < 0 ? -1 : 0;
    }
    if (mr_commit_state_whole(bytes, length, error) != 0) {
        free(bytes);
        return 0;
    }
    if (mr_commit_state_parse(&read, bytes, length, error) != 0) {
        free(bytes);
        return mr_error_prefix(error, "%s", name);
    }
    read.bytes = bytes;
    if (read.state.generation <= log->generation) {
        mr_commit_read_fini(&read);
        return 0;
    }
    mr_commit_read_fini(newest);
    *newest = read;
    log->generation = read.state.generation;
    return 0;
}

int mr_commit_log_open(struct mr_commit_log **out, const struct mr_disk *disk,
                       struct mr_commit_read *newest, struct mr_error *error)
{
    struct mr_commit_log *log = calloc(1, sizeof *log);
    *newest = (struct mr_commit_read){.bytes = NULL};
    if (!log) {
        return mr_error_set(error, "out of memory");
    }
    log->disk = disk;
    /* The next write takes the place of the generation before the newest: the newest has to hold.
     */
    if (read_one(log, names[0], newest, error) != 0 ||
        read_one(log, names[1], newest, error) != 0 ||
        (log->generation && mr_disk_settle(disk, names[log->generation % 2], error) != 0)) {
        mr_commit_read_fini(newest);
        free(log);
        return -1;
    }
    *out = log;
    return log->generation ? 0 : 1;
}

void mr_commit_log_close(struct mr_commit_log *log)
{
    if (log) {
        free(log->buffer);
        free(log);
    }
}

int mr_commit_log_write(struct mr_commit_log *log, const struct mr_commit_state *state,
                        struct mr_error *error)
{
    const size_t length = mr_commit_state_bytes(state);
    const struct mr_disk *disk = log->disk;
    struct mr_commit_state numbered = *state;
    if (length > log->capacity) {
        free(log->buffer);
        log->buffer = malloc(length);
        log->capacity = log->buffer ? length : 0;
        if (!log->buffer) {
            return mr_error_set(error, "commit log: out of memory for %zu bytes", length);
        }
    }
    numbered.generation = log->generation + 1;
    const char *name = names[numbered.generation % 2];
    mr_commit_state_encode(log->buffer, &numbered);
    if (disk->write(disk->context, name, log->buffer, length, error) != 0 ||
        disk->sync(disk->context, name, error) != 0) {
        return -1;
    }
    log->generation = numbered.generation;
    return 0;
}
