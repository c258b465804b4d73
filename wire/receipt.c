#include "wire/receipt.h"

#include <openssl/crypto.h>
#include <string.h>

#include "base/bytes.h"
#include "wire/transcript.h"

int mr_seed_hash(uint8_t hash[MR_HASH_BYTES], const uint8_t seed[MR_SEED_BYTES],
                 const struct mr_key_scope *scope)
{
    struct mr_transcript transcript;
    uint8_t covered[MR_KEY_SCOPE_BYTES_MAX];
    mr_transcript_init(&transcript, "millrace seed hash");
    mr_transcript_add(&transcript, covered, mr_key_scope_encode(covered, scope));
    return mr_transcript_hash(hash, &transcript, seed, MR_SEED_BYTES);
}

static int short_mac(uint8_t mac[MR_RECEIPT_MAC_BYTES], const uint8_t key[32],
                     const struct mr_transcript *text)
{
    uint8_t whole[32];
    if (mr_transcript_hmac(whole, key, text) != 0) {
        return -1;
    }
    memcpy(mac, whole, MR_RECEIPT_MAC_BYTES);
    return 0;
}

static void begin_text(struct mr_transcript *text, const char *label,
                       const struct mr_key_scope *scope)
{
    uint8_t covered[MR_KEY_SCOPE_BYTES_MAX];
    mr_transcript_init(text, label);
    mr_transcript_add(text, covered, mr_key_scope_encode(covered, scope));
}

/* --- the device's: under the seed ------------------------------------------------------------- */

int mr_receipt_fill(struct mr_receipt *receipt, const uint8_t seed[MR_SEED_BYTES],
                    const uint8_t sealed_hash[MR_HASH_BYTES], const struct mr_key_scope *scope,
                    const struct mr_layout *layout)
{
    struct mr_mask_stream mask;
    struct mr_transcript text;
    receipt->hub_index = scope->hub_index;
    if (mr_mask_derive(&mask, seed, scope) != 0) {
        return -1;
    }
    receipt->count_mask = mr_mask_count(&mask, layout);
    OPENSSL_cleanse(&mask, sizeof mask);
    begin_text(&text, "millrace receipt", scope);
    mr_transcript_add(&text, sealed_hash, MR_HASH_BYTES);
    mr_transcript_add32(&text, receipt->count_mask);
    return short_mac(receipt->proof, seed, &text);
}

bool mr_receipt_proves(const struct mr_receipt *said, const struct mr_receipt *computed)
{
    return said->hub_index == computed->hub_index && said->count_mask == computed->count_mask &&
           CRYPTO_memcmp(said->proof, computed->proof, MR_RECEIPT_MAC_BYTES) == 0;
}

/* --- the lead's: under the helper's key of the round ------------------------------------------ */

int mr_receipt_key(uint8_t key[MR_RECEIPT_KEY_BYTES],
                   const uint8_t announcement_hash[MR_HASH_BYTES], const uint8_t private_key[32])
{
    struct mr_transcript text;
    mr_transcript_init(&text, "millrace receipt key");
    mr_transcript_add(&text, announcement_hash, MR_HASH_BYTES);
    return mr_transcript_hmac(key, private_key, &text);
}

static int mac_of(uint8_t mac[MR_RECEIPT_MAC_BYTES], const struct mr_receipt *receipt,
                  const struct mr_key_scope *scope, const uint8_t key[MR_RECEIPT_KEY_BYTES])
{
    struct mr_transcript text;
    begin_text(&text, "millrace receipt mac", scope);
    mr_transcript_add32(&text, receipt->count_mask);
    return short_mac(mac, key, &text);
}

int mr_receipt_mac_make(struct mr_receipt *receipt, const struct mr_key_scope *scope,
                        const uint8_t key[MR_RECEIPT_KEY_BYTES])
{
    return mac_of(receipt->mac, receipt, scope, key);
}

bool mr_receipt_mac_holds(const struct mr_receipt *receipt, const struct mr_key_scope *scope,
                          const uint8_t key[MR_RECEIPT_KEY_BYTES])
{
    uint8_t mac[MR_RECEIPT_MAC_BYTES];
    return mac_of(mac, receipt, scope, key) == 0 &&
           CRYPTO_memcmp(mac, receipt->mac, sizeof mac) == 0;
}

/* --- bytes ------------------------------------------------------------------------------------ */

#define MASK_AT 2
#define BODY_AT 6 /* of what stands behind hub and mask */

static void head_put(uint8_t *out, const struct mr_receipt *receipt)
{
    mr_be16_put(out, receipt->hub_index);
    mr_be32_put(out + MASK_AT, receipt->count_mask);
}

static void head_take(struct mr_receipt *receipt, const uint8_t *bytes)
{
    receipt->hub_index = mr_be16_get(bytes);
    receipt->count_mask = mr_be32_get(bytes + MASK_AT);
}

void mr_receipt_answer_encode(uint8_t out[MR_RECEIPT_ANSWER_BYTES],
                              const struct mr_receipt *receipt)
{
    head_put(out, receipt);
    memcpy(out + BODY_AT, receipt->proof, MR_RECEIPT_MAC_BYTES);
    memcpy(out + BODY_AT + MR_RECEIPT_MAC_BYTES, receipt->mac, MR_RECEIPT_MAC_BYTES);
}

int mr_receipt_answer_decode(struct mr_receipt *receipt, const uint8_t *bytes, size_t length,
                             struct mr_error *error)
{
    if (length != MR_RECEIPT_ANSWER_BYTES) {
        return mr_error_set(error, "a receipt has %d bytes, not %zu", MR_RECEIPT_ANSWER_BYTES,
                            length);
    }
    head_take(receipt, bytes);
    memcpy(receipt->proof, bytes + BODY_AT, MR_RECEIPT_MAC_BYTES);
    memcpy(receipt->mac, bytes + BODY_AT + MR_RECEIPT_MAC_BYTES, MR_RECEIPT_MAC_BYTES);
    return 0;
}

void mr_receipt_encode(uint8_t out[MR_RECEIPT_BYTES], const struct mr_receipt *receipt)
{
    head_put(out, receipt);
    memcpy(out + BODY_AT, receipt->mac, MR_RECEIPT_MAC_BYTES);
}

void mr_receipt_decode(struct mr_receipt *receipt, const uint8_t in[MR_RECEIPT_BYTES])
{
    head_take(receipt, in);
    memcpy(receipt->mac, in + BODY_AT, MR_RECEIPT_MAC_BYTES);
}

uint32_t mr_receipts_count_lane(const struct mr_receipt *receipts, unsigned count)
{
    uint32_t lane = 1;
    for (unsigned i = 0; i < count; i++) {
        lane -= receipts[i].count_mask;
    }
    return lane;
}
