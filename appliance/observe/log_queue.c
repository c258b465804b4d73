#include "appliance/observe/log_queue.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "appliance/observe/log_line.h"

#define QUEUE_BYTES ((size_t)256 * 1024)

/* The last quarter is for warnings and errors. */
#define QUEUE_BYTES_INFO (QUEUE_BYTES / 4 * 3)

/* How long a thread that is left behind may go on waiting for a descriptor that is full. */
#define LOOK_MS 100

struct mr_log_queue {
    int fd;
    bool priority;
    pthread_t thread;
    pthread_mutex_t lock;   /* guards what follows */
    pthread_cond_t changed; /* for the thread: a line, or the end */
    pthread_cond_t written; /* from the thread: all is out, or it has ended */
    bool started, settled, closing, ended;
    bool left_behind;    /* nobody waits for the thread any more: it frees the queue */
    bool writing;        /* a line is taken out and not written yet */
    uint64_t head, tail; /* bytes ever taken out and put in; their places are modulo QUEUE_BYTES */
    uint64_t lost;
    uint64_t unsaid; /* of those, not told yet */
    uint64_t gap;    /* the tail when the first of the unsaid was lost */
    int why;         /* errno of the last write that failed; 0: the queue was full */
    bool broken;     /* the last write failed */
    char bytes[QUEUE_BYTES];
};

/* --- the ring, under the lock ------------------------------------------------------------------
 */

static void copy_in(struct mr_log_queue *queue, const void *from, size_t length)
{
    const size_t at = queue->tail % QUEUE_BYTES;
    const size_t first = length < QUEUE_BYTES - at ? length : QUEUE_BYTES - at;
    memcpy(queue->bytes + at, from, first);
    memcpy(queue->bytes, (const char *)from + first, length - first);
    queue->tail += length;
}

static void copy_out(struct mr_log_queue *queue, void *to, size_t length)
{
    const size_t at = queue->head % QUEUE_BYTES;
    const size_t first = length < QUEUE_BYTES - at ? length : QUEUE_BYTES - at;
    memcpy(to, queue->bytes + at, first);
    memcpy((char *)to + first, queue->bytes, length - first);
    queue->head += length;
}

static void lose(struct mr_log_queue *queue, int why)
{
    if (!queue->unsaid) {
        queue->gap = why ? queue->head : queue->tail;
    }
    queue->lost++;
    queue->unsaid++;
    queue->why = why;
}

static bool has_work(const struct mr_log_queue *queue)
{
    return queue->head != queue->tail || (queue->unsaid && !queue->broken);
}

static bool is_empty(const struct mr_log_queue *queue)
{
    return queue->head == queue->tail && !queue->writing;
}

/* --- the thread --------------------------------------------------------------------------------
 */

static bool is_left_behind(struct mr_log_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    const bool left_behind = queue->left_behind;
    pthread_mutex_unlock(&queue->lock);
    return left_behind;
}

/* 0 or an errno. A descriptor that somebody else made non-blocking is waited for here. */
static int write_all(struct mr_log_queue *queue, const char *text, size_t length)
{
    while (length > 0) {
        const ssize_t n = write(queue->fd, text, length);
        if (n > 0) {
            text += n;
            length -= (size_t)n;
        } else if (n == 0) {
            return EIO;
        } else if (errno == EAGAIN) {
            struct pollfd ready = {.fd = queue->fd, .events = POLLOUT};
            (void)poll(&ready, 1, LOOK_MS);
            if (is_left_behind(queue)) {
                return EAGAIN;
            }
        } else if (errno != EINTR) {
            return errno;
        }
    }
    return 0;
}

/* Takes the lock's place for the time of the write. */
static int write_unlocked(struct mr_log_queue *queue, const struct mr_log_line *line)
{
    queue->writing = true;
    pthread_mutex_unlock(&queue->lock);
    const int problem = write_all(queue, line->text, line->length);
    pthread_mutex_lock(&queue->lock);
    queue->writing = false;
    queue->broken = problem != 0;
    return problem;
}

/* Where lines are missing, how many. */
static void write_gap(struct mr_log_queue *queue)
{
    struct mr_log_line line;
    struct timespec now;
    const uint64_t count = queue->unsaid;
    clock_gettime(CLOCK_REALTIME, &now);
    mr_log_line_begin(&line, &now, MR_LOG_WARN, queue->priority, "log.lost");
    mr_log_line_count(&line, "lines", count);
    mr_log_line_text(&line, "why",
                     queue->why ? strerror(queue->why) : "standard error was not read in time");
    mr_log_line_end(&line);
    if (write_unlocked(queue, &line) == 0) {
        queue->unsaid -= count;
        queue->gap = queue->tail; /* of those that were lost meanwhile */
    }
}

static void write_next(struct mr_log_queue *queue)
{
    struct mr_log_line line;
    uint16_t length;
    copy_out(queue, &length, sizeof length);
    copy_out(queue, line.text, length);
    line.length = length;
    const int problem = write_unlocked(queue, &line);
    if (problem) {
        lose(queue, problem);
    }
}

/* True when there is something to write, false at the end. */
static bool wait_for_work(struct mr_log_queue *queue)
{
    for (;;) {
        if (queue->left_behind) {
            return false;
        }
        if (has_work(queue)) {
            return true;
        }
        pthread_cond_broadcast(&queue->written);
        if (queue->closing) {
            return false;
        }
        pthread_cond_wait(&queue->changed, &queue->lock);
    }
}

static void destroy(struct mr_log_queue *queue)
{
    pthread_cond_destroy(&queue->written);
    pthread_cond_destroy(&queue->changed);
    pthread_mutex_destroy(&queue->lock);
    free(queue);
}

