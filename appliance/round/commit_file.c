#include "appliance/round/commit_file.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <isa-l/crc64.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "appliance/model/files.h"
#include "wire/bytes.h"

#define HEADER_BYTES 80
#define CRC_BYTES    8

static const char magic[8] = "MRCOMMT1";

struct mr_commit_file {
    int fds[2];
    uint64_t generation; /* of the newest write */
    uint8_t *buffer;
    size_t capacity;
};

/* --- encoding -------------------------------------------------------------------------------- */

static void le32_put(uint8_t *at, uint32_t v)
{
    v = htole32(v);
    memcpy(at, &v, sizeof v);
}

static void le64_put(uint8_t *at, uint64_t v)
{
    v = htole64(v);
    memcpy(at, &v, sizeof v);
}

static uint32_t le32_get(const uint8_t *at)
{
    uint32_t v;
    memcpy(&v, at, sizeof v);
    return le32toh(v);
}

static uint64_t le64_get(const uint8_t *at)
{
    uint64_t v;
    memcpy(&v, at, sizeof v);
    return le64toh(v);
}

static size_t encoded_bytes(const struct mr_commit_state *state)
{
    return HEADER_BYTES + (size_t)state->share_bytes + state->envelope_bytes +
           (size_t)state->included_count * MR_INCLUDED_BYTES + CRC_BYTES;
}

static void encode(uint8_t *out, const struct mr_commit_state *state, uint64_t generation)
{
    memcpy(out, magic, sizeof magic);
    le64_put(out + 8, generation);
    le64_put(out + 16, state->round);
    memcpy(out + 24, state->announcement_hash, MR_HASH_BYTES);
    le64_put(out + 56, state->share_bytes);
    le32_put(out + 64, state->envelope_bytes);
    le32_put(out + 68, state->included_count);
    le32_put(out + 72, state->frozen);
    le32_put(out + 76, 0);
    uint8_t *at = out + HEADER_BYTES;
    memcpy(at, state->sum, (size_t)state->share_bytes);
    at += state->share_bytes;
    if (state->envelope_bytes) {
        memcpy(at, state->envelope, state->envelope_bytes);
        at += state->envelope_bytes;
    }
    for (uint32_t i = 0; i < state->included_count; i++) {
        memcpy(at, state->included[i].client_id, MR_CLIENT_ID_BYTES);
        mr_be32_put(at + MR_CLIENT_ID_BYTES, state->included[i].attempt);
        at += MR_INCLUDED_BYTES;
    }
    le64_put(at, crc64_ecma_refl(0, out, (uint64_t)(at - out)));
}

/* Whether bytes[length] are a whole generation; fills the header's values and the pointers. */
static bool decode(struct mr_commit_state *state, const uint8_t *bytes, size_t length)
{
    if (length < HEADER_BYTES + CRC_BYTES || memcmp(bytes, magic, sizeof magic) != 0 ||
        le64_get(bytes + length - CRC_BYTES) != crc64_ecma_refl(0, bytes, length - CRC_BYTES)) {
        return false;
    }
    *state = (struct mr_commit_state){
        .generation = le64_get(bytes + 8),
        .round = le64_get(bytes + 16),
        .share_bytes = le64_get(bytes + 56),
        .envelope_bytes = le32_get(bytes + 64),
        .included_count = le32_get(bytes + 68),
        .frozen = le32_get(bytes + 72) != 0,
    };
    memcpy(state->announcement_hash, bytes + 24, MR_HASH_BYTES);
    if (state->share_bytes > length || encoded_bytes(state) != length) {
        return false;
    }
    state->sum = bytes + HEADER_BYTES;
    state->envelope = state->sum + state->share_bytes;
    return true;
}

/* --- reading --------------------------------------------------------------------------------- */

static void path_of(char path[4096], const char *data_dir, unsigned which)
{
    snprintf(path, 4096, "%s/commit-%u", data_dir, which);
}

/* Reads one file if it is whole and newer than what is there. */
static int read_one(struct mr_commit_read *read, const char *data_dir, unsigned which,
                    struct mr_error *error)
{
    char path[4096];
    uint8_t *bytes;
    size_t length;
    struct mr_commit_state state;
    path_of(path, data_dir, which);
    const int got = mr_file_read(path, &bytes, &length, error);
    if (got != 0) {
        return got < 0 ? -1 : 0;
    }
    if (!decode(&state, bytes, length) || state.generation <= read->state.generation) {
        free(bytes);
        return 0;
    }
    free(read->bytes);
    read->bytes = bytes;
    read->state = state;
    return 0;
}

