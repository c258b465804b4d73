#include "edge-client/files/files.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

int mr_fd_above_standard(int fd)
{
    if (fd < 0 || fd > 2) {
        return fd;
    }
    const int moved = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    const int why = errno;
    close(fd);
    errno = why;
    return moved;
}

void mr_lock_release(int fd)
{
    (void)flock(fd, LOCK_UN);
    close(fd);
}

int mr_file_create(const char *path)
{
    if (unlink(path) && errno != ENOENT) { /* what is left over, and never through a link */
        return -1;
    }
    const int fd = mr_fd_above_standard(
        open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    struct stat st; /* the umask may have taken bits */
    if (fd >= 0 && (fstat(fd, &st) || ((st.st_mode & 07777) != 0600 && fchmod(fd, 0600)))) {
        const int why = errno;
        close(fd);
        errno = why;
        return -1;
    }
    return fd;
}

/* Filesystems of this machine alone, where a lease knows of every descriptor and mapping. Of one
 * that lies over another (overlayfs) it knows not all. */
static bool is_own_disk(int fd)
{
    static const uint32_t own[] = {EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC,
                                   F2FS_SUPER_MAGIC, TMPFS_MAGIC};
    struct statfs about;
    if (fstatfs(fd, &about) != 0) {
        return false;
    }
    bool is_own = false;
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        is_own |= (uint32_t)about.f_type == own[i];
    }
    return is_own;
}

/* Whoever opens it while we have the lease waits for us; the signal that would tell us is one that
 * a process need not know. */
static bool is_ours_alone(int fd, const struct stat *st)
{
    return S_ISREG(st->st_mode) && (st->st_mode & 07777) == 0600 && st->st_nlink == 1 &&
           st->st_uid == geteuid() && is_own_disk(fd) && fcntl(fd, F_SETSIG, SIGURG) == 0 &&
           fcntl(fd, F_SETLEASE, F_WRLCK) == 0;
}

int mr_file_create_over(const char *path, size_t bytes, bool *made)
{
    struct stat st;
    const int fd = mr_fd_above_standard(open(path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    *made = fd < 0 || fstat(fd, &st) || !is_ours_alone(fd, &st) ||
            (st.st_size > (off_t)bytes && ftruncate(fd, (off_t)bytes));
    if (*made && fd >= 0) {
        close(fd);
    }
    return *made ? mr_file_create(path) : fd;
}

FILE *mr_file_create_stream(const char *path)
{
    const int fd = mr_file_create(path);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    if (fd >= 0 && !file) {
        close(fd);
    }
    return file;
}

int mr_fd_write_all(int fd, const void *bytes, size_t length)
{
    const char *at = bytes;
    while (length > 0) {
        const ssize_t n = write(fd, at, length);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return -1;
        }
        at += n;
        length -= (size_t)n;
    }
    return 0;
}

static int write_fresh(const char *fresh, const struct iovec *pieces, unsigned count)
{
    const int fd = mr_file_create(fresh);
    int bad = fd < 0;
    for (unsigned i = 0; !bad && i < count; i++) {
        bad = mr_fd_write_all(fd, pieces[i].iov_base, pieces[i].iov_len);
    }
    bad = bad || fsync(fd);
    const int why = errno;
    if (fd >= 0 && close(fd) && !bad) {
        return -1;
    }
    errno = why;
    return bad ? -1 : 0;
}

int mr_name_sync(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    const int bad = !folder || mr_folder_sync(folder);
    const int why = errno;
    free(folder);
    errno = why;
    return bad ? -1 : 0;
}

int mr_file_renew(const char *path, const struct iovec *pieces, unsigned count)
{
    char *fresh = NULL;
    const int bad = asprintf(&fresh, "%s.new", path) < 0 || write_fresh(fresh, pieces, count) ||
                    rename(fresh, path) || mr_name_sync(path);
    const int why = errno;
    free(fresh);
    errno = why;
    return bad ? -1 : 0;
}

/* Fills the buffer, whose size is capacity, or stops at the end. 0, or errno. */
static int read_all(int fd, char *out, size_t capacity, size_t *length)
{
    *length = 0;
    while (*length < capacity) {
        const ssize_t got = read(fd, out + *length, capacity - *length);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return got < 0 ? errno : 0;
        }
        *length += (size_t)got;
    }
    return 0;
}

/* Nothing that could keep us waiting: a pipe whose other end nobody has would, for ever. */
static int open_regular(const char *path, struct mr_error *error)
{
    struct stat st;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st)) {
        mr_error_set(error, "%s", strerror(errno));
    } else if (S_ISREG(st.st_mode)) {
        return fd;
    } else {
        mr_error_set(error, "%s", S_ISDIR(st.st_mode) ? strerror(EISDIR) : "it is no regular file");
    }
    if (fd >= 0) {
        close(fd);
    }
    return -1;
}

char *mr_file_text(const char *path, size_t most, size_t *length, struct mr_error *error)
{
    const int fd = open_regular(path, error);
    if (fd < 0) {
        return NULL;
    }
    char *text = malloc(most + 1);
    const int why = text ? read_all(fd, text, most + 1, length) : ENOMEM;
    close(fd);
    if (why) {
        mr_error_set(error, "%s", strerror(why));
    } else if (*length > most) {
        mr_error_set(error, "it has more than %zu bytes", most);
    } else {
        text[*length] = '\0';
        return text;
    }
    free(text);
    return NULL;
}

int mr_folder_private(const char *path)
{
    struct stat st;
    if (mkdir(path, 0700) && errno != EEXIST) {
        return -1;
    }
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int bad = fd < 0 || fstat(fd, &st);
    if (!bad && st.st_uid != geteuid()) { /* its owner could have us write anywhere */
        errno = EPERM;
        bad = 1;
    }
    bad = bad || ((st.st_mode & 07777) != 0700 && fchmod(fd, 0700));
    const int why = errno;
    if (fd >= 0) {
        close(fd);
    }
    errno = why;
    return bad ? -1 : 0;
}

static int remove_one(const char *path, const struct stat *about, int type, struct FTW *place)
{
    (void)about, (void)type, (void)place;
    return remove(path);
}

int mr_folder_remove(const char *path)
{
    return nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) && errno != ENOENT ? -1 : 0;
}

int mr_folder_sync(const char *path)
{
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const int bad = fd < 0 || fsync(fd);
    const int why = errno;
    if (fd >= 0) {
        close(fd);
    }
    errno = why;
    return bad ? -1 : 0;
}

char *mr_path_absolute(const char *path)
{
    char *whole = NULL;
    if (!path || *path == '/') {
        return path ? strdup(path) : NULL;
    }
    char *folder = getcwd(NULL, 0);
    if (folder && asprintf(&whole, "%s/%s", strcmp(folder, "/") ? folder : "", path) < 0) {
        whole = NULL;
    }
    free(folder);
    return whole;
}
