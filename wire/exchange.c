#include "wire/exchange.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "wire/transcript.h"

int mr_signing_pair_derive(struct mr_signing_pair *pair, const uint8_t private_key[32])
{
    size_t length = sizeof pair->public_key;
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, private_key, 32);
    const int good = key && EVP_PKEY_get_raw_public_key(key, pair->public_key, &length) == 1;
    EVP_PKEY_free(key);
    memcpy(pair->private_key, private_key, sizeof pair->private_key);
    return good ? 0 : -1;
}

static int compare_client(const void *a, const void *b)
{
    const struct mr_included *left = a, *right = b;
    return memcmp(left->client_id, right->client_id, MR_CLIENT_ID_BYTES);
}

void mr_included_sort(struct mr_included *entries, uint32_t count)
{
    if (count > 1) {
        qsort(entries, count, sizeof *entries, compare_client);
    }
}

static void included_put(uint8_t out[MR_INCLUDED_BYTES], const struct mr_included *entry)
{
    memcpy(out, entry->client_id, MR_CLIENT_ID_BYTES);
    mr_be32_put(out + MR_CLIENT_ID_BYTES, entry->attempt);
}

size_t mr_included_encode(uint8_t *out, const struct mr_included *entries, uint32_t count)
{
    mr_be32_put(out, count);
    for (uint32_t i = 0; i < count; i++) {
        MR_ASSERT(i == 0 || compare_client(&entries[i - 1], &entries[i]) < 0);
        included_put(out + 4 + (size_t)i * MR_INCLUDED_BYTES, &entries[i]);
    }
    return 4 + (size_t)count * MR_INCLUDED_BYTES;
}

int mr_included_decode(struct mr_included *entries, uint32_t capacity, uint32_t *count,
                       const uint8_t *bytes, size_t length, size_t *used, struct mr_error *error)
{
    if (length < 4) {
        return mr_error_set(error, "the included set is cut short");
    }
    uint32_t announced = mr_be32_get(bytes);
    if (announced > capacity) {
        return mr_error_set(error, "the included set names %u devices: at most %u fit", announced,
                            capacity);
    }
    if ((length - 4) / MR_INCLUDED_BYTES < announced) {
        return mr_error_set(error, "the included set is cut short");
    }
    for (uint32_t i = 0; i < announced; i++) {
        const uint8_t *p = bytes + 4 + (size_t)i * MR_INCLUDED_BYTES;
        memcpy(entries[i].client_id, p, MR_CLIENT_ID_BYTES);
        entries[i].attempt = mr_be32_get(p + MR_CLIENT_ID_BYTES);
        if (i > 0 && compare_client(&entries[i - 1], &entries[i]) >= 0) {
            return mr_error_set(error, "the included set is not strictly rising at entry %u", i);
        }
    }
    *count = announced;
    *used = 4 + (size_t)announced * MR_INCLUDED_BYTES;
    return 0;
}

/* Entry by entry, so that a set of any size needs no buffer. */
static int hash_entries(EVP_MD_CTX *context, const struct mr_included *entries, uint32_t count)
{
    uint8_t entry[MR_INCLUDED_BYTES];
    for (uint32_t i = 0; i < count; i++) {
        MR_ASSERT(i == 0 || compare_client(&entries[i - 1], &entries[i]) < 0);
        included_put(entry, &entries[i]);
        if (EVP_DigestUpdate(context, entry, sizeof entry) != 1) {
            return -1;
        }
    }
    return 0;
}

int mr_included_hash(uint8_t set_hash[MR_HASH_BYTES], const uint8_t hash[MR_HASH_BYTES],
                     const struct mr_included *entries, uint32_t count)
{
    struct mr_transcript transcript;
    mr_transcript_init(&transcript, "millrace included set");
    mr_transcript_add(&transcript, hash, MR_HASH_BYTES);
    mr_transcript_add32(&transcript, count);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    int ok = context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 &&
             EVP_DigestUpdate(context, transcript.bytes, transcript.length) == 1 &&
             hash_entries(context, entries, count) == 0 &&
             EVP_DigestFinal_ex(context, set_hash, NULL) == 1;
    EVP_MD_CTX_free(context);
    return ok ? 0 : -1;
}

