#include "perf/port_bench.h"

#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "appliance/ingest/dpdk_frame.h"
#include "appliance/runtime/cache.h"
#include "appliance/upload/worker.h"
#include "perf/figures.h"
#include "perf/ingest_load.h"
#include "perf/port_source.h"

#define DEVICES       4096u
#define PORT_BASE     9443
#define HUB_ADDRESS   "198.18.0.1"
#define RECEIVER_CPU  0
#define GENERATOR_CPU 1
#define BEYOND        8 /* times the last-level cache */
#define ROUNDS        9

/* What the generator is asked for. */
enum step { STEP_NONE, STEP_BEGIN, STEP_NEXT, STEP_SEND };

/* Shared by the two processes. */
struct course {
    _Alignas(128) atomic_uint_fast64_t asked; /* steps so far; `step` is the last */
    enum step step;
    unsigned which; /* of the loads */
    _Alignas(128) atomic_uint_fast64_t done;
    _Alignas(128) atomic_uint_fast64_t taken;
};

struct names {
    char text[4][64];
    struct mr_figure count, memory, ingest, ratio;
};

/* Slots that fit the cache, and slots far beyond it. */
enum { FITS, FAR, CASES };

struct run {
    const struct mr_port_bench *bench;
    struct course *course;
    struct mr_load loads[CASES];
    struct mr_dpdk_port *port;
    struct mr_port_source source;
    struct mr_worker *worker;
    int report_fd;
};

static void fail(const char *text)
{
    fprintf(stderr, "%s\n", text);
    exit(1);
}

/* --- the generator's process ------------------------------------------------------------------ */

/* Frame headers in the room that the load leaves before each packet. */
static void build_heads(struct mr_load *load)
{
    static const uint8_t hub_mac[6] = MR_BENCH_HUB_MAC_BYTES;
    uint8_t frame[MR_FRAME_HEAD_MAX + MR_LOAD_PACKET_ROOM];
    struct mr_frame_local self = {.mac = {2, 0, 0, 0, 0, 2}};
    struct mr_peer_address hub = {.port = PORT_BASE};

    memcpy(hub.link.mac, hub_mac, 6);
    memcpy(&hub.host.s6_addr[10], "\xff\xff\xc6\x12\x00\x01", 6);
    for (uint32_t i = 0; i < load->count; i++) {
        const struct mr_packet *packet = &load->packets[i];
        self.v4 = packet->from.host;
        (void)mr_frame_build(frame, &self, packet->from.port, &hub, packet->data, packet->length);
        memcpy(packet->data - MR_LOAD_PACKET_LEAD, frame, MR_LOAD_PACKET_LEAD);
    }
}

static void send_all(const struct run *run)
{
    const struct mr_load *load = &run->loads[run->course->which];
    const struct mr_port_bench *bench = run->bench;

    for (uint32_t sent = 0; sent < load->count;) {
        uint8_t *frames[MR_BENCH_BURST];
        uint32_t lengths[MR_BENCH_BURST];
        unsigned n = 0;
        for (; n < MR_BENCH_BURST && sent < load->count; n++, sent++) {
            frames[n] = load->packets[sent].data - MR_LOAD_PACKET_LEAD;
            lengths[n] = load->packets[sent].length + MR_LOAD_PACKET_LEAD;
        }
        while (sent >
               atomic_load_explicit(&run->course->taken, memory_order_acquire) + bench->ahead) {
            continue;
        }
        bench->send(bench->context, frames, lengths, n);
    }
}

static void take_step(struct run *run)
{
    struct mr_load *load = &run->loads[run->course->which];

    switch (run->course->step) {
    case STEP_BEGIN:
        mr_load_begin(load);
        break;
    case STEP_NEXT:
        if (mr_load_next(load)) {
            build_heads(load);
        }
        break;
    case STEP_SEND:
        send_all(run);
        break;
    case STEP_NONE:
        break;
    }
}

