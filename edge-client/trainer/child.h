/* child.h - runs a program and learns how it ended, whatever the process around it does with its
 * children.
 *
 * A host may ignore SIGCHLD, or wait for any child of its own: then the kernel, or the host, takes
 * the program's end from us. So a watcher stands between: a forked copy of this process that runs
 * the program, waits for it and tells its end over a pipe. Both are a process group of their own
 * and die with the thread that started them.
 *
 * The program starts as from a shell: signals unblocked and at their defaults, standard input from
 * /dev/null, standard output and error to our standard error, no other descriptor of the host. Its
 * working directory, environment and umask are the host's. */
#ifndef MRE_TRAINER_CHILD_H
#define MRE_TRAINER_CHILD_H

#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

struct mr_child {
    pid_t watcher;
    int ends; /* where the watcher tells */
};

enum mr_child_end {
    MR_CHILD_EXITED,  /* value: its exit code */
    MR_CHILD_KILLED,  /* value: the signal */
    MR_CHILD_NOT_RUN, /* value: errno of exec */
    MR_CHILD_LATE,    /* it did not end in time, and was killed with its group */
    MR_CHILD_LOST,    /* the watcher was killed: nobody knows */
};

/* argv[0] is the program's path; NULL-terminated. 0, or -1 with an error. */
int mr_child_start(struct mr_child *child, char *const argv[], struct mr_error *error);
/* Waits until the monotonic clock shows limit_ms; afterwards the child is gone. */
enum mr_child_end mr_child_await(struct mr_child *child, int64_t limit_ms, int *value);

#endif
