/* sandbox_data_dir.c - data_dir before the first start: the user's to write in, and root's hands
 * off whatever the user can change. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "appliance/runtime/sandbox_internal.h"

#define FOLDER (O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* What everybody may do with a path of his own. */
static int make_and_try(void *context, struct mr_error *error)
{
    const char *path = context;
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return mr_error_set(error, "data_dir %s: cannot be made: %s", path, strerror(errno));
    }
    if (access(path, R_OK | W_OK | X_OK) != 0) {
        return mr_error_set(error,
                            "data_dir %s: %s; the hub's user must be able to read and write there",
                            path, strerror(errno));
    }
    return 0;
}

/* Root, without a user to become. */
static int try_as_root(const char *path, struct mr_error *error)
{
    struct stat about;
    if (make_and_try((void *)path, error) != 0) {
        return -1;
    }
    return stat(path, &about) == 0 && about.st_uid != 0
               ? mr_error_set(
                     error,
                     "data_dir %s belongs to user %u, who could make a hub of root's write "
                     "anywhere: set sandbox.user to that user, or `chown -hR root` it",
                     path, (unsigned)about.st_uid)
               : 0;
}

/* Nobody but root can put something else in the place of what lies in there: it is root's, and
 * either no one else may write in it, or (as in /tmp) names stay their owner's. */
static bool is_roots_alone(int fd)
{
    struct stat about;
    return fstat(fd, &about) == 0 && about.st_uid == 0 &&
           ((about.st_mode & (S_IWGRP | S_IWOTH)) == 0 || (about.st_mode & S_ISVTX) != 0);
}

/* The folder that the path's last part lies in, step by step through folders of root's alone and no
 * links; *last is that part. A descriptor, or -1 with errno: EPERM where a folder is somebody
 * else's. */
static int open_parent(char *path, const char **last)
{
    int at = open(*path == '/' ? "/" : ".", O_PATH | FOLDER);
    char *rest = path + strspn(path, "/");
    while (at >= 0) {
        char *end = rest + strcspn(rest, "/");
        const size_t slashes = strspn(end, "/");
        if (!is_roots_alone(at)) {
            close(at);
            errno = EPERM;
            return -1;
        }
        const bool is_last = end[slashes] == '\0';
        *end = '\0';
        if (is_last) {
            *last = rest;
            break;
        }
        const int next = openat(at, rest, O_PATH | FOLDER);
        const int problem = errno;
        close(at);
        errno = problem;
        at = next;
        rest = end + slashes;
    }
    return at;
}

/* 1, 0, or -1 with errno. */
static int is_empty(int fd)
{
    DIR *dir = fdopendir(dup(fd));
    int empty = 1;
    if (!dir) {
        return -1;
    }
    errno = 0;
    for (const struct dirent *entry; empty == 1 && (entry = readdir(dir)) != NULL;) {
        empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    }
    const int problem = errno;
    closedir(dir);
    errno = problem;
    return problem != 0 ? -1 : empty;
}

/* 0 or -1 with errno. Nothing is inside yet, so nothing else changes its owner. */
static int hand_over(const struct mr_sandbox *sandbox)
{
    char path[PATH_MAX];
    const char *last = "";
    struct stat about;
    if (!memccpy(path, sandbox->plan.data_dir, '\0', sizeof path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    const int parent = open_parent(path, &last);
    if (parent < 0) {
        return -1;
    }
    int result = mkdirat(parent, last, 0700) == 0 || errno == EEXIST ? 0 : -1;
    const int fd = result == 0 ? openat(parent, last, O_RDONLY | FOLDER) : -1;
    if (fd < 0 || fstat(fd, &about) != 0) {
        result = -1;
    } else if (about.st_uid != 0) {
        errno = EPERM;
        result = -1;
    } else {
        const int empty = is_empty(fd);
        errno = empty == 0 ? ENOTEMPTY : errno;
        result = empty == 1 ? fchown(fd, sandbox->uid, sandbox->gid) : -1;
    }
    const int problem = errno;
    if (fd >= 0) {
        close(fd);
    }
    close(parent);
    errno = problem;
    return result;
}

int mr_sandbox_make_data_dir(const struct mr_sandbox *sandbox, struct mr_error *error)
{
    const struct mr_sandbox_plan *plan = &sandbox->plan;
    struct mr_error unable = {.text = ""};
    if (!sandbox->drops_user) {
        return geteuid() == 0 ? try_as_root(plan->data_dir, error)
                              : make_and_try((void *)plan->data_dir, error);
    }
    if (mr_sandbox_as_user(plan->user, plan->group, make_and_try, (void *)plan->data_dir,
                           &unable) == 0 ||
        hand_over(sandbox) == 0) {
        return 0;
    }
    return mr_error_set(error,
                        "%.300s for %s, and root hands over only an empty folder of its own, that "
                        "lies in folders of its own and not behind a link (%s): while no hub uses "
                        "it, run `mkdir -p '%s' && chown -hR %s: '%s'`",
                        unable.text, plan->user, strerror(errno), plan->data_dir, plan->user,
                        plan->data_dir);
}
