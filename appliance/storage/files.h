/* files.h - small files, read whole and written so that a crash leaves the old or the new. */
#ifndef MR_STORAGE_FILES_H
#define MR_STORAGE_FILES_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Reads a file whole (malloc'd, a NUL behind it). 0; 1 if it does not exist; -1 with an error. */
int mr_file_read(const char *path, uint8_t **bytes, size_t *length, struct mr_error *error);

/* Writes path.tmp (new, of mode 0600, through no link), syncs, renames over `path`, syncs the
 * folder. 0 or -1. */
int mr_file_replace(const char *path, const void *bytes, size_t length, struct mr_error *error);

/* Makes renames and creations in a folder durable. */
int mr_dir_sync(const char *path, struct mr_error *error);

/* Creates a folder (0700) unless it is there; the parent must exist. */
int mr_dir_make(const char *path, struct mr_error *error);

#endif
