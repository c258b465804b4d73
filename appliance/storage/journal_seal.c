#include "appliance/storage/journal_seal.h"

#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <stdbool.h>
#include <string.h>

#include "base/bytes.h"

#define TAG_BYTES  16
#define STEP_BYTES ((size_t)1 << 30) /* OpenSSL counts in int */

int mr_journal_key_derive(uint8_t key[MR_JOURNAL_KEY_BYTES], const uint8_t private_key[32],
                          const uint8_t *salt, size_t salt_bytes, const char *label)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)private_key, 32),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)salt, salt_bytes),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)label,
                                          strlen(label)),
        OSSL_PARAM_construct_end(),
    };
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *context = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    const bool good = context && EVP_KDF_derive(context, key, MR_JOURNAL_KEY_BYTES, params) == 1;
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
    return good ? 0 : -1;
}

/* Key, nonce and what is authenticated without being sealed. */
static EVP_CIPHER_CTX *begin(const uint8_t *key, const uint8_t *head, uint64_t number,
                             const uint8_t length8[8], bool seal)
{
    uint8_t nonce[12] = {0};
    int used;
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    mr_be64_put(nonce + 4, number);
    if (context && EVP_CipherInit_ex(context, EVP_aes_256_gcm(), NULL, key, nonce, seal) == 1 &&
        EVP_CipherUpdate(context, NULL, &used, head, MR_JOURNAL_HEAD_BYTES) == 1 &&
        EVP_CipherUpdate(context, NULL, &used, length8, 8) == 1) {
        return context;
    }
    EVP_CIPHER_CTX_free(context);
    return NULL;
}

static bool run(EVP_CIPHER_CTX *context, uint8_t *out, const uint8_t *in, size_t length)
{
    for (size_t at = 0; at < length;) {
        const size_t step = length - at < STEP_BYTES ? length - at : STEP_BYTES;
        int used;
        if (EVP_CipherUpdate(context, out + at, &used, in + at, (int)step) != 1) {
            return false;
        }
        at += step;
    }
    return true;
}

int mr_journal_seal(uint8_t *out, const uint8_t key[MR_JOURNAL_KEY_BYTES],
                    const uint8_t head[MR_JOURNAL_HEAD_BYTES], uint64_t number,
                    const uint8_t *plain, size_t length)
{
    int used;
    mr_be64_put(out, length);
    EVP_CIPHER_CTX *context = begin(key, head, number, out, true);
    const bool good =
        context && run(context, out + 8, plain, length) &&
        EVP_CipherFinal_ex(context, out + 8 + length, &used) == 1 &&
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, out + 8 + length) == 1;
    EVP_CIPHER_CTX_free(context);
    return good ? 0 : -1;
}

int mr_journal_unseal(uint8_t *at, size_t left, const uint8_t key[MR_JOURNAL_KEY_BYTES],
                      const uint8_t head[MR_JOURNAL_HEAD_BYTES], uint64_t number,
                      const uint8_t **plain, size_t *length)
{
    uint8_t last[TAG_BYTES];
    int used;
    if (left < MR_JOURNAL_UNIT_EXTRA || mr_be64_get(at) > left - MR_JOURNAL_UNIT_EXTRA) {
        return 1;
    }
    *length = (size_t)mr_be64_get(at);
    *plain = at + 8;
    EVP_CIPHER_CTX *context = begin(key, head, number, at, false);
    if (!context) {
        return -1;
    }
    const bool good =
        run(context, at + 8, at + 8, *length) &&
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, at + 8 + *length) == 1 &&
        EVP_CipherFinal_ex(context, last, &used) == 1;
    EVP_CIPHER_CTX_free(context);
    return good ? 0 : 1;
}
