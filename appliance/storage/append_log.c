#include "appliance/storage/append_log.h"

#include <isa-l/crc64.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"

#define MAGIC_BYTES 8
#define EXTRA_BYTES 12 /* of an entry: length and checksum */

struct mr_append_log {
    const struct mr_disk *disk;
    unsigned number; /* of the file that is appended to */
    uint64_t bytes;  /* of it, with what is added */
    bool torn, exists;
    uint8_t *added; /* not written yet */
    size_t added_bytes, capacity;
};

static const uint8_t magic[MAGIC_BYTES] = {'M', 'R', 'A', 'P', 'P', 'E', 'N', '1'};

static void name_of(char name[MR_DISK_NAME_MAX + 1], unsigned number)
{
    snprintf(name, MR_DISK_NAME_MAX + 1, "%06u.log", number);
}

/* --- reading --------------------------------------------------------------------------------- */

int mr_append_log_next(const uint8_t *bytes, size_t length, size_t *at, const uint8_t **entry,
                       size_t *entry_bytes)
{
    if (*at == 0) {
        if (length < MAGIC_BYTES || memcmp(bytes, magic, MAGIC_BYTES) != 0) {
            return -1;
        }
        *at = MAGIC_BYTES;
    }
    const size_t left = length - *at;
    if (left == 0) {
        return 0;
    }
    const uint8_t *start = bytes + *at;
    if (left < EXTRA_BYTES) {
        return -1;
    }
    const size_t size = mr_be32_get(start);
    if (size > MR_APPEND_LOG_ENTRY_MAX || left - EXTRA_BYTES < size ||
        mr_be64_get(start + 4 + size) != crc64_ecma_refl(0, start, 4 + size)) {
        return -1;
    }
    *entry = start + 4;
    *entry_bytes = size;
    *at += EXTRA_BYTES + size;
    return 1;
}

static bool is_torn(const uint8_t *bytes, size_t length)
{
    const uint8_t *entry;
    size_t at = 0, entry_bytes;
    int got;
    do {
        got = mr_append_log_next(bytes, length, &at, &entry, &entry_bytes);
    } while (got > 0);
    return got < 0;
}

int mr_append_log_open(struct mr_append_log **out, const struct mr_disk *disk, unsigned newest,
                       uint8_t **bytes, size_t *length, struct mr_error *error)
{
    char name[MR_DISK_NAME_MAX + 1];
    struct mr_append_log *log = calloc(1, sizeof *log);
    *bytes = NULL;
    *length = 0;
    if (!log) {
        return mr_error_set(error, "out of memory");
    }
    *log = (struct mr_append_log){.disk = disk, .number = newest};
    name_of(name, newest);
    if (newest > 0) {
        if (mr_disk_settle(disk, name, error) != 0 ||
            disk->read(disk->context, name, bytes, length, error) != 0) {
            free(log);
            return -1;
        }
        log->exists = true;
        log->bytes = *length;
        log->torn = is_torn(*bytes, *length);
    }
    *out = log;
    return 0;
}

int mr_append_log_read(const struct mr_disk *disk, unsigned number, uint8_t **bytes, size_t *length,
                       struct mr_error *error)
{
    char name[MR_DISK_NAME_MAX + 1];
    name_of(name, number);
    return disk->read(disk->context, name, bytes, length, error);
}

void mr_append_log_close(struct mr_append_log *log)
{
    if (log) {
        free(log->added);
    }
    free(log);
}

unsigned mr_append_log_number(const struct mr_append_log *log)
{
    return log->number;
}

uint64_t mr_append_log_bytes(const struct mr_append_log *log)
{
    return log->bytes;
}

bool mr_append_log_is_torn(const struct mr_append_log *log)
{
    return log->torn;
}

/* --- writing --------------------------------------------------------------------------------- */

void mr_append_log_roll(struct mr_append_log *log)
{
    MR_ASSERT(log->added_bytes == 0);
    log->number++;
    log->bytes = 0;
    log->torn = log->exists = false;
}

static uint8_t *reserve(struct mr_append_log *log, size_t more)
{
    if (log->added_bytes + more > log->capacity) {
        const size_t capacity = 2 * log->capacity + more;
        uint8_t *added = realloc(log->added, capacity);
        if (!added) {
            return NULL;
        }
        log->added = added;
        log->capacity = capacity;
    }
    uint8_t *at = log->added + log->added_bytes;
    log->added_bytes += more;
    log->bytes += more;
    return at;
}

int mr_append_log_add(struct mr_append_log *log, const uint8_t *entry, size_t length,
                      struct mr_error *error)
{
    MR_ASSERT(log->number > 0 && !log->torn && length <= MR_APPEND_LOG_ENTRY_MAX);
    const size_t head = log->bytes == 0 ? MAGIC_BYTES : 0;
    uint8_t *at = reserve(log, head + EXTRA_BYTES + length);
    if (!at) {
        return mr_error_set(error, "out of memory for an entry of %zu bytes", length);
    }
    memcpy(at, magic, head);
    at += head;
    mr_be32_put(at, (uint32_t)length);
    memcpy(at + 4, entry, length);
    mr_be64_put(at + 4 + length, crc64_ecma_refl(0, at, 4 + length));
    return 0;
}

int mr_append_log_write(struct mr_append_log *log, struct mr_error *error)
{
    char name[MR_DISK_NAME_MAX + 1];
    const struct mr_disk *disk = log->disk;
    if (log->added_bytes == 0) {
        return 0;
    }
    name_of(name, log->number);
    const int written = log->exists
                            ? disk->append(disk->context, name, log->added, log->added_bytes, error)
                            : disk->write(disk->context, name, log->added, log->added_bytes, error);
    if (written != 0 || disk->sync(disk->context, name, error) != 0) {
        log->torn = true; /* what the file holds is unknown */
        return -1;
    }
    log->exists = true;
    log->added_bytes = 0;
    return 0;
}