static int read_included(struct mr_commit_read *read, struct mr_error *error)
{
    const uint32_t count = read->state.included_count;
    const uint8_t *at = read->state.envelope + read->state.envelope_bytes;
    read->included = malloc(((size_t)count + 1) * sizeof *read->included);
    if (!read->included) {
        return mr_error_set(error, "out of memory for %u entries", count);
    }
    for (uint32_t i = 0; i < count; i++, at += MR_INCLUDED_BYTES) {
        memcpy(read->included[i].client_id, at, MR_CLIENT_ID_BYTES);
        read->included[i].attempt = mr_be32_get(at + MR_CLIENT_ID_BYTES);
    }
    read->state.included = read->included;
    return 0;
}

int mr_commit_file_read(struct mr_commit_read *read, const char *data_dir, struct mr_error *error)
{
    *read = (struct mr_commit_read){.bytes = NULL};
    if (read_one(read, data_dir, 0, error) != 0 || read_one(read, data_dir, 1, error) != 0 ||
        (read->bytes && read_included(read, error) != 0)) {
        mr_commit_read_fini(read);
        return -1;
    }
    return read->bytes ? 0 : 1;
}

void mr_commit_read_fini(struct mr_commit_read *read)
{
    free(read->bytes);
    free(read->included);
    *read = (struct mr_commit_read){.bytes = NULL};
}

/* --- writing --------------------------------------------------------------------------------- */

int mr_commit_file_open(struct mr_commit_file **out, const char *data_dir, struct mr_error *error)
{
    struct mr_commit_read newest;
    char path[4096];
    if (mr_commit_file_read(&newest, data_dir, error) < 0) {
        return -1;
    }
    struct mr_commit_file *file = calloc(1, sizeof *file);
    if (!file) {
        mr_commit_read_fini(&newest);
        return mr_error_set(error, "out of memory");
    }
    file->generation = newest.state.generation;
    mr_commit_read_fini(&newest);
    file->fds[0] = file->fds[1] = -1;
    for (unsigned i = 0; i < 2; i++) {
        path_of(path, data_dir, i);
        file->fds[i] = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (file->fds[i] < 0) {
            mr_error_set(error, "%s: %s (data_dir must be writable)", path, strerror(errno));
            mr_commit_file_close(file);
            return -1;
        }
    }
    if (mr_dir_sync(data_dir, error) != 0) {
        mr_commit_file_close(file);
        return -1;
    }
    *out = file;
    return 0;
}

void mr_commit_file_close(struct mr_commit_file *file)
{
    if (!file) {
        return;
    }
    for (unsigned i = 0; i < 2; i++) {
        if (file->fds[i] >= 0) {
            close(file->fds[i]);
        }
    }
    free(file->buffer);
    free(file);
}

static int reserve(struct mr_commit_file *file, size_t bytes, struct mr_error *error)
{
    if (bytes <= file->capacity) {
        return 0;
    }
    uint8_t *buffer = realloc(file->buffer, bytes);
    if (!buffer) {
        return mr_error_set(error, "commit file: out of memory for %zu bytes", bytes);
    }
    file->buffer = buffer;
    file->capacity = bytes;
    return 0;
}

int mr_commit_file_write(struct mr_commit_file *file, const struct mr_commit_state *state,
                         struct mr_error *error)
{
    const size_t length = encoded_bytes(state);
    if (reserve(file, length, error) != 0) {
        return -1;
    }
    const uint64_t generation = file->generation + 1;
    const int fd = file->fds[generation % 2];
    encode(file->buffer, state, generation);
    for (size_t at = 0; at < length;) {
        const ssize_t n = pwrite(fd, file->buffer + at, length - at, (off_t)at);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return mr_error_set(error, "commit file: %s (is the disk of data_dir full?)",
                                strerror(n < 0 ? errno : ENOSPC));
        }
        at += (size_t)n;
    }
    if (ftruncate(fd, (off_t)length) != 0 || fdatasync(fd) != 0) {
        return mr_error_set(error, "commit file: cannot sync: %s", strerror(errno));
    }
    file->generation = generation;
    return 0;
}
