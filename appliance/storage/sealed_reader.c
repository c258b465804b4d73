/* sealed_reader.c - sealed files read unit by unit, and what both directions share. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "appliance/storage/sealed_file_internal.h"
#include "base/bytes.h"

struct mr_sealed_reader {
    int fd;
    uint64_t at, number;
    uint8_t key[MR_JOURNAL_KEY_BYTES];
    uint8_t head[SEALED_HEAD_BYTES];
    struct sealed_buffer unit;
};

int mr_sealed_failed(const char *what, struct mr_error *error)
{
    const int why = errno;
    return mr_error_set(error, "a file of what is kept for audits: cannot %s: %s%s", what,
                        strerror(why), mr_error_disk_hint(why));
}

int mr_sealed_buffer_reserve(struct sealed_buffer *buffer, size_t bytes, struct mr_error *error)
{
    if (bytes <= buffer->capacity) {
        return 0;
    }
    if (buffer->bytes) {
        OPENSSL_cleanse(buffer->bytes, buffer->capacity);
    }
    free(buffer->bytes);
    buffer->bytes = malloc(bytes);
    buffer->capacity = buffer->bytes ? bytes : 0;
    return buffer->bytes ? 0 : mr_error_set(error, "out of memory for %zu bytes", bytes);
}

void mr_sealed_buffer_free(struct sealed_buffer *buffer)
{
    if (buffer->bytes) {
        OPENSSL_cleanse(buffer->bytes, buffer->capacity);
    }
    free(buffer->bytes);
}

/* How many bytes there were, -1 if the file cannot be read. */
static ssize_t read_all(int fd, uint8_t *bytes, size_t length, uint64_t at)
{
    size_t done = 0;
    while (done < length) {
        const ssize_t n = pread(fd, bytes + done, length - done, (off_t)(at + done));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return -1;
        }
        if (n == 0) {
            break;
        }
        done += (size_t)n;
    }
    return (ssize_t)done;
}

int mr_sealed_head_read(int fd, uint8_t head[SEALED_HEAD_BYTES], struct mr_error *error)
{
    const ssize_t n = read_all(fd, head, SEALED_HEAD_BYTES, 0);
    if (n < 0) {
        return mr_sealed_failed("be read", error);
    }
    if (n != SEALED_HEAD_BYTES || memcmp(head, "MRSEALF1", SEALED_MAGIC_BYTES) != 0) {
        mr_error_set(error, "it is no file of what is kept for audits");
        return 1;
    }
    return 0;
}

int mr_sealed_reader_open(struct mr_sealed_reader **out, const char *path,
                          const uint8_t private_key[32], struct mr_error *error)
{
    struct mr_sealed_reader *reader = calloc(1, sizeof *reader);
    if (!reader) {
        return mr_error_set(error, "out of memory");
    }
    reader->fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (reader->fd < 0) {
        const int why = errno;
        free(reader);
        errno = why;
        (void)mr_sealed_failed("be opened", error);
        return why == ENOENT ? 1 : -1;
    }
    const int result = mr_sealed_head_read(reader->fd, reader->head, error);
    if (result != 0) {
        mr_sealed_reader_close(reader);
        return result;
    }
    if (mr_journal_key_derive(reader->key, private_key, reader->head + SEALED_SALT_AT,
                              MR_SEALED_SALT_BYTES, SEALED_KEY_LABEL) != 0) {
        mr_sealed_reader_close(reader);
        return mr_error_set(error, "OpenSSL derives no key for what is kept for audits");
    }
    reader->at = SEALED_HEAD_BYTES;
    *out = reader;
    return 0;
}

int mr_sealed_reader_next(struct mr_sealed_reader *reader, const uint8_t **unit, size_t *length,
                          int *torn, struct mr_error *error)
{
    uint8_t length8[8];
    ssize_t n = read_all(reader->fd, length8, sizeof length8, reader->at);
    *torn = 0;
    if (n <= 0) {
        return n == 0 ? 0 : mr_sealed_failed("be read", error);
    }
    const uint64_t plain = mr_be64_get(length8);
    *torn = 1;
    if (n != sizeof length8 || plain > MR_SEALED_UNIT_MAX) {
        return 0;
    }
    const size_t whole = (size_t)plain + MR_JOURNAL_UNIT_EXTRA;
    struct stat about; /* before memory is taken for it */
    if (fstat(reader->fd, &about) != 0) {
        return mr_sealed_failed("be read", error);
    }
    if ((uint64_t)about.st_size < reader->at + whole) {
        return 0;
    }
    if (mr_sealed_buffer_reserve(&reader->unit, whole, error) != 0) {
        return -1;
    }
    n = read_all(reader->fd, reader->unit.bytes, whole, reader->at);
    if (n < 0) {
        return mr_sealed_failed("be read", error);
    }
    const int opened = mr_journal_unseal(reader->unit.bytes, (size_t)n, reader->key, reader->head,
                                         reader->number, unit, length);
    if (opened != 0) {
        return opened > 0 ? 0 : mr_error_set(error, "OpenSSL opens nothing");
    }
    *torn = 0;
    reader->at += whole;
    reader->number++;
    return 1;
}

void mr_sealed_reader_tell(const struct mr_sealed_reader *reader, uint64_t *at, uint64_t *number)
{
    *at = reader->at;
    *number = reader->number;
}

void mr_sealed_reader_seek(struct mr_sealed_reader *reader, uint64_t at, uint64_t number)
{
    reader->at = at;
    reader->number = number;
}

void mr_sealed_reader_close(struct mr_sealed_reader *reader)
{
    if (!reader) {
        return;
    }
    close(reader->fd);
    mr_sealed_buffer_free(&reader->unit);
    OPENSSL_cleanse(reader, sizeof *reader);
    free(reader);
}

int mr_sealed_file_until(const char *path, uint64_t *until_unix_ms, struct mr_error *error)
{
    uint8_t head[SEALED_HEAD_BYTES];
    const int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return mr_sealed_failed("be opened", error);
    }
    const int result = mr_sealed_head_read(fd, head, error);
    close(fd);
    *until_unix_ms = mr_be64_get(head + SEALED_UNTIL_AT);
    return result;
}
