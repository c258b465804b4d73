/* log.h - the operator's log: one logfmt line an event, to stderr.
 *
 *   2026-01-31T12:00:00.123Z info round.open round=7 devices=30
 *
 * Never called on the packet path. Thread-safe. Repeats of one event beyond 10 a second are
 * suppressed and counted. Values are quoted and escaped where needed. Never log secrets, seeds, or
 * anything computed from a single device's update. */
#ifndef MR_OBSERVE_LOG_H
#define MR_OBSERVE_LOG_H

enum mr_log_level {
    MR_LOG_ERROR = 0,
    MR_LOG_WARN = 1,
    MR_LOG_INFO = 2,
    MR_LOG_DEBUG = 3,
};

struct mr_log;

struct mr_log *mr_log_open(enum mr_log_level level, int fd);
/* "error", "warn", "info" or "debug"; anything else is MR_LOG_INFO. */
enum mr_log_level mr_log_level_named(const char *name);
/* From the next event on; any thread. A NULL log has none. */
void mr_log_set_level(struct mr_log *log, enum mr_log_level level);
void mr_log_close(struct mr_log *log);

/* `event` is dotted lower case ("upload.refused"); `format` yields the key=value pairs: a value
 * reaches up to the next " key=" written in the format, whatever it prints. A NULL log is silent.
 */
void mr_log_event(struct mr_log *log, enum mr_log_level level, const char *event,
                  const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
