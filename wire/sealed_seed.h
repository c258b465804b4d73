/* sealed_seed.h - a mask seed on its way to its helper: sealed to the key that the helper made for
 * the round (docs/wire-format.md, sections 10 and 13).
 *
 * Whoever carries or terminates the connection sees the sealed bytes only. The seal is HPKE
 * (hpke.h) with info = len8 ‖ "millrace seed" ‖ scope, so that sealed bytes serve one device,
 * attempt, helper and round. */
#ifndef MR_WIRE_SEALED_SEED_H
#define MR_WIRE_SEALED_SEED_H

#include "base/error.h"
#include "wire/announcement.h"
#include "wire/hpke.h"
#include "wire/keys.h"

#define MR_ATTEMPTS_MAX 8 /* attempts 0..7 a device and round */

#define MR_SEALED_SEED_BYTES (MR_SEED_BYTES + MR_HPKE_TAG_BYTES)

/* POST /v1/tasks/{task}/rounds/{round}/seed, device to helper: nothing in it is secret. */
struct mr_seed_request {
    uint8_t announcement_hash[MR_HASH_BYTES];
    uint32_t attempt;
    uint8_t enc[MR_HPKE_ENC_BYTES];
    uint8_t sealed[MR_SEALED_SEED_BYTES];
};

/* hash 32 ‖ be32(attempt) ‖ enc 32 ‖ sealed 48 */
#define MR_SEED_REQUEST_BYTES (MR_HASH_BYTES + 4 + MR_HPKE_ENC_BYTES + (size_t)MR_SEALED_SEED_BYTES)
void mr_seed_request_encode(uint8_t out[MR_SEED_REQUEST_BYTES],
                            const struct mr_seed_request *request);
/* Exactly those bytes, with an attempt that there is. 0, or -1 with a text. */
int mr_seed_request_decode(struct mr_seed_request *request, const uint8_t *bytes, size_t length,
                           struct mr_error *error);

/* Fills a request for the helper of the scope. `ephemeral` is 32 fresh random bytes, secret. 0, or
 * -1 when OpenSSL fails or `seal_key` is none to seal to. */
int mr_seed_seal(struct mr_seed_request *request, const uint8_t seed[MR_SEED_BYTES],
                 const struct mr_key_scope *scope, const uint8_t seal_key[MR_HPKE_KEY_BYTES],
                 const uint8_t ephemeral[MR_HPKE_KEY_BYTES]);
/* CLOSED: sealed to another key or for another scope, or changed on the way. `seed` is wiped unless
 * it opens. */
enum mr_hpke_result mr_seed_open(struct mr_hpke_kit *kit, uint8_t seed[MR_SEED_BYTES],
                                 const struct mr_seed_request *request,
                                 const struct mr_key_scope *scope, const struct mr_hpke_pair *pair);

/* SHA-256(enc ‖ sealed): names the sealed bytes. 0, or -1 when OpenSSL fails. */
int mr_sealed_hash(uint8_t hash[MR_HASH_BYTES], const struct mr_seed_request *request);

#endif
