#include "appliance/runtime/pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/assert.h"

#define NAME_BYTES  16 /* that the kernel keeps of a thread's name */
#define DONE_A_TURN 64

TAILQ_HEAD(task_queue, mr_pool_task);

struct mr_pool {
    struct mr_loop *loop;
    char name[NAME_BYTES];
    int done_fd; /* eventfd: something is in `done` */
    pthread_t *threads;
    unsigned thread_count;
    pthread_mutex_t lock;                     /* guards what follows, and every task's state */
    pthread_cond_t changed;                   /* for the threads */
    pthread_cond_t calm;                      /* for the loop's thread: work is over */
    struct task_queue hurried, waiting, done; /* the first before the second */
    unsigned waiting_count;                   /* in both */
    unsigned named;                           /* threads that have their name */
    unsigned running;
    bool paused, closing;
};

/* --- the threads ----------------------------------------------------------------------------- */

static void name_thread(struct mr_pool *pool)
{
    char name[NAME_BYTES + 12];
    pthread_mutex_lock(&pool->lock);
    snprintf(name, sizeof name, "%s-%u", pool->name, ++pool->named);
    pthread_mutex_unlock(&pool->lock);
    name[NAME_BYTES - 1] = '\0';
    pthread_setname_np(pthread_self(), name); /* another thread would need /proc */
}

/* With the lock. */
static void leave(struct mr_pool *pool, struct mr_pool_task *task)
{
    TAILQ_REMOVE(task->hurries ? &pool->hurried : &pool->waiting, task, in_queue);
    pool->waiting_count--;
}

/* The next task, begun; NULL: the pool closes. With the lock. */
static struct mr_pool_task *take(struct mr_pool *pool)
{
    while (!pool->closing && (pool->paused || pool->waiting_count == 0)) {
        pthread_cond_wait(&pool->changed, &pool->lock);
    }
    if (pool->closing) {
        return NULL;
    }
    struct mr_pool_task *task =
        TAILQ_FIRST(TAILQ_EMPTY(&pool->hurried) ? &pool->waiting : &pool->hurried);
    leave(pool, task);
    task->state = MR_POOL_BEGUN;
    pool->running++;
    return task;
}

static void call(struct mr_pool *pool)
{
    const uint64_t one = 1;
    (void)!write(pool->done_fd, &one, sizeof one); /* fails only when it is readable anyway */
}

/* With the lock. */
static void hand_back(struct mr_pool *pool, struct mr_pool_task *task)
{
    if (TAILQ_EMPTY(&pool->done)) {
        call(pool);
    }
    TAILQ_INSERT_TAIL(&pool->done, task, in_queue);
    task->is_back = true;
    pool->running--;
    pthread_cond_signal(&pool->calm);
}

