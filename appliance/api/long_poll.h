/* long_poll.h - requests that are kept until there is news or their time is up (long polls).
 *
 * Each waits with a function that looks whether it can be answered now. News wake them all, once,
 * in the loop's next turn however often it is called. Loop's thread only. */
#ifndef MR_API_LONG_POLL_H
#define MR_API_LONG_POLL_H

#include <stdbool.h>
#include <stdint.h>

#include "appliance/http/server.h"
#include "appliance/runtime/loop.h"

#define MR_WAIT_MS_MAX 30000u

struct mr_long_polls;

/* Answers the request and returns true, or leaves it alone and returns false. With `expired` it
 * must answer. */
typedef bool (*mr_long_poll_fn)(void *context, struct mr_request *request, bool expired);

struct mr_long_polls *mr_long_polls_open(struct mr_loop *loop,
                                         void *context); /* NULL: out of memory */
/* Refuses all that wait; nobody waits from now on but for new requests. */
void mr_long_polls_refuse(struct mr_long_polls *polls, enum mr_refusal_code code, const char *text);
/* Answers what still waits, as expired. */
void mr_long_polls_close(struct mr_long_polls *polls);

/* Tries at once, and keeps the request for up to its query's wait_ms if it cannot be answered. */
void mr_long_poll_try(struct mr_long_polls *polls, struct mr_request *request, mr_long_poll_fn fn);
void mr_long_polls_wake(struct mr_long_polls *polls);

#endif
