/* files.c - the C library's file calls over simulated disks, by the linker's --wrap. Paths under
 * /sim/ are the simulator's, everything else is the machine's. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/sim/disk_internal.h"
#include "tests/sim/loop.h"
#include "tests/sim/seams.h"
#include "appliance/storage/file_identity.h"
#include "appliance/storage/folder.h"
#include "appliance/storage/folder_lock.h"
#include "base/assert.h"

#define ROOT       "/sim/"
#define FIRST_FD   (1 << 20)
#define FDS_MAX    512
#define MAPPED_MAX 512

struct descriptor {
    struct sim_node *node; /* NULL: free */
    struct file *file;     /* NULL: a folder */
    char folder[NAME_BYTES];
    size_t at;
};

struct sim_files {
    struct descriptor all[FDS_MAX];
    void *mapped[MAPPED_MAX];
    unsigned mapped_count;
};

struct sim_files *sim_files_open(void)
{
    struct sim_files *files = calloc(1, sizeof *files);
    MR_ASSERT(files);
    return files;
}

void sim_files_close(struct sim_files *files)
{
    MR_ASSERT(files->mapped_count == 0);
    free(files);
}

void sim_disk_forget_descriptors(struct sim_node *node)
{
    for (unsigned i = 0; i < FDS_MAX; i++) {
        if (node->sim->files->all[i].node == node) {
            node->sim->files->all[i].node = NULL;
        }
    }
}

/* --- which is meant -------------------------------------------------------------------------- */

static int failed(int error)
{
    errno = error;
    return -1;
}

/* The disk of the node whose code runs, and the name on it; NULL: not a simulated path. */
static struct sim_disk *disk_of(const char *path, const char **name)
{
    struct sim *sim = sim_active();
    if (!sim || !sim->current || strncmp(path, ROOT, strlen(ROOT)) != 0) {
        return NULL;
    }
    const char *at = path + strlen(ROOT);
    const size_t length = strlen(sim->current->name);
    MR_ASSERT(strncmp(at, sim->current->name, length) == 0); /* nobody reads another's disk */
    at += length;
    *name = *at == '/' ? at + 1 : at;
    return sim->current->disk;
}

static struct descriptor *descriptor_of(int fd)
{
    struct sim *sim = sim_active();
    if (!sim || fd < FIRST_FD || fd >= FIRST_FD + FDS_MAX) {
        return NULL;
    }
    struct descriptor *descriptor = &sim->files->all[fd - FIRST_FD];
    return descriptor->node ? descriptor : NULL;
}

/* Disk work takes time, where a thread can wait for it; the node may be killed meanwhile. */
static bool worked(struct sim_disk *disk, uint64_t up_to_us)
{
    struct sim *sim = disk->node->sim;
    if (!disk->node->dead) {
        const bool dies = disk->kill_at && --disk->kill_at == 0;
        if (dies) {
            sim_at(sim, sim->now_us, disk->node, sim_fault_at_disk, disk->node);
        }
        sim_wait_for(sim, dies + sim_below(sim, up_to_us + 1));
    }
    return !disk->node->dead;
}

static void still_runs(struct sim *sim, void *argument)
{
    const struct sim_node *node = argument;
    if (node->up) {
        sim_broken(sim, "%s goes on although a write or a sync has failed", node->name);
    }
}

static const char *name_of(const struct sim_disk *disk, const struct file *file)
{
    for (unsigned i = 0; i < disk->entry_count; i++) {
        if (disk->entries[i].cached == file) {
            return disk->entries[i].name;
        }
    }
    return "";
}

/* A hub that runs has to stop now: what its files hold is unknown. Not where it was to write a
 * release, or how it is rolled out: nobody was told of it, and a file is only ever made anew
 * (model/release_make.h, model/rollout_log.h). */
static void must_stop(struct sim_node *node, const char *name)
{
    struct sim *sim = node->sim;
    if (node->index < SIM_HUBS && node->up && !strstr(name, "/releases/")) {
        sim_at(sim, sim->now_us + 300 * SIM_MS, node, still_runs, node);
    }
}

static bool has_room(struct sim_disk *disk, const char *name)
{
    struct sim *sim = disk->node->sim;
    if (disk->fail_write) {
        disk->fail_write = false;
        sim_count(sim, SIM_FAULT_DISK_WRITE);
        sim_mark(sim, disk->node, "write fails", 0, 0);
        must_stop(disk->node, name);
        errno = EIO;
        return false;
    }
    if (disk->full) {
        sim_mark(sim, disk->node, "disk is full", 0, 0);
        must_stop(disk->node, name);
        errno = ENOSPC;
        return false;
    }
    return true;
}

