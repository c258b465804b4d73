/* jobs.c - in place of appliance/runtime/job.c: background threads, as coroutines. */
#include <stdlib.h>

#include "appliance/runtime/job.h"
#include "tests/sim/loop.h"
#include "base/assert.h"

struct job {
    struct job *next;
    mr_loop_fn work, done;
    void *context;
};

struct mr_job_thread {
    struct mr_loop *loop;
    struct sim_node *node;
    struct sim_co *co;
    struct job *first, **last;
    bool closing;
};

static void run_jobs(void *argument)
{
    struct mr_job_thread *thread = argument;
    struct sim *sim = thread->node->sim;
    for (;;) {
        struct job *job = thread->first;
        if (!job && thread->closing) {
            return;
        }
        if (!job) {
            sim_wait_until(sim, UINT64_MAX);
            continue;
        }
        thread->first = job->next;
        if (!thread->first) {
            thread->last = &thread->first;
        }
        if (!thread->node->dead) {
            sim_wait_for(sim, sim_below(sim, 2 * SIM_MS));
        }
        job->work(job->context);
        if (job->done) {
            mr_loop_post(thread->loop, job->done, job->context);
        }
        free(job);
    }
}

int mr_job_thread_open(struct mr_job_thread **out, struct mr_loop *loop, const char *name,
                       struct mr_error *error)
{
    struct mr_job_thread *thread = calloc(1, sizeof *thread);
    (void)name;
    (void)error;
    MR_ASSERT(thread);
    thread->loop = loop;
    thread->node = sim_loop_node(loop);
    thread->last = &thread->first;
    thread->co = sim_co_new(thread->node, run_jobs, thread);
    *out = thread;
    return 0;
}

void mr_job_thread_close(struct mr_job_thread *thread)
{
    thread->closing = true;
    sim_wake(thread->co);
    sim_co_join(thread->co);
    free(thread);
}

void mr_job_run(struct mr_job_thread *thread, mr_loop_fn work, mr_loop_fn done, void *context)
{
    struct job *job = malloc(sizeof *job);
    MR_ASSERT(job);
    *job = (struct job){.work = work, .done = done, .context = context};
    *thread->last = job;
    thread->last = &job->next;
    sim_wake(thread->co);
}
