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

/* What is sealed or unsealed; everything is the caller's and read during the call only. */
struct mr_aead_message {
    uint64_t sequence; /* never used twice under one key */
    const uint8_t *aad;
    size_t aad_bytes;    /* 0: none, aad may be NULL then */
    const uint8_t *text; /* to seal: plain; to unseal: encrypted */
    size_t bytes;        /* 0: only the AAD is sealed, text may be NULL then */
};

/* Encrypts message->text into cipher[message->bytes] and the tag. In place allowed. 0 or -1. */
int mr_aead_seal(struct mr_aead *aead, const struct mr_aead_message *message, uint8_t *cipher,
                 uint8_t tag[MR_TAG_BYTES]);

/* Decrypts message->text into plain[message->bytes]. In place allowed. 0, or -1 if the tag does not
 * hold: plain then holds garbage that must not be used. */
int mr_aead_unseal(struct mr_aead *aead, const struct mr_aead_message *message,
                   const uint8_t tag[MR_TAG_BYTES], uint8_t *plain);

#endif
