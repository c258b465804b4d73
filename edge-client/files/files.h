/* files.h - files of the device, independent of what the host process has set: umask, working
 * directory, which of its descriptors are open. */
#ifndef MRE_FILES_FILES_H
#define MRE_FILES_FILES_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/uio.h>

#include "base/error.h"

/* The descriptor, moved above 0, 1 and 2, close-on-exec; negative stays negative. A host that has
 * closed its standard error would else write its messages into our file. On failure it is closed
 * and -1 returned, with errno. */
int mr_fd_above_standard(int fd);

/* Gives a flock up and closes its descriptor. Closing alone does not where the host has forked
 * meanwhile: its child has the same open file. */
void mr_lock_release(int fd);

/* A new file in the place of what was there (a link is removed, not followed), of mode 0600
 * whatever the umask. The descriptor, or -1 with errno. */
int mr_file_create(const char *path);
/* All of it, however many calls that takes. 0, or -1 with errno. */
int mr_fd_write_all(int fd, const void *bytes, size_t length);
/* Likewise, for who will write `bytes` bytes from the beginning: over the file that is there, of
 * which no more than these are left, where that is safe. It is only where it is regular, of this
 * user, of mode 0600, has one name, lies on a filesystem of the machine's own, and nobody has it
 * open or mapped (a lease says so, which is held until the descriptor is closed: whoever opens it
 * meanwhile waits). *made: it is a new one. */
int mr_file_create_over(const char *path, size_t bytes, bool *made);
/* A file of these pieces in the place of what was there: whole old or whole new, also over a power
 * loss, and synced when it returns. `path` has a folder. 0, or -1 with errno. */
int mr_file_renew(const char *path, const struct iovec *pieces, unsigned count);
/* The same as a stream; NULL with errno. */
FILE *mr_file_create_stream(const char *path);

/* All of a file, malloc'd, with a NUL behind it; NULL with an error that says why not (without the
 * path): it cannot be opened, it is no regular file, a read fails, it has more than `most` bytes.
 * Never waits, as a pipe would have it. */
char *mr_file_text(const char *path, size_t most, size_t *length, struct mr_error *error);

/* A folder of mode 0700, made where there is none. 0, or -1 with errno: EPERM where it belongs to
 * another user. */
int mr_folder_private(const char *path);

/* Removes a folder with all that is in it, following no link and no mount; one that is not there is
 * fine. 0, or -1 with errno. */
int mr_folder_remove(const char *path);

/* Makes names in the folder durable. 0, or -1 with errno. */
int mr_folder_sync(const char *path);
/* Makes that name durable. 0, or -1 with errno. */
int mr_name_sync(const char *path);

/* The path from the root, seen from the working directory of now; malloc'd. NULL: out of memory, or
 * there is no working directory. NULL in, NULL out. */
char *mr_path_absolute(const char *path);

#endif