static void generate(struct run *run)
{
    cpu_set_t cpus;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    CPU_ZERO(&cpus);
    CPU_SET(GENERATOR_CPU, &cpus);
    if (sched_setaffinity(0, sizeof cpus, &cpus) != 0) {
        fail("the generator cannot have a CPU of its own");
    }
    run->bench->open(run->bench->context);
    for (uint64_t done = 0;; atomic_store(&run->course->done, ++done)) {
        while (atomic_load_explicit(&run->course->asked, memory_order_acquire) == done) {
            usleep(20);
        }
        take_step(run);
    }
}

/* --- the receiver's --------------------------------------------------------------------------- */

static void ask(struct run *run, enum step step)
{
    run->course->step = step;
    atomic_fetch_add_explicit(&run->course->asked, 1, memory_order_release);
}

static void await(const struct run *run)
{
    while (atomic_load(&run->course->done) != atomic_load(&run->course->asked)) {
        usleep(100);
    }
}

/* The next report of that kind. */
static struct mr_worker_report await_report(struct run *run, enum mr_report_kind kind,
                                            enum mr_plane_event_kind event)
{
    struct mr_worker_report report;

    for (;;) {
        while (!mr_worker_report(run->worker, &report)) {
            usleep(100);
        }
        if (report.kind == kind && (kind != MR_REPORT_EVENT || report.event == event)) {
            return report;
        }
        if (report.kind == MR_REPORT_EVENT && report.event == MR_PLANE_EXPIRED) {
            fail("a session was refused");
        }
    }
}

static void admit_all(struct run *run, const struct mr_load *load)
{
    struct mr_worker_order *order = mr_worker_order(run->worker);

    *order = (struct mr_worker_order){.kind = MR_ORDER_BEGIN,
                                      .begin = {.window_total = DEVICES * 64,
                                                .capacity = DEVICES,
                                                .number = MR_LOAD_ROUND,
                                                .layout = load->layout}};
    mr_worker_send(run->worker);
    for (uint32_t i = 0; i < DEVICES; i++) {
        order = mr_worker_order(run->worker);
        *order = (struct mr_worker_order){.kind = MR_ORDER_ADMIT,
                                          .admit = {.upload_id = mr_load_upload_id(i),
                                                    .attempt = MR_LOAD_ATTEMPT,
                                                    .count_lane = MR_LOAD_COUNT_LANE,
                                                    .keys = *mr_load_keys(load, i)}};
        mr_worker_send(run->worker);
    }
    /* Answered when all of them are there: nobody's upload is not revoked. */
    order = mr_worker_order(run->worker);
    *order = (struct mr_worker_order){.kind = MR_ORDER_REVOKE};
    mr_worker_send(run->worker);
    (void)await_report(run, MR_REPORT_EVENT, MR_PLANE_NOT_REVOKED);
}

static void collect_and_check(struct run *run, const struct mr_load *load)
{
    struct mr_worker_order *order = mr_worker_order(run->worker);

    *order = (struct mr_worker_order){.kind = MR_ORDER_COLLECT};
    mr_worker_send(run->worker);
    const struct mr_worker_report report = await_report(run, MR_REPORT_COLLECTED, 0);
    if (report.shard->count != DEVICES) {
        fail("not every upload was folded");
    }
    mr_load_check(load, &report.shard->sum);
    order = mr_worker_order(run->worker);
    *order = (struct mr_worker_order){.kind = MR_ORDER_RETURN, .give_back = {.committed = true}};
    mr_worker_send(run->worker);
    order = mr_worker_order(run->worker);
    *order = (struct mr_worker_order){.kind = MR_ORDER_END, .end = {.window_total = DEVICES * 64}};
    mr_worker_send(run->worker);
    (void)await_report(run, MR_REPORT_ENDED, 0);
}

