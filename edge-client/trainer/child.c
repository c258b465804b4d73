#include "edge-client/trainer/child.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "edge-client/files/files.h"
#include "edge-client/trainer/watcher.h"

extern char **environ;

#define TMPDIR "TMPDIR="

/* The host's environment with TMPDIR as the folder: made here, since the watcher may not allocate.
 * NULL when out of memory; the first entry is malloc'd too. */
static char **make_environment(const char *folder)
{
    size_t count = 0, used = 0;
    while (environ && environ[count]) {
        count++;
    }
    char **made = calloc(count + 2, sizeof *made);
    if (!made || asprintf(&made[used++], TMPDIR "%s", folder) < 0) {
        free(made);
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        if (strncmp(environ[i], TMPDIR, strlen(TMPDIR)) != 0) {
            made[used++] = environ[i];
        }
    }
    return made;
}

static void free_environment(char **made)
{
    if (made) {
        free(made[0]);
    }
    free(made);
}

static pid_t fork_watcher(const struct mr_watcher_setup *setup)
{
    sigset_t all, before;
    /* No handler of the host may run in the watcher, which has reset none yet. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const pid_t watcher = fork();
    if (watcher == 0) {
        mr_watcher_main(setup);
    }
    const int why = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = why;
    return watcher;
}

int mr_child_start(struct mr_child *child, const struct mr_child_setup *setup,
                   struct mr_error *error)
{
    int ends[2];
    const char *program = setup->argv[0];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends)) {
        return mr_error_set(error, "%s cannot be run: %s", program, strerror(errno));
    }
    ends[0] = mr_fd_above_standard(ends[0]);
    ends[1] = mr_fd_above_standard(ends[1]);
    char **environment = make_environment(setup->folder);
    const struct mr_watcher_setup watched = {.argv = setup->argv,
                                             .environment = environment,
                                             .folder = setup->folder,
                                             .socket = ends[1],
                                             .lock = setup->lock,
                                             .host = getpid()};
    const pid_t watcher = ends[0] < 0 || ends[1] < 0 || !environment ? -1 : fork_watcher(&watched);
    const int why = errno;
    free_environment(environment);
    close(ends[1]);
    if (watcher < 0) {
        close(ends[0]);
        return mr_error_set(error, "%s cannot be run: %s", program, strerror(why));
    }
    *child = (struct mr_child){.watcher = watcher, .socket = ends[0]};
    return 0;
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Whether the socket has something to say in time, and before the wake_fd has. */
static bool is_told(int fd, int64_t limit_ms, int wake_fd)
{
    for (;;) {
        struct pollfd entries[2] = {{.fd = fd, .events = POLLIN},
                                    {.fd = wake_fd, .events = POLLIN}};
        const int64_t left_ms = limit_ms - now_ms();
        const int ready = poll(entries, wake_fd > 0 ? 2 : 1,
                               left_ms > INT_MAX ? INT_MAX
                               : left_ms > 0     ? (int)left_ms
                                                 : 0);
        if (ready > 0) {
            return entries[0].revents != 0;
        }
        if (ready == 0 && left_ms <= INT_MAX) {
            return false;
        }
    }
}

/* Until the watcher has closed its end: then everybody whom it watched is gone, as far as it could
 * do that. What it tells of those that are left is taken. */
static void await_close(struct mr_child *child)
{
    shutdown(child->socket, SHUT_WR); /* what it waits for */
    for (;;) {
        struct mr_watcher_told told;
        const ssize_t got = recv(child->socket, &told, sizeof told, 0);
        if (got <= 0 && errno != EINTR) {
            return;
        }
        if (got == (ssize_t)sizeof told) {
            child->none_left = told.none_left;
        }
        errno = 0;
    }
}

enum mr_child_end mr_child_await(struct mr_child *child, int64_t limit_ms, int wake_fd, int *value)
{
    struct mr_watcher_told told = {MR_CHILD_LATE, 0, false};
    if (is_told(child->socket, limit_ms, wake_fd)) {
        ssize_t got;
        do {
            got = recv(child->socket, &told, sizeof told, 0);
        } while (got < 0 && errno == EINTR);
        if (got != (ssize_t)sizeof told) {
            told = (struct mr_watcher_told){MR_CHILD_LOST, 0, false};
        }
    }
    child->none_left = told.none_left;
    await_close(child);
    /* Where the host has taken it from us, there is none to wait for any more. */
    while (waitpid(child->watcher, NULL, 0) < 0 && errno == EINTR) {
        ;
    }
    close(child->socket);
    *value = told.value;
    return (enum mr_child_end)told.end;
}
