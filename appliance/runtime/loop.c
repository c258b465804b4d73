#include "appliance/runtime/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "appliance/runtime/timers.h"
#include "base/assert.h"

#define EVENTS_PER_TURN 64

struct watch {
    mr_loop_fd_fn fn; /* NULL: not watched */
    void *context;
    uint32_t generation; /* tells an event of this watch from one of the fd's earlier owner */
};

struct posted {
    mr_loop_fn fn;
    void *context;
};

struct posts {
    struct posted *calls;
    size_t count;
    size_t capacity;
};

struct mr_loop {
    int epoll_fd;
    int wake_fd; /* eventfd: a call was posted, or stop */
    atomic_bool stop;
    mr_loop_fn thread_start;
    void *thread_context;
    struct watch *watches; /* by fd */
    size_t watch_count;
    struct mr_timers timers;
    pthread_mutex_t posts_lock; /* guards `posts` */
    struct posts posts;
    struct posts running; /* swapped with `posts`; the loop's thread only */
};

int mr_loop_open(struct mr_loop **out, struct mr_error *error)
{
    struct mr_loop *loop = calloc(1, sizeof *loop);
    if (!loop) {
        return mr_error_set(error, "event loop: out of memory");
    }
    pthread_mutex_init(&loop->posts_lock, NULL);
    loop->wake_fd = -1;
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd >= 0) {
        loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    }
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)(uint32_t)loop->wake_fd};
    if (loop->wake_fd < 0 || epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->wake_fd, &event) != 0) {
        mr_error_set(error, "event loop: %s (file descriptors: see `ulimit -n`)", strerror(errno));
        mr_loop_close(loop);
        return -1;
    }
    *out = loop;
    return 0;
}

void mr_loop_close(struct mr_loop *loop)
{
    if (!loop) {
        return;
    }
    if (loop->wake_fd >= 0) {
        close(loop->wake_fd);
    }
    if (loop->epoll_fd >= 0) {
        close(loop->epoll_fd);
    }
    mr_timers_fini(&loop->timers);
    pthread_mutex_destroy(&loop->posts_lock);
    free(loop->posts.calls);
    free(loop->running.calls);
    free(loop->watches);
    free(loop);
}

void mr_loop_on_thread(struct mr_loop *loop, mr_loop_fn start, void *context)
{
    loop->thread_start = start;
    loop->thread_context = context;
}

void mr_loop_start_thread(const struct mr_loop *loop)
{
    if (loop->thread_start) {
        loop->thread_start(loop->thread_context);
    }
}

/* --- file descriptors ------------------------------------------------------------------------ */

static struct epoll_event event_of(const struct mr_loop *loop, int fd, uint32_t events)
{
    const uint64_t generation = loop->watches[fd].generation;
    return (struct epoll_event){.events = events, .data.u64 = generation << 32 | (uint32_t)fd};
}

static int watches_reach(struct mr_loop *loop, size_t count)
{
    if (count <= loop->watch_count) {
        return 0;
    }
    const size_t grown = count < 2 * loop->watch_count ? 2 * loop->watch_count : count;
    struct watch *watches = realloc(loop->watches, grown * sizeof *watches);
    if (!watches) {
        return -1;
    }
    memset(watches + loop->watch_count, 0, (grown - loop->watch_count) * sizeof *watches);
    loop->watches = watches;
    loop->watch_count = grown;
    return 0;
}

int mr_loop_fd_add(struct mr_loop *loop, int fd, uint32_t events, mr_loop_fd_fn fn, void *context)
{
    MR_ASSERT(fd >= 0 && fn);
    if (watches_reach(loop, (size_t)fd + 1) != 0) {
        return -1;
    }
    struct watch *watch = &loop->watches[fd];
    MR_ASSERT(!watch->fn);
    watch->generation++;
    struct epoll_event event = event_of(loop, fd, events);
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        return -1;
    }
    watch->fn = fn;
    watch->context = context;
    return 0;
}

int mr_loop_fd_change(struct mr_loop *loop, int fd, uint32_t events)
{
    MR_ASSERT(fd >= 0 && (size_t)fd < loop->watch_count && loop->watches[fd].fn);
    struct epoll_event event = event_of(loop, fd, events);
    return epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, fd, &event);
}

void mr_loop_fd_remove(struct mr_loop *loop, int fd)
{
    if (fd < 0 || (size_t)fd >= loop->watch_count || !loop->watches[fd].fn) {
        return;
    }
    loop->watches[fd].fn = NULL;
    epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

static void dispatch(struct mr_loop *loop, const struct epoll_event *event)
{
    const int fd = (int)(uint32_t)event->data.u64;
    if (fd == loop->wake_fd) {
        uint64_t count;
        (void)!read(fd, &count, sizeof count); /* empty only if two wakes were merged */
        return;
    }
    const struct watch watch = loop->watches[fd]; /* a copy: the callback may grow the table */
    if (watch.fn && watch.generation == (uint32_t)(event->data.u64 >> 32)) {
        watch.fn(watch.context, fd, event->events);
    }
}

/* --- timers ---------------------------------------------------------------------------------- */

struct mr_timer *mr_timer_open(struct mr_loop *loop, mr_loop_fn fn, void *context)
{
    return mr_timers_add(&loop->timers, fn, context);
}

uint64_t mr_loop_now_ms(const struct mr_loop *loop)
{
    (void)loop;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* --- calls from other threads ---------------------------------------------------------------- */

static void wake(struct mr_loop *loop)
{
    const uint64_t one = 1;
    (void)!write(loop->wake_fd, &one, sizeof one); /* fails only when a wake is pending anyway */
}

void mr_loop_post(struct mr_loop *loop, mr_loop_fn fn, void *context)
{
    pthread_mutex_lock(&loop->posts_lock);
    struct posts *posts = &loop->posts;
    if (posts->count == posts->capacity) {
        posts->capacity = posts->capacity ? 2 * posts->capacity : 64;
        posts->calls = realloc(posts->calls, posts->capacity * sizeof *posts->calls);
        MR_ASSERT(posts->calls); /* a lost call would leave its poster waiting for ever */
    }
    posts->calls[posts->count++] = (struct posted){fn, context};
    const int first = posts->count == 1;
    pthread_mutex_unlock(&loop->posts_lock);
    if (first) {
        wake(loop);
    }
}

static void run_posts(struct mr_loop *loop)
{
    pthread_mutex_lock(&loop->posts_lock);
    const struct posts taken = loop->posts;
    loop->posts = loop->running;
    loop->posts.count = 0;
    pthread_mutex_unlock(&loop->posts_lock);
    loop->running = taken;
    for (size_t i = 0; i < taken.count; i++) {
        taken.calls[i].fn(taken.calls[i].context);
    }
}

void mr_loop_stop(struct mr_loop *loop)
{
    atomic_store(&loop->stop, true);
    wake(loop);
}

void mr_loop_run(struct mr_loop *loop)
{
    struct epoll_event events[EVENTS_PER_TURN];
    while (!atomic_load(&loop->stop)) {
        const int wait_ms = mr_timers_wait_ms(&loop->timers, mr_loop_now_ms(loop));
        const int count = epoll_wait(loop->epoll_fd, events, EVENTS_PER_TURN, wait_ms);
        MR_ASSERT(count >= 0 || errno == EINTR);
        for (int i = 0; i < count; i++) {
            dispatch(loop, &events[i]);
        }
        run_posts(loop);
        mr_timers_run(&loop->timers, mr_loop_now_ms(loop));
    }
    atomic_store(&loop->stop, false); /* the loop may be run again */
}
