/* dial.h - a TCP connection within a time limit. */
#ifndef MR_TRANSPORT_DIAL_H
#define MR_TRANSPORT_DIAL_H

#include <stdint.h>

#include "base/error.h"

/* CLOCK_MONOTONIC in milliseconds. */
uint64_t mr_monotonic_ms(void);

/* Waits until fd is ready for `events` (poll's) or deadline_ms of mr_monotonic_ms. fd -1: for the
 * deadline alone. wake_fd (0: none) ends the wait as soon as it can be read from. 1 ready, 0 too
 * late, -1 failed (errno; ECANCELED: woken). */
int mr_wait_fd(int fd, short events, uint64_t deadline_ms, int wake_fd);

/* The same, and ready as soon as other_fd can be read from (-1: none). */
int mr_wait_fds(int fd, short events, int other_fd, uint64_t deadline_ms, int wake_fd);

/* Tries each address of the host. Gives a non-blocking socket without Nagle's delay, or a negative
 * enum mr_h2_failure (UNREACHABLE, TIMEOUT). Resolving a name is the system's and may take longer
 * than the deadline. wake_fd as of mr_wait_fd. */
int mr_dial(const char *host, uint16_t port, uint64_t deadline_ms, int wake_fd,
            struct mr_error *error);

#endif
