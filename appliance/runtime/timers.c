#include "appliance/runtime/timers.h"

#include <limits.h>
#include <stdlib.h>

#include "base/assert.h"

#define UNARMED SIZE_MAX

struct mr_timer {
    struct mr_timers *timers;
    mr_loop_fn fn;
    void *context;
    uint64_t at_ms;
    uint64_t sequence;
    size_t index; /* in the heap, or UNARMED */
};

static int before(const struct mr_timer *a, const struct mr_timer *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->sequence < b->sequence;
}

static void place(struct mr_timers *timers, struct mr_timer *timer, size_t index)
{
    timers->heap[index] = timer;
    timer->index = index;
}

static void sift_up(struct mr_timers *timers, struct mr_timer *timer, size_t index)
{
    while (index > 0 && before(timer, timers->heap[(index - 1) / 2])) {
        place(timers, timers->heap[(index - 1) / 2], index);
        index = (index - 1) / 2;
    }
    place(timers, timer, index);
}

static void sift_down(struct mr_timers *timers, struct mr_timer *timer, size_t index)
{
    for (;;) {
        size_t child = 2 * index + 1;
        if (child >= timers->count) {
            break;
        }
        if (child + 1 < timers->count && before(timers->heap[child + 1], timers->heap[child])) {
            child++;
        }
        if (!before(timers->heap[child], timer)) {
            break;
        }
        place(timers, timers->heap[child], index);
        index = child;
    }
    place(timers, timer, index);
}

struct mr_timer *mr_timers_add(struct mr_timers *timers, mr_loop_fn fn, void *context)
{
    if (timers->open == timers->capacity) {
        const size_t capacity = timers->capacity ? 2 * timers->capacity : 16;
        struct mr_timer **heap = realloc(timers->heap, capacity * sizeof *heap);
        if (!heap) {
            return NULL;
        }
        timers->heap = heap;
        timers->capacity = capacity;
    }
    struct mr_timer *timer = calloc(1, sizeof *timer);
    if (!timer) {
        return NULL;
    }
    timer->timers = timers;
    timer->fn = fn;
    timer->context = context;
    timer->index = UNARMED;
    timers->open++;
    return timer;
}

void mr_timer_close(struct mr_timer *timer)
{
    if (!timer) {
        return;
    }
    mr_timer_disarm(timer);
    timer->timers->open--;
    free(timer);
}

void mr_timer_arm(struct mr_timer *timer, uint64_t at_ms)
{
    struct mr_timers *timers = timer->timers;
    mr_timer_disarm(timer);
    timer->at_ms = at_ms > timers->now_ms ? at_ms : timers->now_ms;
    timer->sequence = ++timers->sequence;
    sift_up(timers, timer, timers->count++);
}

void mr_timer_disarm(struct mr_timer *timer)
{
    struct mr_timers *timers = timer->timers;
    const size_t hole = timer->index;
    if (hole == UNARMED) {
        return;
    }
    timer->index = UNARMED;
    struct mr_timer *last = timers->heap[--timers->count];
    if (last == timer) {
        return;
    }
    /* The last one may belong above or below the hole it fills. */
    sift_down(timers, last, hole);
    sift_up(timers, last, last->index);
}

void mr_timers_run(struct mr_timers *timers, uint64_t now_ms)
{
    /* A timer that re-arms itself for "now" waits for the next pass, or sockets would starve. */
    const uint64_t newest = timers->sequence;
    timers->now_ms = now_ms;
    while (timers->count > 0) {
        struct mr_timer *timer = timers->heap[0];
        if (timer->at_ms > now_ms || timer->sequence > newest) {
            break;
        }
        mr_timer_disarm(timer);
        timer->fn(timer->context); /* may close the timer */
    }
}

int mr_timers_wait_ms(const struct mr_timers *timers, uint64_t now_ms)
{
    if (timers->count == 0) {
        return -1;
    }
    const uint64_t at_ms = timers->heap[0]->at_ms;
    if (at_ms <= now_ms) {
        return 0;
    }
    return at_ms - now_ms > INT_MAX ? INT_MAX : (int)(at_ms - now_ms);
}

void mr_timers_fini(struct mr_timers *timers)
{
    MR_ASSERT(timers->open == 0);
    free(timers->heap);
}
