/* loop.h - the control thread's event loop: sockets, timers, and calls posted by other threads.
 *
 * One thread runs the loop and everything registered with it. Only mr_loop_post and mr_loop_stop
 * may be called from other threads (or signal handlers, for _stop). */
#ifndef MR_RUNTIME_LOOP_H
#define MR_RUNTIME_LOOP_H

#include <stdint.h>

#include "base/error.h"

struct mr_loop;
struct mr_timer;

/* `events` is an epoll mask (EPOLLIN | EPOLLOUT …). */
typedef void (*mr_loop_fd_fn)(void *context, int fd, uint32_t events);
typedef void (*mr_loop_fn)(void *context);

int mr_loop_open(struct mr_loop **loop, struct mr_error *error);
void mr_loop_close(struct mr_loop *loop);
/* Job threads (job.h) that are opened from now on begin with start(context); NULL: with nothing. */
void mr_loop_on_thread(struct mr_loop *loop, mr_loop_fn start, void *context);
void mr_loop_start_thread(const struct mr_loop *loop); /* on such a thread */

int mr_loop_fd_add(struct mr_loop *loop, int fd, uint32_t events, mr_loop_fd_fn fn, void *context);
int mr_loop_fd_change(struct mr_loop *loop, int fd, uint32_t events);
void mr_loop_fd_remove(struct mr_loop *loop, int fd); /* before close(fd); safe inside callbacks */

/* One-shot timers; re-arming moves them. Times are milliseconds of mr_loop_now_ms (monotonic). */
struct mr_timer *mr_timer_open(struct mr_loop *loop, mr_loop_fn fn, void *context);
void mr_timer_close(struct mr_timer *timer);
void mr_timer_arm(struct mr_timer *timer, uint64_t at_ms);
void mr_timer_disarm(struct mr_timer *timer);
uint64_t mr_loop_now_ms(const struct mr_loop *loop);

/* Runs fn(context) on the loop's thread soon, in posting order per thread. Thread-safe. */
void mr_loop_post(struct mr_loop *loop, mr_loop_fn fn, void *context);

/* Runs until mr_loop_stop. */
void mr_loop_run(struct mr_loop *loop);
void mr_loop_stop(struct mr_loop *loop);

#endif
