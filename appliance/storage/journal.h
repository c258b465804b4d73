/* journal.h - a journal of secret bytes on a disk: a snapshot and the records behind it, sealed
 * under a key that comes from the hub's signing key, so that the disk alone tells nothing. What the
 * bytes say is their owner's. docs/decisions/0016-journal.md.
 *
 * Two files, journal-0 and journal-1. A file: "MRJOURN5" | generation be64 | salt 32 | units. A
 * unit: length of the plain bytes be64 | AES-256-GCM of them | tag 16. Key = HKDF-SHA256(signing
 * seed, salt, "millrace journal"); nonce = 0 ‖ be64(number of the unit in its file); AAD = the
 * file's first 48 bytes ‖ the length. Unit 0 is a snapshot, the others are records.
 *
 * A file is only ever appended to by the process that made it, under a fresh salt: so no key and
 * nonce serve two messages, whatever a crash has left behind. The file of the generation before is
 * overwritten and removed as soon as the next is synced. One thread at a time. */
#ifndef MR_STORAGE_JOURNAL_H
#define MR_STORAGE_JOURNAL_H

#include "appliance/storage/disk.h"

/* Of its owner's records, too. 4: announcements of version 9, or 10. */
#define MR_JOURNAL_VERSION '5'

#define MR_JOURNAL_SALT_BYTES 32

struct mr_journal;

/* What a journal holds, in the clear: whoever reads it owes _fini, which wipes. */
struct mr_journal_content {
    uint8_t *bytes; /* malloc'd; NULL: the caller's, and only pointed into */
    size_t length;
    const uint8_t *snapshot, *records; /* inside; the records of all units, one after the other */
    size_t snapshot_bytes, records_bytes;
};
void mr_journal_content_fini(struct mr_journal_content *content);

#define MR_JOURNAL_OTHER_VERSION 2

/* Reads the newest whole journal into *newest. 0; 1 if there is none (with a text if there is a
 * file, but not a whole one of this hub); MR_JOURNAL_OTHER_VERSION if there is none, but a file
 * that another version of Millrace has written (with a text); -1 on a disk that cannot be read, or
 * without memory. What was read may never have been synced: whoever goes on from it saves it anew
 * first. mr_journal_content_fini is owed for 0. */
int mr_journal_open(struct mr_journal **journal, const struct mr_disk *disk,
                    const uint8_t private_key[32], struct mr_journal_content *newest,
                    struct mr_error *error);
void mr_journal_close(
    struct mr_journal *journal); /* wipes the memory, not the disk; NULL allowed */

/* Makes a snapshot the whole journal, durably; wipes what was there before. `salt` is random. */
int mr_journal_save(struct mr_journal *journal, const uint8_t salt[MR_JOURNAL_SALT_BYTES],
                    const uint8_t *snapshot, size_t length, struct mr_error *error);
/* Adds records as one unit, durably. After a _save only. */
int mr_journal_append(struct mr_journal *journal, const uint8_t *records, size_t length,
                      struct mr_error *error);
/* Overwrites and removes everything. */
int mr_journal_wipe(struct mr_journal *journal, struct mr_error *error);

/* One file's bytes, opened in place: *generation and *content are filled. A torn last unit is left
 * out. 0; 1 if not even the snapshot is whole; -1 if OpenSSL fails; both with a text. */
int mr_journal_parse(struct mr_journal_content *content, uint64_t *generation, uint8_t *bytes,
                     size_t length, const uint8_t private_key[32], struct mr_error *error);

#endif
