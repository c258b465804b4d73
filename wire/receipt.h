/* receipt.h - a helper's word that it has a device's seed, and which.
 *
 * A receipt has two proofs, for the two that read it, and no signature
 * (docs/decisions/0090-receipts-by-the-seed.md):
 *
 *   proof  a MAC under the seed itself. Only the device and whoever has opened what it sealed can
 *          make one, and that is the helper whose seal key is signed with the announcement: so the
 *          device knows that its own seed arrived, whoever stood in between.
 *   mac    a MAC under a key that the helper tells the lead with its signature of the announcement
 *          (docs/decisions/0068-receipts-by-mac.md): so the lead knows that the helper has a seed
 *          of this device and attempt, and that seed's mask at the count lane. With that it can
 *          open the count lane of an upload, and nothing else of it, when the share is complete
 *          (docs/decisions/0035-count-lane.md). */
#ifndef MR_WIRE_RECEIPT_H
#define MR_WIRE_RECEIPT_H

#include <stdbool.h>

#include "wire/exchange.h"
#include "wire/layout.h"
#include "wire/sealed_seed.h"

#define MR_RECEIPT_MAC_BYTES 16 /* of either */
#define MR_RECEIPT_KEY_BYTES 32

struct mr_receipt {
    uint16_t hub_index;
    uint32_t count_mask; /* the mask's value at trailer lane MR_TRAILER_COUNT */
    uint8_t proof[MR_RECEIPT_MAC_BYTES];
    uint8_t mac[MR_RECEIPT_MAC_BYTES];
};

/* SHA-256(len8 ‖ "millrace seed hash" ‖ scope ‖ seed), for audits: tells nothing of 32 random
 * bytes. 0, or -1 when OpenSSL fails. */
int mr_seed_hash(uint8_t hash[MR_HASH_BYTES], const uint8_t seed[MR_SEED_BYTES],
                 const struct mr_key_scope *scope);

/* Everything but the lead's MAC, from the seed of that scope and the hash of what brought it;
 * device and helper compute the same. The proof: the first bytes of HMAC-SHA256(seed, len8 ‖
 * "millrace receipt" ‖ scope ‖ sealed_hash ‖ be32(count_mask)). The scope's hub is the helper. 0,
 * or -1 when OpenSSL fails. */
int mr_receipt_fill(struct mr_receipt *receipt, const uint8_t seed[MR_SEED_BYTES],
                    const uint8_t sealed_hash[MR_HASH_BYTES], const struct mr_key_scope *scope,
                    const struct mr_layout *layout);
/* Whether a helper's receipt says what the device computed, the lead's MAC left out. In constant
 * time. */
bool mr_receipt_proves(const struct mr_receipt *said, const struct mr_receipt *computed);

/* A helper's key for the lead's MACs of one round: HMAC-SHA256(its signing key, len8 ‖ "millrace
 * receipt key" ‖ announcement hash). A secret of helper and lead. 0, or -1 when OpenSSL fails. */
int mr_receipt_key(uint8_t key[MR_RECEIPT_KEY_BYTES],
                   const uint8_t announcement_hash[MR_HASH_BYTES], const uint8_t private_key[32]);
/* The first bytes of HMAC-SHA256(key, len8 ‖ "millrace receipt mac" ‖ scope ‖ be32(count_mask)). 0,
 * or -1 when OpenSSL fails. */
int mr_receipt_mac_make(struct mr_receipt *receipt, const struct mr_key_scope *scope,
                        const uint8_t key[MR_RECEIPT_KEY_BYTES]);
/* In constant time. */
bool mr_receipt_mac_holds(const struct mr_receipt *receipt, const struct mr_key_scope *scope,
                          const uint8_t key[MR_RECEIPT_KEY_BYTES]);

/* The answer to a seed request: be16(hub) ‖ be32(count_mask) ‖ proof ‖ MAC. 0, or -1 with a text.
 */
#define MR_RECEIPT_ANSWER_BYTES (2 + 4 + 2 * MR_RECEIPT_MAC_BYTES)
void mr_receipt_answer_encode(uint8_t out[MR_RECEIPT_ANSWER_BYTES],
                              const struct mr_receipt *receipt);
int mr_receipt_answer_decode(struct mr_receipt *receipt, const uint8_t *bytes, size_t length,
                             struct mr_error *error);

/* As it stands in an upload request: be16(hub) ‖ be32(count_mask) ‖ MAC. The proof is the device's
 * alone; the decoder leaves it as it is. */
#define MR_RECEIPT_BYTES (2 + 4 + MR_RECEIPT_MAC_BYTES)
void mr_receipt_encode(uint8_t out[MR_RECEIPT_BYTES], const struct mr_receipt *receipt);
void mr_receipt_decode(struct mr_receipt *receipt, const uint8_t in[MR_RECEIPT_BYTES]);

/* What lane MR_TRAILER_COUNT of the share must be: an honest device counts as 1. */
uint32_t mr_receipts_count_lane(const struct mr_receipt *receipts, unsigned count);

#endif
