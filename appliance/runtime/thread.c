#include "appliance/runtime/thread.h"

#include <signal.h>
#include <string.h>

int mr_thread_start(pthread_t *thread, void *(*run)(void *context), void *context,
                    struct mr_error *error)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* a new thread has its maker's mask */
    const int failed = pthread_create(thread, NULL, run, context);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed == 0 ? 0 : mr_error_set(error, "cannot start a thread: %s", strerror(failed));
}
