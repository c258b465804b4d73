/* transcript.h - the short byte strings that are hashed, MACed and signed (inside wire/ only).
 *
 * A transcript starts with len8(label) ‖ label, so that no two uses ever cover the same bytes.
 * Fixed capacity: an overflow is a bug of ours. */
#ifndef MR_WIRE_TRANSCRIPT_H
#define MR_WIRE_TRANSCRIPT_H

#include <stddef.h>
#include <stdint.h>

#define MR_TRANSCRIPT_MAX 256

struct mr_signing_pair;

struct mr_transcript {
    size_t length;
    uint8_t bytes[MR_TRANSCRIPT_MAX];
};

void mr_transcript_init(struct mr_transcript *transcript, const char *label);
void mr_transcript_add(struct mr_transcript *transcript, const uint8_t *bytes, size_t length);
void mr_transcript_add16(struct mr_transcript *transcript, uint16_t value);
void mr_transcript_add32(struct mr_transcript *transcript, uint32_t value);
void mr_transcript_add64(struct mr_transcript *transcript, uint64_t value);

/* HMAC-SHA256 under a 32-byte key. 0, or -1 when OpenSSL fails. */
int mr_transcript_hmac(uint8_t mac[32], const uint8_t key[32],
                       const struct mr_transcript *transcript);

/* HKDF-Expand (RFC 5869, 2.3) to at most one block of 32 bytes, with the transcript as info.
 * Likewise. */
int mr_transcript_expand(uint8_t *out, size_t bytes, const uint8_t key[32],
                         struct mr_transcript *info);

/* SHA-256 of bytes that are no transcript. Likewise. */
int mr_sha256(uint8_t hash[32], const uint8_t *bytes, size_t length);
/* SHA-256 of transcript ‖ tail. 0, or -1 when OpenSSL fails. */
int mr_transcript_hash(uint8_t hash[32], const struct mr_transcript *transcript,
                       const uint8_t *tail, size_t tail_bytes);

/* Ed25519; `private_key` is the raw 32-byte seed. 0, or -1 when OpenSSL fails or the signature does
 * not hold. */
int mr_transcript_sign(uint8_t signature[64], const struct mr_transcript *transcript,
                       const uint8_t private_key[32]);
/* The same without deriving the public key: for whoever signs often. */
int mr_transcript_sign_pair(uint8_t signature[64], const struct mr_transcript *transcript,
                            const struct mr_signing_pair *pair);
int mr_transcript_verify(const uint8_t signature[64], const struct mr_transcript *transcript,
                         const uint8_t public_key[32]);

#endif