/* --- opening and closing --------------------------------------------------------------------- */

static int new_descriptor(struct sim_node *node, struct file *file, const char *folder)
{
    struct sim_files *files = node->sim->files;
    for (unsigned i = 0; i < FDS_MAX; i++) {
        struct descriptor *one = &files->all[i];
        if (!one->node) {
            *one = (struct descriptor){.node = node, .file = file};
            memccpy(one->folder, folder, '\0', sizeof one->folder);
            return FIRST_FD + (int)i;
        }
    }
    return failed(EMFILE);
}

/* By its last part: a task's own folder is one right below "tasks". */
static bool is_folder(const char *name)
{
    const char *slash = strrchr(name, '/');
    const char *last = slash ? slash + 1 : name;
    return strcmp(last, "models") == 0 || strcmp(last, "rounds") == 0 ||
           strcmp(last, "transcript") == 0 || strcmp(last, "optimisers") == 0 ||
           strcmp(name, "tasks") == 0 || (slash && slash == name + strlen("tasks"));
}

static int open_simulated(struct sim_disk *disk, const char *name, int flags)
{
    if (disk->node->dead) {
        return failed(EIO);
    }
    if (flags & O_DIRECTORY || !*name || is_folder(name)) {
        return new_descriptor(disk->node, NULL, name);
    }
    struct entry *entry = disk_entry(disk, name, false);
    struct file *file = entry ? entry->cached : NULL;
    if (!file && !(flags & O_CREAT)) {
        return failed(ENOENT);
    }
    if (file && flags & O_CREAT && flags & O_EXCL) {
        return failed(EEXIST);
    }
    if (!file) {
        if (!has_room(disk, name)) {
            return -1;
        }
        file = disk_create(disk, name);
    }
    if (flags & O_TRUNC) {
        disk_truncate(file, 0);
    }
    return new_descriptor(disk->node, file, "");
}

int __wrap_open64(const char *path, int flags, ...)
{
    const char *name;
    struct sim_disk *disk = disk_of(path, &name);
    va_list arguments;
    va_start(arguments, flags);
    const mode_t mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return disk ? open_simulated(disk, name, flags) : __real_open64(path, flags, mode);
}

int __wrap_close(int fd)
{
    struct descriptor *descriptor = descriptor_of(fd);
    if (!descriptor) {
        return fd >= FIRST_FD && sim_active() ? 0 : __real_close(fd);
    }
    descriptor->node = NULL;
    return 0;
}

/* --- reading --------------------------------------------------------------------------------- */

ssize_t __wrap_read(int fd, void *out, size_t bytes)
{
    struct descriptor *descriptor = descriptor_of(fd);
    if (!descriptor) {
        return fd >= FIRST_FD && sim_active() ? failed(EBADF) : __real_read(fd, out, bytes);
    }
    const struct content *content = &descriptor->file->cached;
    const size_t left = content->length > descriptor->at ? content->length - descriptor->at : 0;
    const size_t n = left < bytes ? left : bytes;
    if (n) {
        memcpy(out, content->bytes + descriptor->at, n);
    }
    descriptor->at += n;
    return (ssize_t)n;
}

/* What read is where the C library checks the buffer's size (_FORTIFY_SOURCE). */
ssize_t __wrap___read_chk(int fd, void *out, size_t bytes, size_t room)
{
    MR_ASSERT(bytes <= room);
    return __wrap_read(fd, out, bytes);
}

ssize_t __wrap_pread64(int fd, void *out, size_t bytes, off_t at)
{
    struct descriptor *descriptor = descriptor_of(fd);
    if (!descriptor) {
        return fd >= FIRST_FD && sim_active() ? failed(EBADF) : __real_pread64(fd, out, bytes, at);
    }
    const size_t before = descriptor->at;
    descriptor->at = (size_t)at;
    const ssize_t n = __wrap_read(fd, out, bytes);
    descriptor->at = before;
    return n;
}

ssize_t __wrap___pread64_chk(int fd, void *out, size_t bytes, off_t at, size_t room)
{
    MR_ASSERT(bytes <= room);
    return __wrap_pread64(fd, out, bytes, at);
}

