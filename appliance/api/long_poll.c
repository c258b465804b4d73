#include "appliance/api/long_poll.h"

#include <stdlib.h>

#include "base/assert.h"

struct waiter {
    struct mr_request *request;
    mr_long_poll_fn fn;
    uint64_t until_ms;
};

struct mr_long_polls {
    struct mr_loop *loop;
    void *context;
    struct mr_timer *timer; /* the next sweep: news, or somebody's time is up */
    struct waiter *list;
    size_t count, capacity;
    uint64_t due_ms; /* when the timer is armed for; UINT64_MAX: it is not */
};

/* The earliest of all times asked for. */
static void arm(struct mr_long_polls *polls, uint64_t at_ms)
{
    if (at_ms < polls->due_ms) {
        polls->due_ms = at_ms;
        mr_timer_arm(polls->timer, at_ms);
    }
}

/* Asks everyone; those that are answered leave. */
static void sweep(void *context)
{
    struct mr_long_polls *polls = context;
    const uint64_t now_ms = mr_loop_now_ms(polls->loop);
    uint64_t due_ms = UINT64_MAX;
    size_t kept = 0;
    polls->due_ms = UINT64_MAX;
    for (size_t i = 0; i < polls->count; i++) {
        struct waiter *waiter = &polls->list[i];
        if (waiter->fn(polls->context, waiter->request, now_ms >= waiter->until_ms)) {
            continue;
        }
        due_ms = waiter->until_ms < due_ms ? waiter->until_ms : due_ms;
        polls->list[kept++] = *waiter;
    }
    polls->count = kept;
    arm(polls, due_ms);
}

struct mr_long_polls *mr_long_polls_open(struct mr_loop *loop, void *context)
{
    struct mr_long_polls *polls = calloc(1, sizeof *polls);
    if (!polls) {
        return NULL;
    }
    polls->loop = loop;
    polls->context = context;
    polls->due_ms = UINT64_MAX;
    polls->timer = mr_timer_open(loop, sweep, polls);
    if (!polls->timer) {
        free(polls);
        return NULL;
    }
    return polls;
}

void mr_long_polls_close(struct mr_long_polls *polls)
{
    if (!polls) {
        return;
    }
    for (size_t i = 0; i < polls->count; i++) {
        MR_ASSERT(polls->list[i].fn(polls->context, polls->list[i].request, true));
    }
    mr_timer_close(polls->timer);
    free(polls->list);
    free(polls);
}

void mr_long_polls_refuse(struct mr_long_polls *polls, enum mr_refusal_code code, const char *text)
{
    for (size_t i = 0; i < polls->count; i++) {
        mr_request_refuse(polls->list[i].request, code, 0, "%s", text);
    }
    polls->count = 0;
}

static void keep(struct mr_long_polls *polls, const struct waiter *waiter)
{
    if (polls->count == polls->capacity) {
        const size_t capacity = polls->capacity ? 2 * polls->capacity : 64;
        struct waiter *list = realloc(polls->list, capacity * sizeof *list);
        if (!list) {
            MR_ASSERT(waiter->fn(polls->context, waiter->request, true));
            return;
        }
        polls->list = list;
        polls->capacity = capacity;
    }
    polls->list[polls->count++] = *waiter;
    arm(polls, waiter->until_ms);
}

void mr_long_poll_try(struct mr_long_polls *polls, struct mr_request *request, mr_long_poll_fn fn)
{
    uint64_t wait_ms = mr_request_query(request, "wait_ms", 0);
    wait_ms = wait_ms < MR_WAIT_MS_MAX ? wait_ms : MR_WAIT_MS_MAX;
    if (!fn(polls->context, request, wait_ms == 0)) {
        const struct waiter waiter = {request, fn, mr_loop_now_ms(polls->loop) + wait_ms};
        keep(polls, &waiter);
    }
}

void mr_long_polls_wake(struct mr_long_polls *polls)
{
    if (polls->count) {
        arm(polls, mr_loop_now_ms(polls->loop));
    }
}
