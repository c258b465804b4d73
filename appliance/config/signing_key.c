#include "appliance/config/signing_key.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"

#define TEXT_MAX 128

int mr_signing_key_read(uint8_t key[MR_SIGNING_KEY_BYTES], const char *path, struct mr_error *error)
{
    char text[TEXT_MAX + 1] = "";
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    const ssize_t length = fd < 0 ? -1 : read(fd, text, TEXT_MAX);
    const int failed = errno;
    if (fd >= 0) {
        close(fd);
    }
    if (length < 0) {
        return mr_error_set(error, "cannot read %s: %s", path, strerror(failed));
    }
    text[length] = '\0';
    const size_t digits = strspn(text, "0123456789abcdefABCDEF");
    const bool ended = digits + strspn(text + digits, "\r\n") == (size_t)length; /* no NUL either */
    text[digits] = '\0';
    const int bad = ended ? mr_hex_decode(key, MR_SIGNING_KEY_BYTES, text) : -1;
    OPENSSL_cleanse(text, sizeof text);
    if (bad) {
        OPENSSL_cleanse(key, MR_SIGNING_KEY_BYTES);
        return mr_error_set(
            error,
            "%s must hold 64 hex digits and nothing else: `millrace key new` makes a "
            "signing key, `millrace key public` prints its public half",
            path);
    }
    return 0;
}

int mr_signing_key_public(uint8_t public_key[MR_SIGNING_KEY_BYTES],
                          const uint8_t seed[MR_SIGNING_KEY_BYTES])
{
    size_t length = MR_SIGNING_KEY_BYTES;
    EVP_PKEY *key =
        EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, MR_SIGNING_KEY_BYTES);
    const int good = key && EVP_PKEY_get_raw_public_key(key, public_key, &length) == 1;
    EVP_PKEY_free(key);
    return good ? 0 : -1;
}
