#include "appliance/storage/files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Somebody who makes the temporary file again that often does it on purpose. */
#define CREATE_TRIES_MAX 4

static int read_all(int fd, uint8_t *bytes, size_t length)
{
    for (size_t at = 0; at < length;) {
        const ssize_t n = read(fd, bytes + at, length - at);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            errno = n == 0 ? EIO : errno;
            return -1;
        }
        at += (size_t)n;
    }
    return 0;
}

int mr_file_read(const char *path, uint8_t **bytes, size_t *length, struct mr_error *error)
{
    struct stat about;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        return 1;
    }
    if (fd < 0 || fstat(fd, &about) != 0) {
        const int why = errno;
        if (fd >= 0) {
            close(fd);
        }
        return mr_error_set(error, "%s: %s", path, strerror(why));
    }
    *length = (size_t)about.st_size;
    *bytes = malloc(*length + 1);
    if (!*bytes || read_all(fd, *bytes, *length) != 0) {
        const int why = *bytes ? errno : ENOMEM;
        free(*bytes);
        close(fd);
        return mr_error_set(error, "%s: %s", path, strerror(why));
    }
    (*bytes)[*length] = 0;
    close(fd);
    return 0;
}

static int write_all(int fd, const uint8_t *bytes, size_t length)
{
    for (size_t at = 0; at < length;) {
        const ssize_t n = write(fd, bytes + at, length - at);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return -1;
        }
        at += (size_t)n;
    }
    return fsync(fd);
}

/* What an interrupted one left is taken away, and so is a link that somebody put there: it is never
 * written through. */
static int create_anew(const char *path)
{
    int fd = -1;
    for (unsigned tries = 0; fd < 0 && tries < CREATE_TRIES_MAX; tries++) {
        if (unlink(path) != 0 && errno != ENOENT) {
            return -1;
        }
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0 && errno != EEXIST) {
            return -1;
        }
    }
    return fd;
}

/* The folder that the path lies in. */
static void folder_of(char folder[PATH_MAX], const char *path)
{
    snprintf(folder, PATH_MAX, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash) {
        *slash = '\0';
    } else {
        snprintf(folder, PATH_MAX, ".");
    }
}

/* Closes the descriptor; renames where nothing has failed so far. */
static int put_in_place(int fd, int failed, const char *temporary, const char *path,
                        struct mr_error *error)
{
    char folder[PATH_MAX];
    if (close(fd) != 0 && !failed) {
        failed = errno;
    }
    if (!failed && rename(temporary, path) != 0) {
        failed = errno;
    }
    if (failed) {
        unlink(temporary);
        return mr_error_set(error, "%s: %s%s", path, strerror(failed), mr_error_disk_hint(failed));
    }
    folder_of(folder, path);
    return mr_dir_sync(folder, error);
}

static int begin(char temporary[PATH_MAX], const char *path, struct mr_error *error)
{
    snprintf(temporary, PATH_MAX, "%s.tmp", path);
    const int fd = create_anew(temporary);
    if (fd < 0) {
        const int why = errno;
        return mr_error_set(error, "%s: %s%s", temporary, strerror(why), mr_error_disk_hint(why));
    }
    return fd;
}

int mr_file_replace(const char *path, const void *bytes, size_t length, struct mr_error *error)
{
    char temporary[PATH_MAX];
    const int fd = begin(temporary, path, error);
    if (fd < 0) {
        return -1;
    }
    const int failed = write_all(fd, bytes, length) != 0 ? errno : 0;
    return put_in_place(fd, failed, temporary, path, error);
}

int mr_file_draft(const char *path, const void *bytes, size_t length, struct mr_error *error)
{
    char temporary[PATH_MAX];
    const int fd = begin(temporary, path, error);
    if (fd >= 0 && write_all(fd, bytes, length) != 0) {
        const int why = errno;
        close(fd);
        unlink(temporary);
        return mr_error_set(error, "%s: %s%s", path, strerror(why), mr_error_disk_hint(why));
    }
    return fd;
}

int mr_file_put(int draft, const char *path, struct mr_error *error)
{
    char temporary[PATH_MAX];
    snprintf(temporary, PATH_MAX, "%s.tmp", path);
    if (access(temporary, F_OK) != 0 && errno == ENOENT) {
        close(draft);
        return 1;
    }
    return put_in_place(draft, 0, temporary, path, error);
}

void mr_file_draft_drop(int draft, const char *path)
{
    char temporary[PATH_MAX];
    snprintf(temporary, PATH_MAX, "%s.tmp", path);
    close(draft);
    unlink(temporary);
}

int mr_file_replace_told(const char *path, mr_file_tell_fn tell, void *context,
                         struct mr_error *error)
{
    char temporary[PATH_MAX], text[MR_FILE_TOLD_MAX];
    const int fd = begin(temporary, path, error);
    if (fd < 0) {
        return -1;
    }
    if (tell(context, fd, text, sizeof text, error) != 0) {
        close(fd);
        unlink(temporary);
        return -1;
    }
    const int failed = write_all(fd, (const uint8_t *)text, strlen(text)) != 0 ? errno : 0;
    return put_in_place(fd, failed, temporary, path, error);
}

int mr_file_remove(const char *path, struct mr_error *error)
{
    char folder[PATH_MAX];
    if (unlink(path) != 0 && errno != ENOENT) {
        return mr_error_set(error, "%s: %s", path, strerror(errno));
    }
    folder_of(folder, path);
    return mr_dir_sync(folder, error);
}

int mr_dir_sync(const char *path, struct mr_error *error)
{
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) {
        const int why = errno;
        if (fd >= 0) {
            close(fd);
        }
        return mr_error_set(error, "%s: cannot sync the folder: %s", path, strerror(why));
    }
    close(fd);
    return 0;
}

int mr_dir_make(const char *path, struct mr_error *error)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return mr_error_set(error, "%s: %s", path, strerror(errno));
    }
    return 0;
}
