#include "appliance/storage/sealed_file.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "appliance/storage/sealed_file_internal.h"
#include "base/bytes.h"

struct mr_sealed_file {
    int fd;
    uint64_t at, number; /* of the next unit */
    uint8_t key[MR_JOURNAL_KEY_BYTES];
    uint8_t head[SEALED_HEAD_BYTES];
    struct sealed_buffer sealed;
};

static int write_all(int fd, const uint8_t *bytes, size_t length, uint64_t at)
{
    while (length > 0) {
        const ssize_t n = pwrite(fd, bytes, length, (off_t)at);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            errno = n == 0 ? ENOSPC : errno;
            return -1;
        }
        bytes += n;
        at += (uint64_t)n;
        length -= (size_t)n;
    }
    return 0;
}

int mr_sealed_file_create(struct mr_sealed_file **out, const char *path, uint64_t until_unix_ms,
                          const uint8_t private_key[32], struct mr_error *error)
{
    struct mr_sealed_file *file = calloc(1, sizeof *file);
    uint8_t *salt;
    if (!file) {
        return mr_error_set(error, "out of memory");
    }
    salt = file->head + SEALED_SALT_AT;
    memcpy(file->head, "MRSEALF1", SEALED_MAGIC_BYTES);
    mr_be64_put(file->head + SEALED_UNTIL_AT, until_unix_ms);
    file->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file->fd < 0) {
        free(file);
        return mr_sealed_failed("be made", error);
    }
    if (RAND_bytes(salt, MR_SEALED_SALT_BYTES) != 1 ||
        mr_journal_key_derive(file->key, private_key, salt, MR_SEALED_SALT_BYTES,
                              SEALED_KEY_LABEL) != 0) {
        mr_sealed_file_close(file);
        return mr_error_set(error, "OpenSSL derives no key for what is kept for audits");
    }
    if (write_all(file->fd, file->head, SEALED_HEAD_BYTES, 0) != 0) {
        mr_sealed_file_close(file);
        return mr_sealed_failed("be written", error);
    }
    file->at = SEALED_HEAD_BYTES;
    *out = file;
    return 0;
}

int mr_sealed_file_add(struct mr_sealed_file *file, const uint8_t *head, size_t head_bytes,
                       const uint8_t *body, size_t body_bytes, struct mr_error *error)
{
    const size_t length = head_bytes + body_bytes;
    if (mr_sealed_buffer_reserve(&file->sealed, length + MR_JOURNAL_UNIT_EXTRA, error) != 0) {
        return -1;
    }
    uint8_t *plain = file->sealed.bytes + 8; /* sealed in place: no other copy of it is made */
    memcpy(plain, head, head_bytes);
    if (body_bytes > 0) {
        memcpy(plain + head_bytes, body, body_bytes);
    }
    if (mr_journal_seal(file->sealed.bytes, file->key, file->head, file->number, plain, length) !=
        0) {
        return mr_error_set(error, "OpenSSL seals nothing");
    }
    if (write_all(file->fd, file->sealed.bytes, length + MR_JOURNAL_UNIT_EXTRA, file->at) != 0) {
        return mr_sealed_failed("be written", error);
    }
    file->number++;
    file->at += length + MR_JOURNAL_UNIT_EXTRA;
    return 0;
}

int mr_sealed_file_sync(struct mr_sealed_file *file, struct mr_error *error)
{
    return fdatasync(file->fd) == 0 ? 0 : mr_sealed_failed("be synced", error);
}

void mr_sealed_file_close(struct mr_sealed_file *file)
{
    if (!file) {
        return;
    }
    close(file->fd);
    mr_sealed_buffer_free(&file->sealed);
    OPENSSL_cleanse(file, sizeof *file);
    free(file);
}

int mr_sealed_file_destroy(const char *path, struct mr_error *error)
{
    static const uint8_t zeros[4096];
    const int fd = open(path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT ? 0 : mr_sealed_failed("be opened", error);
    }
    const int bad = write_all(fd, zeros, sizeof zeros, 0) != 0 || fdatasync(fd) != 0;
    const int why = errno;
    close(fd);
    errno = why;
    return bad || unlink(path) != 0 ? mr_sealed_failed("be destroyed", error) : 0;
}
