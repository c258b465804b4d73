#include "appliance/observe/log.h"

#include <ctype.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FORMAT_MAX        512
#define TEXT_MAX          2048
#define LINE_MAX_BYTES    4096
#define EVENTS_REMEMBERED 64
#define EVENT_NAME_MAX    48
#define REPEATS_A_SECOND  10

/* Put around each value before printing, so that values are found again whatever they contain. */
#define MARK '\x1e'

struct repeat {
    char event[EVENT_NAME_MAX];
    uint64_t second;
    unsigned count;      /* in this second */
    uint64_t suppressed; /* since the last line of this event */
};

struct mr_log {
    _Atomic enum mr_log_level level;
    int fd;
    pthread_mutex_t lock; /* guards repeats */
    struct repeat repeats[EVENTS_REMEMBERED];
};

static const char *const level_names[] = {"error", "warn", "info", "debug"};

struct line {
    char text[LINE_MAX_BYTES];
    size_t length; /* leaves room for the newline */
};

static void put(struct line *line, char c)
{
    if (line->length < sizeof line->text - 1) {
        line->text[line->length++] = c;
    }
}

static void put_text(struct line *line, const char *text)
{
    while (*text) {
        put(line, *text++);
    }
}

/* --- values ---------------------------------------------------------------------------------- */

static bool is_key_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

/* Length of "key=" at text, or 0. */
static size_t key_length(const char *text)
{
    size_t n = 0;
    while (is_key_char(text[n])) {
        n++;
    }
    return n > 0 && text[n] == '=' ? n + 1 : 0;
}

/* Copies the format with marks around each value; a value reaches up to the next " key=" of the
 * format (not of the printed text, which may hold anything). Returns the number of marks. */
static unsigned mark_values(char *out, size_t size, const char *format)
{
    unsigned marks = 0;
    size_t n = 0;
    bool start = true;
    while (*format && n + 64 < size) {
        const size_t key = start || *format == ' ' ? key_length(format + !start) : 0;
        if (start && key == 0) {
            n += (size_t)snprintf(out + n, size - n, "message=%c", MARK);
            marks++;
        } else if (key > 0 && key < 48) {
            if (!start) {
                out[n++] = MARK;
                marks++;
            }
            memcpy(out + n, format, key + !start);
            n += key + !start;
            format += key + !start;
            out[n++] = MARK;
            marks++;
        } else {
            out[n++] = *format++;
        }
        start = false;
    }
    if (marks) {
        out[n++] = MARK;
        marks++;
    }
    out[n] = '\0';
    return marks;
}

static void put_value(struct line *line, const char *value, size_t length)
{
    bool plain = length > 0;
    for (size_t i = 0; i < length; i++) {
        plain = plain && value[i] > ' ' && value[i] < 0x7f && !strchr("\"\\=", value[i]);
    }
    if (plain) {
        for (size_t i = 0; i < length; i++) {
            put(line, value[i]);
        }
        return;
    }
    put(line, '"');
    for (size_t i = 0; i < length; i++) {
        const unsigned char c = (unsigned char)value[i];
        if (c == '"' || c == '\\') {
            put(line, '\\');
            put(line, (char)c);
        } else if (c == '\n') {
            put_text(line, "\\n");
        } else if (c < ' ' || c >= 0x7f) {
            char escape[8];
            snprintf(escape, sizeof escape, "\\x%02x", c);
            put_text(line, escape);
        } else {
            put(line, (char)c);
        }
    }
    put(line, '"');
}

static void put_pairs(struct line *line, char *text, unsigned marks)
{
    unsigned found = 0;
    for (const char *at = text; *at; at++) {
        found += *at == MARK;
    }
    if (found != marks) { /* a value holds a mark, or the text was cut: one value, all of it */
        put_text(line, "message=");
        put_value(line, text, strlen(text));
        return;
    }
    for (char *at = text; *at;) {
        char *open = strchr(at, MARK);
        if (!open) {
            break;
        }
        *open = '\0';
        put_text(line, at);
        char *close = strchr(open + 1, MARK);
        if (!close) {
            break;
        }
        put_value(line, open + 1, (size_t)(close - open - 1));
        at = close + 1;
    }
}

/* --- repeats --------------------------------------------------------------------------------- */

