/* sealed_file.h - a file of secret units, written once from its beginning to its end by one process
 * and read unit by unit, so that it may be larger than memory. Sealed as a journal is (journal.h):
 * without the hub's signing key, or without the salt at the file's beginning, its bytes tell
 * nothing.
 *
 * A file: "MRSEALF1" | until be64 | salt 32 | units. A unit: length of the plain bytes be64 |
 * AES-256-GCM of them | tag 16. Key = HKDF-SHA256(signing seed, salt, "millrace sealed file");
 * nonce = 0 ‖ be64(number of the unit); AAD = the file's first 48 bytes ‖ the length. Nobody
 * appends to a file that is there: so no key and nonce serve two messages. One thread at a time. */
#ifndef MR_STORAGE_SEALED_FILE_H
#define MR_STORAGE_SEALED_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define MR_SEALED_SALT_BYTES 32
/* A unit is not larger: a length that is says that the file is damaged. */
#define MR_SEALED_UNIT_MAX ((UINT64_C(1) << 34) + 4096)

struct mr_sealed_file;

/* Makes the file, of mode 0600; one that is there is an error. `until_unix_ms` stands in it in the
 * clear: what it is kept until. 0 or -1. */
int mr_sealed_file_create(struct mr_sealed_file **file, const char *path, uint64_t until_unix_ms,
                          const uint8_t private_key[32], struct mr_error *error);
/* Adds a unit that is `head` and then `body`; not durable before _sync. 0 or -1. */
int mr_sealed_file_add(struct mr_sealed_file *file, const uint8_t *head, size_t head_bytes,
                       const uint8_t *body, size_t body_bytes, struct mr_error *error);
int mr_sealed_file_sync(struct mr_sealed_file *file, struct mr_error *error);
/* NULL allowed; wipes the key. */
void mr_sealed_file_close(struct mr_sealed_file *file);

struct mr_sealed_reader;

/* 0; 1 if there is no such file, or it has no whole beginning; -1. */
int mr_sealed_reader_open(struct mr_sealed_reader **reader, const char *path,
                          const uint8_t private_key[32], struct mr_error *error);
/* The next unit, valid until the next call. 1; 0 behind the last whole one, with *torn set where
 * something follows that is none; -1 if the file cannot be read, or without memory. */
int mr_sealed_reader_next(struct mr_sealed_reader *reader, const uint8_t **unit, size_t *length,
                          int *torn, struct mr_error *error);
/* Where the next unit begins; goes there again. */
void mr_sealed_reader_tell(const struct mr_sealed_reader *reader, uint64_t *at, uint64_t *number);
void mr_sealed_reader_seek(struct mr_sealed_reader *reader, uint64_t at, uint64_t number);
void mr_sealed_reader_close(struct mr_sealed_reader *reader); /* wipes; NULL allowed */

/* What the file is kept until. 0; 1 if it has no whole beginning; -1. */
int mr_sealed_file_until(const char *path, uint64_t *until_unix_ms, struct mr_error *error);
/* Overwrites the beginning, without which nobody opens the rest, durably, and removes the file. One
 * that is not there is fine. 0 or -1. */
int mr_sealed_file_destroy(const char *path, struct mr_error *error);

#endif
