#include "appliance/api/held_grants.h"

#include <stdlib.h>

struct waiter {
    struct mr_request *request;
    uint64_t until_ms;
};

struct mr_held_grants {
    struct mr_loop *loop;
    struct mr_held_ops ops;
    void *context;
    struct mr_timer *timer; /* for the first; armed while anybody waits */
    struct waiter *ring;
    size_t capacity; /* a power of two */
    size_t head, count;
    uint64_t held_total, timed_out_total;
};

static void on_timer(void *held)
{
    mr_held_grants_look(held);
}

struct mr_held_grants *mr_held_grants_open(struct mr_loop *loop, const struct mr_held_ops *ops,
                                           void *context)
{
    struct mr_held_grants *held = calloc(1, sizeof *held);

    if (!held) {
        return NULL;
    }
    held->loop = loop;
    held->ops = *ops;
    held->context = context;
    held->timer = mr_timer_open(loop, on_timer, held);
    if (!held->timer) {
        free(held);
        return NULL;
    }
    return held;
}

static struct waiter *at(const struct mr_held_grants *held, size_t place)
{
    return &held->ring[(held->head + place) & (held->capacity - 1)];
}

static struct mr_request *take_first(struct mr_held_grants *held)
{
    struct mr_request *request = at(held, 0)->request;

    held->head = (held->head + 1) & (held->capacity - 1);
    held->count--;
    return request;
}

void mr_held_grants_close(struct mr_held_grants *held)
{
    if (!held) {
        return;
    }
    while (held->count > 0) {
        held->ops.refuse(held->context, take_first(held));
    }
    mr_timer_close(held->timer);
    free(held->ring);
    free(held);
}

/* Room for one more. 0 or -1. */
static int grow(struct mr_held_grants *held)
{
    const size_t capacity = held->capacity > 0 ? 2 * held->capacity : 64;

    if (held->count < held->capacity) {
        return 0;
    }
    struct waiter *ring = malloc(capacity * sizeof *ring);
    if (!ring) {
        return -1;
    }
    for (size_t i = 0; i < held->count; i++) {
        ring[i] = *at(held, i);
    }
    free(held->ring);
    held->ring = ring;
    held->capacity = capacity;
    held->head = 0;
    return 0;
}

static void arm(struct mr_held_grants *held, uint32_t hold_ms, uint64_t now_ms)
{
    const uint64_t until_ms = at(held, 0)->until_ms;

    mr_timer_arm(held->timer, until_ms < now_ms + hold_ms ? until_ms : now_ms + hold_ms);
}

bool mr_held_grants_keep(struct mr_held_grants *held, struct mr_request *request)
{
    if (!held) {
        return false;
    }
    const uint64_t now_ms = mr_loop_now_ms(held->loop);
    const bool is_first = held->count == 0;
    const uint32_t hold_ms = is_first ? held->ops.hold_ms(held->context, request) : 0;

    if ((is_first && hold_ms == 0) || grow(held) != 0) {
        return false;
    }
    held->count++;
    held->held_total++;
    *at(held, held->count - 1) = (struct waiter){request, now_ms + MR_HOLD_GRANT_MS_MAX};
    if (is_first) {
        arm(held, hold_ms, now_ms);
    }
    return true;
}

void mr_held_grants_look(void *context)
{
    struct mr_held_grants *held = context;
    const uint64_t now_ms = mr_loop_now_ms(held->loop);

    while (held->count > 0) {
        const struct waiter *first = at(held, 0);
        if (now_ms >= first->until_ms) {
            held->timed_out_total++;
        } else {
            const uint32_t hold_ms = held->ops.hold_ms(held->context, first->request);
            if (hold_ms > 0) {
                arm(held, hold_ms, now_ms);
                return;
            }
        }
        held->ops.answer(held->context, take_first(held));
    }
    mr_timer_disarm(held->timer);
}

void mr_held_grants_metrics(const struct mr_held_grants *held, struct mr_metrics *metrics)
{
    if (!held) {
        return;
    }
    mr_metrics_family(metrics, "millrace_upload_grants_waiting", "gauge",
                      "Devices that asked for an upload and are answered when a window is free.");
    mr_metrics_sample(metrics, "millrace_upload_grants_waiting", "", (double)held->count);
    mr_metrics_family(metrics, "millrace_upload_grants_held_total", "counter",
                      "Requests for an upload that were kept until a window was free.");
    mr_metrics_sample(metrics, "millrace_upload_grants_held_total", "", (double)held->held_total);
    mr_metrics_family(metrics, "millrace_upload_grants_timed_out_total", "counter",
                      "Of these, those that were answered because they had waited long enough.");
    mr_metrics_sample(metrics, "millrace_upload_grants_timed_out_total", "",
                      (double)held->timed_out_total);
}
