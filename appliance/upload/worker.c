#include "appliance/upload/worker.h"

#include <openssl/crypto.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "appliance/runtime/sandbox.h"
#include "appliance/upload/mailbox.h"
#include "base/assert.h"

#define SHARDS        2
#define WAIT_MAX_MS   1000u
#define WAIT_FLOOR_MS 1u

/* Messages that may be under way at once. A session index causes at most an admission, a revocation
 * and their answers before the control thread, having read those, may use it again; a round's end
 * starts the count anew once, hence the factor. A round causes a begin, an end, and a collection
 * with its return before the next: its place is used again only when its end was answered. */
#define MESSAGES_PER_SESSION 16u
#define MESSAGES_BASE        (64u + 8u * MR_PLANE_ROUNDS_MAX)

/* A round as this worker knows it. */
struct worker_round {
    struct mr_shard shards[SHARDS]; /* their memory is in the accumulators */
    unsigned active; /* the shard that is folded into; the other may be with the control thread */
    bool lent;
    struct mr_layout layout;
    uint32_t generation;
    uint32_t held_told; /* slots that the control thread thinks it holds */
};

struct mr_worker {
    struct mr_worker_config config;
    struct mr_mailbox orders;
    struct mr_mailbox reports;
    pthread_t thread;
    bool thread_started;
    atomic_bool stop;
    sem_t ready;    /* posted by the worker: started or failed */
    sem_t released; /* posted by the control thread: it will not touch the source any more */
    struct mr_error start_error;
    bool start_failed;
    char why[160];
    struct mr_upload_counters *counters;

    /* The worker thread's own from here on (`source` is made by it and read-only afterwards). */
    struct mr_packet_source *source;
    struct mr_sessions *sessions;
    struct mr_pages accumulators;
    struct worker_round rounds[MR_PLANE_ROUNDS_MAX];
    uint8_t live[MR_PLANE_ROUNDS_MAX]; /* places of the rounds that there are */
    unsigned live_count;
    bool reported; /* in this turn */
    uint64_t expire_at_ms;
    struct mr_packet packets[MR_BURST_MAX];
};

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void report(struct mr_worker *worker, unsigned round, const struct mr_worker_report *content)
{
    struct mr_worker_report *cell = mr_mailbox_reserve(&worker->reports);
    struct worker_round *of = &worker->rounds[round];
    const uint32_t held = mr_sessions_held(worker->sessions, round);

    MR_ASSERT(cell);
    *cell = *content;
    cell->round = (uint8_t)round;
    cell->generation = of->generation;
    cell->slots_freed = of->held_told - held;
    of->held_told = held;
    mr_mailbox_send(&worker->reports);
    worker->reported = true;
}

static void report_event(struct mr_worker *worker, unsigned round, enum mr_plane_event_kind kind,
                         uint64_t upload_id)
{
    report(
        worker, round,
        &(struct mr_worker_report){.kind = MR_REPORT_EVENT, .event = kind, .upload_id = upload_id});
}

static void report_session_events(struct mr_worker *worker)
{
    struct mr_session_event event;

    while (mr_sessions_event(worker->sessions, &event)) {
        report_event(worker, event.round,
                     event.state == MR_UPLOAD_STAGED ? MR_PLANE_STAGED : MR_PLANE_EXPIRED,
                     event.upload_id);
    }
}

/* Adds a round's staged uploads to its active shard: full folds only, or everything. */
static void fold_round(struct mr_worker *worker, unsigned round, bool everything)
{
    const uint8_t *shares[MR_FOLD_MAX];
    uint64_t upload_ids[MR_FOLD_MAX];
    struct worker_round *of = &worker->rounds[round];

    while (mr_sessions_staged_count(worker->sessions, round) >= (everything ? 1 : MR_FOLD_MAX)) {
        const unsigned n = mr_sessions_staged(worker->sessions, round, shares, upload_ids);
        mr_shard_fold(&of->shards[of->active], &of->layout, shares, upload_ids, n,
                      worker->config.kernels);
        mr_sessions_folded(worker->sessions, round, n);
        mr_counter_add(&worker->counters->counts[MR_UPLOAD_COUNT_folds], 1);
    }
}

