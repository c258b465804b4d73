/* worker_turn.c - one turn of a worker: packets, orders, the fold, answers. */
#include <time.h>
#include <unistd.h>

#include "appliance/upload/worker_internal.h"

#define WAIT_MAX_MS   1000u
#define WAIT_FLOOR_MS 1u

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static enum mr_plane_event_kind kind_of(const struct mr_session_event *event)
{
    if (event->state == MR_UPLOAD_STAGED) {
        return MR_PLANE_STAGED;
    }
    return event->reason == MR_REASON_UNSOUND ? MR_PLANE_UNSOUND : MR_PLANE_EXPIRED;
}

static void report_session_events(struct mr_worker *worker)
{
    struct mr_session_event event;

    while (mr_sessions_event(worker->sessions, &event)) {
        mr_worker_tell_event(worker, event.round, kind_of(&event), event.upload_id);
    }
}

static void fold(struct mr_worker *worker, bool everything)
{
    for (unsigned i = 0; i < worker->live_count; i++) {
        if (!worker->rounds[worker->live[i]].keep) { /* else when it is collected */
            mr_worker_fold(worker, worker->live[i], everything);
        }
    }
}

static void expire(struct mr_worker *worker, uint64_t now)
{
    const uint32_t timeout = worker->config.sessions.idle_timeout_ms;

    if (now < worker->expire_at_ms) {
        return;
    }
    worker->expire_at_ms = now + (timeout / 8 > 0 ? timeout / 8 : 1);
    mr_sessions_expire(worker->sessions, now);
    report_session_events(worker);
}

static bool send_ack(struct mr_packet_source *source, const struct mr_ack_datagram *ack)
{
    if (source->ops->send(source, &ack->to, ack->bytes, sizeof ack->bytes) == 0) {
        return true;
    }
    source->ops->flush(source);
    return source->ops->send(source, &ack->to, ack->bytes, sizeof ack->bytes) == 0;
}

static void send_acks(struct mr_worker *worker, uint64_t now, bool quiet)
{
    struct mr_upload_counters *counters = worker->counters;
    struct mr_ack_datagram *acks = worker->acks;
    unsigned count;

    while ((count = mr_sessions_acks(worker->sessions, now, quiet, acks, MR_BURST_MAX)) > 0) {
        unsigned sent = 0;
        for (unsigned i = 0; i < count; i++) {
            sent += send_ack(worker->source, &acks[i]);
        }
        mr_counter_add(&counters->counts[MR_UPLOAD_COUNT_acks], sent);
        mr_counter_add(&counters->reasons[MR_UPLOAD_DROP_ack_queue_full], count - sent);
    }
}

/* Those that were queued, counted as sent, and not taken when the queue was sent. */
static void count_unsent(struct mr_worker *worker)
{
    if (worker->source->unsent == 0) {
        return;
    }
    mr_counter_add(&worker->counters->reasons[MR_UPLOAD_DROP_ack_unsent], worker->source->unsent);
    worker->source->unsent = 0;
}

/* Wakes the control thread for what was reported: once a turn, and for what may wait once a
 * millisecond, or where there is much of it. In a crowd every turn has an upload that is whole, and
 * a thread that is woken for each of them takes a core from the packets. */
static void finish_reports(struct mr_worker *worker, uint64_t now)
{
    const uint64_t one = 1;

    for (unsigned i = 0; i < worker->live_count; i++) {
        const unsigned round = worker->live[i];
        if (mr_sessions_held(worker->sessions, round) != worker->rounds[round].held_told) {
            mr_worker_tell(worker, round, &(struct mr_worker_report){.kind = MR_REPORT_SLOTS});
        }
    }
    if (worker->reported == 0 || (!worker->pressing && now == worker->told_ms)) {
        return;
    }
    worker->reported = 0;
    worker->pressing = false;
    worker->told_ms = now;
    /* Only fails when the counter is full, and then the loop is awake as well. */
    if (write(worker->config.report_fd, &one, sizeof one) < 0) {
        return;
    }
}

/* How long the next poll may sleep. Orders wake it, so only time itself matters here. */
static unsigned wait_us(const struct mr_worker *worker, uint64_t now, bool quiet)
{
    uint32_t wait_ms = mr_sessions_ack_wait_ms(worker->sessions, now);

    if (!quiet) {
        return 0;
    }
    if (worker->reported > 0 && wait_ms > WAIT_FLOOR_MS) {
        wait_ms = WAIT_FLOOR_MS; /* what could wait */
    }
    if (mr_sessions_receiving(worker->sessions) > 0) {
        const uint64_t expire_ms =
            worker->expire_at_ms > now ? worker->expire_at_ms - now : WAIT_FLOOR_MS;
        if (expire_ms < wait_ms) {
            wait_ms = (uint32_t)expire_ms;
        }
    }
    return (wait_ms < WAIT_MAX_MS ? wait_ms : WAIT_MAX_MS) * 1000u;
}

void mr_worker_turn(struct mr_worker *worker, unsigned *wait)
{
    struct mr_packet_source *source = worker->source;
    const uint64_t began_ns = now_ns();
    const unsigned n = source->ops->poll(source, worker->packets, MR_BURST_MAX, *wait);
    const bool quiet = n < MR_BURST_MAX;
    const uint64_t polled_ns = now_ns();
    const uint64_t now = polled_ns / 1000000;

    /* Orders first: a device cannot send before it was admitted, so its session is there by then.
     */
    mr_sessions_clock(worker->sessions, now);
    mr_worker_take_orders(worker, now);
    count_unsent(worker);
    if (n > 0) {
        mr_sessions_receive(worker->sessions, worker->packets, n, now, NULL);
        source->ops->release(source, worker->packets, n);
        report_session_events(worker);
    }
    fold(worker, quiet);
    expire(worker, now);
    send_acks(worker, now, quiet);
    finish_reports(worker, now);
    mr_counters_turn(worker->counters, *wait, n, polled_ns - began_ns, now_ns() - polled_ns);
    *wait = wait_us(worker, now, quiet);
}
