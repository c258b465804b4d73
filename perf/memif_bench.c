/* memif_bench.c - ingest from a memif: a generator process on one core feeds real sealed packets to
 * a receiver on the other, which in turns only counts them or takes them through the hub's session
 * core to the folded accumulator; and, beside both, the same ingest without any port.
 *
 * The sum is checked in every pass. usage: memif_bench [--quick] [--json FILE] */
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

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_pause.h>

#include "appliance/accumulate/shard.h"
#include "appliance/ingest/dpdk.h"
#include "appliance/ingest/dpdk_env.h"
#include "appliance/ingest/dpdk_frame.h"
#include "appliance/upload/session.h"
#include "perf/figures.h"
#include "perf/ingest_load.h"

#define DEVICES   4096u
#define PORT_BASE 9443
#define BURST     32u
#define AHEAD     2048u /* packets under way at most: the receiver's rings are larger than that */

/* Shared by the two processes. */
struct course {
    _Alignas(128) atomic_uint_fast64_t wanted; /* passes the generator is to have sent */
    _Alignas(128) atomic_uint_fast64_t taken;  /* packets of this pass that the receiver has */
    _Alignas(128) atomic_uint_fast64_t ready;
};

struct bench {
    struct course *course;
    const struct mr_kernels *kernels;
    struct mr_upload_counters *counters;
    struct mr_sessions *sessions;
    struct mr_shard shard;
    struct mr_load load;
    struct mr_packet_source *source;
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
    if (sched_setaffinity(0, sizeof cpus, &cpus) != 0)
        fail("needs two CPUs");
}

/* --- the generator ---------------------------------------------------------------------------- */

struct generator {
    uint16_t id;
    struct rte_mempool *pool;
    struct mr_frame_local self;
    struct mr_peer_address hub;
};

