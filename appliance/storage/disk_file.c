/* disk_file.c - the logs' disk as files of a folder. Descriptors stay open, so that an error of
 * earlier writing is reported to the very sync that must hear of it. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "appliance/storage/files.h"
#include "appliance/storage/disk.h"
#include "base/assert.h"

#define FILES_MAX  4
#define WIPE_BYTES 65536

struct open_file {
    char name[MR_DISK_NAME_MAX + 1];
    int fd;
    /* The folder's entry was not synced by this process yet: whoever made the file may have been
     * killed before that. */
    bool fresh;
    bool dirty; /* written to since the last sync */
};

struct mr_disk_file {
    struct mr_disk ops;
    char dir[PATH_MAX];
    struct open_file files[FILES_MAX];
    unsigned count;
};

#define PATH_BYTES (PATH_MAX + MR_DISK_NAME_MAX + 2)

static void path_of(char path[PATH_BYTES], const struct mr_disk_file *disk, const char *name)
{
    snprintf(path, PATH_BYTES, "%s/%s", disk->dir, name);
}

static int failed(const char *name, const char *what, int why, struct mr_error *error)
{
    return mr_error_set(error, "%s in data_dir: cannot %s: %s%s", name, what, strerror(why),
                        mr_error_disk_hint(why));
}

static struct open_file *find(struct mr_disk_file *disk, const char *name)
{
    for (unsigned i = 0; i < disk->count; i++) {
        if (strcmp(disk->files[i].name, name) == 0) {
            return &disk->files[i];
        }
    }
    return NULL;
}

/* Room for one more. A file that is synced has no error left to report. */
static struct open_file *take_slot(struct mr_disk_file *disk)
{
    for (unsigned i = 0; disk->count == FILES_MAX && i < FILES_MAX; i++) {
        if (!disk->files[i].dirty) {
            close(disk->files[i].fd);
            disk->files[i] = disk->files[--disk->count];
        }
    }
    MR_ASSERT(disk->count < FILES_MAX);
    return &disk->files[disk->count];
}

/* The open file of that name, made if need be; NULL with an error. */
static struct open_file *open_one(struct mr_disk_file *disk, const char *name,
                                  struct mr_error *error)
{
    char path[PATH_BYTES];
    struct open_file *file = find(disk, name);
    if (file) {
        return file;
    }
    MR_ASSERT(strlen(name) <= MR_DISK_NAME_MAX);
    path_of(path, disk, name);
    file = take_slot(disk);
    *file = (struct open_file){.fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC), .fresh = true};
    if (file->fd < 0 && errno == ENOENT) {
        file->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    }
    if (file->fd < 0) {
        failed(name, "open", errno, error);
        return NULL;
    }
    memcpy(file->name, name, strlen(name) + 1);
    disk->count++;
    return file;
}

static int put(int fd, const uint8_t *bytes, size_t length, off_t offset)
{
    for (size_t at = 0; at < length;) {
        const ssize_t n = pwrite(fd, bytes + at, length - at, offset + (off_t)at);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            errno = n == 0 ? ENOSPC : errno;
            return -1;
        }
        at += (size_t)n;
    }
    return 0;
}

static int disk_read(void *context, const char *name, uint8_t **bytes, size_t *length,
                     struct mr_error *error)
{
    char path[PATH_BYTES];
    path_of(path, context, name);
    return mr_file_read(path, bytes, length, error);
}

static int disk_write(void *context, const char *name, const uint8_t *bytes, size_t length,
                      struct mr_error *error)
{
    struct open_file *file = open_one(context, name, error);
    struct stat about;
    if (!file) {
        return -1;
    }
    file->dirty = true;
    if (put(file->fd, bytes, length, 0) != 0 || fstat(file->fd, &about) != 0 ||
        ((size_t)about.st_size != length && ftruncate(file->fd, (off_t)length) != 0)) {
        return failed(name, "write", errno, error);
    }
    return 0;
}

static int disk_append(void *context, const char *name, const uint8_t *bytes, size_t length,
                       struct mr_error *error)
{
    struct open_file *file = open_one(context, name, error);
    struct stat about;
    if (!file) {
        return -1;
    }
    file->dirty = true;
    if (fstat(file->fd, &about) != 0 || put(file->fd, bytes, length, about.st_size) != 0) {
        return failed(name, "append", errno, error);
    }
    return 0;
}

