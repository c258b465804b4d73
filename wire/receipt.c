#include "wire/receipt.h"

#include <openssl/crypto.h>
#include <string.h>

#include "base/bytes.h"
#include "wire/transcript.h"

#define SIGNED "millrace receipt"

int mr_seed_hash(uint8_t hash[MR_HASH_BYTES], const uint8_t seed[MR_SEED_BYTES],
                 const struct mr_key_scope *scope)
{
    struct mr_transcript transcript;
    uint8_t covered[MR_KEY_SCOPE_BYTES_MAX];
    mr_transcript_init(&transcript, "millrace seed hash");
    mr_transcript_add(&transcript, covered, mr_key_scope_encode(covered, scope));
    return mr_transcript_hash(hash, &transcript, seed, MR_SEED_BYTES);
}

int mr_receipt_fill(struct mr_receipt *receipt, const uint8_t seed[MR_SEED_BYTES],
                    const uint8_t sealed_hash[MR_HASH_BYTES], const struct mr_key_scope *scope,
                    const struct mr_layout *layout)
{
    struct mr_mask_stream mask;
    receipt->hub_index = scope->hub_index;
    memcpy(receipt->sealed_hash, sealed_hash, MR_HASH_BYTES);
    if (mr_seed_hash(receipt->seed_hash, seed, scope) != 0 ||
        mr_mask_derive(&mask, seed, scope) != 0) {
        return -1;
    }
    receipt->count_mask = mr_mask_count(&mask, layout);
    OPENSSL_cleanse(&mask, sizeof mask);
    return 0;
}

static void receipt_text(struct mr_transcript *transcript, const char *label,
                         const struct mr_receipt *receipt, const struct mr_key_scope *scope)
{
    uint8_t covered[MR_KEY_SCOPE_BYTES_MAX];
    mr_transcript_init(transcript, label);
    mr_transcript_add(transcript, covered, mr_key_scope_encode(covered, scope));
    mr_transcript_add(transcript, receipt->seed_hash, MR_HASH_BYTES);
    mr_transcript_add(transcript, receipt->sealed_hash, MR_HASH_BYTES);
    mr_transcript_add32(transcript, receipt->count_mask);
}

int mr_receipt_sign(struct mr_receipt *receipt, const struct mr_key_scope *scope,
                    const struct mr_signing_pair *pair)
{
    struct mr_transcript transcript;
    receipt_text(&transcript, SIGNED, receipt, scope);
    return mr_transcript_sign_pair(receipt->signature, &transcript, pair);
}

int mr_receipt_verify(const struct mr_receipt *receipt, const struct mr_key_scope *scope,
                      const uint8_t public_key[MR_PUBLIC_KEY_BYTES])
{
    struct mr_transcript transcript;
    receipt_text(&transcript, SIGNED, receipt, scope);
    return mr_transcript_verify(receipt->signature, &transcript, public_key);
}

/* --- the MAC ---------------------------------------------------------------------------------- */

int mr_receipt_key(uint8_t key[MR_RECEIPT_KEY_BYTES],
                   const uint8_t announcement_hash[MR_HASH_BYTES], const uint8_t private_key[32])
{
    struct mr_transcript transcript;
    mr_transcript_init(&transcript, "millrace receipt key");
    mr_transcript_add(&transcript, announcement_hash, MR_HASH_BYTES);
    return mr_transcript_hmac(key, private_key, &transcript);
}

static int mac_of(uint8_t mac[MR_RECEIPT_MAC_BYTES], const struct mr_receipt *receipt,
                  const struct mr_key_scope *scope, const uint8_t key[MR_RECEIPT_KEY_BYTES])
{
    struct mr_transcript transcript;
    uint8_t whole[32];
    receipt_text(&transcript, "millrace receipt mac", receipt, scope);
    mr_transcript_add(&transcript, receipt->signature, MR_SIGNATURE_BYTES);
    if (mr_transcript_hmac(whole, key, &transcript) != 0) {
        return -1;
    }
    memcpy(mac, whole, MR_RECEIPT_MAC_BYTES);
    return 0;
}

int mr_receipt_mac_make(struct mr_receipt *receipt, const struct mr_key_scope *scope,
                        const uint8_t key[MR_RECEIPT_KEY_BYTES])
{
    return mac_of(receipt->mac, receipt, scope, key);
}

bool mr_receipt_mac_holds(const struct mr_receipt *receipt, const struct mr_key_scope *scope,
                          const uint8_t key[MR_RECEIPT_KEY_BYTES])
{
    static const uint8_t none[MR_RECEIPT_MAC_BYTES];
    uint8_t mac[MR_RECEIPT_MAC_BYTES];
    return memcmp(receipt->mac, none, sizeof none) != 0 && mac_of(mac, receipt, scope, key) == 0 &&
           CRYPTO_memcmp(mac, receipt->mac, sizeof mac) == 0;
}

/* --- bytes ------------------------------------------------------------------------------------ */

void mr_receipt_answer_encode(uint8_t out[MR_RECEIPT_ANSWER_BYTES],
                              const struct mr_receipt *receipt)
{
    mr_be16_put(out, receipt->hub_index);
    mr_be32_put(out + 2, receipt->count_mask);
    memcpy(out + 6, receipt->signature, MR_SIGNATURE_BYTES);
    memcpy(out + 6 + MR_SIGNATURE_BYTES, receipt->mac, MR_RECEIPT_MAC_BYTES);
}

static void take_answer(struct mr_receipt *receipt, const uint8_t *bytes)
{
    receipt->hub_index = mr_be16_get(bytes);
    receipt->count_mask = mr_be32_get(bytes + 2);
    memcpy(receipt->signature, bytes + 6, MR_SIGNATURE_BYTES);
    memcpy(receipt->mac, bytes + 6 + MR_SIGNATURE_BYTES, MR_RECEIPT_MAC_BYTES);
}

int mr_receipt_answer_decode(struct mr_receipt *receipt, const uint8_t *bytes, size_t length,
                             struct mr_error *error)
{
    if (length != MR_RECEIPT_ANSWER_BYTES) {
        return mr_error_set(error, "a receipt has %d bytes, not %zu", MR_RECEIPT_ANSWER_BYTES,
                            length);
    }
    take_answer(receipt, bytes);
    return 0;
}

void mr_receipt_encode(uint8_t out[MR_RECEIPT_BYTES], const struct mr_receipt *receipt)
{
    mr_receipt_answer_encode(out, receipt);
    memcpy(out + MR_RECEIPT_ANSWER_BYTES, receipt->seed_hash, MR_HASH_BYTES);
    memcpy(out + MR_RECEIPT_ANSWER_BYTES + MR_HASH_BYTES, receipt->sealed_hash, MR_HASH_BYTES);
}

void mr_receipt_decode(struct mr_receipt *receipt, const uint8_t in[MR_RECEIPT_BYTES])
{
    take_answer(receipt, in);
    memcpy(receipt->seed_hash, in + MR_RECEIPT_ANSWER_BYTES, MR_HASH_BYTES);
    memcpy(receipt->sealed_hash, in + MR_RECEIPT_ANSWER_BYTES + MR_HASH_BYTES, MR_HASH_BYTES);
}

uint32_t mr_receipts_count_lane(const struct mr_receipt *receipts, unsigned count)
{
    uint32_t lane = 1;
    for (unsigned i = 0; i < count; i++) {
        lane -= receipts[i].count_mask;
    }
    return lane;
}
