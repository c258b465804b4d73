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
/* The same in two steps, for a file that may come to be. First path.tmp: the descriptor, of which
 * one of the other two is owed, or -1 … */
int mr_file_draft(const char *path, const void *bytes, size_t length, struct mr_error *error);
/* … then it takes its place: 0; 1: path.tmp is gone; -1 … */
int mr_file_put(int draft, const char *path, struct mr_error *error);
/* … or goes. */
void mr_file_draft_drop(int draft, const char *path);

/* What goes into a file that says something of itself: fills `text` (a string), knowing the new
 * file's descriptor. 0 or -1. */
typedef int (*mr_file_tell_fn)(void *context, int fd, char *text, size_t room,
                               struct mr_error *error);
#define MR_FILE_TOLD_MAX 2048 /* bytes of that text, the NUL counted */
/* The same as mr_file_replace, with what `tell` says of the new file. 0 or -1. */
int mr_file_replace_told(const char *path, mr_file_tell_fn tell, void *context,
                         struct mr_error *error);

/* Removes a file, durably; one that is not there is fine. 0 or -1. */
int mr_file_remove(const char *path, struct mr_error *error);

/* Makes renames and creations in a folder durable. */
int mr_dir_sync(const char *path, struct mr_error *error);

/* Creates a folder (0700) unless it is there; the parent must exist. */
int mr_dir_make(const char *path, struct mr_error *error);

#endif
