/* exchange.h - what hubs say to each other about a closed round: the included set,
 * commitments and openings. Byte layouts: docs/wire-format.md, "Between hubs". */
#ifndef MR_WIRE_EXCHANGE_H
#define MR_WIRE_EXCHANGE_H

#include <stdbool.h>

#include "wire/announcement.h"
#include "base/error.h"
#include "wire/identity.h"

/* Both halves of an Ed25519 key. The public one must be the private one's (mr_signing_pair_derive):
 * a signature with another would give the private key away. */
struct mr_signing_pair {
    uint8_t private_key[32]; /* raw seed */
    uint8_t public_key[MR_PUBLIC_KEY_BYTES];
};
/* 0, or -1 when OpenSSL fails. */
int mr_signing_pair_derive(struct mr_signing_pair *pair, const uint8_t private_key[32]);

/* One counted upload. */
struct mr_included {
    uint8_t client_id[MR_CLIENT_ID_BYTES];
    uint32_t attempt;
};
#define MR_INCLUDED_BYTES 20 /* client16 ‖ be32(attempt) */

/* Included set = be32(count) ‖ entries, strictly rising by client id: so identities are distinct
 * by form. `entries` must be sorted (mr_included_sort). Returns 4 + 20 * count bytes written. */
void mr_included_sort(struct mr_included *entries, uint32_t count);
size_t mr_included_encode(uint8_t *out, const struct mr_included *entries, uint32_t count);
/* Decodes into entries[capacity]; *count set; *used = bytes read. -1 on truncation, too many, or
 * entries not strictly rising. */
int mr_included_decode(struct mr_included *entries, uint32_t capacity, uint32_t *count,
                       const uint8_t *bytes, size_t length, size_t *used, struct mr_error *error);

/* set_hash = SHA-256(len8 ‖ "millrace included set" ‖ announcement_hash ‖ encoded set). */
int mr_included_hash(uint8_t set_hash[MR_HASH_BYTES], const uint8_t hash[MR_HASH_BYTES],
                     const struct mr_included *entries, uint32_t count);

/* commitment = SHA-256(len8 ‖ "millrace commitment" ‖ announcement_hash ‖ set_hash ‖ be16(hub) ‖
 * nonce32 ‖ SHA-256(result bytes)), signed by its hub: Ed25519 over len8 ‖ "millrace committed" ‖
 * announcement_hash ‖ be16(hub) ‖ commitment ‖ root. Result bytes are mr_sum_pack's. */
struct mr_commitment {
    uint16_t hub_index;
    uint8_t value[MR_HASH_BYTES];
    uint8_t root[MR_HASH_BYTES]; /* of what it counted (audit.h); zeros where audit_hours is 0 */
    uint8_t signature[MR_SIGNATURE_BYTES];
};
#define MR_NONCE_BYTES      32
#define MR_COMMITMENT_BYTES (2 + 2 * MR_HASH_BYTES + MR_SIGNATURE_BYTES)

int mr_commitment_compute(uint8_t value[MR_HASH_BYTES], const uint8_t hash[MR_HASH_BYTES],
                          const uint8_t set_hash[MR_HASH_BYTES], uint16_t hub_index,
                          const uint8_t nonce[MR_NONCE_BYTES], const uint8_t *result,
                          size_t result_bytes);
/* The same from what a transcript keeps of an opening: the nonce and the result's hash. */
struct mr_opening_seal {
    uint8_t nonce[MR_NONCE_BYTES];
    uint8_t result_hash[MR_HASH_BYTES];
};
int mr_result_hash(uint8_t result_hash[MR_HASH_BYTES], const uint8_t *result, size_t result_bytes);
int mr_commitment_of_seal(uint8_t value[MR_HASH_BYTES], const uint8_t hash[MR_HASH_BYTES],
                          const uint8_t set_hash[MR_HASH_BYTES], uint16_t hub_index,
                          const struct mr_opening_seal *seal);
int mr_commitment_sign(struct mr_commitment *commitment, const uint8_t hash[MR_HASH_BYTES],
                       const struct mr_signing_pair *pair);
int mr_commitment_verify(const struct mr_commitment *commitment, const uint8_t hash[MR_HASH_BYTES],
                         const uint8_t public_key[MR_PUBLIC_KEY_BYTES]);
void mr_commitment_encode(uint8_t out[MR_COMMITMENT_BYTES], const struct mr_commitment *commitment);
void mr_commitment_decode(struct mr_commitment *commitment, const uint8_t in[MR_COMMITMENT_BYTES]);
/* Whether they say the same, whatever signed it. */
bool mr_commitment_same(const struct mr_commitment *a, const struct mr_commitment *b);
/* Whether it has a root exactly where the terms ask for one. */
bool mr_commitment_fits(const struct mr_commitment *commitment,
                        const struct mr_announcement *announcement);

/* Model attestation: Ed25519 over len8 ‖ "millrace model" ‖ announcement_hash ‖ set_hash ‖
 * model_hash of the *next* model. */
int mr_model_sign(uint8_t signature[MR_SIGNATURE_BYTES], const uint8_t hash[MR_HASH_BYTES],
                  const uint8_t set_hash[MR_HASH_BYTES], const uint8_t model_hash[MR_HASH_BYTES],
                  const struct mr_signing_pair *pair);
int mr_model_verify(const uint8_t signature[MR_SIGNATURE_BYTES], const uint8_t hash[MR_HASH_BYTES],
                    const uint8_t set_hash[MR_HASH_BYTES], const uint8_t model_hash[MR_HASH_BYTES],
                    const uint8_t public_key[MR_PUBLIC_KEY_BYTES]);

/* What a lead's order to give a round up carries: Ed25519 over len8 ‖ "millrace void" ‖
 * announcement_hash ‖ SHA-256 of the reason's bytes (without a NUL). 0 or -1. */
int mr_void_sign(uint8_t signature[MR_SIGNATURE_BYTES], const uint8_t hash[MR_HASH_BYTES],
                 const char *reason, const uint8_t private_key[32]);
int mr_void_verify(const uint8_t signature[MR_SIGNATURE_BYTES], const uint8_t hash[MR_HASH_BYTES],
                   const char *reason, const uint8_t public_key[MR_PUBLIC_KEY_BYTES]);

/* A hub's word that it has not opened its result of a round and never will: Ed25519 over len8 ‖
 * "millrace unopened" ‖ announcement_hash. 0 or -1. */
int mr_unopened_sign(uint8_t signature[MR_SIGNATURE_BYTES], const uint8_t hash[MR_HASH_BYTES],
                     const uint8_t private_key[32]);
int mr_unopened_verify(const uint8_t signature[MR_SIGNATURE_BYTES],
                       const uint8_t hash[MR_HASH_BYTES],
                       const uint8_t public_key[MR_PUBLIC_KEY_BYTES]);

#endif
