#include "perf/ingest_worker.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "appliance/upload/worker.h"

#define IDLE_US 100

/* Hands out the packets of a segment, a burst a poll. */
struct memory_source {
    struct mr_packet_source base;
    const struct mr_packet *packets; /* set by the control thread while idle, before `runs` */
    uint32_t count;
    double seconds; /* of the segment, once it is idle again */
    atomic_bool runs;
    /* The worker's own. */
    uint32_t at;
    double began_s;
    bool ends;     /* everything was handed out and this turn is a quiet one */
    uint64_t sent; /* ACKs */
};

struct mr_ingest_worker {
    struct mr_load *load;
    struct memory_source source;
    struct mr_worker *worker;
    int report_fd;
};

static void fail(const char *text)
{
    fprintf(stderr, "ingest by a worker: %s\n", text);
    exit(1);
}

/* What this thread ran: on a busy machine the clock on the wall counts others' work too. */
static double cpu_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* --- the source, on the worker's thread ------------------------------------------------------- */

static unsigned source_poll(struct mr_packet_source *base, struct mr_packet *packets, unsigned max,
                            unsigned wait_us)
{
    struct memory_source *source = (struct memory_source *)base;
    unsigned n = 0;

    (void)wait_us;
    if (!atomic_load_explicit(&source->runs, memory_order_acquire)) {
        usleep(IDLE_US);
        return 0;
    }
    if (source->ends) { /* the turn after which everything is folded and acknowledged is over */
        source->seconds = cpu_s() - source->began_s;
        atomic_store_explicit(&source->runs, false, memory_order_release);
        return 0;
    }
    if (source->at == 0) {
        source->began_s = cpu_s();
    }
    for (; n < max && source->at < source->count; n++) {
        packets[n] = source->packets[source->at++];
    }
    source->ends = n < max;
    return n;
}

static void source_release(struct mr_packet_source *base, struct mr_packet *packets, unsigned count)
{
    (void)base;
    (void)packets;
    (void)count;
}

static int source_send(struct mr_packet_source *base, const struct mr_peer_address *to,
                       const uint8_t *data, uint32_t length)
{
    (void)to;
    (void)data;
    (void)length;
    ((struct memory_source *)base)->sent++;
    return 0;
}

static void source_nothing(struct mr_packet_source *base)
{
    (void)base; /* it keeps nothing, and never sleeps for long */
}

static const struct mr_packet_source_ops source_ops = {.name = "bench",
                                                       .poll = source_poll,
                                                       .release = source_release,
                                                       .send = source_send,
                                                       .flush = source_nothing,
                                                       .wake = source_nothing,
                                                       .close = source_nothing};

static struct mr_packet_source *make_source(void *context, unsigned worker, struct mr_error *error)
{
    struct memory_source *source = context;

    (void)worker;
    (void)error;
    source->base.ops = &source_ops;
    return &source->base;
}

/* --- the control thread's side ---------------------------------------------------------------- */

static void order(struct mr_ingest_worker *worker, const struct mr_worker_order *content)
{
    *mr_worker_order(worker->worker) = *content;
    mr_worker_send(worker->worker);
}

static struct mr_worker_report await_report(struct mr_ingest_worker *worker,
                                            enum mr_report_kind kind,
                                            enum mr_plane_event_kind event)
{
    struct mr_worker_report report;

    for (;;) {
        while (!mr_worker_report(worker->worker, &report)) {
            usleep(IDLE_US);
        }
        if (report.kind == kind && (kind != MR_REPORT_EVENT || report.event == event)) {
            return report;
        }
        if (report.kind == MR_REPORT_EVENT && report.event != MR_PLANE_STAGED) {
            fail("a session was refused");
        }
    }
}

