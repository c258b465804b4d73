/* log.h - the operator's log: one logfmt line an event, to stderr.
 *
 *   2026-01-31T12:00:00.123Z info round.open round=7 devices=30
 *
 * Where stderr is systemd's journal (JOURNAL_STREAM), each line begins with its priority: <6>.
 *
 * No call waits for whoever reads the log: lines go through a bounded queue to a thread of the
 * log's own. Lines that find no room, or cannot be written, are lost; they are counted, and
 * `log.lost` stands in their place. Repeats of one event beyond a burst of 10 and 10 a second are
 * suppressed and counted. Thread-safe; never called on the packet path. Values are quoted and
 * escaped where needed. Never log secrets, seeds, or anything computed from a single device's
 * update. */
#ifndef MR_OBSERVE_LOG_H
#define MR_OBSERVE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum mr_log_level {
    MR_LOG_ERROR = 0,
    MR_LOG_WARN = 1,
    MR_LOG_INFO = 2,
    MR_LOG_DEBUG = 3,
};

struct mr_log;
struct mr_metrics;

/* `fd` stays the caller's; it is not made non-blocking. NULL: out of memory. Lines wait until the
 * log is started, or closed. */
struct mr_log *mr_log_open(enum mr_log_level level, int fd);
/* Starts the thread that writes. `settle`, where given, is called on it first, and has returned
 * when this call does: the thread gives up what it needs no more. 0, or -1 (errno). */
int mr_log_start(struct mr_log *log, void (*settle)(void *context), void *context);
/* Waits until all lines so far are written, wait_ms at most. False: they are not. Before the start
 * it is this call that writes, where the descriptor takes lines. */
bool mr_log_flush(struct mr_log *log, unsigned wait_ms);
/* "error", "warn", "info" or "debug"; anything else is MR_LOG_INFO. */
enum mr_log_level mr_log_level_named(const char *name);
/* From the next event on; any thread. A NULL log has none. */
void mr_log_set_level(struct mr_log *log, enum mr_log_level level);
/* Writes what is left; a reader that does not read holds it up for a second. */
void mr_log_close(struct mr_log *log);

/* `event` is dotted lower case ("upload.refused"); `format` yields the key=value pairs: a value
 * reaches up to the next " key=" written in the format, whatever it prints. A NULL log is silent.
 */
void mr_log_event(struct mr_log *log, enum mr_log_level level, const char *event,
                  const char *format, ...) __attribute__((format(printf, 4, 5)));
/* The same for what anybody can cause who reaches a port: after a burst of 10, a line every ten
 * seconds, so that a flood fills no disk. */
void mr_log_strangers(struct mr_log *log, enum mr_log_level level, const char *event,
                      const char *format, ...) __attribute__((format(printf, 4, 5)));

struct mr_log_counts {
    uint64_t lost, suppressed;
};
/* A NULL log has none. */
void mr_log_count(struct mr_log *log, struct mr_log_counts *counts);
/* millrace_log_lines_lost_total and millrace_log_lines_suppressed_total. */
void mr_log_metrics(struct mr_log *log, struct mr_metrics *metrics);

#endif