int mr_result_hash(uint8_t result_hash[MR_HASH_BYTES], const uint8_t *result, size_t result_bytes)
{
    return EVP_Digest(result, result_bytes, result_hash, NULL, EVP_sha256(), NULL) == 1 ? 0 : -1;
}

int mr_commitment_of_seal(uint8_t value[MR_HASH_BYTES], const uint8_t hash[MR_HASH_BYTES],
                          const uint8_t set_hash[MR_HASH_BYTES], uint16_t hub_index,
                          const struct mr_opening_seal *seal)
{
    struct mr_transcript transcript;
    mr_transcript_init(&transcript, "millrace commitment");
    mr_transcript_add(&transcript, hash, MR_HASH_BYTES);
    mr_transcript_add(&transcript, set_hash, MR_HASH_BYTES);
    mr_transcript_add16(&transcript, hub_index);
    mr_transcript_add(&transcript, seal->nonce, MR_NONCE_BYTES);
    return mr_transcript_hash(value, &transcript, seal->result_hash, MR_HASH_BYTES);
}

int mr_commitment_compute(uint8_t value[MR_HASH_BYTES], const uint8_t hash[MR_HASH_BYTES],
                          const uint8_t set_hash[MR_HASH_BYTES], uint16_t hub_index,
                          const uint8_t nonce[MR_NONCE_BYTES], const uint8_t *result,
                          size_t result_bytes)
{
    struct mr_opening_seal seal;
    memcpy(seal.nonce, nonce, MR_NONCE_BYTES);
    return mr_result_hash(seal.result_hash, result, result_bytes) != 0
               ? -1
               : mr_commitment_of_seal(value, hash, set_hash, hub_index, &seal);
}

static void committed_text(struct mr_transcript *transcript, const struct mr_commitment *commitment,
                           const uint8_t *hash)
{
    mr_transcript_init(transcript, "millrace committed");
    mr_transcript_add(transcript, hash, MR_HASH_BYTES);
    mr_transcript_add16(transcript, commitment->hub_index);
    mr_transcript_add(transcript, commitment->value, MR_HASH_BYTES);
    mr_transcript_add(transcript, commitment->root, MR_HASH_BYTES);
}

int mr_commitment_sign(struct mr_commitment *commitment, const uint8_t hash[MR_HASH_BYTES],
                       const struct mr_signing_pair *pair)
{
    struct mr_transcript transcript;
    committed_text(&transcript, commitment, hash);
    return mr_transcript_sign_pair(commitment->signature, &transcript, pair);
}

int mr_commitment_verify(const struct mr_commitment *commitment, const uint8_t hash[MR_HASH_BYTES],
                         const uint8_t public_key[MR_PUBLIC_KEY_BYTES])
{
    struct mr_transcript transcript;
    committed_text(&transcript, commitment, hash);
    return mr_transcript_verify(commitment->signature, &transcript, public_key);
}

void mr_commitment_encode(uint8_t out[MR_COMMITMENT_BYTES], const struct mr_commitment *commitment)
{
    mr_be16_put(out, commitment->hub_index);
    memcpy(out + 2, commitment->value, MR_HASH_BYTES);
    memcpy(out + 2 + MR_HASH_BYTES, commitment->root, MR_HASH_BYTES);
    memcpy(out + 2 + 2 * MR_HASH_BYTES, commitment->signature, MR_SIGNATURE_BYTES);
}

void mr_commitment_decode(struct mr_commitment *commitment, const uint8_t in[MR_COMMITMENT_BYTES])
{
    commitment->hub_index = mr_be16_get(in);
    memcpy(commitment->value, in + 2, MR_HASH_BYTES);
    memcpy(commitment->root, in + 2 + MR_HASH_BYTES, MR_HASH_BYTES);
    memcpy(commitment->signature, in + 2 + 2 * MR_HASH_BYTES, MR_SIGNATURE_BYTES);
}

