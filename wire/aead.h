/* aead.h - AES-128-GCM for datagrams, one context a session and direction.
 *
 * nonce = iv XOR be64(sequence) in the low eight bytes; `sequence` is the chunk number (up) or the
 * ACK number (down). The 32-byte datagram header is the AAD. No allocation after _open; a context
 * belongs to one thread. */
#ifndef MR_WIRE_AEAD_H
#define MR_WIRE_AEAD_H

#include <stddef.h>
#include <stdint.h>

#include "wire/keys.h"

#define MR_TAG_BYTES 16

struct mr_aead; /* opaque */

/* Allocates a context without a key. NULL when out of memory. */
struct mr_aead *mr_aead_open(void);
void mr_aead_close(struct mr_aead *aead); /* wipes; NULL allowed */

/* Sets or replaces the key. 0 or -1. */
int mr_aead_rekey(struct mr_aead *aead, const struct mr_aead_key *key);

/* Encrypts plain[bytes] into cipher[bytes] and the tag. In place allowed. 0 or -1. */
int mr_aead_seal(struct mr_aead *aead, uint64_t sequence, const uint8_t *aad, size_t aad_bytes,
                 const uint8_t *plain, size_t bytes, uint8_t *cipher, uint8_t tag[MR_TAG_BYTES]);

/* Decrypts into plain. 0, or -1 if the tag does not hold: plain then holds garbage that must not be
 * used. */
int mr_aead_unseal(struct mr_aead *aead, uint64_t sequence, const uint8_t *aad, size_t aad_bytes,
                   const uint8_t *cipher, size_t bytes, const uint8_t tag[MR_TAG_BYTES],
                   uint8_t *plain);

#endif
