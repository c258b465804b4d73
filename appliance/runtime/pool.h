/* pool.h - some background threads that share short work: whoever is free takes what has waited
 * longest, of what hurries first. Unlike a job thread's (job.h), work that nobody has begun can be
 * withdrawn, and a moment can be had in which none is under way.
 *
 * Every call is the loop's thread's. */
#ifndef MR_RUNTIME_POOL_H
#define MR_RUNTIME_POOL_H

#include <stdbool.h>
#include <sys/queue.h>

#include "appliance/runtime/loop.h"

struct mr_pool;

enum mr_pool_state {
    MR_POOL_IDLE,
    MR_POOL_WAITING, /* nobody has begun it */
    MR_POOL_BEGUN,   /* until `done` is called, or until it is recalled */
};

/* Its owner's memory; `work`, `done` and `context` are set once, the rest is the pool's. */
struct mr_pool_task {
    mr_loop_fn work; /* on one of the threads */
    mr_loop_fn done; /* afterwards, on the loop's; may run the task again, or free it */
    void *context;
    enum mr_pool_state state;
    bool hurries, is_back; /* the latter: `work` is over */
    TAILQ_ENTRY(mr_pool_task) in_queue;
};

/* name: at most 12 characters; the threads are called name-1, name-2 … */
int mr_pool_open(struct mr_pool **pool, struct mr_loop *loop, const char *name, unsigned threads,
                 struct mr_error *error);
/* Waits for the work that is under way and calls its `done`; work that nobody has begun is never
 * run. NULL allowed. */
void mr_pool_close(struct mr_pool *pool);

/* What `context` points at is the work's until `done`, or until the task is withdrawn. */
void mr_pool_run(struct mr_pool *pool, struct mr_pool_task *task);   /* an idle one */
void mr_pool_hurry(struct mr_pool *pool, struct mr_pool_task *task); /* before all that do not */
/* How many wait, of which nobody has begun any. */
unsigned mr_pool_waiting(struct mr_pool *pool);
/* True: the task is idle, and neither `work` nor `done` will be called. False: it was begun, `done`
 * will be called. */
bool mr_pool_withdraw(struct mr_pool *pool, struct mr_pool_task *task);
/* As _withdraw, but waits for `work` that was begun. The task is idle, and `done` will not be
 * called. True: `work` was run. */
bool mr_pool_recall(struct mr_pool *pool, struct mr_pool_task *task);

/* Waits for the work that is under way; none is begun until mr_pool_resume. What the work only
 * reads may be changed in between. NULL allowed. */
void mr_pool_pause(struct mr_pool *pool);
void mr_pool_resume(struct mr_pool *pool);

#endif