bool mr_commitment_same(const struct mr_commitment *a, const struct mr_commitment *b)
{
    return a->hub_index == b->hub_index && memcmp(a->value, b->value, MR_HASH_BYTES) == 0 &&
           memcmp(a->root, b->root, MR_HASH_BYTES) == 0;
}

bool mr_commitment_fits(const struct mr_commitment *commitment,
                        const struct mr_announcement *announcement)
{
    static const uint8_t none[MR_HASH_BYTES];
    return (memcmp(commitment->root, none, MR_HASH_BYTES) != 0) == (announcement->audit_hours > 0);
}

static void model_text(struct mr_transcript *transcript, const uint8_t *hash,
                       const uint8_t *set_hash, const uint8_t *model_hash)
{
    mr_transcript_init(transcript, "millrace model");
    mr_transcript_add(transcript, hash, MR_HASH_BYTES);
    mr_transcript_add(transcript, set_hash, MR_HASH_BYTES);
    mr_transcript_add(transcript, model_hash, MR_HASH_BYTES);
}

int mr_model_sign(uint8_t signature[MR_SIGNATURE_BYTES], const uint8_t hash[MR_HASH_BYTES],
                  const uint8_t set_hash[MR_HASH_BYTES], const uint8_t model_hash[MR_HASH_BYTES],
                  const struct mr_signing_pair *pair)
{
    struct mr_transcript transcript;
    model_text(&transcript, hash, set_hash, model_hash);
    return mr_transcript_sign_pair(signature, &transcript, pair);
}

int mr_model_verify(const uint8_t signature[MR_SIGNATURE_BYTES], const uint8_t hash[MR_HASH_BYTES],
                    const uint8_t set_hash[MR_HASH_BYTES], const uint8_t model_hash[MR_HASH_BYTES],
                    const uint8_t public_key[MR_PUBLIC_KEY_BYTES])
{
    struct mr_transcript transcript;
    model_text(&transcript, hash, set_hash, model_hash);
    return mr_transcript_verify(signature, &transcript, public_key);
}

static int void_text(struct mr_transcript *transcript, const uint8_t *hash, const char *reason)
{
    uint8_t said[MR_HASH_BYTES];
    mr_transcript_init(transcript, "millrace void");
    mr_transcript_add(transcript, hash, MR_HASH_BYTES);
    if (EVP_Digest(reason, strlen(reason), said, NULL, EVP_sha256(), NULL) != 1) {
        return -1;
    }
    mr_transcript_add(transcript, said, MR_HASH_BYTES);
    return 0;
}

int mr_void_sign(uint8_t signature[MR_SIGNATURE_BYTES], const uint8_t hash[MR_HASH_BYTES],
                 const char *reason, const uint8_t private_key[32])
{
    struct mr_transcript transcript;
    return void_text(&transcript, hash, reason) == 0
               ? mr_transcript_sign(signature, &transcript, private_key)
               : -1;
}

int mr_void_verify(const uint8_t signature[MR_SIGNATURE_BYTES], const uint8_t hash[MR_HASH_BYTES],
                   const char *reason, const uint8_t public_key[MR_PUBLIC_KEY_BYTES])
{
    struct mr_transcript transcript;
    return void_text(&transcript, hash, reason) == 0
               ? mr_transcript_verify(signature, &transcript, public_key)
               : -1;
}

static void unopened_text(struct mr_transcript *transcript, const uint8_t *hash)
{
    mr_transcript_init(transcript, "millrace unopened");
    mr_transcript_add(transcript, hash, MR_HASH_BYTES);
}

int mr_unopened_sign(uint8_t signature[MR_SIGNATURE_BYTES], const uint8_t hash[MR_HASH_BYTES],
                     const uint8_t private_key[32])
{
    struct mr_transcript transcript;
    unopened_text(&transcript, hash);
    return mr_transcript_sign(signature, &transcript, private_key);
}

int mr_unopened_verify(const uint8_t signature[MR_SIGNATURE_BYTES],
                       const uint8_t hash[MR_HASH_BYTES],
                       const uint8_t public_key[MR_PUBLIC_KEY_BYTES])
{
    struct mr_transcript transcript;
    unopened_text(&transcript, hash);
    return mr_transcript_verify(signature, &transcript, public_key);
}
