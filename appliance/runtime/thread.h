/* thread.h - a thread that takes no signals: they are the control thread's business. */
#ifndef MR_RUNTIME_THREAD_H
#define MR_RUNTIME_THREAD_H

#include <pthread.h>

#include "base/error.h"

/* 0, and the thread is owed pthread_join; or -1. */
int mr_thread_start(pthread_t *thread, void *(*run)(void *context), void *context,
                    struct mr_error *error);

#endif