static void fold(struct mr_worker *worker, bool everything)
{
    for (unsigned i = 0; i < worker->live_count; i++) {
        fold_round(worker, worker->live[i], everything);
    }
}

/* --- orders ----------------------------------------------------------------------------------- */

static void on_begin(struct mr_worker *worker, const struct mr_worker_order *order)
{
    struct worker_round *of = &worker->rounds[order->round];
    const struct mr_layout *layout = &order->begin.layout;
    const uint32_t capacity = order->begin.capacity;
    uint8_t *memory = (uint8_t *)worker->accumulators.base + order->begin.accumulators_at;

    *of = (struct worker_round){.generation = order->begin.generation, .layout = *layout};
    for (unsigned i = 0; i < SHARDS; i++) {
        mr_shard_init(&of->shards[i], memory + i * mr_shard_block_bytes(layout, capacity), layout,
                      capacity);
    }
    mr_sessions_begin(worker->sessions, order->round, order->begin.number, layout,
                      order->begin.window_total);
    worker->live[worker->live_count++] = order->round;
}

static void on_end(struct mr_worker *worker, const struct mr_worker_order *order)
{
    unsigned i = 0;

    while (i < worker->live_count && worker->live[i] != order->round) {
        i++;
    }
    MR_ASSERT(i < worker->live_count);
    worker->live[i] = worker->live[--worker->live_count];
    mr_sessions_end(worker->sessions, order->round, order->end.window_total);
    report(worker, order->round, &(struct mr_worker_report){.kind = MR_REPORT_ENDED});
}

static void on_admit(struct mr_worker *worker, struct mr_worker_order *order, uint64_t now)
{
    const uint64_t upload_id = order->admit.upload_id;
    const unsigned round = order->round;
    const int failed = mr_sessions_admit(worker->sessions, round, upload_id, order->admit.attempt,
                                         &order->admit.keys, now);

    OPENSSL_cleanse(&order->admit, sizeof order->admit);
    worker->rounds[round].held_told++; /* the control thread counted it when it admitted */
    if (failed != 0) {
        report_event(worker, round, MR_PLANE_EXPIRED, upload_id);
    }
}

static void on_revoke(struct mr_worker *worker, const struct mr_worker_order *order)
{
    const bool revoked =
        mr_sessions_revoke(worker->sessions, order->revoke.upload_id, order->revoke.reason);

    report_event(worker, order->round, revoked ? MR_PLANE_REVOKED : MR_PLANE_NOT_REVOKED,
                 order->revoke.upload_id);
}

static void on_collect(struct mr_worker *worker, const struct mr_worker_order *order)
{
    struct worker_round *of = &worker->rounds[order->round];

    MR_ASSERT(!of->lent);
    fold_round(worker, order->round, true);
    if (order->collect.freeze) {
        mr_sessions_refuse_all(worker->sessions, order->round, MR_REASON_CLOSED);
    }
    report(
        worker, order->round,
        &(struct mr_worker_report){.kind = MR_REPORT_COLLECTED, .shard = &of->shards[of->active]});
    of->active = (of->active + 1) % SHARDS;
    of->lent = true;
}

static void on_return(struct mr_worker *worker, const struct mr_worker_order *order)
{
    struct worker_round *of = &worker->rounds[order->round];

    MR_ASSERT(of->lent);
    struct mr_shard *shard = &of->shards[(of->active + 1) % SHARDS];
    for (uint32_t i = 0; i < shard->count; i++) {
        mr_sessions_settle(worker->sessions, shard->upload_ids[i], order->give_back.committed,
                           order->give_back.reason);
    }
    if (shard->count > 0) {
        mr_shard_clear(shard, &of->layout);
    }
    of->lent = false;
}