static void *run(void *argument)
{
    struct mr_pool *pool = argument;
    struct mr_pool_task *task;
    name_thread(pool);
    mr_loop_start_thread(pool->loop);
    pthread_mutex_lock(&pool->lock);
    while ((task = take(pool)) != NULL) {
        pthread_mutex_unlock(&pool->lock);
        task->work(task->context);
        pthread_mutex_lock(&pool->lock);
        hand_back(pool, task);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* --- the loop's thread ----------------------------------------------------------------------- */

/* Out of the queue, as if it had never been run. With the lock. */
static void settle(struct mr_pool *pool, struct mr_pool_task *task)
{
    TAILQ_REMOVE(&pool->done, task, in_queue);
    task->state = MR_POOL_IDLE;
    task->is_back = false;
}

/* One that is done; what follows from one may recall others. False: none is. */
static bool finish_one(struct mr_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    struct mr_pool_task *task = TAILQ_FIRST(&pool->done);
    if (task) {
        settle(pool, task);
    }
    pthread_mutex_unlock(&pool->lock);
    if (!task) {
        return false;
    }
    task->done(task->context);
    return true;
}

/* A few: the loop has other things to do, and comes back for the rest. */
static void on_done(void *context, int fd, uint32_t events)
{
    (void)events;
    struct mr_pool *pool = context;
    uint64_t count;
    (void)!read(fd, &count, sizeof count);
    for (unsigned i = 0; i < DONE_A_TURN && finish_one(pool); i++) {
    }
    pthread_mutex_lock(&pool->lock);
    if (!TAILQ_EMPTY(&pool->done)) {
        call(pool);
    }
    pthread_mutex_unlock(&pool->lock);
}

static int start_threads(struct mr_pool *pool, unsigned threads, struct mr_error *error)
{
    pool->threads = calloc(threads, sizeof *pool->threads);
    if (!pool->threads) {
        return mr_error_set(error, "threads %s: out of memory", pool->name);
    }
    for (; pool->thread_count < threads; pool->thread_count++) {
        const int failed = pthread_create(&pool->threads[pool->thread_count], NULL, run, pool);
        if (failed) {
            return mr_error_set(error, "threads %s: %s (processes and threads: see `ulimit -u`)",
                                pool->name, strerror(failed));
        }
    }
    return 0;
}

int mr_pool_open(struct mr_pool **out, struct mr_loop *loop, const char *name, unsigned threads,
                 struct mr_error *error)
{
    MR_ASSERT(strlen(name) <= 12 && threads > 0);
    struct mr_pool *pool = calloc(1, sizeof *pool);
    if (!pool) {
        return mr_error_set(error, "threads %s: out of memory", name);
    }
    pool->loop = loop;
    memcpy(pool->name, name, strlen(name) + 1);
    TAILQ_INIT(&pool->hurried);
    TAILQ_INIT(&pool->waiting);
    TAILQ_INIT(&pool->done);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->changed, NULL);
    pthread_cond_init(&pool->calm, NULL);
    pool->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (pool->done_fd < 0 || mr_loop_fd_add(loop, pool->done_fd, EPOLLIN, on_done, pool) != 0) {
        mr_error_set(error, "threads %s: %s (file descriptors: see `ulimit -n`)", name,
                     strerror(errno));
        mr_pool_close(pool);
        return -1;
    }
    if (start_threads(pool, threads, error) != 0) {
        mr_pool_close(pool);
        return -1;
    }
    *out = pool;
    return 0;
}

void mr_pool_close(struct mr_pool *pool)
{
    if (!pool) {
        return;
    }
    pthread_mutex_lock(&pool->lock);
    pool->closing = true;
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->thread_count; i++) {
        pthread_join(pool->threads[i], NULL);
    }
    while (finish_one(pool)) {
    }
    if (pool->done_fd >= 0) {
        mr_loop_fd_remove(pool->loop, pool->done_fd);
        close(pool->done_fd);
    }
    pthread_cond_destroy(&pool->calm);
    pthread_cond_destroy(&pool->changed);
    pthread_mutex_destroy(&pool->lock);
    free(pool->threads);
    free(pool);
}

static void put_in(struct mr_pool *pool, struct mr_pool_task *task, bool hurries)
{
    pthread_mutex_lock(&pool->lock);
    MR_ASSERT(task->state == MR_POOL_IDLE);
    task->state = MR_POOL_WAITING;
    task->hurries = hurries;
    TAILQ_INSERT_TAIL(hurries ? &pool->hurried : &pool->waiting, task, in_queue);
    pool->waiting_count++;
    pthread_cond_signal(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
}

void mr_pool_run(struct mr_pool *pool, struct mr_pool_task *task)
{
    put_in(pool, task, false);
}

void mr_pool_hurry(struct mr_pool *pool, struct mr_pool_task *task)
{
    put_in(pool, task, true);
}

unsigned mr_pool_waiting(struct mr_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    const unsigned count = pool->waiting_count;
    pthread_mutex_unlock(&pool->lock);
    return count;
}

bool mr_pool_withdraw(struct mr_pool *pool, struct mr_pool_task *task)
{
    pthread_mutex_lock(&pool->lock);
    if (task->state == MR_POOL_WAITING) {
        leave(pool, task);
        task->state = MR_POOL_IDLE;
    }
    const bool idle = task->state == MR_POOL_IDLE;
    pthread_mutex_unlock(&pool->lock);
    return idle;
}

bool mr_pool_recall(struct mr_pool *pool, struct mr_pool_task *task)
{
    if (mr_pool_withdraw(pool, task)) {
        return false;
    }
    pthread_mutex_lock(&pool->lock);
    while (!task->is_back) {
        pthread_cond_wait(&pool->calm, &pool->lock);
    }
    settle(pool, task);
    pthread_mutex_unlock(&pool->lock);
    return true;
}

void mr_pool_pause(struct mr_pool *pool)
{
    if (!pool) {
        return;
    }
    pthread_mutex_lock(&pool->lock);
    MR_ASSERT(!pool->paused);
    pool->paused = true;
    while (pool->running > 0) {
        pthread_cond_wait(&pool->calm, &pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
}

void mr_pool_resume(struct mr_pool *pool)
{
    if (!pool) {
        return;
    }
    pthread_mutex_lock(&pool->lock);
    pool->paused = false;
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
}
