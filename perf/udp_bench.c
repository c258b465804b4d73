/* udp_bench.c - ingest from UDP sockets on loopback: a generator process on one core sends real
 * sealed packets in trains (UDP GSO) to a receiver on the other, which in turns only discards them
 * or takes them through the hub's session core to the folded accumulator; over io_uring and over
 * recvmmsg; and, beside them, the same ingest without any socket.
 *
 * The sum is checked in every pass. usage: udp_bench [--quick] [--json FILE] */
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "appliance/aggregate/shard.h"
#include "appliance/ingest/packet_source.h"
#include "appliance/upload/session.h"
#include "edge-client/upload/udp_link.h"
#include "perf/crowd_figures.h"
#include "perf/figures.h"
#include "perf/ingest_load.h"

#define DEVICES 4096u
#define TRAIN   44u   /* datagrams of 1,456 bytes that one train carries */
#define AHEAD   1408u /* packets under way at most: the receiver's buffer holds more */
#define ROOM    (16u << 20)
#define WAIT_US 1000u

enum { IO_URING, RECVMMSG, SOURCES };
static const char *const source_names[SOURCES] = {"io_uring", "recvmmsg"};

/* Shared by the two processes. */
struct course {
    _Alignas(128) atomic_uint_fast64_t wanted; /* passes that the generator is to have sent */
    _Alignas(128) atomic_uint_fast64_t taken;  /* packets of this pass that the receiver has */
    _Alignas(128) atomic_uint_fast64_t port;   /* where this pass goes */
};

struct bench {
    struct course *course;
    const struct mr_kernels *kernels;
    struct mr_upload_counters *counters;
    struct mr_sessions *sessions;
    struct mr_shard shard;
    struct mr_load load;
    struct mr_packet_source *sources[SOURCES];
};

static void fail(const char *text)
{
    fprintf(stderr, "%s\n", text);
    exit(1);
}

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void pin(unsigned cpu)
{
    cpu_set_t cpus;

    CPU_ZERO(&cpus);
    CPU_SET(cpu, &cpus);
    if (sched_setaffinity(0, sizeof cpus, &cpus) != 0) {
        fail("needs two CPUs");
    }
}

/* --- the generator ---------------------------------------------------------------------------- */

static void generator_pass(const struct bench *bench)
{
    const struct mr_load *load = &bench->load;
    struct mr_error error = {""};
    struct mr_udp_link link;
    struct iovec train[TRAIN];

    if (mr_udp_link_open(&link, "127.0.0.1", (uint16_t)atomic_load(&bench->course->port), &error) !=
        0) {
        fail(error.text);
    }
    for (uint32_t sent = 0; sent < load->count;) {
        unsigned n = 0;
        for (; n < TRAIN && sent + n < load->count; n++) {
            train[n] = (struct iovec){.iov_base = load->packets[sent + n].data,
                                      .iov_len = load->packets[sent + n].length};
        }
        while (sent + n >
               atomic_load_explicit(&bench->course->taken, memory_order_acquire) + AHEAD) {
            continue;
        }
        mr_udp_link_send(&link, train, n);
        sent += n;
    }
    mr_udp_link_close(&link);
}

static void generate(const struct bench *bench)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    pin(1);
    for (uint64_t passes = 0;;) {
        if (atomic_load_explicit(&bench->course->wanted, memory_order_acquire) == passes) {
            continue;
        }
        generator_pass(bench);
        passes++;
    }
}

/* --- the receiver ----------------------------------------------------------------------------- */

static void admit_all(struct bench *bench)
{
    mr_sessions_begin(bench->sessions, 0, MR_LOAD_ROUND, &bench->load.layout, DEVICES * 64);
    mr_shard_clear(&bench->shard, &bench->load.layout);
    for (uint32_t i = 0; i < DEVICES; i++) {
        const struct mr_session_admission admission = {.upload_id = mr_load_upload_id(i),
                                                       .attempt = MR_LOAD_ATTEMPT,
                                                       .count_lane = MR_LOAD_COUNT_LANE,
                                                       .keys = mr_load_keys(&bench->load, i)};
        if (mr_sessions_admit(bench->sessions, 0, &admission, 1) != 0) {
            fail("a session was refused");
        }
    }
}

static void fold(struct bench *bench, bool everything)
{
    const uint8_t *shares[MR_FOLD_MAX];
    uint64_t ids[MR_FOLD_MAX];

    while (mr_sessions_staged_count(bench->sessions, 0) >= (everything ? 1 : MR_FOLD_MAX)) {
        const unsigned n = mr_sessions_staged(bench->sessions, 0, shares, ids);
        mr_shard_fold(&bench->shard, &bench->load.layout, shares, ids, n, bench->kernels);
        mr_sessions_folded(bench->sessions, 0, n);
    }
}

