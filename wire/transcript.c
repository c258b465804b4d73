#define OPENSSL_SUPPRESS_DEPRECATED /* SHA256_Init and its like: see below */
#include "wire/transcript.h"

#include <stdbool.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/sha.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "wire/exchange.h"

void mr_transcript_add(struct mr_transcript *transcript, const uint8_t *bytes, size_t length)
{
    MR_ASSERT(length <= MR_TRANSCRIPT_MAX - transcript->length);
    memcpy(transcript->bytes + transcript->length, bytes, length);
    transcript->length += length;
}

void mr_transcript_init(struct mr_transcript *transcript, const char *label)
{
    size_t length = strlen(label);
    MR_ASSERT(length > 0 && length < 128);
    transcript->length = 1;
    transcript->bytes[0] = (uint8_t)length;
    mr_transcript_add(transcript, (const uint8_t *)label, length);
}

void mr_transcript_add16(struct mr_transcript *transcript, uint16_t value)
{
    uint8_t bytes[2];
    mr_be16_put(bytes, value);
    mr_transcript_add(transcript, bytes, sizeof bytes);
}

void mr_transcript_add32(struct mr_transcript *transcript, uint32_t value)
{
    uint8_t bytes[4];
    mr_be32_put(bytes, value);
    mr_transcript_add(transcript, bytes, sizeof bytes);
}

void mr_transcript_add64(struct mr_transcript *transcript, uint64_t value)
{
    uint8_t bytes[8];
    mr_be64_put(bytes, value);
    mr_transcript_add(transcript, bytes, sizeof bytes);
}

/* --- SHA-256 ---------------------------------------------------------------------------------- */

/* By OpenSSL's own functions of this hash. EVP's look the algorithm up, take memory for each and
 * give it back, which costs several times what a text of this length does. */

int mr_sha256(uint8_t hash[32], const uint8_t *bytes, size_t length)
{
    const struct mr_transcript nothing = {.length = 0};
    return mr_transcript_hash(hash, &nothing, bytes, length);
}

int mr_transcript_hash(uint8_t hash[32], const struct mr_transcript *transcript,
                       const uint8_t *tail, size_t tail_bytes)
{
    SHA256_CTX context;
    const bool good = SHA256_Init(&context) == 1 &&
                      SHA256_Update(&context, transcript->bytes, transcript->length) == 1 &&
                      (tail_bytes == 0 || SHA256_Update(&context, tail, tail_bytes) == 1) &&
                      SHA256_Final(hash, &context) == 1;
    OPENSSL_cleanse(&context, sizeof context);
    return good ? 0 : -1;
}

/* RFC 2104: of the key, filled up with zeros to a block whose bytes are changed by `pad`, and of
 * the text. */
static int keyed_hash(uint8_t hash[32], const uint8_t key[32], uint8_t pad, const uint8_t *text,
                      size_t length)
{
    struct mr_transcript block = {.length = SHA256_CBLOCK};
    memset(block.bytes, pad, SHA256_CBLOCK);
    for (size_t i = 0; i < 32; i++) {
        block.bytes[i] ^= key[i];
    }
    const int status = mr_transcript_hash(hash, &block, text, length);
    OPENSSL_cleanse(block.bytes, SHA256_CBLOCK);
    return status;
}

int mr_transcript_hmac(uint8_t mac[32], const uint8_t key[32],
                       const struct mr_transcript *transcript)
{
    uint8_t inner[32];
    int status = keyed_hash(inner, key, 0x36, transcript->bytes, transcript->length);
    if (status == 0) {
        status = keyed_hash(mac, key, 0x5c, inner, sizeof inner);
    }
    OPENSSL_cleanse(inner, sizeof inner);
    return status;
}

int mr_transcript_expand(uint8_t *out, size_t bytes, const uint8_t key[32],
                         struct mr_transcript *info)
{
    const uint8_t counter = 1;
    uint8_t block[32];
    MR_ASSERT(bytes <= sizeof block);
    mr_transcript_add(info, &counter, 1);
    const int status = mr_transcript_hmac(block, key, info);
    if (status == 0) {
        memcpy(out, block, bytes);
    }
    OPENSSL_cleanse(block, sizeof block);
    return status;
}

/* --- Ed25519 ---------------------------------------------------------------------------------- */

/* Lets go of the key, which may be NULL. */
static int sign_with(uint8_t signature[64], const struct mr_transcript *transcript, EVP_PKEY *key)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    size_t length = 64;
    int ok =
        key && context && EVP_DigestSignInit(context, NULL, NULL, NULL, key) == 1 &&
        EVP_DigestSign(context, signature, &length, transcript->bytes, transcript->length) == 1 &&
        length == 64;
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    return ok ? 0 : -1;
}

int mr_transcript_sign(uint8_t signature[64], const struct mr_transcript *transcript,
                       const uint8_t private_key[32])
{
    return sign_with(signature, transcript,
                     EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, private_key, 32));
}

int mr_transcript_sign_pair(uint8_t signature[64], const struct mr_transcript *transcript,
                            const struct mr_signing_pair *pair)
{
    const OSSL_PARAM halves[] = {
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)(uintptr_t)pair->public_key, 32),
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PRIV_KEY, (void *)(uintptr_t)pair->private_key, 32),
        OSSL_PARAM_END};
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "ED25519", NULL);
    if (!context || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_KEYPAIR, (OSSL_PARAM *)(uintptr_t)halves) != 1) {
        key = NULL;
    }
    EVP_PKEY_CTX_free(context);
    return sign_with(signature, transcript, key);
}

int mr_transcript_verify(const uint8_t signature[64], const struct mr_transcript *transcript,
                         const uint8_t public_key[32])
{
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, 32);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    int ok = key && context && EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) == 1 &&
             EVP_DigestVerify(context, signature, 64, transcript->bytes, transcript->length) == 1;
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    return ok ? 0 : -1;
}
