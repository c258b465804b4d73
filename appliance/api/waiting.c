#include "appliance/api/waiting.h"

#include <stdlib.h>

#include "base/assert.h"

struct waiter {
    struct mr_request *request;
    mr_waiting_fn fn;
    uint64_t until_ms;
};

struct mr_waiting {
    struct mr_loop *loop;
    void *context;
    struct mr_timer *timer; /* the next sweep: news, or somebody's time is up */
    struct waiter *list;
    size_t count, capacity;
    uint64_t due_ms; /* when the timer is armed for; UINT64_MAX: it is not */
};

/* The earliest of all times asked for. */
static void arm(struct mr_waiting *waiting, uint64_t at_ms)
{
    if (at_ms < waiting->due_ms) {
        waiting->due_ms = at_ms;
        mr_timer_arm(waiting->timer, at_ms);
    }
}

/* Asks everyone; those that are answered leave. */
static void sweep(void *context)
{
    struct mr_waiting *waiting = context;
    const uint64_t now_ms = mr_loop_now_ms(waiting->loop);
    uint64_t due_ms = UINT64_MAX;
    size_t kept = 0;
    waiting->due_ms = UINT64_MAX;
    for (size_t i = 0; i < waiting->count; i++) {
        struct waiter *waiter = &waiting->list[i];
        if (waiter->fn(waiting->context, waiter->request, now_ms >= waiter->until_ms)) {
            continue;
        }
        due_ms = waiter->until_ms < due_ms ? waiter->until_ms : due_ms;
        waiting->list[kept++] = *waiter;
    }
    waiting->count = kept;
    arm(waiting, due_ms);
}

struct mr_waiting *mr_waiting_open(struct mr_loop *loop, void *context)
{
    struct mr_waiting *waiting = calloc(1, sizeof *waiting);
    if (!waiting) {
        return NULL;
    }
    waiting->loop = loop;
    waiting->context = context;
    waiting->due_ms = UINT64_MAX;
    waiting->timer = mr_timer_open(loop, sweep, waiting);
    if (!waiting->timer) {
        free(waiting);
        return NULL;
    }
    return waiting;
}

void mr_waiting_close(struct mr_waiting *waiting)
{
    if (!waiting) {
        return;
    }
    for (size_t i = 0; i < waiting->count; i++) {
        MR_ASSERT(waiting->list[i].fn(waiting->context, waiting->list[i].request, true));
    }
    mr_timer_close(waiting->timer);
    free(waiting->list);
    free(waiting);
}

static void keep(struct mr_waiting *waiting, const struct waiter *waiter)
{
    if (waiting->count == waiting->capacity) {
        const size_t capacity = waiting->capacity ? 2 * waiting->capacity : 64;
        struct waiter *list = realloc(waiting->list, capacity * sizeof *list);
        if (!list) {
            MR_ASSERT(waiter->fn(waiting->context, waiter->request, true));
            return;
        }
        waiting->list = list;
        waiting->capacity = capacity;
    }
    waiting->list[waiting->count++] = *waiter;
    arm(waiting, waiter->until_ms);
}

void mr_waiting_try(struct mr_waiting *waiting, struct mr_request *request, mr_waiting_fn fn)
{
    uint64_t wait_ms = mr_request_query(request, "wait_ms", 0);
    wait_ms = wait_ms < MR_WAIT_MS_MAX ? wait_ms : MR_WAIT_MS_MAX;
    if (!fn(waiting->context, request, wait_ms == 0)) {
        const struct waiter waiter = {request, fn, mr_loop_now_ms(waiting->loop) + wait_ms};
        keep(waiting, &waiter);
    }
}

void mr_waiting_wake(struct mr_waiting *waiting)
{
    if (waiting->count) {
        arm(waiting, mr_loop_now_ms(waiting->loop));
    }
}