/* One pass; its seconds. Making the packets is not timed. */
static double pass(struct run *run, enum mr_port_mode mode)
{
    struct mr_load *load = &run->loads[run->course->which];
    double seconds = 0;

    ask(run, STEP_BEGIN);
    mr_load_begin(load);
    await(run);
    if (mode != MR_PORT_COUNT) {
        admit_all(run, load);
    }
    for (;;) {
        ask(run, STEP_NEXT);
        const bool more = mr_load_next(load);
        await(run);
        if (!more) {
            break;
        }
        if (mode != MR_PORT_MEMORY) {
            ask(run, STEP_SEND);
        }
        seconds += mr_port_source_segment(&run->source, mode, load->packets, load->count);
        await(run);
    }
    if (mode != MR_PORT_COUNT) {
        collect_and_check(run, load);
    }
    return seconds;
}

static void sample(struct mr_figures *figures, const struct names *names, struct run *run,
                   unsigned passes)
{
    const struct mr_layout *layout = &run->loads[run->course->which].layout;
    const double gb = 1e-9 * DEVICES * (double)layout->share_bytes * passes;
    double count_s = 0, memory_s = 0, ingest_s = 0;

    for (unsigned i = 0; i < passes; i++) {
        count_s += pass(run, MR_PORT_COUNT);
        memory_s += pass(run, MR_PORT_MEMORY);
        ingest_s += pass(run, MR_PORT_INGEST);
    }
    const double limit_s = count_s > memory_s ? count_s : memory_s;
    mr_figures_sample(figures, &names->ratio, limit_s / ingest_s);
    mr_figures_sample(figures, &names->ingest, gb / ingest_s);
    mr_figures_sample(figures, &names->count, gb / count_s);
    mr_figures_sample(figures, &names->memory, gb / memory_s);
}

/* --- set-up ----------------------------------------------------------------------------------- */

static void names_set(struct names *names, const char *bench, const char *group)
{
    static const char *const ends[4] = {"count", "from_memory", "ingest", "ratio"};
    struct mr_figure *figures[4] = {&names->count, &names->memory, &names->ingest, &names->ratio};

    for (unsigned i = 0; i < 4; i++) {
        snprintf(names->text[i], sizeof names->text[i], "%s.%s.%s", bench, group, ends[i]);
        *figures[i] =
            (struct mr_figure){.name = names->text[i], .unit = "GB/s", .better = MR_BETTER_HIGHER};
    }
    names->ratio.unit = "ratio";
    names->ratio.target = 0.8;
    names->ratio.of = "the lower of a receiver that only counts and ingest from memory";
}

static struct mr_packet_source *make_source(void *context, unsigned worker, struct mr_error *error)
{
    struct run *run = context;

    (void)worker;
    return mr_port_source_open(&run->source, run->port, error);
}

static void open_worker(struct run *run)
{
    struct mr_error error = {""};
    const struct mr_worker_config config = {
        .cpu = RECEIVER_CPU,
        .sessions = {.sessions = DEVICES,
                     .slots = DEVICES,
                     .share_bytes_max = run->loads[run->course->which].layout.share_bytes,
                     .cache_bytes = mr_cache_bytes(),
                     .window_max = 64,
                     .idle_timeout_ms = 1000000},
        .accumulator_bytes =
            2 * mr_shard_block_bytes(&run->loads[run->course->which].layout, DEVICES),
        .make_source = make_source,
        .make_context = run,
        .kernels = mr_kernels_select(UINT32_MAX),
        .report_fd = run->report_fd};

    if (mr_worker_open(&run->worker, &config, &error) != 0) {
        fail(error.text);
    }
}

static void open_loads(struct run *run)
{
    /* As perf/ingest_bench.c has them. */
    const uint64_t cache = mr_cache_bytes() > 0 ? mr_cache_bytes() : 32u << 20;
    const uint64_t slots[CASES] = {
        [FITS] = 2 * MR_CHUNK_BYTES_DEFAULT - MR_TRAILER_BYTES, [FAR] = BEYOND * cache / DEVICES};
    struct mr_layout layout;

    for (unsigned i = 0; i < CASES; i++) {
        const uint64_t lanes = (slots[i] - MR_TRAILER_BYTES) / 2 / 64 * 64;
        if (mr_layout_init(&layout, 16, lanes, 0, MR_CHUNK_BYTES_DEFAULT) != 0) {
            fail("no layout of that size");
        }
        mr_load_open(&run->loads[i], &layout, DEVICES);
    }
}

