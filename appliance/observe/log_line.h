/* log_line.h - one line of the log as text: head, then key=value pairs. Pure. */
#ifndef MR_OBSERVE_LOG_LINE_H
#define MR_OBSERVE_LOG_LINE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "appliance/observe/log.h"

/* No longer than what a pipe takes whole (PIPE_BUF): lines of several writers do not mix. */
#define MR_LOG_LINE_MAX 4096

struct mr_log_line {
    char text[MR_LOG_LINE_MAX];
    size_t length; /* leaves room for the newline */
};

/* Time, level and event. With `priority` the line begins as the journal reads it: <3>, <4>, … */
void mr_log_line_begin(struct mr_log_line *line, const struct timespec *now,
                       enum mr_log_level level, bool priority, const char *event);
/* The pairs that the format yields; see mr_log_event. */
void mr_log_line_pairs(struct mr_log_line *line, const char *format, va_list arguments);
/* One more pair. */
void mr_log_line_count(struct mr_log_line *line, const char *key, unsigned long long value);
void mr_log_line_text(struct mr_log_line *line, const char *key, const char *value);
void mr_log_line_end(struct mr_log_line *line);

#endif