static void ingest_burst(struct bench *bench, const struct mr_packet *packets, unsigned n)
{
    struct mr_session_event event;

    mr_sessions_receive(bench->sessions, packets, n, 1, NULL);
    while (mr_sessions_event(bench->sessions, &event)) {
        continue;
    }
    fold(bench, false);
}

static void check(struct bench *bench)
{
    if (bench->shard.count != DEVICES) {
        fail("not every upload was folded");
    }
    mr_load_check(&bench->load, &bench->shard.sum);
}

/* One pass from the socket, polled as a worker does; seconds from the first packet to the last. */
static double receive(struct bench *bench, unsigned which, bool discards)
{
    struct mr_packet_source *source = bench->sources[which];
    struct mr_packet packets[MR_BURST_MAX];
    uint64_t taken = 0, bytes = 0;
    unsigned wait_us = 0, dry = 0;
    double start = 0;

    if (!discards) {
        admit_all(bench);
    }
    atomic_store(&bench->course->taken, 0);
    atomic_store(&bench->course->port, source->port);
    atomic_fetch_add(&bench->course->wanted, 1);
    while (taken < bench->load.count) {
        const unsigned n = source->ops->poll(source, packets, MR_BURST_MAX, wait_us);
        wait_us = n < MR_BURST_MAX ? WAIT_US : 0;
        dry = n == 0 ? dry + 1 : 0;
        if (dry > 5000) {
            fail("packets were lost on loopback: the receive buffer is too small");
        }
        if (n == 0) {
            continue;
        }
        if (taken == 0) {
            start = now_s();
        }
        if (discards) {
            for (unsigned i = 0; i < n; i++) {
                bytes += packets[i].length;
            }
        } else {
            ingest_burst(bench, packets, n);
        }
        source->ops->release(source, packets, n);
        taken += n;
        atomic_store_explicit(&bench->course->taken, taken, memory_order_release);
    }
    if (!discards) {
        fold(bench, true);
    }
    const double seconds = now_s() - start;
    if (!discards) {
        check(bench);
    } else if (bytes != bench->load.layout.share_bytes * DEVICES + taken * MR_DATAGRAM_OVERHEAD) {
        fail("not every byte arrived");
    }
    return seconds;
}

/* The same packets from memory: what perf/ingest_bench calls ingest. */
static double ingest_only(struct bench *bench)
{
    admit_all(bench);
    const double start = now_s();
    for (uint32_t at = 0; at < bench->load.count; at += MR_BURST_MAX) {
        const uint32_t left = bench->load.count - at;
        ingest_burst(bench, &bench->load.packets[at], left < MR_BURST_MAX ? left : MR_BURST_MAX);
    }
    fold(bench, true);
    const double seconds = now_s() - start;
    check(bench);
    return seconds;
}

/* --- set-up and figures ----------------------------------------------------------------------- */