int __wrap_fstat64(int fd, struct stat *about)
{
    const struct descriptor *descriptor = descriptor_of(fd);
    if (!descriptor) {
        return fd >= FIRST_FD && sim_active() ? failed(EBADF) : __real_fstat64(fd, about);
    }
    memset(about, 0, sizeof *about);
    about->st_uid = geteuid();
    about->st_mode = descriptor->file ? S_IFREG | 0600 : S_IFDIR | 0700;
    about->st_size = descriptor->file ? (off_t)descriptor->file->cached.length : 0;
    return 0;
}

void *__wrap_mmap64(void *at, size_t length, int protection, int flags, int fd, off_t offset)
{
    const struct descriptor *descriptor = descriptor_of(fd);
    if (!descriptor) {
        return __real_mmap64(at, length, protection, flags, fd, offset);
    }
    struct sim_files *files = sim_active()->files;
    const size_t have = descriptor->file->cached.length;
    uint8_t *copy = aligned_alloc(64, (length + 63) & ~(size_t)63);
    MR_ASSERT(copy && files->mapped_count < MAPPED_MAX && offset == 0);
    memcpy(copy, descriptor->file->cached.bytes, length < have ? length : have);
    files->mapped[files->mapped_count++] = copy;
    return copy;
}

int __wrap_munmap(void *at, size_t length)
{
    struct sim *sim = sim_active();
    struct sim_files *files = sim ? sim->files : NULL;
    for (unsigned i = 0; files && i < files->mapped_count; i++) {
        if (files->mapped[i] == at) {
            files->mapped[i] = files->mapped[--files->mapped_count];
            free(at);
            return 0;
        }
    }
    return __real_munmap(at, length);
}

/* --- writing --------------------------------------------------------------------------------- */

static ssize_t write_simulated(struct descriptor *descriptor, const void *bytes, size_t length,
                               size_t at)
{
    struct sim_disk *disk = descriptor->node->disk;
    if (!worked(disk, 100)) {
        return failed(EIO);
    }
    if (!has_room(disk, name_of(disk, descriptor->file))) {
        return -1;
    }
    disk_write(descriptor->file, at, bytes, length);
    return (ssize_t)length;
}

ssize_t __wrap_write(int fd, const void *bytes, size_t length)
{
    struct descriptor *descriptor = descriptor_of(fd);
    if (!descriptor) {
        if (sim_active()) {
            sim_loop_written(fd);
        }
        return fd >= FIRST_FD && sim_active() ? failed(EBADF) : __real_write(fd, bytes, length);
    }
    const ssize_t n = write_simulated(descriptor, bytes, length, descriptor->at);
    descriptor->at += n > 0 ? (size_t)n : 0;
    return n;
}

ssize_t __wrap_pwrite64(int fd, const void *bytes, size_t length, off_t at)
{
    struct descriptor *descriptor = descriptor_of(fd);
    if (!descriptor) {
        return fd >= FIRST_FD && sim_active() ? failed(EBADF)
                                              : __real_pwrite64(fd, bytes, length, at);
    }
    return write_simulated(descriptor, bytes, length, (size_t)at);
}

int __wrap_ftruncate64(int fd, off_t length)
{
    struct descriptor *descriptor = descriptor_of(fd);
    if (!descriptor) {
        return fd >= FIRST_FD && sim_active() ? failed(EBADF) : __real_ftruncate64(fd, length);
    }
    if (descriptor->node->dead) {
        return failed(EIO);
    }
    disk_truncate(descriptor->file, (size_t)length);
    return 0;
}

static int sync_simulated(struct descriptor *descriptor)
{
    struct sim_disk *disk = descriptor->node->disk;
    struct sim *sim = disk->node->sim;
    if (!worked(disk, disk->slow_us)) {
        return failed(EIO);
    }
    if (disk->fail_sync) {
        disk->fail_sync = false;
        sim_count(sim, SIM_FAULT_DISK_SYNC);
        sim_mark(sim, disk->node, "sync fails", 0, 0);
        must_stop(disk->node,
                  descriptor->file ? name_of(disk, descriptor->file) : descriptor->folder);
        if (descriptor->file) {
            disk_sync_file(descriptor->file, false);
        }
        if (sim->options.mutant == SIM_MUTANT_SYNC_ERROR_HIDDEN) {
            return 0;
        }
        return failed(EIO);
    }
    if (sim->options.mutant == SIM_MUTANT_SYNC_FORGOTTEN) {
        return 0;
    }
    if (descriptor->file) {
        disk_sync_file(descriptor->file, true);
    } else {
        disk_sync_folder(disk, descriptor->folder);
    }
    return 0;
}

