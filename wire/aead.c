#include "wire/aead.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/assert.h"
#include "base/bytes.h"

struct mr_aead {
    EVP_CIPHER_CTX *context;
    uint8_t iv[12];
    bool keyed;
};

struct mr_aead *mr_aead_open(void)
{
    struct mr_aead *aead = calloc(1, sizeof *aead);
    if (!aead) {
        return NULL;
    }
    aead->context = EVP_CIPHER_CTX_new();
    /* Fetched here once: an implicit fetch on each init would take a lock. */
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, "AES-128-GCM", NULL);
    if (!aead->context || !cipher ||
        EVP_CipherInit_ex2(aead->context, cipher, NULL, NULL, 1, NULL) != 1) {
        EVP_CIPHER_free(cipher);
        mr_aead_close(aead);
        return NULL;
    }
    EVP_CIPHER_free(cipher); /* the context keeps its own reference */
    return aead;
}

void mr_aead_close(struct mr_aead *aead)
{
    if (!aead) {
        return;
    }
    EVP_CIPHER_CTX_free(aead->context); /* wipes the key schedule */
    OPENSSL_cleanse(aead, sizeof *aead);
    free(aead);
}

int mr_aead_rekey(struct mr_aead *aead, const struct mr_aead_key *key)
{
    aead->keyed = false;
    if (EVP_CipherInit_ex2(aead->context, NULL, key->key, NULL, -1, NULL) != 1) {
        return -1;
    }
    memcpy(aead->iv, key->iv, sizeof aead->iv);
    aead->keyed = true;
    return 0;
}

/* Sets direction and nonce, feeds the AAD. */
static int begin(struct mr_aead *aead, int encrypt, const struct mr_aead_message *message)
{
    MR_ASSERT(aead->keyed && message->aad_bytes <= INT_MAX && message->bytes <= INT_MAX);
    uint8_t nonce[12];
    memcpy(nonce, aead->iv, sizeof nonce);
    mr_be64_put(nonce + 4, mr_be64_get(nonce + 4) ^ message->sequence);
    if (EVP_CipherInit_ex2(aead->context, NULL, NULL, nonce, encrypt, NULL) != 1) {
        return -1;
    }
    int written;
    if (message->aad_bytes > 0 && EVP_CipherUpdate(aead->context, NULL, &written, message->aad,
                                                   (int)message->aad_bytes) != 1) {
        return -1;
    }
    return 0;
}

int mr_aead_seal(struct mr_aead *aead, const struct mr_aead_message *message, uint8_t *cipher,
                 uint8_t tag[MR_TAG_BYTES])
{
    int written;
    if (begin(aead, 1, message) != 0) {
        return -1;
    }
    if (message->bytes > 0 && EVP_CipherUpdate(aead->context, cipher, &written, message->text,
                                               (int)message->bytes) != 1) {
        return -1;
    }
    if (EVP_CipherFinal_ex(aead->context, tag, &written) != 1) {
        return -1;
    }
    if (EVP_CIPHER_CTX_ctrl(aead->context, EVP_CTRL_AEAD_GET_TAG, MR_TAG_BYTES, tag) != 1) {
        return -1;
    }
    return 0;
}

int mr_aead_unseal(struct mr_aead *aead, const struct mr_aead_message *message,
                   const uint8_t tag[MR_TAG_BYTES], uint8_t *plain)
{
    int written;
    uint8_t expected[MR_TAG_BYTES], end[MR_TAG_BYTES];
    memcpy(expected, tag, sizeof expected); /* OpenSSL takes the tag as mutable */
    if (begin(aead, 0, message) != 0) {
        return -1;
    }
    if (message->bytes > 0 &&
        EVP_CipherUpdate(aead->context, plain, &written, message->text, (int)message->bytes) != 1) {
        return -1;
    }
    if (EVP_CIPHER_CTX_ctrl(aead->context, EVP_CTRL_AEAD_SET_TAG, MR_TAG_BYTES, expected) != 1) {
        return -1;
    }
    return EVP_CipherFinal_ex(aead->context, end, &written) == 1 ? 0 : -1;
}