/* A pass fits the load's ring, so that it is made once. */
static void bench_open(struct bench *bench)
{
    struct mr_error error = {"no layout of that size"};
    struct mr_layout layout;
    const uint64_t share = MR_LOAD_RING_PACKETS / DEVICES * MR_CHUNK_BYTES_DEFAULT;
    const uint64_t lanes = (share - MR_TRAILER_BYTES) / 2 / 64 * 64;

    bench->kernels = mr_kernels_select(UINT32_MAX);
    bench->counters = aligned_alloc(128, (sizeof *bench->counters + 127) / 128 * 128);
    if (!bench->counters || mr_layout_init(&layout, 16, lanes, 0, MR_CHUNK_BYTES_DEFAULT) != 0) {
        fail(error.text);
    }
    memset(bench->counters, 0, sizeof *bench->counters);
    const struct mr_sessions_config config = {.sessions = DEVICES,
                                              .slots = DEVICES,
                                              .share_bytes_max = layout.share_bytes,
                                              .window_max = 64,
                                              .idle_timeout_ms = 1000000};
    if (mr_sessions_open(&bench->sessions, &config, bench->counters, &error) != 0 ||
        mr_shard_open(&bench->shard, layout.share_bytes, DEVICES, &error) != 0) {
        fail(error.text);
    }
    mr_load_open(&bench->load, &layout, DEVICES);
    mr_load_begin(&bench->load);
    if (!mr_load_next(&bench->load) || !bench->load.kept) {
        fail("a pass does not fit the ring");
    }
    bench->course = mmap(NULL, sizeof *bench->course, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (bench->course == MAP_FAILED) {
        fail("no shared memory");
    }
}

/* 0, or -1 where this machine or process has no io_uring. */
static int open_sources(struct bench *bench)
{
    for (unsigned i = 0; i < SOURCES; i++) {
        const struct mr_packet_source_config config = {
            .kind = source_names[i], .listen_host = "127.0.0.1", .receive_buffer_bytes = ROOM};
        struct mr_error error = {""};
        char why[160];
        bench->sources[i] = mr_packet_source_open(&config, why, &error);
        if (!bench->sources[i]) {
            fprintf(stderr, "%s\n", error.text);
            return -1;
        }
        if (bench->sources[i]->receive_buffer_bytes < ROOM) {
            fprintf(stderr, "needs a receive buffer of %u bytes: raise net.core.rmem_max\n", ROOM);
            return -1;
        }
    }
    return 0;
}

struct names {
    struct mr_figure discard, ingest, ratio;
};

#define RATE(NAME)                                                                                 \
    {                                                                                              \
        .name = "udp." NAME, .unit = "GB/s", .better = MR_BETTER_HIGHER                            \
    }
#define NAMES(SOURCE, TARGET)                                                                      \
    {                                                                                              \
        .discard = RATE(SOURCE ".discard"), .ingest = RATE(SOURCE ".ingest"), .ratio = {           \
            .name = "udp." SOURCE ".ratio",                                                        \
            .unit = "ratio",                                                                       \
            .better = MR_BETTER_HIGHER,                                                            \
            .target = (TARGET),                                                                    \
            .of =                                                                                  \
                "the lower of a receiver that only discards and ingest from memory, same packets"  \
        }                                                                                          \
    }

static void sample(struct mr_figures *figures, struct bench *bench)
{
    static const struct names names[SOURCES] = {NAMES("io_uring", 0.8), NAMES("recvmmsg", 0)};
    static const struct mr_figure memory = RATE("ingest_from_memory");
    const double gb = 1e-9 * (double)DEVICES * (double)bench->load.layout.share_bytes;
    const double fed = gb / ingest_only(bench);

    for (unsigned i = 0; i < SOURCES; i++) {
        const double discarded = gb / receive(bench, i, true);
        const double got = gb / receive(bench, i, false);
        mr_figures_sample(figures, &names[i].ratio, got / (discarded < fed ? discarded : fed));
        mr_figures_sample(figures, &names[i].ingest, got);
        mr_figures_sample(figures, &names[i].discard, discarded);
    }
    mr_figures_sample(figures, &memory, fed);
}

int main(int argc, char **argv)
{
    static const struct option names[] = {
        {"quick", no_argument, NULL, 'q'}, {"json", required_argument, NULL, 'j'}, {0}};
    static struct bench bench;
    const char *json = NULL;
    struct mr_figures *figures = mr_figures_open("udp");
    unsigned rounds = 21;

    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        if (c == 'q') {
            rounds = 7;
        } else if (c == 'j') {
            json = optarg;
        } else {
            return 2;
        }
    }
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
        fprintf(stderr, "needs two CPUs, one for the generator\n");
        return 77;
    }
    mr_crowd_figures_prepare();
    for (unsigned i = 0; i < 7; i++) { /* before the generator spins */
        mr_crowd_figures_sample(figures);
    }
    bench_open(&bench);
    const pid_t child = fork();
    if (child == 0) {
        generate(&bench);
    }
    pin(0);
    int failed = open_sources(&bench) == 0 ? 0 : 77;
    if (failed == 0) {
        mr_figures_context_number(figures, "sessions", DEVICES);
        mr_figures_context_number(figures, "chunk_bytes", MR_CHUNK_BYTES_DEFAULT);
        mr_figures_context_number(figures, "packets", bench.load.count);
        mr_figures_context(figures, "opener", mr_opener_name(mr_sessions_opener(bench.sessions)));
        for (unsigned i = 0; i < SOURCES; i++) { /* the first passes touch everything once */
            (void)receive(&bench, i, false);
        }
        for (unsigned i = 0; i < rounds; i++) {
            sample(figures, &bench);
        }
        mr_figures_checked(figures);
        failed = mr_figures_write(figures, json) != 0;
    }
    mr_figures_close(figures);
    for (unsigned i = 0; i < SOURCES; i++) {
        if (bench.sources[i]) {
            bench.sources[i]->ops->close(bench.sources[i]);
        }
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    return failed;
}
