/* commit_log.h - a log that keeps only its newest entry: bytes of its owner, replaced whole.
 *
 * Two files, NAME-0 and NAME-1 (a lead's are commit-0 and commit-1), are written in turn, so that a
 * torn write leaves the generation before whole. A file, little-endian: "MRCOMMT" | version |
 * generation u64 | content | CRC-64/XZ (ECMA-182, reflected) of all that. The version, one
 * character, is of the content's layout, and its owner's. One thread at a time. */
#ifndef MR_STORAGE_COMMIT_LOG_H
#define MR_STORAGE_COMMIT_LOG_H

#include <stdbool.h>

#include "appliance/storage/disk.h"

struct mr_commit_log;

/* What an owner's content is. */
struct mr_commit_log_form {
    char version;        /* of what it writes */
    bool reads_versions; /* of what it reads: any, since its layout has always been this one */
};

/* Reads the newest generation that is whole; *content is malloc'd and the caller's. 0; 1 if there
 * is none (with a text if there is a file, but not a whole one of this version); -1 on a disk that
 * cannot be read, or without memory. *content is NULL unless it returns 0. What was read may never
 * have been synced: whoever goes on from it writes it anew first. */
int mr_commit_log_open(struct mr_commit_log **log, const struct mr_disk *disk, const char *name,
                       const struct mr_commit_log_form *form, uint8_t **content, size_t *length,
                       struct mr_error *error);
void mr_commit_log_close(struct mr_commit_log *log); /* NULL allowed */

/* Where the next generation's content is to be put, without a copy; the log's own, until the next
 * call. NULL with an error: out of memory. */
uint8_t *mr_commit_log_reserve(struct mr_commit_log *log, size_t length, struct mr_error *error);
/* Writes what was put there as the next generation, and syncs it. -1: nothing may be called
 * committed any more. */
int mr_commit_log_write(struct mr_commit_log *log, struct mr_error *error);

/* Overwrites and removes both files; the next write is a generation more all the same. */
int mr_commit_log_wipe(struct mr_commit_log *log, struct mr_error *error);

/* Of the newest write, or of what was read; 0: none. */
uint64_t mr_commit_log_generation(const struct mr_commit_log *log);

/* One file's bytes. 0, with the content inside them; -1 with a text: torn, damaged, or of another
 * version. */
int mr_commit_log_parse(const uint8_t *bytes, size_t length, const struct mr_commit_log_form *form,
                        uint64_t *generation, const uint8_t **content, size_t *content_length,
                        struct mr_error *error);

#endif