int __wrap_fdatasync(int fd)
{
    struct descriptor *descriptor = descriptor_of(fd);
    if (!descriptor) {
        return fd >= FIRST_FD && sim_active() ? failed(EBADF) : __real_fdatasync(fd);
    }
    return sync_simulated(descriptor);
}

int __wrap_fsync(int fd)
{
    struct descriptor *descriptor = descriptor_of(fd);
    if (!descriptor) {
        return fd >= FIRST_FD && sim_active() ? failed(EBADF) : __real_fsync(fd);
    }
    return sync_simulated(descriptor);
}

/* In place of appliance/storage/folder_lock.c: a simulated disk has one machine, and that one runs
 * its hub once. */
int mr_folder_lock(struct mr_folder_lock **lock, const char *folder, struct mr_error *error)
{
    (void)folder;
    (void)error;
    *lock = NULL;
    return 0;
}

void mr_folder_unlock(struct mr_folder_lock *lock)
{
    MR_ASSERT(!lock);
}

/* In place of appliance/storage/file_identity.c: by the disk and how often it was put back from a
 * copy of its files. */
int mr_file_identity_of(int fd, struct mr_file_identity *identity, struct mr_error *error)
{
    const struct descriptor *descriptor = descriptor_of(fd);
    (void)error;
    *identity = (struct mr_file_identity){.inode = 1, .born_s = 1};
    if (descriptor) {
        identity->inode = 1 + descriptor->node->disk->copies;
    }
    return 0;
}

bool mr_file_identity_same(const struct mr_file_identity *a, const struct mr_file_identity *b)
{
    const struct sim *sim = sim_active();
    return a->inode == b->inode || (sim && sim->options.mutant == SIM_MUTANT_COPY_TAKEN);
}

/* In place of appliance/storage/folder.c. */
int mr_folder_list(const char *path, mr_folder_fn fn, void *context, struct mr_error *error)
{
    const char *folder;
    struct sim_disk *disk = disk_of(path, &folder);
    const size_t length = strlen(folder);
    if (disk->node->dead) {
        return mr_error_set(error, "%s: the machine is off", path);
    }
    for (unsigned i = 0; i < disk->entry_count; i++) {
        const struct entry *entry = &disk->entries[i];
        const char *name = entry->name + length + (length > 0);
        if (entry->cached && strncmp(entry->name, folder, length) == 0 &&
            (length == 0 || entry->name[length] == '/') && !strchr(name, '/')) {
            const struct mr_folder_file file = {.name = name,
                                                .bytes = entry->cached->cached.length};
            fn(context, &file);
        }
    }
    return 0;
}

/* A disk that fills does so when it is written to. */
int mr_folder_space(const char *path, uint64_t *free_bytes, uint64_t *size_bytes,
                    struct mr_error *error)
{
    (void)path;
    *free_bytes = *size_bytes = UINT64_C(1) << 40;
    (void)error;
    return 0;
}

/* --- folders --------------------------------------------------------------------------------- */

int __wrap_rename(const char *from, const char *to)
{
    const char *from_name, *to_name;
    struct sim_disk *disk = disk_of(from, &from_name);
    if (!disk) {
        return __real_rename(from, to);
    }
    if (!worked(disk, 100)) {
        return failed(EIO);
    }
    const struct entry *entry = disk_entry(disk, from_name, false);
    if (disk_of(to, &to_name) != disk || !entry || !entry->cached) {
        return failed(ENOENT);
    }
    disk_rename(disk, from_name, to_name);
    return 0;
}

int __wrap_unlink(const char *path)
{
    const char *name;
    struct sim_disk *disk = disk_of(path, &name);
    if (!disk) {
        return __real_unlink(path);
    }
    const struct entry *entry = disk_entry(disk, name, false);
    if (disk->node->dead || !entry || !entry->cached) {
        return failed(disk->node->dead ? EIO : ENOENT);
    }
    disk_unlink(disk, name);
    return 0;
}

int __wrap_access(const char *path, int mode)
{
    const char *name;
    struct sim_disk *disk = disk_of(path, &name);
    if (!disk) {
        return __real_access(path, mode);
    }
    const struct entry *entry = disk_entry(disk, name, false);
    return disk->node->dead ? failed(EIO) : entry && entry->cached ? 0 : failed(ENOENT);
}

int __wrap_mkdir(const char *path, mode_t mode)
{
    const char *name;
    return disk_of(path, &name) ? 0 : __real_mkdir(path, mode);
}