static void generator_open(struct generator *generator, const char *socket)
{
    static const uint8_t hub_mac[6] = {2, 0, 0, 0, 0, 1};
    struct mr_error error = {""};
    const struct rte_eth_conf conf = {0};
    char device[256];

    snprintf(device, sizeof device,
             "net_memif1,role=server,id=0,socket=%s,socket-abstract=yes,rsize=12", socket);
    if (mr_dpdk_env_start(device, NULL, &error) != 0 ||
        mr_dpdk_env_attach(device, &generator->id, &error) != 0)
        fail(error.text);
    generator->pool =
        rte_pktmbuf_pool_create("load", 8191, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
    if (generator->pool == NULL || rte_eth_dev_configure(generator->id, 1, 1, &conf) != 0 ||
        rte_eth_rx_queue_setup(generator->id, 0, 4096, 0, NULL, generator->pool) != 0 ||
        rte_eth_tx_queue_setup(generator->id, 0, 4096, 0, NULL) != 0 ||
        rte_eth_dev_start(generator->id) != 0)
        fail("the generator's port does not start");
    memcpy(generator->hub.link.mac, hub_mac, 6);
    generator->hub.host.s6_addr[10] = generator->hub.host.s6_addr[11] = 0xff;
    memcpy(generator->hub.host.s6_addr + 12, "\xc6\x12\x00\x01", 4);
    generator->hub.port = PORT_BASE;
    generator->self.v4 = generator->hub.host;
    memcpy(generator->self.mac, hub_mac, 6);
    generator->self.mac[5] = 2;
}

/* A frame in the room before the sealed packet, which the load leaves for it. */
static struct rte_mbuf *frame_of(struct generator *generator, const struct mr_packet *packet)
{
    struct rte_mbuf *mbuf = rte_pktmbuf_alloc(generator->pool);

    if (mbuf == NULL)
        return NULL;
    memcpy(generator->self.v4.s6_addr + 12, packet->from.host.s6_addr + 12, 4);
    /* Headers as for an empty payload, then the packet with its lengths: no checksum of it. */
    uint8_t *bytes = rte_pktmbuf_mtod(mbuf, uint8_t *);
    const uint32_t head =
        mr_frame_build(bytes, &generator->self, packet->from.port, &generator->hub, NULL, 0);
    const uint32_t ip_bytes = 28 + packet->length, udp_bytes = 8 + packet->length;
    uint32_t sum = (uint32_t)((bytes[24] << 8 | bytes[25]) ^ 0xffff) - 28 + ip_bytes;
    sum = (sum & 0xffff) + (sum >> 16);
    sum = ~sum & 0xffff;
    bytes[16] = (uint8_t)(ip_bytes >> 8);
    bytes[17] = (uint8_t)ip_bytes;
    bytes[24] = (uint8_t)(sum >> 8);
    bytes[25] = (uint8_t)sum;
    bytes[38] = (uint8_t)(udp_bytes >> 8);
    bytes[39] = (uint8_t)udp_bytes;
    bytes[40] = bytes[41] = 0;
    memcpy(bytes + head, packet->data, packet->length);
    mbuf->data_len = (uint16_t)(head + packet->length);
    mbuf->pkt_len = mbuf->data_len;
    return mbuf;
}

static void generator_pass(struct generator *generator, struct bench *bench)
{
    const struct mr_load *load = &bench->load;
    uint32_t sent = 0;

    while (sent < load->count) {
        struct rte_mbuf *mbufs[BURST], *answers[BURST];
        unsigned n = 0, out = 0;
        while (n < BURST && sent + n < load->count &&
               (mbufs[n] = frame_of(generator, &load->packets[sent + n])) != NULL)
            n++;
        while (sent + n > atomic_load_explicit(&bench->course->taken, memory_order_acquire) + AHEAD)
            rte_pause();
        while (out < n)
            out += rte_eth_tx_burst(generator->id, 0, mbufs + out, (uint16_t)(n - out));
        sent += n;
        const unsigned heard = rte_eth_rx_burst(generator->id, 0, answers, BURST);
        rte_pktmbuf_free_bulk(answers, heard);
    }
}

static void generate(struct bench *bench, const char *socket)
{
    static struct generator generator;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    pin(1);
    generator_open(&generator, socket);
    atomic_store(&bench->course->ready, 1);
    for (uint64_t passes = 0;;) {
        struct rte_mbuf *answers[BURST];
        rte_pktmbuf_free_bulk(answers, rte_eth_rx_burst(generator.id, 0, answers, BURST));
        if (atomic_load_explicit(&bench->course->wanted, memory_order_acquire) == passes)
            continue;
        generator_pass(&generator, bench);
        passes++;
    }
}

/* --- the receiver ----------------------------------------------------------------------------- */

static void admit_all(struct bench *bench)
{
    mr_sessions_begin(bench->sessions, MR_LOAD_ROUND, &bench->load.layout, DEVICES * 64);
    mr_shard_clear(&bench->shard, &bench->load.layout);
    for (uint32_t i = 0; i < DEVICES; i++)
        if (mr_sessions_admit(bench->sessions, mr_load_upload_id(i), MR_LOAD_ATTEMPT,
                              &bench->load.keys[i], 1) != 0)
            fail("a session was refused");
}

static void fold(struct bench *bench, bool everything)
{
    const uint8_t *shares[MR_FOLD_MAX];
    uint64_t ids[MR_FOLD_MAX];

    while (mr_sessions_staged_count(bench->sessions) >= (everything ? 1 : MR_FOLD_MAX)) {
        const unsigned n = mr_sessions_staged(bench->sessions, shares, ids);
        mr_shard_fold(&bench->shard, &bench->load.layout, shares, ids, n, bench->kernels);
        mr_sessions_folded(bench->sessions, n);
    }
}

static void ingest_burst(struct bench *bench, const struct mr_packet *packets, unsigned n)
{
    enum mr_upload_state state;
    uint64_t id;

    mr_sessions_receive(bench->sessions, packets, n, 1, NULL);
    while (mr_sessions_event(bench->sessions, &id, &state))
        continue;
    fold(bench, false);
}

static void check(struct bench *bench)
{
    if (bench->shard.count != DEVICES)
        fail("not every upload was folded");
    mr_load_check(&bench->load, &bench->shard.sum);
}

/* One pass from the memif; seconds from the first packet to the last. */
static double receive(struct bench *bench, bool counts_only)
{
    struct mr_packet packets[MR_BURST_MAX];
    uint64_t taken = 0, bytes = 0;
    double start = 0;

    if (!counts_only)
        admit_all(bench);
    atomic_store(&bench->course->taken, 0);
    atomic_fetch_add(&bench->course->wanted, 1);
    while (taken < bench->load.count) {
        const unsigned n = bench->source->ops->poll(bench->source, packets, MR_BURST_MAX, 0);
        if (n == 0)
            continue;
        if (taken == 0)
            start = now_s();
        if (counts_only)
            for (unsigned i = 0; i < n; i++)
                bytes += packets[i].length;
        else
            ingest_burst(bench, packets, n);
        bench->source->ops->release(bench->source, packets, n);
        taken += n;
        atomic_store_explicit(&bench->course->taken, taken, memory_order_release);
    }
    if (!counts_only)
        fold(bench, true);
    const double seconds = now_s() - start;
    if (!counts_only)
        check(bench);
    else if (bytes == 0)
        fail("nothing was counted");
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
    if (bench->counters == NULL ||
        mr_layout_init(&layout, 16, lanes, 0, MR_CHUNK_BYTES_DEFAULT) != 0)
        fail(error.text);
    memset(bench->counters, 0, sizeof *bench->counters);
    const struct mr_sessions_config config = {.sessions = DEVICES,
                                              .slots = DEVICES,
                                              .share_bytes_max = layout.share_bytes,
                                              .window_max = 64,
                                              .idle_timeout_ms = 1000000};
    if (mr_sessions_open(&bench->sessions, &config, bench->counters, &error) != 0 ||
        mr_shard_open(&bench->shard, layout.share_bytes, DEVICES, &error) != 0)
        fail(error.text);
    mr_load_open(&bench->load, &layout, DEVICES);
    mr_load_begin(&bench->load);
    if (!mr_load_next(&bench->load) || !bench->load.kept)
        fail("a pass does not fit the ring");
    bench->course = mmap(NULL, sizeof *bench->course, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (bench->course == MAP_FAILED)
        fail("no shared memory");
}

static void connect_port(struct bench *bench, struct mr_dpdk_port **port, const char *socket)
{
    struct mr_error error = {""};
    char device[256];

    snprintf(device, sizeof device,
             "net_memif0,role=client,id=0,socket=%s,socket-abstract=yes,zero-copy=yes,rsize=10,"
             "mac=02:00:00:00:00:01",
             socket);
    const struct mr_dpdk_config config = {
        .device = device, .addresses = "198.18.0.1", .port_base = PORT_BASE, .workers = 1};
    if (mr_dpdk_port_open(port, &config, &error) != 0 ||
        (bench->source = mr_dpdk_source_open(*port, 0, &error)) == NULL)
        fail(error.text);
}

static void sample(struct mr_figures *figures, struct bench *bench)
{
    static const struct mr_figure count = {"memif.count", "GB/s", MR_BETTER_HIGHER, 0, NULL};
    static const struct mr_figure memory = {"memif.ingest_from_memory", "GB/s", MR_BETTER_HIGHER, 0,
                                            NULL};
    static const struct mr_figure ingest = {"memif.ingest", "GB/s", MR_BETTER_HIGHER, 0, NULL};
    static const struct mr_figure ratio = {
        "memif.ingest_ratio", "ratio", MR_BETTER_HIGHER, 0.8,
        "the lower of a receiver that only counts and ingest from memory, same packets"};
    const double gb = 1e-9 * (double)DEVICES * (double)bench->load.layout.share_bytes;
    const double counted = gb / receive(bench, true), fed = gb / ingest_only(bench);
    const double got = gb / receive(bench, false);

    mr_figures_sample(figures, &ratio, got / (counted < fed ? counted : fed));
    mr_figures_sample(figures, &ingest, got);
    mr_figures_sample(figures, &count, counted);
    mr_figures_sample(figures, &memory, fed);
}

int main(int argc, char **argv)
{
    static const struct option names[] = {
        {"quick", no_argument, NULL, 'q'}, {"json", required_argument, NULL, 'j'}, {0}};
    static struct bench bench;
    const char *json = NULL;
    struct mr_dpdk_port *port = NULL;
    unsigned rounds = 21;
    char socket[64];

    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        if (c == 'q')
            rounds = 7;
        else if (c == 'j')
            json = optarg;
        else
            return 2;
    }
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
        fprintf(stderr, "needs two CPUs, one for the generator\n");
        return 77;
    }
    bench_open(&bench);
    snprintf(socket, sizeof socket, "millrace-bench-%ld", (long)getpid());
    const pid_t child = fork();
    if (child == 0)
        generate(&bench, socket);
    pin(0);
    while (atomic_load(&bench.course->ready) == 0)
        usleep(1000);
    connect_port(&bench, &port, socket);
    struct mr_figures *figures = mr_figures_open("memif");
    mr_figures_context_number(figures, "sessions", DEVICES);
    mr_figures_context_number(figures, "chunk_bytes", MR_CHUNK_BYTES_DEFAULT);
    mr_figures_context_number(figures, "packets", bench.load.count);
    mr_figures_context(figures, "opener", mr_opener_name(mr_sessions_opener(bench.sessions)));
    (void)receive(&bench, true); /* the first passes touch everything once */
    (void)receive(&bench, false);
    for (unsigned i = 0; i < rounds; i++)
        sample(figures, &bench);
    mr_figures_checked(figures);
    const int failed = mr_figures_write(figures, json);
    mr_figures_close(figures);
    bench.source->ops->close(bench.source);
    mr_dpdk_port_close(port);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    return failed != 0;
}
