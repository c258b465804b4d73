/* disk.h - what the round's logs ask of a disk, so that a simulator can stand in for it and tear,
 * lose and fail writes.
 *
 * A file is a name in one folder. Nothing written counts before `sync` of it has returned 0. After
 * an operation has failed, what the file holds is unknown and nobody may go on: the hub stops, and
 * the next start reads what is really there. One thread at a time. */
#ifndef MR_STORAGE_DISK_H
#define MR_STORAGE_DISK_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define MR_DISK_NAME_MAX 15

struct mr_disk {
    void *context;
    /* The whole file, malloc'd. 0; 1 if it does not exist; -1. */
    int (*read)(void *context, const char *name, uint8_t **bytes, size_t *length,
                struct mr_error *error);
    /* Puts these bytes in the place of all that the file held (creating it): not atomic. */
    int (*write)(void *context, const char *name, const uint8_t *bytes, size_t length,
                 struct mr_error *error);
    /* Puts them at the end of a file that was written before. */
    int (*append)(void *context, const char *name, const uint8_t *bytes, size_t length,
                  struct mr_error *error);
    /* Reads up to *length bytes from `offset` on; *length is how many there were, 0 where the file
     * does not exist. */
    int (*read_at)(void *context, const char *name, uint64_t offset, uint8_t *bytes, size_t *length,
                   struct mr_error *error);
    /* Puts bytes at `offset`, at most the file's end (creating it), and cuts off what lies behind
     * them. What lies before stays; the same bytes once more are safe over a crash. */
    int (*put_at)(void *context, const char *name, uint64_t offset, const uint8_t *bytes,
                  size_t length, struct mr_error *error);
    int (*sync)(void *context, const char *name, struct mr_error *error);
    /* Overwrites the bytes, then removes the file, durably; one that is not there is fine. */
    int (*wipe)(void *context, const char *name, struct mr_error *error);
};

/* Makes durable what a file holds, by writing the same bytes again: after a sync that failed they
 * may be in memory only, and a sync alone would find nothing to do. 0 or -1. */
int mr_disk_settle(const struct mr_disk *disk, const char *name, struct mr_error *error);

/* --- the real one (disk_file.c): pwrite and fdatasync in a folder ------------------------------
 */
struct mr_disk_file;
int mr_disk_file_open(struct mr_disk_file **file, const char *dir, struct mr_error *error);
void mr_disk_file_close(struct mr_disk_file *file); /* NULL allowed */
const struct mr_disk *mr_disk_file_ops(const struct mr_disk_file *file);

#endif
