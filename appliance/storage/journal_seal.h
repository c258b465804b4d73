/* journal_seal.h - the seals of the units of journals and of sealed files (journal*.c,
 * sealed_file.c only). */
#ifndef MR_STORAGE_JOURNAL_SEAL_H
#define MR_STORAGE_JOURNAL_SEAL_H

#include <stddef.h>
#include <stdint.h>

#define MR_JOURNAL_KEY_BYTES  32
#define MR_JOURNAL_HEAD_BYTES 48 /* of a file: all of it is authenticated with every unit */
#define MR_JOURNAL_UNIT_EXTRA (8 + 16)

/* The key of the file with that salt; `label` says of what kind the file is. 0, or -1 when OpenSSL
 * fails. */
int mr_journal_key_derive(uint8_t key[MR_JOURNAL_KEY_BYTES], const uint8_t private_key[32],
                          const uint8_t *salt, size_t salt_bytes, const char *label);
/* Writes length + MR_JOURNAL_UNIT_EXTRA bytes; `plain` may be out + 8. 0, or -1 when OpenSSL fails.
 */
int mr_journal_seal(uint8_t *out, const uint8_t key[MR_JOURNAL_KEY_BYTES],
                    const uint8_t head[MR_JOURNAL_HEAD_BYTES], uint64_t number,
                    const uint8_t *plain, size_t length);
/* Opens the unit at `at` in place, which has MR_JOURNAL_UNIT_EXTRA more bytes than *plain, which
 * points into it. 0; 1 if it is cut off or its seal does not hold; -1 when OpenSSL fails. */
int mr_journal_unseal(uint8_t *at, size_t left, const uint8_t key[MR_JOURNAL_KEY_BYTES],
                      const uint8_t head[MR_JOURNAL_HEAD_BYTES], uint64_t number,
                      const uint8_t **plain, size_t *length);

#endif
