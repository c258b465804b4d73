#include "appliance/runtime/job.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

struct job {
    struct job *next;
    mr_loop_fn work;
    mr_loop_fn done;
    void *context;
};

struct mr_job_thread {
    struct mr_loop *loop;
    char name[16];
    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    struct job *first;
    struct job **last; /* where the next job's pointer goes */
    bool closing;
};

/* The next job in order, or NULL when closing and none is left. */
static struct job *take(struct mr_job_thread *thread)
{
    pthread_mutex_lock(&thread->lock);
    while (!thread->first && !thread->closing) {
        pthread_cond_wait(&thread->changed, &thread->lock);
    }
    struct job *job = thread->first;
    if (job) {
        thread->first = job->next;
        if (!thread->first) {
            thread->last = &thread->first;
        }
    }
    pthread_mutex_unlock(&thread->lock);
    return job;
}

static void *run(void *argument)
{
    struct mr_job_thread *thread = argument;
    struct job *job;
    pthread_setname_np(pthread_self(), thread->name); /* another thread would need /proc */
    mr_loop_start_thread(thread->loop);
    while ((job = take(thread)) != NULL) {
        job->work(job->context);
        if (job->done) {
            mr_loop_post(thread->loop, job->done, job->context);
        }
        free(job);
    }
    return NULL;
}

int mr_job_thread_open(struct mr_job_thread **out, struct mr_loop *loop, const char *name,
                       struct mr_error *error)
{
    MR_ASSERT(strlen(name) <= 15);
    struct mr_job_thread *thread = calloc(1, sizeof *thread);
    if (!thread) {
        return mr_error_set(error, "thread %s: out of memory", name);
    }
    thread->loop = loop;
    memcpy(thread->name, name, strlen(name) + 1);
    thread->last = &thread->first;
    pthread_mutex_init(&thread->lock, NULL);
    pthread_cond_init(&thread->changed, NULL);
    const int failed = pthread_create(&thread->thread, NULL, run, thread);
    if (failed) {
        pthread_cond_destroy(&thread->changed);
        pthread_mutex_destroy(&thread->lock);
        free(thread);
        return mr_error_set(error, "thread %s: %s (processes and threads: see `ulimit -u`)", name,
                            strerror(failed));
    }
    *out = thread;
    return 0;
}

void mr_job_thread_close(struct mr_job_thread *thread)
{
    if (!thread) {
        return;
    }
    pthread_mutex_lock(&thread->lock);
    thread->closing = true;
    pthread_cond_signal(&thread->changed);
    pthread_mutex_unlock(&thread->lock);
    pthread_join(thread->thread, NULL);
    pthread_cond_destroy(&thread->changed);
    pthread_mutex_destroy(&thread->lock);
    free(thread);
}

void mr_job_run(struct mr_job_thread *thread, mr_loop_fn work, mr_loop_fn done, void *context)
{
    struct job *job = calloc(1, sizeof *job);
    MR_ASSERT(job); /* a lost job would leave its owner waiting for ever */
    job->work = work;
    job->done = done;
    job->context = context;
    pthread_mutex_lock(&thread->lock);
    MR_ASSERT(!thread->closing);
    *thread->last = job;
    thread->last = &job->next;
    pthread_cond_signal(&thread->changed);
    pthread_mutex_unlock(&thread->lock);
}
