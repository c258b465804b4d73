/* receipt.h - a helper's signed word that it has a device's seed, and which.
 *
 * A receipt names the seed by its hash, the sealed bytes that brought it, and the seed's mask at
 * the count lane. So the device knows that its own seed arrived, whoever stood in between; and the
 * lead can open the count lane of an upload, and nothing else of it, when the share is complete
 * (docs/decisions/0035-count-lane.md).
 *
 * Beside the signature, which devices check, stands a MAC under a key that the helper tells the
 * lead with its signature of the announcement: so the lead, who gets a receipt from every device,
 * verifies none of the signatures (docs/decisions/0068-receipts-by-mac.md). */
#ifndef MR_WIRE_RECEIPT_H
#define MR_WIRE_RECEIPT_H

#include <stdbool.h>

#include "wire/exchange.h"
#include "wire/layout.h"
#include "wire/sealed_seed.h"

#define MR_RECEIPT_MAC_BYTES 16
#define MR_RECEIPT_KEY_BYTES 32

struct mr_receipt {
    uint16_t hub_index;
    uint32_t count_mask; /* the mask's value at trailer lane MR_TRAILER_COUNT */
    uint8_t seed_hash[MR_HASH_BYTES];
    uint8_t sealed_hash[MR_HASH_BYTES];
    uint8_t signature[MR_SIGNATURE_BYTES];
    uint8_t mac[MR_RECEIPT_MAC_BYTES]; /* zeros: none, so that the signature has to be verified */
};

/* SHA-256(len8 ‖ "millrace seed hash" ‖ scope ‖ seed): tells nothing of 32 random bytes. 0, or -1
 * when OpenSSL fails. */
int mr_seed_hash(uint8_t hash[MR_HASH_BYTES], const uint8_t seed[MR_SEED_BYTES],
                 const struct mr_key_scope *scope);

/* Everything but the signature, from the seed of that scope; device and helper compute the same.
 * 0, or -1 when OpenSSL fails. */
int mr_receipt_fill(struct mr_receipt *receipt, const uint8_t seed[MR_SEED_BYTES],
                    const uint8_t sealed_hash[MR_HASH_BYTES], const struct mr_key_scope *scope,
                    const struct mr_layout *layout);

/* Ed25519 over len8 ‖ "millrace receipt" ‖ scope ‖ seed_hash ‖ sealed_hash ‖ be32(count_mask). The
 * scope's hub is the helper. Deterministic: the same question gets the same bytes. 0 or -1. */
int mr_receipt_sign(struct mr_receipt *receipt, const struct mr_key_scope *scope,
                    const struct mr_signing_pair *pair);
int mr_receipt_verify(const struct mr_receipt *receipt, const struct mr_key_scope *scope,
                      const uint8_t public_key[MR_PUBLIC_KEY_BYTES]);

/* A helper's key for the MACs of one round: HMAC-SHA256(its signing key, len8 ‖ "millrace receipt
 * key" ‖ announcement hash). A secret of helper and lead. 0, or -1 when OpenSSL fails. */
int mr_receipt_key(uint8_t key[MR_RECEIPT_KEY_BYTES],
                   const uint8_t announcement_hash[MR_HASH_BYTES], const uint8_t private_key[32]);
/* The first bytes of HMAC-SHA256 over what the signature covers, with the label "millrace receipt
 * mac", and the signature. 0, or -1 when OpenSSL fails. */
int mr_receipt_mac_make(struct mr_receipt *receipt, const struct mr_key_scope *scope,
                        const uint8_t key[MR_RECEIPT_KEY_BYTES]);
/* In constant time. False too where there is none. */
bool mr_receipt_mac_holds(const struct mr_receipt *receipt, const struct mr_key_scope *scope,
                          const uint8_t key[MR_RECEIPT_KEY_BYTES]);

/* The answer to a seed request: be16(hub) ‖ be32(count_mask) ‖ signature ‖ MAC. The device knows
 * the hashes; the decoder leaves them as they are. 0, or -1 with a text. */
#define MR_RECEIPT_ANSWER_BYTES (2 + 4 + MR_SIGNATURE_BYTES + MR_RECEIPT_MAC_BYTES)
void mr_receipt_answer_encode(uint8_t out[MR_RECEIPT_ANSWER_BYTES],
                              const struct mr_receipt *receipt);
int mr_receipt_answer_decode(struct mr_receipt *receipt, const uint8_t *bytes, size_t length,
                             struct mr_error *error);

/* As it stands in an upload request: the answer ‖ seed_hash ‖ sealed_hash. */
#define MR_RECEIPT_BYTES (MR_RECEIPT_ANSWER_BYTES + 2 * MR_HASH_BYTES)
void mr_receipt_encode(uint8_t out[MR_RECEIPT_BYTES], const struct mr_receipt *receipt);
void mr_receipt_decode(struct mr_receipt *receipt, const uint8_t in[MR_RECEIPT_BYTES]);

/* What lane MR_TRAILER_COUNT of the share must be: an honest device counts as 1. */
uint32_t mr_receipts_count_lane(const struct mr_receipt *receipts, unsigned count);

#endif
