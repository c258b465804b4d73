#include "appliance/cli/pki_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/assert.h"

static int join(char *path, const char *dir, const char *stem, const char *ending,
                struct mr_error *error)
{
    if (snprintf(path, PATH_MAX, "%s/%s%s", dir, stem, ending) >= PATH_MAX) {
        return mr_error_set(error, "the path of the folder is too long: %.64s…", dir);
    }
    return 0;
}

static int write_new(const char *path, const void *data, size_t length, mode_t mode, bool force,
                     struct mr_error *error)
{
    if (force && unlink(path) != 0 && errno != ENOENT) {
        return mr_error_set(error, "%s: cannot replace it: %s", path, strerror(errno));
    }
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0 && errno == EEXIST) {
        return mr_error_set(error,
                            "%s exists: take another folder, or --force, which makes all "
                            "certificates of the old CA useless",
                            path);
    }
    if (fd < 0) {
        return mr_error_set(error, "%s: cannot make it: %s", path, strerror(errno));
    }
    const ssize_t written = write(fd, data, length);
    int failed = 0;
    if (written != (ssize_t)length) {
        failed = written < 0 ? errno : ENOSPC;
    }
    if (close(fd) != 0 && !failed) {
        failed = errno;
    }
    if (failed) {
        unlink(path);
        return mr_error_set(error, "%s: cannot write it: %s", path, strerror(failed));
    }
    return 0;
}

/* Writes what a memory BIO holds, then wipes and frees it. */
static int write_bio(BIO *bio, int encoded, const char *path, mode_t mode, bool force,
                     struct mr_error *error)
{
    char *text = NULL;
    const long length = bio ? BIO_get_mem_data(bio, &text) : 0;
    int status = -1;
    if (!encoded || length <= 0) {
        mr_error_set(error, "%s: cannot encode it", path);
        ERR_clear_error();
    } else {
        status = write_new(path, text, (size_t)length, mode, force, error);
        OPENSSL_cleanse(text, (size_t)length);
    }
    BIO_free(bio);
    return status;
}

int mr_pki_write_key(const char *dir, const char *stem, EVP_PKEY *key, bool force,
                     struct mr_error *error)
{
    char path[PATH_MAX];
    if (join(path, dir, stem, ".key", error) != 0) {
        return -1;
    }
    BIO *bio = BIO_new(BIO_s_mem());
    const int encoded = bio && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
    return write_bio(bio, encoded, path, 0600, force, error);
}

int mr_pki_write_certificate(const char *dir, const char *stem, X509 *certificate, bool force,
                             struct mr_error *error)
{
    char path[PATH_MAX];
    if (join(path, dir, stem, ".pem", error) != 0) {
        return -1;
    }
    BIO *bio = BIO_new(BIO_s_mem());
    const int encoded = bio && PEM_write_bio_X509(bio, certificate);
    return write_bio(bio, encoded, path, 0644, force, error);
}

int mr_pki_write_hex(const char *dir, const char *file, const uint8_t *value, size_t bytes,
                     mode_t mode, bool force, struct mr_error *error)
{
    static const char digits[] = "0123456789abcdef";
    char path[PATH_MAX], text[2 * 64 + 1];
    MR_ASSERT(bytes <= 64);
    if (join(path, dir, file, "", error) != 0) {
        return -1;
    }
    for (size_t i = 0; i < bytes; i++) {
        text[2 * i] = digits[value[i] >> 4];
        text[2 * i + 1] = digits[value[i] & 15];
    }
    text[2 * bytes] = '\n';
    const int status = write_new(path, text, 2 * bytes + 1, mode, force, error);
    OPENSSL_cleanse(text, sizeof text);
    return status;
}

static BIO *open_bio(char *path, const char *dir, const char *stem, const char *ending,
                     struct mr_error *error)
{
    if (join(path, dir, stem, ending, error) != 0) {
        return NULL;
    }
    BIO *bio = BIO_new_file(path, "r");
    if (!bio) {
        mr_error_set(error, "%s: cannot read it: %s (`millrace pki init` makes a CA)", path,
                     strerror(errno));
        ERR_clear_error();
    }
    return bio;
}

int mr_pki_read(const char *dir, const char *stem, X509 **certificate, EVP_PKEY **key,
                struct mr_error *error)
{
    char path[PATH_MAX];
    BIO *bio = open_bio(path, dir, stem, ".pem", error);
    if (!bio) {
        return -1;
    }
    *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    if (!*certificate) {
        ERR_clear_error();
        return mr_error_set(error, "%s holds no certificate (PEM)", path);
    }
    bio = open_bio(path, dir, stem, ".key", error);
    if (!bio) {
        return -1;
    }
    *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)"");
    BIO_free(bio);
    if (!*key) {
        ERR_clear_error();
        return mr_error_set(error, "%s holds no private key (PEM, without a passphrase)", path);
    }
    return 0;
}