static int disk_read_at(void *context, const char *name, uint64_t offset, uint8_t *bytes,
                        size_t *length, struct mr_error *error)
{
    struct mr_disk_file *disk = context;
    const size_t wanted = *length;
    char path[PATH_BYTES];
    path_of(path, disk, name);
    *length = 0;
    if (!find(disk, name) && access(path, F_OK) != 0 && errno == ENOENT) {
        return 0;
    }
    const struct open_file *file = open_one(disk, name, error);
    if (!file) {
        return -1;
    }
    while (*length < wanted) {
        const ssize_t n =
            pread(file->fd, bytes + *length, wanted - *length, (off_t)(offset + *length));
        if (n == 0) {
            break;
        }
        if (n < 0 && errno != EINTR) {
            return failed(name, "read", errno, error);
        }
        *length += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

static int disk_put_at(void *context, const char *name, uint64_t offset, const uint8_t *bytes,
                       size_t length, struct mr_error *error)
{
    const struct open_file *file = open_one(context, name, error);
    const off_t end = (off_t)(offset + length);
    struct stat about;
    if (!file) {
        return -1;
    }
    if (fstat(file->fd, &about) != 0 || put(file->fd, bytes, length, (off_t)offset) != 0 ||
        (about.st_size > end && ftruncate(file->fd, end) != 0)) {
        return failed(name, "write", errno, error);
    }
    return 0;
}

static int disk_sync(void *context, const char *name, struct mr_error *error)
{
    struct mr_disk_file *disk = context;
    struct open_file *file = open_one(disk, name, error);
    if (!file) {
        return -1;
    }
    if (fdatasync(file->fd) != 0) {
        return failed(name, "sync", errno, error);
    }
    if (file->fresh && mr_dir_sync(disk->dir, error) != 0) {
        return -1;
    }
    file->fresh = file->dirty = false;
    return 0;
}

static int overwrite(int fd, off_t length)
{
    static const uint8_t zeros[WIPE_BYTES];
    for (off_t at = 0; at < length; at += WIPE_BYTES) {
        const off_t left = length - at;
        if (put(fd, zeros, left < WIPE_BYTES ? (size_t)left : WIPE_BYTES, at) != 0) {
            return -1;
        }
    }
    return fdatasync(fd);
}

static int disk_wipe(void *context, const char *name, struct mr_error *error)
{
    struct mr_disk_file *disk = context;
    char path[PATH_BYTES];
    struct stat about;
    path_of(path, disk, name);
    if (!find(disk, name) && access(path, F_OK) != 0 && errno == ENOENT) {
        return 0;
    }
    struct open_file *file = open_one(disk, name, error);
    if (!file) {
        return -1;
    }
    if (fstat(file->fd, &about) != 0 || overwrite(file->fd, about.st_size) != 0 ||
        unlink(path) != 0) {
        return failed(name, "wipe", errno, error);
    }
    close(file->fd);
    *file = disk->files[--disk->count];
    return mr_dir_sync(disk->dir, error);
}

int mr_disk_file_open(struct mr_disk_file **out, const char *dir, struct mr_error *error)
{
    struct mr_disk_file *disk = calloc(1, sizeof *disk);
    if (!disk) {
        return mr_error_set(error, "out of memory");
    }
    disk->ops = (struct mr_disk){.context = disk,
                                 .read = disk_read,
                                 .write = disk_write,
                                 .append = disk_append,
                                 .read_at = disk_read_at,
                                 .put_at = disk_put_at,
                                 .sync = disk_sync,
                                 .wipe = disk_wipe};
    snprintf(disk->dir, sizeof disk->dir, "%s", dir);
    *out = disk;
    return 0;
}

void mr_disk_file_close(struct mr_disk_file *disk)
{
    for (unsigned i = 0; disk && i < disk->count; i++) {
        close(disk->files[i].fd);
    }
    free(disk);
}

const struct mr_disk *mr_disk_file_ops(const struct mr_disk_file *disk)
{
    return &disk->ops;
}
