/* log_queue.h - lines on their way out: a bounded queue, and one thread that writes.
 *
 * Whoever reads the other end may be slow, stopped or gone; that holds up the writing thread alone.
 * A line that finds no room is lost, and a line in its place says how many were. Why a thread, and
 * not O_NONBLOCK: docs/decisions/0029. */
#ifndef MR_OBSERVE_LOG_QUEUE_H
#define MR_OBSERVE_LOG_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "appliance/observe/log.h"

struct mr_log_queue;

/* The descriptor stays the caller's, its flags untouched. NULL: out of memory. Lines wait until
 * _start. */
struct mr_log_queue *mr_log_queue_open(int fd, bool priority);

/* Starts the thread; `settle`, where given, is called on it first, and has returned when this call
 * does. 0, or -1 (errno). */
int mr_log_queue_start(struct mr_log_queue *queue, void (*settle)(void *context), void *context);

/* Any thread; never waits for the descriptor. False: there was no room, the line is lost. */
bool mr_log_queue_put(struct mr_log_queue *queue, enum mr_log_level level, const char *line,
                      size_t length);

/* Waits until all is written, wait_ms at most; before _start the caller writes. False: it is not
 * written. */
bool mr_log_queue_flush(struct mr_log_queue *queue, unsigned wait_ms);

/* Writes what is left, wait_ms at most. A thread that hangs in its write is left behind with the
 * queue, and ends when that write does. */
void mr_log_queue_close(struct mr_log_queue *queue, unsigned wait_ms);

/* Lines that were never written, since the start. */
uint64_t mr_log_queue_lost(struct mr_log_queue *queue);

#endif