static void admit_all(struct mr_ingest_worker *worker)
{
    const struct mr_load *load = worker->load;

    order(worker, &(struct mr_worker_order){.kind = MR_ORDER_BEGIN,
                                            .begin = {.window_total = load->devices * 64,
                                                      .capacity = load->devices,
                                                      .number = MR_LOAD_ROUND,
                                                      .layout = load->layout}});
    for (uint32_t i = 0; i < load->devices; i++) {
        order(worker, &(struct mr_worker_order){.kind = MR_ORDER_ADMIT,
                                                .admit = {.upload_id = mr_load_upload_id(i),
                                                          .attempt = MR_LOAD_ATTEMPT,
                                                          .count_lane = MR_LOAD_COUNT_LANE,
                                                          .keys = *mr_load_keys(load, i)}});
    }
    /* Answered when all of them are there: nobody's upload is not revoked. */
    order(worker, &(struct mr_worker_order){.kind = MR_ORDER_REVOKE});
    (void)await_report(worker, MR_REPORT_EVENT, MR_PLANE_NOT_REVOKED);
}

static void collect_and_check(struct mr_ingest_worker *worker)
{
    order(worker, &(struct mr_worker_order){.kind = MR_ORDER_COLLECT});
    const struct mr_worker_report report = await_report(worker, MR_REPORT_COLLECTED, 0);
    if (report.shard->count != worker->load->devices) {
        fail("not every upload was folded");
    }
    mr_load_check(worker->load, &report.shard->sum);
    order(worker,
          &(struct mr_worker_order){.kind = MR_ORDER_RETURN, .give_back = {.committed = true}});
    order(worker, &(struct mr_worker_order){.kind = MR_ORDER_END});
    (void)await_report(worker, MR_REPORT_ENDED, 0);
}

static double segment(struct memory_source *source, const struct mr_load *load)
{
    source->packets = load->packets;
    source->count = load->count;
    source->at = 0;
    source->ends = false;
    atomic_store_explicit(&source->runs, true, memory_order_release);
    while (atomic_load_explicit(&source->runs, memory_order_acquire)) {
        usleep(IDLE_US);
    }
    return source->seconds;
}

double mr_ingest_worker_pass(struct mr_ingest_worker *worker, uint64_t *acks)
{
    double seconds = 0;

    mr_load_begin(worker->load);
    admit_all(worker);
    worker->source.sent = 0;
    while (mr_load_next(worker->load)) {
        seconds += segment(&worker->source, worker->load);
    }
    *acks += worker->source.sent;
    collect_and_check(worker);
    return seconds;
}

/* --- set-up ----------------------------------------------------------------------------------- */

struct mr_ingest_worker *mr_ingest_worker_open(const struct mr_ingest_worker_config *config)
{
    struct mr_ingest_worker *worker = calloc(1, sizeof *worker);
    const struct mr_load *load = config->load;
    struct mr_error error = {""};

    if (!worker) {
        fail("out of memory");
    }
    worker->load = config->load;
    worker->report_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    const struct mr_worker_config own = {.cpu = -1,
                                         .sessions = {.sessions = load->devices,
                                                      .slots = load->devices,
                                                      .share_bytes_max = load->layout.share_bytes,
                                                      .cache_bytes = config->cache_bytes,
                                                      .window_max = 64,
                                                      .idle_timeout_ms = 1000000,
                                                      .opener = config->opener,
                                                      .cpu_levels = config->cpu_levels},
                                         .accumulator_bytes =
                                             2 * mr_shard_block_bytes(&load->layout, load->devices),
                                         .make_source = make_source,
                                         .make_context = &worker->source,
                                         .kernels = mr_kernels_select(config->cpu_levels),
                                         .report_fd = worker->report_fd};
    if (worker->report_fd < 0 || mr_worker_open(&worker->worker, &own, &error) != 0) {
        fail(error.text);
    }
    return worker;
}

void mr_ingest_worker_close(struct mr_ingest_worker *worker)
{
    mr_worker_close(worker->worker);
    close(worker->report_fd);
    free(worker);
}
