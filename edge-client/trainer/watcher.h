/* watcher.h - what runs in the forked copy of a host that watches over a program (inside trainer/
 * only). Nothing here allocates or takes a lock: the host may have had threads. */
#ifndef MRE_TRAINER_WATCHER_H
#define MRE_TRAINER_WATCHER_H

#include <sys/types.h>

struct mr_watcher_setup {
    char *const *argv;
    char *const *environment;
    const char *folder;
    int socket, lock;
    pid_t host;
};

/* What it tells over the socket. */
struct mr_watcher_told {
    int end; /* enum mr_child_end */
    int value;
    int none_left; /* whoever the program had started is gone, too */
};

_Noreturn void mr_watcher_main(const struct mr_watcher_setup *setup);

#endif
