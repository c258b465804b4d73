#include "edge-client/trainer/trainer_lock.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "edge-client/files/files.h"

#define STEP_MS  20
#define GRACE_MS 3000 /* a watcher whose host was killed has ended its program by then */

static bool take(int fd, unsigned wait_ms)
{
    for (unsigned waited_ms = 0;; waited_ms += STEP_MS) {
        const struct timespec step = {.tv_nsec = STEP_MS * 1000000};
        if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
            return true;
        }
        if (errno != EWOULDBLOCK || waited_ms >= wait_ms) {
            return false;
        }
        nanosleep(&step, NULL);
    }
}

/* Whether descriptor `fd` of the process is that file, opened as the lock was that it holds. */
static bool holds(const char *pid, const char *fd, const struct stat *lock)
{
    char path[64], text[2048];
    struct stat about;
    snprintf(path, sizeof path, "/proc/%.16s/fd/%.16s", pid, fd);
    if (stat(path, &about) || about.st_dev != lock->st_dev || about.st_ino != lock->st_ino) {
        return false;
    }
    snprintf(path, sizeof path, "/proc/%.16s/fdinfo/%.16s", pid, fd);
    FILE *file = fopen(path, "re");
    const size_t got = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file) {
        fclose(file);
    }
    text[got] = '\0';
    return strstr(text, "FLOCK") != NULL;
}

static bool has_lock(const char *pid, const struct stat *lock)
{
    char path[32];
    bool found = false;
    snprintf(path, sizeof path, "/proc/%.16s/fd", pid);
    DIR *folder = opendir(path);
    for (struct dirent *entry; folder && !found && (entry = readdir(folder));) {
        found = isdigit((unsigned char)entry->d_name[0]) && holds(pid, entry->d_name, lock);
    }
    if (folder) {
        closedir(folder);
    }
    return found;
}

/* By a descriptor of the process, or the number might be another's by then. */
static void kill_holder(const char *pid, const struct stat *lock)
{
    const int process = (int)syscall(SYS_pidfd_open, (pid_t)strtol(pid, NULL, 10), 0);
    if (process >= 0 && has_lock(pid, lock)) {
        (void)syscall(SYS_pidfd_send_signal, process, SIGKILL, NULL, 0);
    }
    if (process >= 0) {
        close(process);
    }
}

static void kill_holders(const struct stat *lock)
{
    DIR *folder = opendir("/proc");
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        const bool process = isdigit((unsigned char)entry->d_name[0]) &&
                             strtol(entry->d_name, NULL, 10) != (long)getpid();
        if (process && has_lock(entry->d_name, lock)) {
            kill_holder(entry->d_name, lock);
        }
    }
    if (folder) {
        closedir(folder);
    }
}

int mr_trainer_lock(const char *data_dir, struct mr_error *error)
{
    char path[4096];
    struct stat about;
    snprintf(path, sizeof path, "%s/trainer.lock", data_dir);
    const int fd =
        mr_fd_above_standard(open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (fd < 0 || fstat(fd, &about)) {
        mr_error_set(error, "%s: %s", path, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    bool taken = take(fd, GRACE_MS);
    if (!taken) {
        kill_holders(&about);
        taken = take(fd, GRACE_MS);
    }
    if (!taken) {
        close(fd);
        return mr_error_set(error,
                            "%s is held: a trainer that an earlier process of this device started "
                            "still runs, and cannot be killed. End it (fuser %s)",
                            path, path);
    }
    return fd;
}