static void write_one(struct mr_log_queue *queue)
{
    if (queue->unsaid && queue->head >= queue->gap) {
        write_gap(queue);
    }
    if (queue->head != queue->tail && !queue->left_behind) {
        write_next(queue);
    }
}

static void work(struct mr_log_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    while (wait_for_work(queue)) {
        write_one(queue);
    }
    queue->ended = true;
    const bool left_behind = queue->left_behind;
    pthread_cond_broadcast(&queue->written);
    pthread_mutex_unlock(&queue->lock);
    if (left_behind) {
        destroy(queue);
    }
}

struct start {
    struct mr_log_queue *queue;
    void (*settle)(void *context);
    void *context;
};

static void *run(void *argument)
{
    struct start *start = argument;
    struct mr_log_queue *queue = start->queue;
    sigset_t gone; /* a reader that went away is an error of the write */
    sigemptyset(&gone);
    sigaddset(&gone, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &gone, NULL);
    pthread_setname_np(pthread_self(), "log");
    if (start->settle) {
        start->settle(start->context);
    }
    free(start);
    pthread_mutex_lock(&queue->lock);
    queue->settled = true;
    pthread_cond_broadcast(&queue->written);
    pthread_mutex_unlock(&queue->lock);
    work(queue);
    return NULL;
}

/* --- for everybody -----------------------------------------------------------------------------
 */

static int init_conditions(struct mr_log_queue *queue)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    const int failed = pthread_cond_init(&queue->written, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return failed ? failed : pthread_cond_init(&queue->changed, NULL);
}

struct mr_log_queue *mr_log_queue_open(int fd, bool priority)
{
    struct mr_log_queue *queue = calloc(1, sizeof *queue);
    if (!queue) {
        return NULL;
    }
    queue->fd = fd;
    queue->priority = priority;
    if (pthread_mutex_init(&queue->lock, NULL) != 0 || init_conditions(queue) != 0) {
        free(queue);
        return NULL;
    }
    return queue;
}

int mr_log_queue_start(struct mr_log_queue *queue, void (*settle)(void *context), void *context)
{
    struct start *start = malloc(sizeof *start);
    if (!start) {
        errno = ENOMEM;
        return -1;
    }
    *start = (struct start){queue, settle, context};
    const int failed = pthread_create(&queue->thread, NULL, run, start);
    if (failed) {
        free(start);
        errno = failed;
        return -1;
    }
    pthread_mutex_lock(&queue->lock);
    queue->started = true;
    while (!queue->settled) { /* the context is the caller's */
        pthread_cond_wait(&queue->written, &queue->lock);
    }
    pthread_mutex_unlock(&queue->lock);
    return 0;
}

bool mr_log_queue_put(struct mr_log_queue *queue, enum mr_log_level level, const char *line,
                      size_t length)
{
    const size_t room = level <= MR_LOG_WARN ? QUEUE_BYTES : QUEUE_BYTES_INFO;
    const uint16_t head = (uint16_t)length;
    pthread_mutex_lock(&queue->lock);
    const bool fits = queue->tail - queue->head + sizeof head + length <= room;
    if (fits) {
        copy_in(queue, &head, sizeof head);
        copy_in(queue, line, length);
        pthread_cond_signal(&queue->changed);
    } else {
        lose(queue, 0);
    }
    pthread_mutex_unlock(&queue->lock);
    return fits;
}

static struct timespec from_now(unsigned wait_ms)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += wait_ms / 1000;
    at.tv_nsec += (long)(wait_ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

/* Without the thread: as much as the descriptor takes. */
static void drain(struct mr_log_queue *queue, unsigned wait_ms)
{
    struct pollfd ready = {.fd = queue->fd, .events = POLLOUT};
    pthread_mutex_lock(&queue->lock);
    while (has_work(queue) && poll(&ready, 1, (int)wait_ms) == 1) {
        write_one(queue);
    }
    pthread_mutex_unlock(&queue->lock);
}

bool mr_log_queue_flush(struct mr_log_queue *queue, unsigned wait_ms)
{
    const struct timespec until = from_now(wait_ms);
    int waited = 0;
    if (!queue->started) {
        drain(queue, wait_ms);
    }
    pthread_mutex_lock(&queue->lock);
    while (!is_empty(queue) && queue->started && waited == 0) {
        waited = pthread_cond_timedwait(&queue->written, &queue->lock, &until);
    }
    const bool empty = is_empty(queue);
    pthread_mutex_unlock(&queue->lock);
    return empty;
}

void mr_log_queue_close(struct mr_log_queue *queue, unsigned wait_ms)
{
    if (!queue->started) {
        drain(queue, wait_ms);
        destroy(queue);
        return;
    }
    const struct timespec until = from_now(wait_ms);
    int waited = 0;
    pthread_mutex_lock(&queue->lock);
    queue->closing = true;
    pthread_cond_signal(&queue->changed);
    while (!queue->ended && waited == 0) {
        waited = pthread_cond_timedwait(&queue->written, &queue->lock, &until);
    }
    queue->left_behind = !queue->ended;
    const bool ended = queue->ended;
    const pthread_t thread = queue->thread;
    pthread_mutex_unlock(&queue->lock);
    if (ended) {
        pthread_join(thread, NULL);
        destroy(queue);
    } else {
        pthread_detach(thread);
    }
}

uint64_t mr_log_queue_lost(struct mr_log_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    const uint64_t lost = queue->lost;
    pthread_mutex_unlock(&queue->lock);
    return lost;
}