static void take_orders(struct mr_worker *worker, uint64_t now)
{
    struct mr_worker_order *order;

    while ((order = mr_mailbox_peek(&worker->orders)) != NULL) {
        switch (order->kind) {
        case MR_ORDER_BEGIN:
            on_begin(worker, order);
            break;
        case MR_ORDER_END:
            on_end(worker, order);
            break;
        case MR_ORDER_ADMIT:
            on_admit(worker, order, now);
            break;
        case MR_ORDER_REVOKE:
            on_revoke(worker, order);
            break;
        case MR_ORDER_COLLECT:
            on_collect(worker, order);
            break;
        case MR_ORDER_RETURN:
            on_return(worker, order);
            break;
        case MR_ORDER_CONFINE:
            mr_sandbox_confine_worker();
            break;
        }
        mr_mailbox_consume(&worker->orders);
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
    struct mr_ack_datagram ack;

    while (mr_sessions_ack(worker->sessions, now, quiet, &ack)) {
        if (send_ack(worker->source, &ack)) {
            mr_counter_add(&counters->counts[MR_UPLOAD_COUNT_acks], 1);
        } else {
            mr_counter_add(&counters->reasons[MR_UPLOAD_DROP_ack_queue_full], 1);
        }
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

/* Tells the control thread, once a turn, what this turn brought. */
static void finish_reports(struct mr_worker *worker)
{
    const uint64_t one = 1;

    for (unsigned i = 0; i < worker->live_count; i++) {
        const unsigned round = worker->live[i];
        if (mr_sessions_held(worker->sessions, round) != worker->rounds[round].held_told) {
            report(worker, round, &(struct mr_worker_report){.kind = MR_REPORT_SLOTS});
        }
    }
    if (!worker->reported) {
        return;
    }
    worker->reported = false;
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
    if (mr_sessions_receiving(worker->sessions) > 0) {
        const uint64_t expire_ms =
            worker->expire_at_ms > now ? worker->expire_at_ms - now : WAIT_FLOOR_MS;
        if (expire_ms < wait_ms) {
            wait_ms = (uint32_t)expire_ms;
        }
    }
    return (wait_ms < WAIT_MAX_MS ? wait_ms : WAIT_MAX_MS) * 1000u;
}

static void turn(struct mr_worker *worker, unsigned *wait)
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
    take_orders(worker, now);
    count_unsent(worker);
    if (n > 0) {
        mr_sessions_receive(worker->sessions, worker->packets, n, now, NULL);
        source->ops->release(source, worker->packets, n);
        report_session_events(worker);
    }
    fold(worker, quiet);
    expire(worker, now);
    send_acks(worker, now, quiet);
    finish_reports(worker);
    mr_counters_turn(worker->counters, *wait, n, polled_ns - began_ns, now_ns() - polled_ns);
    *wait = wait_us(worker, now, quiet);
}

/* Everything the worker touches is made on its own thread: pages near its CPU, the ring of the
 * source bound to it. */
static int start(struct mr_worker *worker, struct mr_error *error)
{
    const struct mr_worker_config *config = &worker->config;
    char name[16];

    snprintf(name, sizeof name, "mr-upload-%u", config->index % 1000);
    pthread_setname_np(pthread_self(), name); /* from another thread it would need /proc */
    if (config->cpu >= 0) {
        cpu_set_t cpus;
        CPU_ZERO(&cpus);
        CPU_SET((size_t)config->cpu, &cpus);
        if (pthread_setaffinity_np(pthread_self(), sizeof cpus, &cpus) != 0) {
            return mr_error_set(error,
                                "cannot pin to CPU %d: list CPUs that this process may use, or "
                                "none",
                                config->cpu);
        }
    }
    if (mr_sessions_open(&worker->sessions, &config->sessions, worker->counters, error) != 0) {
        return -1;
    }
    if (mr_pages_map(&worker->accumulators, config->accumulator_bytes, "accumulators", error) !=
        0) {
        return -1;
    }
    worker->source = config->make_source
                         ? config->make_source(config->make_context, config->index, error)
                         : mr_packet_source_open(&config->source, worker->why, error);
    return worker->source ? 0 : -1;
}

static void finish(struct mr_worker *worker)
{
    if (worker->source) {
        worker->source->ops->close(worker->source);
    }
    mr_sessions_close(worker->sessions);
    mr_pages_unmap(&worker->accumulators);
}

static void *run(void *context)
{
    struct mr_worker *worker = context;
    unsigned wait = 0;

    worker->start_failed = start(worker, &worker->start_error) != 0;
    const bool failed = worker->start_failed;
    sem_post(&worker->ready);
    while (!failed && !atomic_load_explicit(&worker->stop, memory_order_acquire)) {
        turn(worker, &wait);
    }
    /* The control thread may be about to wake the source: it says when it is done with it. */
    while (!failed && sem_wait(&worker->released) != 0) {
        continue; /* EINTR */
    }
    finish(worker);
    return NULL;
}

static int start_thread(struct mr_worker *worker, struct mr_error *error)
{
    sigset_t all, before;

    /* Signals are the control thread's business. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int failed = pthread_create(&worker->thread, NULL, run, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed != 0) {
        return mr_error_set(error, "cannot start a thread: %s", strerror(failed));
    }
    worker->thread_started = true;
    while (sem_wait(&worker->ready) != 0) {
        continue; /* EINTR */
    }
    if (worker->start_failed) {
        return mr_error_set(error, "%s", worker->start_error.text);
    }
    return 0;
}

int mr_worker_open(struct mr_worker **opened, const struct mr_worker_config *config,
                   struct mr_error *error)
{
    const uint32_t messages = MESSAGES_BASE + MESSAGES_PER_SESSION * config->sessions.sessions;
    struct mr_worker *worker = aligned_alloc(_Alignof(struct mr_worker), sizeof *worker);

    *opened = NULL;
    if (!worker) {
        return mr_error_set(error, "out of memory for worker %u", config->index);
    }
    memset(worker, 0, sizeof *worker);
    worker->config = *config;
    sem_init(&worker->ready, 0, 0);
    sem_init(&worker->released, 0, 0);
    worker->counters = aligned_alloc(128, sizeof *worker->counters);
    if (worker->counters) {
        memset(worker->counters, 0, sizeof *worker->counters);
    }
    if (!worker->counters ||
        mr_mailbox_open(&worker->orders, messages, sizeof(struct mr_worker_order)) != 0 ||
        mr_mailbox_open(&worker->reports, messages, sizeof(struct mr_worker_report)) != 0) {
        mr_worker_close(worker);
        return mr_error_set(error, "out of memory for worker %u", config->index);
    }
    if (start_thread(worker, error) != 0) {
        mr_worker_close(worker);
        return mr_error_prefix(error, "worker %u: ", config->index);
    }
    *opened = worker;
    return 0;
}

void mr_worker_close(struct mr_worker *worker)
{
    if (!worker) {
        return;
    }
    if (worker->thread_started) {
        atomic_store_explicit(&worker->stop, true, memory_order_release);
        if (!worker->start_failed) {
            worker->source->ops->wake(worker->source);
        }
        sem_post(&worker->released);
        pthread_join(worker->thread, NULL);
    }
    mr_mailbox_close(&worker->orders);
    mr_mailbox_close(&worker->reports);
    sem_destroy(&worker->ready);
    sem_destroy(&worker->released);
    free(worker->counters);
    free(worker);
}

struct mr_worker_order *mr_worker_order(struct mr_worker *worker)
{
    struct mr_worker_order *order = mr_mailbox_reserve(&worker->orders);

    MR_ASSERT(order);
    return order;
}

void mr_worker_send(struct mr_worker *worker)
{
    mr_mailbox_send(&worker->orders);
    worker->source->ops->wake(worker->source);
}

bool mr_worker_report(struct mr_worker *worker, struct mr_worker_report *out)
{
    const struct mr_worker_report *cell = mr_mailbox_peek(&worker->reports);

    if (!cell) {
        return false;
    }
    *out = *cell;
    mr_mailbox_consume(&worker->reports);
    return true;
}

uint16_t mr_worker_port(const struct mr_worker *worker)
{
    return worker->source->port;
}

uint32_t mr_worker_receive_buffer_bytes(const struct mr_worker *worker)
{
    return worker->source->receive_buffer_bytes;
}

const char *mr_worker_source(const struct mr_worker *worker)
{
    return worker->source->ops->name;
}

const char *mr_worker_source_why(const struct mr_worker *worker)
{
    return worker->why;
}

const struct mr_opener *mr_worker_opener(const struct mr_worker *worker)
{
    return mr_sessions_opener(worker->sessions);
}

const struct mr_upload_counters *mr_worker_counters(const struct mr_worker *worker)
{
    return worker->counters;
}
