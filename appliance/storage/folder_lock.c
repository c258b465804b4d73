#include "appliance/storage/folder_lock.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HOLDER_BYTES 200
/* The file may be removed between opening and locking it; that often in a row, somebody does it on
 * purpose. */
#define TRIES_MAX 8

struct mr_folder_lock {
    int fd;
};

/* "pid 17 on host-a": what the holder wrote of itself, where it can be shown. */
static void read_holder(int fd, char holder[HOLDER_BYTES])
{
    const ssize_t length = pread(fd, holder, HOLDER_BYTES - 1, 0);
    size_t shown = 0;
    while ((ssize_t)shown < length && isprint((unsigned char)holder[shown])) {
        shown++;
    }
    holder[shown] = '\0';
    if (shown == 0) {
        snprintf(holder, HOLDER_BYTES, "a process that has not said its name");
    }
}

/* For people: a process id means something only in the holder's container, so its host is named
 * too. A failure to write it changes nothing of the lock. */
static void write_holder(int fd)
{
    char host[65] = "", line[HOLDER_BYTES];
    (void)gethostname(host, sizeof host - 1);
    const int length = snprintf(line, sizeof line, "pid %d on %s\n", (int)getpid(), host);
    if (ftruncate(fd, 0) != 0 || pwrite(fd, line, (size_t)length, 0) != length) {
        return;
    }
}

/* Whether `path` is still the file that was opened: a lock on one that was removed keeps nobody
 * out. */
static bool is_same_file(int fd, const char *path)
{
    struct stat opened, named;
    return fstat(fd, &opened) == 0 && stat(path, &named) == 0 && opened.st_ino == named.st_ino &&
           opened.st_dev == named.st_dev;
}

static int refuse_held(int fd, const char *folder, struct mr_error *error)
{
    char holder[HOLDER_BYTES];
    read_holder(fd, holder);
    mr_error_set(error,
                 "data_dir: %s is in use by another hub (%s): stop that one first, or give this "
                 "hub a data_dir of its own",
                 folder, holder);
    return 1;
}

/* The locked descriptor in *fd. 0, 1 or -1 as mr_folder_lock; 2: try again. */
static int lock_once(int *fd, const char *path, const char *folder, struct mr_error *error)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    *fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (*fd < 0) {
        return mr_error_set(error, "data_dir: cannot open %s: %s%s", path, strerror(errno),
                            mr_error_disk_hint(errno));
    }
    if (fcntl(*fd, F_OFD_SETLK, &whole) == 0) {
        return is_same_file(*fd, path) ? 0 : 2;
    }
    if (errno == EAGAIN || errno == EACCES) {
        return refuse_held(*fd, folder, error);
    }
    return mr_error_set(error,
                        "data_dir: cannot lock %s: %s: put data_dir on a file system that keeps "
                        "locks (ext4, XFS, NFS version 4)",
                        path, strerror(errno));
}

int mr_folder_lock(struct mr_folder_lock **out, const char *folder, struct mr_error *error)
{
    char path[PATH_MAX + 8];
    snprintf(path, sizeof path, "%s/lock", folder);
    struct mr_folder_lock *lock = malloc(sizeof *lock);
    if (!lock) {
        return mr_error_set(error, "out of memory");
    }
    int result = 2;
    for (unsigned tries = 0; result == 2 && tries < TRIES_MAX; tries++) {
        result = lock_once(&lock->fd, path, folder, error);
        if (result != 0 && lock->fd >= 0) {
            close(lock->fd);
        }
    }
    if (result == 0) {
        write_holder(lock->fd);
        *out = lock;
        return 0;
    }
    free(lock);
    return result == 2 ? mr_error_set(error, "data_dir: somebody keeps removing %s", path) : result;
}

void mr_folder_unlock(struct mr_folder_lock *lock)
{
    if (lock) {
        close(lock->fd);
    }
    free(lock);
}
