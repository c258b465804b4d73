#include "appliance/observe/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "appliance/observe/log_line.h"
#include "appliance/observe/log_queue.h"

#define EVENTS_REMEMBERED 128
#define EVENT_NAME_MAX    48

/* An event has so many lines at once, then one in each of these times. */
#define BURST_LINES  10u
#define LINE_MS      100u
#define STRANGERS_MS 10000u

/* The end waits no longer for whoever reads the log. */
#define LAST_LINES_MS 1000u

struct repeat {
    char event[EVENT_NAME_MAX];
    uint64_t since_ms;   /* when credit_ms was reckoned */
    uint64_t credit_ms;  /* of time that lines may take */
    uint64_t suppressed; /* since the last line of this event */
};

struct mr_log {
    _Atomic enum mr_log_level level;
    bool priority;
    struct mr_log_queue *queue;
    pthread_mutex_t lock; /* guards what follows */
    struct repeat repeats[EVENTS_REMEMBERED];
    uint64_t suppressed;
};

/* --- repeats --------------------------------------------------------------------------------- */

static struct repeat *repeat_of(struct mr_log *log, const char *event, uint64_t now_ms,
                                unsigned line_ms)
{
    struct repeat *oldest = &log->repeats[0];
    for (size_t i = 0; i < EVENTS_REMEMBERED; i++) {
        struct repeat *repeat = &log->repeats[i];
        if (strncmp(repeat->event, event, EVENT_NAME_MAX - 1) == 0) {
            return repeat;
        }
        if (repeat->since_ms < oldest->since_ms) {
            oldest = repeat;
        }
    }
    *oldest = (struct repeat){.since_ms = now_ms, .credit_ms = BURST_LINES * line_ms};
    snprintf(oldest->event, sizeof oldest->event, "%s", event);
    return oldest;
}

/* False when the line is one too many; else *suppressed tells how many were, before it. */
static bool may_print(struct mr_log *log, const char *event, unsigned line_ms, uint64_t *suppressed)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    const uint64_t now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    const uint64_t most = BURST_LINES * line_ms;
    *suppressed = 0;
    pthread_mutex_lock(&log->lock);
    struct repeat *repeat = repeat_of(log, event, now_ms, line_ms);
    repeat->credit_ms += now_ms > repeat->since_ms ? now_ms - repeat->since_ms : 0;
    repeat->credit_ms = repeat->credit_ms < most ? repeat->credit_ms : most;
    repeat->since_ms = now_ms;
    const bool may = repeat->credit_ms >= line_ms;
    if (may) {
        repeat->credit_ms -= line_ms;
        *suppressed = repeat->suppressed;
        repeat->suppressed = 0;
    } else {
        repeat->suppressed++;
        log->suppressed++;
    }
    pthread_mutex_unlock(&log->lock);
    return may;
}

/* --- opening and closing --------------------------------------------------------------------- */

/* systemd says in JOURNAL_STREAM which device and inode its journal reads (systemd.exec(5)). */
static bool is_journal(int fd)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat about;
    return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(fd, &about) == 0 &&
           about.st_dev == device && about.st_ino == inode;
}

struct mr_log *mr_log_open(enum mr_log_level level, int fd)
{
    struct mr_log *log = calloc(1, sizeof *log);
    if (!log) {
        return NULL;
    }
    log->level = level;
    log->priority = is_journal(fd);
    log->queue = mr_log_queue_open(fd, log->priority);
    if (!log->queue) {
        free(log);
        return NULL;
    }
    pthread_mutex_init(&log->lock, NULL);
    return log;
}

int mr_log_start(struct mr_log *log, void (*settle)(void *context), void *context)
{
    return mr_log_queue_start(log->queue, settle, context);
}

bool mr_log_flush(struct mr_log *log, unsigned wait_ms)
{
    return mr_log_queue_flush(log->queue, wait_ms);
}

static void put_line(struct mr_log *log, enum mr_log_level level, struct mr_log_line *line)
{
    mr_log_line_end(line);
    (void)mr_log_queue_put(log->queue, level, line->text, line->length); /* it counts */
}

void mr_log_close(struct mr_log *log)
{
    if (!log) {
        return;
    }
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    for (size_t i = 0; i < EVENTS_REMEMBERED; i++) {
        const struct repeat *repeat = &log->repeats[i];
        if (repeat->suppressed) {
            struct mr_log_line line;
            mr_log_line_begin(&line, &now, MR_LOG_INFO, log->priority, repeat->event);
            mr_log_line_count(&line, "suppressed", repeat->suppressed);
            put_line(log, MR_LOG_INFO, &line);
        }
    }
    mr_log_queue_close(log->queue, LAST_LINES_MS);
    pthread_mutex_destroy(&log->lock);
    free(log);
}

void mr_log_set_level(struct mr_log *log, enum mr_log_level level)
{
    if (log) {
        log->level = level;
    }
}

/* --- events ---------------------------------------------------------------------------------- */

__attribute__((format(printf, 5, 0))) static void print(struct mr_log *log, enum mr_log_level level,
                                                        const char *event, unsigned line_ms,
                                                        const char *format, va_list arguments)
{
    struct mr_log_line line;
    struct timespec now;
    uint64_t suppressed;
    if (!log || level > log->level || !may_print(log, event, line_ms, &suppressed)) {
        return;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    mr_log_line_begin(&line, &now, level, log->priority, event);
    mr_log_line_pairs(&line, format, arguments);
    if (suppressed) {
        mr_log_line_count(&line, "suppressed", suppressed);
    }
    put_line(log, level, &line);
}

void mr_log_event(struct mr_log *log, enum mr_log_level level, const char *event,
                  const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print(log, level, event, LINE_MS, format, arguments);
    va_end(arguments);
}

void mr_log_strangers(struct mr_log *log, enum mr_log_level level, const char *event,
                      const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print(log, level, event, STRANGERS_MS, format, arguments);
    va_end(arguments);
}

void mr_log_count(struct mr_log *log, struct mr_log_counts *counts)
{
    *counts = (struct mr_log_counts){.lost = 0};
    if (log) {
        counts->lost = mr_log_queue_lost(log->queue);
        pthread_mutex_lock(&log->lock);
        counts->suppressed = log->suppressed;
        pthread_mutex_unlock(&log->lock);
    }
}
