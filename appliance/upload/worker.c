#include "appliance/upload/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/runtime/thread.h"
#include "appliance/upload/worker_internal.h"
#include "base/assert.h"

/* Messages that may be under way at once. A session index causes at most an admission, a revocation
 * and their answers before the control thread, having read those, may use it again; a round's end
 * starts the count anew once, hence the factor. A round causes a begin, an end, and a collection
 * with its return before the next: its place is used again only when its end was answered. */
#define MESSAGES_PER_SESSION 16u
#define MESSAGES_BASE        (64u + 8u * MR_PLANE_ROUNDS_MAX)

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
        mr_worker_turn(worker, &wait);
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
    if (mr_thread_start(&worker->thread, run, worker, error) != 0) {
        return -1;
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
        return mr_error_prefix(error, "upload worker %u", config->index);
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

void mr_worker_leave(struct mr_worker *worker)
{
    mr_mailbox_send(&worker->orders);
}

void mr_worker_send(struct mr_worker *worker)
{
    mr_worker_leave(worker);
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
