/* hpke.h - HPKE (RFC 9180), base mode, one message: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256,
 * AES-128-GCM. From OpenSSL's X25519, HMAC and AES-GCM, because OpenSSL 3.0 has no HPKE itself.
 *
 * Sans-IO: the sender's ephemeral key comes from the caller's CSPRNG. Any 32 random bytes are a
 * private key: X25519 clamps them. Constant time in keys and plain text as far as OpenSSL is; what
 * is derived on the way is wiped. Any thread. */
#ifndef MR_WIRE_HPKE_H
#define MR_WIRE_HPKE_H

#include <stddef.h>
#include <stdint.h>

#define MR_HPKE_KEY_BYTES 32 /* of a public and of a private key */
#define MR_HPKE_ENC_BYTES 32 /* the sender's ephemeral public key */
#define MR_HPKE_TAG_BYTES 16
#define MR_HPKE_INFO_MAX  192
#define MR_HPKE_PLAIN_MAX 64

/* Both halves of an X25519 key. The private one is secret. */
struct mr_hpke_pair {
    uint8_t private_key[MR_HPKE_KEY_BYTES];
    uint8_t public_key[MR_HPKE_KEY_BYTES];
};

/* What a message is bound to; the caller's. No info, no AAD: 0 bytes, the pointer may be NULL. */
struct mr_hpke_context {
    const uint8_t *info;
    size_t info_bytes; /* at most MR_HPKE_INFO_MAX */
    const uint8_t *aad;
    size_t aad_bytes;
};

/* Fills the public half. 0, or -1 when OpenSSL fails. */
int mr_hpke_pair_derive(struct mr_hpke_pair *pair, const uint8_t private_key[MR_HPKE_KEY_BYTES]);

/* SealBase: enc, and sealed[bytes + MR_HPKE_TAG_BYTES], bytes <= MR_HPKE_PLAIN_MAX. `ephemeral` is
 * fresh for each message. 0; -1 when OpenSSL fails or `recipient` is a point of low order, which
 * would give the message to everybody. */
int mr_hpke_seal(uint8_t enc[MR_HPKE_ENC_BYTES], uint8_t *sealed,
                 const uint8_t ephemeral[MR_HPKE_KEY_BYTES],
                 const uint8_t recipient[MR_HPKE_KEY_BYTES], const struct mr_hpke_context *context,
                 const uint8_t *plain, size_t bytes);

enum mr_hpke_result {
    MR_HPKE_OPEN = 0,
    MR_HPKE_CLOSED = 1,  /* it does not open: another key, info or AAD, or changed bytes */
    MR_HPKE_FAILED = -1, /* OpenSSL failed: that says nothing of the message */
};

/* What OpenSSL needs for opening, looked up once for any number of messages. Between two of them no
 * secret is in it. One thread at a time. NULL when OpenSSL fails; _free takes NULL. */
struct mr_hpke_kit;
struct mr_hpke_kit *mr_hpke_kit_new(void);
void mr_hpke_kit_free(struct mr_hpke_kit *kit);

/* OpenBase: plain[sealed_bytes - MR_HPKE_TAG_BYTES], wiped unless it opens. */
enum mr_hpke_result mr_hpke_open(struct mr_hpke_kit *kit, uint8_t *plain,
                                 const struct mr_hpke_pair *pair,
                                 const uint8_t enc[MR_HPKE_ENC_BYTES],
                                 const struct mr_hpke_context *context, const uint8_t *sealed,
                                 size_t sealed_bytes);

#endif
