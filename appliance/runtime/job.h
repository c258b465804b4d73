/* job.h - one background thread that runs long work in order (expanding masks, syncing files,
 * talking to another hub) and reports back on the loop's thread. */
#ifndef MR_RUNTIME_JOB_H
#define MR_RUNTIME_JOB_H

#include "appliance/runtime/loop.h"

struct mr_job_thread;

/* name: at most 15 characters, shown by the kernel. */
int mr_job_thread_open(struct mr_job_thread **thread, struct mr_loop *loop, const char *name,
                       struct mr_error *error);
/* Finishes the jobs that were started or queued, then joins. Their `done` still runs if the loop
 * does. */
void mr_job_thread_close(struct mr_job_thread *thread);

/* Runs work(context) on the thread, then done(context) on the loop. Ownership of what context
 * points at passes along with the call. */
void mr_job_run(struct mr_job_thread *thread, mr_loop_fn work, mr_loop_fn done, void *context);

#endif
