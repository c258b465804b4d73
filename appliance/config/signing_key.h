/* signing_key.h - the files of a hub's signing key: 64 hex digits and an end of line. The secret
 * half (a seed) and the public one look the same; a secret file has mode 0600. */
#ifndef MR_CONFIG_SIGNING_KEY_H
#define MR_CONFIG_SIGNING_KEY_H

#include <stdint.h>

#include "base/error.h"

#define MR_SIGNING_KEY_BYTES 32

/* Reads either half. 0, or -1 with an error that names the file and leaves nothing in `key`. */
int mr_signing_key_read(uint8_t key[MR_SIGNING_KEY_BYTES], const char *path,
                        struct mr_error *error);

/* The public half of a seed. 0, or -1 where OpenSSL has no Ed25519. */
int mr_signing_key_public(uint8_t public_key[MR_SIGNING_KEY_BYTES],
                          const uint8_t seed[MR_SIGNING_KEY_BYTES]);

#endif