static struct repeat *repeat_of(struct mr_log *log, const char *event, uint64_t second)
{
    struct repeat *oldest = &log->repeats[0];
    for (size_t i = 0; i < EVENTS_REMEMBERED; i++) {
        struct repeat *repeat = &log->repeats[i];
        if (strncmp(repeat->event, event, EVENT_NAME_MAX - 1) == 0) {
            return repeat;
        }
        if (repeat->second < oldest->second) {
            oldest = repeat;
        }
    }
    *oldest = (struct repeat){.second = second};
    snprintf(oldest->event, sizeof oldest->event, "%s", event);
    return oldest;
}

/* False when the line is one too many; else *suppressed tells how many were, before it. */
static bool may_print(struct mr_log *log, const char *event, uint64_t second, uint64_t *suppressed)
{
    bool may = true;
    *suppressed = 0;
    pthread_mutex_lock(&log->lock);
    struct repeat *repeat = repeat_of(log, event, second);
    if (repeat->second != second) {
        repeat->second = second;
        repeat->count = 0;
    }
    if (++repeat->count > REPEATS_A_SECOND) {
        repeat->suppressed++;
        may = false;
    } else {
        *suppressed = repeat->suppressed;
        repeat->suppressed = 0;
    }
    pthread_mutex_unlock(&log->lock);
    return may;
}

/* --- lines ----------------------------------------------------------------------------------- */

static void put_head(struct line *line, const struct timespec *now, enum mr_log_level level,
                     const char *event)
{
    char head[64];
    struct tm tm;
    gmtime_r(&now->tv_sec, &tm);
    strftime(head, sizeof head, "%Y-%m-%dT%H:%M:%S", &tm);
    put_text(line, head);
    snprintf(head, sizeof head, ".%03dZ %s ", (int)(now->tv_nsec / 1000000), level_names[level]);
    put_text(line, head);
    put_text(line, event);
}

static void write_line(const struct mr_log *log, struct line *line)
{
    line->text[line->length++] = '\n';
    (void)!write(log->fd, line->text, line->length); /* nobody is left to tell of a failure */
}

static void put_suppressed(struct line *line, uint64_t suppressed)
{
    char text[40];
    snprintf(text, sizeof text, " suppressed=%llu", (unsigned long long)suppressed);
    put_text(line, text);
}

struct mr_log *mr_log_open(enum mr_log_level level, int fd)
{
    struct mr_log *log = calloc(1, sizeof *log);
    if (log) {
        log->level = level;
        log->fd = fd;
        pthread_mutex_init(&log->lock, NULL);
    }
    return log;
}

void mr_log_close(struct mr_log *log)
{
    if (!log) {
        return;
    }
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    for (size_t i = 0; i < EVENTS_REMEMBERED; i++) {
        if (log->repeats[i].suppressed) {
            struct line line = {.length = 0};
            put_head(&line, &now, MR_LOG_INFO, log->repeats[i].event);
            put_suppressed(&line, log->repeats[i].suppressed);
            write_line(log, &line);
        }
    }
    pthread_mutex_destroy(&log->lock);
    free(log);
}

enum mr_log_level mr_log_level_named(const char *name)
{
    for (unsigned i = 0; i < sizeof level_names / sizeof *level_names; i++) {
        if (strcmp(name, level_names[i]) == 0) {
            return (enum mr_log_level)i;
        }
    }
    return MR_LOG_INFO;
}

void mr_log_set_level(struct mr_log *log, enum mr_log_level level)
{
    if (log) {
        log->level = level;
    }
}

void mr_log_event(struct mr_log *log, enum mr_log_level level, const char *event,
                  const char *format, ...)
{
    if (!log || level > log->level) {
        return;
    }
    struct timespec now;
    uint64_t suppressed;
    clock_gettime(CLOCK_REALTIME, &now);
    if (!may_print(log, event, (uint64_t)now.tv_sec, &suppressed)) {
        return;
    }
    char marked[FORMAT_MAX], text[TEXT_MAX];
    const unsigned marks = mark_values(marked, sizeof marked, format);
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, marked, args);
    va_end(args);

    struct line line = {.length = 0};
    put_head(&line, &now, level, event);
    if (*text) {
        put(&line, ' ');
        put_pairs(&line, text, marks);
    }
    if (suppressed) {
        put_suppressed(&line, suppressed);
    }
    write_line(log, &line);
}
