#include "appliance/storage/commit_log.h"

#include <endian.h>
#include <isa-l/crc64.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

#define MAGIC      "MRCOMMT"
#define HEAD_BYTES 16
#define CRC_BYTES  8

struct mr_commit_log {
    const struct mr_disk *disk;
    struct mr_commit_log_form form;
    char names[2][MR_DISK_NAME_MAX + 1];
    uint64_t generation; /* of the newest write, or of what was read */
    uint8_t *buffer;     /* a file: head, content, checksum */
    size_t capacity, length;
};

static void le64_put(uint8_t *at, uint64_t v)
{
    v = htole64(v);
    memcpy(at, &v, sizeof v);
}

static uint64_t le64_get(const uint8_t *at)
{
    uint64_t v;
    memcpy(&v, at, sizeof v);
    return le64toh(v);
}

/* --- reading --------------------------------------------------------------------------------- */

static bool is_of_form(const uint8_t *bytes, const struct mr_commit_log_form *form)
{
    return memcmp(bytes, MAGIC, sizeof MAGIC - 1) == 0 &&
           (form->reads_versions || bytes[sizeof MAGIC - 1] == (uint8_t)form->version);
}

int mr_commit_log_parse(const uint8_t *bytes, size_t length, const struct mr_commit_log_form *form,
                        uint64_t *generation, const uint8_t **content, size_t *content_length,
                        struct mr_error *error)
{
    if (length < HEAD_BYTES + CRC_BYTES || !is_of_form(bytes, form)) {
        return mr_error_set(error,
                            "no commit state of this version (" MAGIC "%c): end the round before "
                            "you put another version in",
                            form->version);
    }
    if (le64_get(bytes + length - CRC_BYTES) != crc64_ecma_refl(0, bytes, length - CRC_BYTES)) {
        return mr_error_set(error, "the checksum does not hold: torn or damaged");
    }
    *generation = le64_get(bytes + 8);
    *content = bytes + HEAD_BYTES;
    *content_length = length - HEAD_BYTES - CRC_BYTES;
    return 0;
}

/* Takes the file's content if it is whole and newer than the one that is there. */
static int read_one(struct mr_commit_log *log, const char *name, uint8_t **content, size_t *length,
                    struct mr_error *error)
{
    uint8_t *bytes;
    const uint8_t *inside;
    uint64_t generation = 0;
    size_t file_length = 0, inside_length = 0;
    const int got = log->disk->read(log->disk->context, name, &bytes, &file_length, error);
    if (got != 0) {
        return got < 0 ? -1 : 0;
    }
    if (mr_commit_log_parse(bytes, file_length, &log->form, &generation, &inside, &inside_length,
                            error) != 0 ||
        generation <= log->generation) {
        free(bytes);
        return 0;
    }
    memmove(bytes, inside, inside_length);
    free(*content);
    *content = bytes;
    *length = inside_length;
    log->generation = generation;
    return 0;
}

int mr_commit_log_open(struct mr_commit_log **out, const struct mr_disk *disk, const char *name,
                       const struct mr_commit_log_form *form, uint8_t **content, size_t *length,
                       struct mr_error *error)
{
    struct mr_commit_log *log = calloc(1, sizeof *log);
    *content = NULL;
    *length = 0;
    if (!log) {
        return mr_error_set(error, "out of memory");
    }
    log->disk = disk;
    log->form = *form;
    MR_ASSERT(strlen(name) <= MR_DISK_NAME_MAX - 2);
    for (unsigned i = 0; i < 2; i++) {
        snprintf(log->names[i], sizeof log->names[i], "%s-%u", name, i);
    }
    /* The next write takes the place of the generation before the newest: the newest has to hold.
     */
    if (read_one(log, log->names[0], content, length, error) != 0 ||
        read_one(log, log->names[1], content, length, error) != 0 ||
        (log->generation && mr_disk_settle(disk, log->names[log->generation % 2], error) != 0)) {
        free(*content);
        *content = NULL;
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

/* --- writing --------------------------------------------------------------------------------- */

uint8_t *mr_commit_log_reserve(struct mr_commit_log *log, size_t length, struct mr_error *error)
{
    const size_t needed = HEAD_BYTES + length + CRC_BYTES;
    log->length = 0;
    if (needed > log->capacity) {
        free(log->buffer);
        log->buffer = malloc(needed);
        log->capacity = log->buffer ? needed : 0;
        if (!log->buffer) {
            mr_error_set(error, "commit log: out of memory for %zu bytes", needed);
            return NULL;
        }
    }
    log->length = needed;
    return log->buffer + HEAD_BYTES;
}

int mr_commit_log_write(struct mr_commit_log *log, struct mr_error *error)
{
    const struct mr_disk *disk = log->disk;
    const uint64_t generation = log->generation + 1;
    const char *name = log->names[generation % 2];
    MR_ASSERT(log->length > 0);
    memcpy(log->buffer, MAGIC, sizeof MAGIC - 1);
    log->buffer[sizeof MAGIC - 1] = (uint8_t)log->form.version;
    le64_put(log->buffer + 8, generation);
    const size_t summed = log->length - CRC_BYTES;
    le64_put(log->buffer + summed, crc64_ecma_refl(0, log->buffer, summed));
    if (disk->write(disk->context, name, log->buffer, log->length, error) != 0 ||
        disk->sync(disk->context, name, error) != 0) {
        return -1;
    }
    log->generation = generation;
    return 0;
}

int mr_commit_log_wipe(struct mr_commit_log *log, struct mr_error *error)
{
    const struct mr_disk *disk = log->disk;
    return disk->wipe(disk->context, log->names[0], error) != 0 ||
                   disk->wipe(disk->context, log->names[1], error) != 0
               ? -1
               : 0;
}

uint64_t mr_commit_log_generation(const struct mr_commit_log *log)
{
    return log->generation;
}
