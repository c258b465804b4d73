/* chain.h - an append-only file of records, each bound by a hash to all that came before it, and a
 * head that says how far the file goes. What the records say is their owner's.
 *
 * The file NAME: "MRCHAIN1" | units. A unit: length be32 | record | SHA-256(hash of the unit before
 * ‖ length ‖ record); before the first unit the hash is that of the eight bytes. The head is a
 * commit log (commit_log.h), NAME-0 and NAME-1: bytes of the file be64 | records be64 | hash of the
 * last unit. Its layout does not change with that of rounds' commit logs.
 *
 * A record counts when file and head are synced. So what lies behind the head was never
 * acknowledged: a torn append; but a whole unit there is kept, since the newest head may be what
 * was lost. What the head covers has to hold, byte by byte: else the file is damaged, or an older
 * or shorter one was put in its place, and nobody goes on from it. */
#ifndef MR_STORAGE_CHAIN_H
#define MR_STORAGE_CHAIN_H

#include <stdbool.h>

#include "appliance/storage/disk.h"

#define MR_CHAIN_HASH_BYTES   32
#define MR_CHAIN_RECORD_BYTES (UINT32_C(1) << 30) /* at most */

struct mr_chain;

/* A record, valid during the call; `offset` is for mr_chain_read. 0 or -1 with an error. */
typedef int (*mr_chain_fn)(void *context, uint64_t offset, const uint8_t *record, size_t length,
                           struct mr_error *error);

/* Reads all of it, record by record, and hands each to `fn`. name: at most 13 characters. Where
 * there is no file one is made if `may_be_new`. 0, or -1 with an error that names the file: it is
 * damaged, missing or cannot be read. */
int mr_chain_open(struct mr_chain **chain, const struct mr_disk *disk, const char *name,
                  bool may_be_new, mr_chain_fn fn, void *context, struct mr_error *error);
void mr_chain_close(struct mr_chain *chain); /* NULL allowed */

/* Adds a record, durably. -1: nothing may be appended any more. One thread at a time. */
int mr_chain_append(struct mr_chain *chain, const uint8_t *record, size_t length, uint64_t *offset,
                    struct mr_error *error);

/* Reads a record once more (`length` of them) and checks its hash. By itself: on another thread
 * with a disk of its own, also while a record is appended. 0 or -1. */
int mr_chain_read(const struct mr_disk *disk, const char *name, uint64_t offset, uint8_t *record,
                  size_t length, struct mr_error *error);

/* The hash of the newest record, which all of the file goes into. */
const uint8_t *mr_chain_head(const struct mr_chain *chain, uint64_t *records);

#endif
