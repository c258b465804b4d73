/* child.h - runs a program and learns how it ended, whatever the process around it does with its
 * children, and lets nothing of it outlive this process.
 *
 * A host may ignore SIGCHLD, or wait for any child of its own: then the kernel, or the host, takes
 * the program's end from us. So a watcher stands between: a forked copy of this process that runs
 * the program, waits for it and tells its end over a socket. When this process ends in whatever way
 * (the socket closes, and the kernel sends the watcher a signal), or has waited enough, the watcher
 * kills the program and all that the program has started: it is the reaper of those whose own
 * parent has gone. It does so too when the program has ended and left others behind. If somebody
 * kills the watcher itself, the kernel kills the program; what that started keeps the lock that all
 * of them inherit (trainer_lock.h).
 *
 * The program starts as from a shell: signals unblocked and at their defaults, standard input from
 * /dev/null, standard output and error to our standard error, descriptor 3 the lock, no other
 * descriptor of the host. Its working directory and TMPDIR are the folder that it is given, its
 * umask is 077; the rest of its environment is the host's. */
#ifndef MRE_TRAINER_CHILD_H
#define MRE_TRAINER_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

struct mr_child {
    pid_t watcher;
    int socket;     /* the watcher tells here, and hears that it closes */
    bool none_left; /* after mr_child_await: the watcher said that all are gone */
};

enum mr_child_end {
    MR_CHILD_EXITED,  /* value: its exit code */
    MR_CHILD_KILLED,  /* value: the signal */
    MR_CHILD_NOT_RUN, /* value: errno of exec */
    MR_CHILD_LATE,    /* it did not end in time, or in time for the wake_fd, and was killed with all
                         that it had started */
    MR_CHILD_LOST,    /* the watcher was killed: nobody knows */
};

struct mr_child_setup {
    char *const *argv;  /* argv[0] is the program's absolute path; NULL-terminated */
    const char *folder; /* absolute; its own */
    int lock;           /* inherited by the program and what it starts; stays the caller's */
};

/* 0, or -1 with an error. */
int mr_child_start(struct mr_child *child, const struct mr_child_setup *setup,
                   struct mr_error *error);
/* Waits until the monotonic clock shows limit_ms, or wake_fd (0: none) can be read from; afterwards
 * the child is gone. */
enum mr_child_end mr_child_await(struct mr_child *child, int64_t limit_ms, int wake_fd, int *value);

#endif
