/* timers.h - the loop's one-shot timers: a binary heap ordered by time, then by order of arming.
 * Inside appliance/runtime only; everybody else sees mr_timer_* in loop.h. */
#ifndef MR_RUNTIME_TIMERS_H
#define MR_RUNTIME_TIMERS_H

#include <stddef.h>
#include <stdint.h>

#include "appliance/runtime/loop.h"

struct mr_timers {
    struct mr_timer **heap;
    size_t count;      /* armed */
    size_t capacity;   /* room in heap: always at least `open`, so arming never allocates */
    size_t open;       /* timers that exist */
    uint64_t sequence; /* of the last arming */
    uint64_t
        now_ms; /* of the last run: nothing is armed for earlier, so that what waits comes first */
};

void mr_timers_fini(struct mr_timers *timers); /* every timer must have been closed */
struct mr_timer *mr_timers_add(struct mr_timers *timers, mr_loop_fn fn, void *context);
/* Runs what is due at now_ms and was armed before this call, in order. */
void mr_timers_run(struct mr_timers *timers, uint64_t now_ms);
/* Milliseconds until the first is due, at most INT_MAX; -1 for none. */
int mr_timers_wait_ms(const struct mr_timers *timers, uint64_t now_ms);

#endif
