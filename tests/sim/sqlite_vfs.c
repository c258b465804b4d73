#include "tests/sim/sqlite_vfs.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"

#define PATH_BYTES 256

struct file {
    sqlite3_file base; /* first: SQLite's */
    int fd;
    bool new_name; /* its folder has to be synced with it, as SQLite's own does */
    char path[PATH_BYTES];
};

static struct file *file_of(sqlite3_file *file)
{
    return (struct file *)file;
}

static int write_error(void)
{
    return errno == ENOSPC ? SQLITE_FULL : SQLITE_IOERR_WRITE;
}

static int sync_folder(const char *path)
{
    char folder[PATH_BYTES];
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path), path);
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const int result = fd >= 0 && fsync(fd) == 0 ? SQLITE_OK : SQLITE_IOERR_DIR_FSYNC;
    if (fd >= 0) {
        close(fd);
    }
    return result;
}

/* --- one file -------------------------------------------------------------------------------- */

static int on_close(sqlite3_file *file)
{
    close(file_of(file)->fd);
    return SQLITE_OK;
}

static int on_read(sqlite3_file *file, void *out, int bytes, sqlite3_int64 at)
{
    const ssize_t n = pread(file_of(file)->fd, out, (size_t)bytes, at);
    if (n < 0) {
        return SQLITE_IOERR_READ;
    }
    memset((uint8_t *)out + n, 0, (size_t)bytes - (size_t)n);
    return n == bytes ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

static int on_write(sqlite3_file *file, const void *bytes, int length, sqlite3_int64 at)
{
    return pwrite(file_of(file)->fd, bytes, (size_t)length, at) == length ? SQLITE_OK
                                                                          : write_error();
}

static int on_truncate(sqlite3_file *file, sqlite3_int64 length)
{
    return ftruncate(file_of(file)->fd, length) == 0 ? SQLITE_OK : SQLITE_IOERR_TRUNCATE;
}

static int on_sync(sqlite3_file *file, int flags)
{
    struct file *one = file_of(file);
    (void)flags;
    if (fdatasync(one->fd) != 0) {
        return SQLITE_IOERR_FSYNC;
    }
    const bool new_name = one->new_name;
    one->new_name = false;
    return new_name ? sync_folder(one->path) : SQLITE_OK;
}

static int on_size(sqlite3_file *file, sqlite3_int64 *bytes)
{
    struct stat about;
    const int bad = fstat(file_of(file)->fd, &about);
    *bytes = bad ? 0 : about.st_size;
    return bad ? SQLITE_IOERR_FSTAT : SQLITE_OK;
}

static int on_lock(sqlite3_file *file, int level)
{
    (void)file;
    (void)level;
    return SQLITE_OK;
}

static int on_check_lock(sqlite3_file *file, int *locked)
{
    (void)file;
    *locked = 0;
    return SQLITE_OK;
}

static int on_control(sqlite3_file *file, int what, void *argument)
{
    (void)file;
    (void)what;
    (void)argument;
    return SQLITE_NOTFOUND;
}

static int on_sector(sqlite3_file *file)
{
    (void)file;
    return 4096;
}

static int on_characteristics(sqlite3_file *file)
{
    (void)file;
    return 0;
}

static const sqlite3_io_methods methods = {.iVersion = 1,
                                           .xClose = on_close,
                                           .xRead = on_read,
                                           .xWrite = on_write,
                                           .xTruncate = on_truncate,
                                           .xSync = on_sync,
                                           .xFileSize = on_size,
                                           .xLock = on_lock,
                                           .xUnlock = on_lock,
                                           .xCheckReservedLock = on_check_lock,
                                           .xFileControl = on_control,
                                           .xSectorSize = on_sector,
                                           .xDeviceCharacteristics = on_characteristics};

/* --- names ----------------------------------------------------------------------------------- */

static int on_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags, int *got)
{
    struct file *one = file_of(file);
    (void)vfs;
    MR_ASSERT(path && strlen(path) < PATH_BYTES); /* no temporary files: temp_store is memory */
    memset(one, 0, sizeof *one);
    snprintf(one->path, sizeof one->path, "%s", path);
    const bool there = access(path, F_OK) == 0;
    one->fd = open(path, O_RDWR | O_CLOEXEC | (flags & SQLITE_OPEN_CREATE ? O_CREAT : 0), 0600);
    if (one->fd < 0) {
        return SQLITE_CANTOPEN;
    }
    one->new_name = !there;
    one->base.pMethods = &methods;
    if (got) {
        *got = flags;
    }
    return SQLITE_OK;
}

static int on_delete(sqlite3_vfs *vfs, const char *path, int sync)
{
    (void)vfs;
    if (unlink(path) != 0) {
        return errno == ENOENT ? SQLITE_IOERR_DELETE_NOENT : SQLITE_IOERR_DELETE;
    }
    return sync ? sync_folder(path) : SQLITE_OK;
}

static int on_access(sqlite3_vfs *vfs, const char *path, int flags, int *result)
{
    (void)vfs;
    (void)flags;
    *result = access(path, F_OK) == 0;
    return SQLITE_OK;
}

static int on_full_path(sqlite3_vfs *vfs, const char *path, int room, char *out)
{
    (void)vfs;
    snprintf(out, (size_t)room, "%s", path);
    return SQLITE_OK;
}

/* The log's salt: any will do, and the same seed gives the same trace. */
static int on_random(sqlite3_vfs *vfs, int bytes, char *out)
{
    (void)vfs;
    memset(out, 7, (size_t)bytes);
    return bytes;
}

static int on_sleep(sqlite3_vfs *vfs, int us)
{
    (void)vfs;
    return us;
}

static int on_time(sqlite3_vfs *vfs, double *days)
{
    (void)vfs;
    *days = 2460000;
    return SQLITE_OK;
}

static int on_last_error(sqlite3_vfs *vfs, int room, char *out)
{
    (void)vfs;
    (void)room;
    (void)out;
    return errno;
}

void sim_sqlite_register(void)
{
    static sqlite3_vfs vfs = {.iVersion = 1,
                              .szOsFile = sizeof(struct file),
                              .mxPathname = PATH_BYTES,
                              .zName = "simulated",
                              .xOpen = on_open,
                              .xDelete = on_delete,
                              .xAccess = on_access,
                              .xFullPathname = on_full_path,
                              .xRandomness = on_random,
                              .xSleep = on_sleep,
                              .xCurrentTime = on_time,
                              .xGetLastError = on_last_error};
    MR_ASSERT(sqlite3_vfs_register(&vfs, 1) == SQLITE_OK);
}
