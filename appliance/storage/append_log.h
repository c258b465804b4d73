/* append_log.h - entries of bytes, one behind the other, in numbered files that are only ever
 * appended to: what is in them is never written again, and nothing here removes one. What the bytes
 * mean is their owner's.
 *
 * Files of one folder: 000001.log, 000002.log, … A file: "MRAPPEN1" and its entries. An entry:
 * length be32 | bytes | CRC-64/XZ (ECMA-182, reflected) of both, be64. A write that a crash tore
 * leaves an entry at the end that is not whole: it stays there, and what comes next begins a new
 * file. One thread at a time. */
#ifndef MR_STORAGE_APPEND_LOG_H
#define MR_STORAGE_APPEND_LOG_H

#include <stdbool.h>

#include "appliance/storage/disk.h"

#define MR_APPEND_LOG_ENTRY_MAX (1u << 28)

struct mr_append_log;

/* Reads file `newest` (0: there is none yet) into *bytes, which is malloc'd and the caller's; NULL
 * for none. What was read is durable when this returns. 0 or -1. */
int mr_append_log_open(struct mr_append_log **log, const struct mr_disk *disk, unsigned newest,
                       uint8_t **bytes, size_t *length, struct mr_error *error);
void mr_append_log_close(struct mr_append_log *log); /* NULL allowed */

/* An older file's bytes, malloc'd; nothing of it is changed. 0; 1 if it is not there; -1. */
int mr_append_log_read(const struct mr_disk *disk, unsigned number, uint8_t **bytes, size_t *length,
                       struct mr_error *error);

/* Takes the entries of one file's bytes one by one: *at is 0 before the first. 1 with an entry
 * inside the bytes; 0 behind the last; -1 where the rest is no whole entry, or these are not such
 * bytes. */
int mr_append_log_next(const uint8_t *bytes, size_t length, size_t *at, const uint8_t **entry,
                       size_t *entry_bytes);

/* The file that entries go to: its number, 0 before the first; its bytes with what is added;
 * whether a next one has to be begun, because its end is torn. */
unsigned mr_append_log_number(const struct mr_append_log *log);
uint64_t mr_append_log_bytes(const struct mr_append_log *log);
bool mr_append_log_is_torn(const struct mr_append_log *log);

/* The next entry goes into a new file. Nothing may be added and not written. */
void mr_append_log_roll(struct mr_append_log *log);
/* Adds an entry (copied), in memory. 0, or -1 without memory. */
int mr_append_log_add(struct mr_append_log *log, const uint8_t *entry, size_t length,
                      struct mr_error *error);
/* Writes what was added and syncs it: one write and one sync, whatever it is. -1: nothing of it may
 * be spoken of, and the log takes no more. */
int mr_append_log_write(struct mr_append_log *log, struct mr_error *error);

#endif