/* The generator's process is made before DPDK starts in either. */
static pid_t open_generator(struct run *run)
{
    run->course =
        mmap(NULL, sizeof *run->course, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    run->report_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (run->course == MAP_FAILED || run->report_fd < 0) {
        fail("no shared memory");
    }
    run->source.taken = &run->course->taken;
    const pid_t child = fork();
    if (child == 0) {
        generate(run);
    }
    if (child < 0) {
        fail("no second process");
    }
    ask(run, STEP_NONE); /* done when its end is open */
    while (atomic_load(&run->course->done) == 0) {
        if (waitpid(child, NULL, WNOHANG) == child) {
            fail("the generator ended");
        }
        usleep(1000);
    }
    return child;
}

static void open_port(struct run *run)
{
    struct mr_error error = {""};
    const struct mr_dpdk_config config = {.device = run->bench->device,
                                          .addresses = HUB_ADDRESS,
                                          .port_base = PORT_BASE,
                                          .workers = 1};

    if (mr_dpdk_port_open(&run->port, &config, &error) != 0) {
        fail(error.text);
    }
}

static void measure(struct mr_figures *figures, struct run *run, unsigned which, unsigned rounds,
                    unsigned passes)
{
    static const char *const groups[CASES] = {[FITS] = "fits", [FAR] = "beyond"};
    static const char *const slot_bytes[CASES] = {
        [FITS] = "fits_slot_bytes", [FAR] = "beyond_slot_bytes"};
    static struct names names[CASES];

    names_set(&names[which], run->bench->name, groups[which]);
    run->course->which = which;
    open_worker(run);
    mr_figures_context_number(figures, slot_bytes[which],
                              (double)run->loads[which].layout.share_bytes);
    mr_figures_context(figures, "opener", mr_opener_name(mr_worker_opener(run->worker)));
    (void)pass(run, MR_PORT_COUNT); /* the first passes touch everything once */
    (void)pass(run, MR_PORT_INGEST);
    for (unsigned i = 0; i < rounds; i++) {
        sample(figures, &names[which], run, passes);
    }
    mr_worker_close(run->worker);
}

static int finish(struct run *run, struct mr_figures *figures, const char *json, pid_t generator)
{
    mr_figures_checked(figures); /* a wrong sum would have ended the program */
    const int failed = mr_figures_write(figures, json);
    mr_figures_close(figures);
    mr_dpdk_port_close(run->port);
    kill(generator, SIGKILL);
    waitpid(generator, NULL, 0);
    for (unsigned i = 0; i < CASES; i++) {
        mr_load_close(&run->loads[i]);
    }
    return failed != 0;
}

int mr_port_bench_run(const struct mr_port_bench *bench, int argc, char **argv)
{
    static const struct option names[] = {
        {"quick", no_argument, NULL, 'q'}, {"json", required_argument, NULL, 'j'}, {0}};
    static struct run run;
    const char *json = NULL;
    bool quick = false;

    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        if (c != 'q' && c != 'j') {
            return 2;
        }
        quick |= c == 'q';
        json = c == 'j' ? optarg : json;
    }
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
        fprintf(stderr, "needs two CPUs, one for the generator\n");
        return 77;
    }
    run.bench = bench;
    open_loads(&run);
    const pid_t generator = open_generator(&run);
    open_port(&run);
    struct mr_figures *figures = mr_figures_open(bench->name);
    mr_figures_context_number(figures, "sessions", DEVICES);
    mr_figures_context_number(figures, "chunk_bytes", MR_CHUNK_BYTES_DEFAULT);
    measure(figures, &run, FITS, quick ? 3 : ROUNDS, quick ? 4 : 16);
    measure(figures, &run, FAR, quick ? 3 : ROUNDS, 1);
    return finish(&run, figures, json, generator);
}
