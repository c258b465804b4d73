/* ingest_bench.c - one core's ingest, from a received datagram to the folded accumulator, beside
 * its own limit.
 *
 * 4,096 uploads at once, packets of 1,408 bytes from devices in random order, through the session
 * core as the hub runs it: header, session, bitmap, seal, staging slot, fold. The limit is
 * 1 / (1/aead + 1/add): opening the same packets into a fixed buffer, and folding the same slots,
 * measured in turns with it in the same run. The sum is checked in every round.
 *
 * usage: ingest_bench [--quick] [--rounds N] [--slots MIB] [--opener NAME] [--json FILE] */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "appliance/accumulate/shard.h"
#include "appliance/runtime/cache.h"
#include "appliance/upload/open_impl.h"
#include "appliance/upload/session_impl.h"
#include "perf/ingest_load.h"

#define DEVICES    4096u
#define ROUNDS_MAX 99
#define BURST      MR_BURST_MAX

enum part {
    PART_SESSION, /* header, session, bitmap, bookkeeping */
    PART_OPEN,    /* the seal, into the slot */
    PART_FOLD,
    PART_ACK,    /* making ACKs: beside the figure, not in it */
    PART_INGEST, /* all but the ACKs */
    PART_AEAD,
    PART_ADD,
    PARTS
};

struct sample {
    double seconds[PARTS];
};

/* Times the bursts of an opener inside the session core. */
struct timed_opener {
    struct mr_opener base;
    struct mr_opener *inner;
    double seconds;
};

struct bench {
    const struct mr_kernels *kernels;
    struct mr_upload_counters *counters;
    struct mr_sessions *sessions;
    struct timed_opener timed;
    struct mr_opener *opener; /* for the limit */
    struct mr_shard shard, other;
    struct mr_load load;
    unsigned turn; /* which goes first alternates */
    double now_s;  /* the sessions' clock: time spent ingesting */
    _Alignas(64) uint8_t fixed[MR_CHUNK_BYTES_MAX];
};

struct options {
    const char *json;
    enum mr_opener_kind opener;
    unsigned rounds;
    uint64_t slots_bytes;
    bool quick;
};

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* What this thread ran: on a busy machine the clock on the wall counts others' work too. */
static double cpu_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void fail(const char *text)
{
    fprintf(stderr, "%s\n", text);
    exit(1);
}

/* --- one pass -------------------------------------------------------------------------------- */

static void timed_burst(struct mr_opener *opener, struct mr_open_job *jobs, unsigned count)
{
    struct timed_opener *timed = (struct timed_opener *)opener;
    const double start = now_s();

    timed->inner->ops->burst(timed->inner, jobs, count);
    timed->seconds += now_s() - start;
}

static int timed_key(struct mr_opener *opener, uint32_t place, const struct mr_aead_key *key)
{
    return mr_opener_key(((struct timed_opener *)opener)->inner, place, key);
}

static void timed_forget(struct mr_opener *opener, uint32_t place)
{
    mr_opener_forget(((struct timed_opener *)opener)->inner, place);
}

static const struct mr_opener_ops timed_ops = {
    .name = "timed", .key = timed_key, .forget = timed_forget, .burst = timed_burst};

static void begin(struct bench *bench)
{
    mr_sessions_begin(bench->sessions, MR_LOAD_ROUND, &bench->load.layout, DEVICES * 64);
    mr_shard_clear(&bench->shard, &bench->load.layout);
    mr_shard_clear(&bench->other, &bench->load.layout);
    for (uint32_t i = 0; i < DEVICES; i++)
        if (mr_sessions_admit(bench->sessions, mr_load_upload_id(i), MR_LOAD_ATTEMPT,
                              &bench->load.keys[i], (uint64_t)(bench->now_s * 1e3)) != 0)
            fail("a session was refused");
    mr_load_begin(&bench->load);
}

/* Opens what is in the ring into one fixed buffer. (Jobs of a burst that share a buffer spoil one
 * another's bytes, which nobody reads here.) */
static double open_only(struct bench *bench)
{
    const double start = cpu_s();

    for (uint32_t at = 0; at < bench->load.count; at += BURST) {
        struct mr_open_job jobs[BURST];
        const unsigned n = bench->load.count - at < BURST ? bench->load.count - at : BURST;
        for (unsigned i = 0; i < n; i++) {
            const struct mr_packet *packet = &bench->load.packets[at + i];
            jobs[i] = (struct mr_open_job){.sequence = bench->load.chunks[at + i],
                                           .datagram = packet->data,
                                           .plain = bench->fixed,
                                           .bytes = packet->length - MR_DATAGRAM_OVERHEAD,
                                           .key = bench->load.owners[at + i]};
        }
        mr_open_burst(bench->opener, jobs, n);
        for (unsigned i = 0; i < n; i++)
            if (!jobs[i].held)
                fail("a seal does not hold");
    }
    return cpu_s() - start;
}

static void fold_staged(struct bench *bench, bool everything)
{
    const uint8_t *shares[MR_FOLD_MAX];
    uint64_t ids[MR_FOLD_MAX];

    while (mr_sessions_staged_count(bench->sessions) >= (everything ? 1 : MR_FOLD_MAX)) {
        const unsigned n = mr_sessions_staged(bench->sessions, shares, ids);
        mr_shard_fold(&bench->shard, &bench->load.layout, shares, ids, n, bench->kernels);
        mr_sessions_folded(bench->sessions, n);
    }
}

static void take_events(struct bench *bench)
{
    enum mr_upload_state state;
    uint64_t id;

    while (mr_sessions_event(bench->sessions, &id, &state))
        continue;
}

/* A worker's turns over what is in the ring. The parts are told apart by the clock on the wall. */
static void ingest(struct bench *bench, struct sample *sample)
{
    const double began = cpu_s();

    for (uint32_t at = 0; at < bench->load.count; at += BURST) {
        const unsigned n = bench->load.count - at < BURST ? bench->load.count - at : BURST;
        const uint64_t now_ms = (uint64_t)(bench->now_s * 1e3);
        const double start = now_s(), opened = bench->timed.seconds;
        mr_sessions_receive(bench->sessions, &bench->load.packets[at], n, now_ms, NULL);
        take_events(bench);
        const double received = now_s();
        fold_staged(bench, false);
        const double end = now_s();
        const double in_opener = bench->timed.seconds - opened;
        sample->seconds[PART_OPEN] += in_opener;
        sample->seconds[PART_SESSION] += received - start - in_opener;
        sample->seconds[PART_FOLD] += end - received;
    }
    const double took = cpu_s() - began;
    sample->seconds[PART_INGEST] += took;
    bench->now_s += took;
}

static double make_acks(struct bench *bench)
{
    const double start = cpu_s();
    struct mr_ack_datagram ack;

    while (mr_sessions_ack(bench->sessions, (uint64_t)(bench->now_s * 1e3), false, &ack))
        continue;
    return cpu_s() - start;
}

static double add_only(struct bench *bench)
{
    const struct mr_staging *staging = &bench->sessions->staging;
    const uint64_t ids[MR_FOLD_MAX] = {0};
    const double start = cpu_s();

    for (uint32_t at = 0; at < DEVICES; at += MR_FOLD_MAX) {
        const uint8_t *shares[MR_FOLD_MAX];
        for (unsigned i = 0; i < MR_FOLD_MAX; i++)
            shares[i] = staging->slots[at + i].bytes;
        mr_shard_fold(&bench->other, &bench->load.layout, shares, ids, MR_FOLD_MAX, bench->kernels);
    }
    return cpu_s() - start;
}

static void pass(struct bench *bench, struct sample *sample)
{
    *sample = (struct sample){0};
    begin(bench);
    for (; mr_load_next(&bench->load); bench->turn++) {
        if (bench->turn % 2 == 0)
            sample->seconds[PART_AEAD] += open_only(bench);
        ingest(bench, sample);
        sample->seconds[PART_ACK] += make_acks(bench);
        if (bench->turn % 2 != 0)
            sample->seconds[PART_AEAD] += open_only(bench);
    }
    const double start = cpu_s();
    fold_staged(bench, true);
    sample->seconds[PART_FOLD] += cpu_s() - start;
    sample->seconds[PART_INGEST] += cpu_s() - start;
    sample->seconds[PART_ADD] = add_only(bench);
    if (bench->shard.count != DEVICES)
        fail("not every upload was folded");
    mr_load_check(&bench->load, &bench->shard.sum);
    mr_load_check(&bench->load, &bench->other.sum);
}

/* --- set-up ---------------------------------------------------------------------------------- */

static void bench_open(struct bench *bench, uint64_t slots_bytes, const struct options *options)
{
    struct mr_error error = {.text = "no layout of that size"};
    struct mr_layout layout;
    /* The lanes that fill a slot; a multiple of 64 of them is what a layout has. */
    const uint64_t lanes = (slots_bytes / DEVICES - MR_TRAILER_BYTES) / 2 / 64 * 64 + 64;

    memset(bench, 0, sizeof *bench);
    bench->kernels = mr_kernels_select(UINT32_MAX);
    bench->now_s = 1;
    bench->counters = aligned_alloc(128, sizeof *bench->counters);
    if (bench->counters == NULL ||
        mr_layout_init(&layout, 16, lanes, 0, MR_CHUNK_BYTES_DEFAULT) != 0)
        fail(error.text);
    memset(bench->counters, 0, sizeof *bench->counters);
    const struct mr_sessions_config config = {.sessions = DEVICES,
                                              .slots = DEVICES,
                                              .share_bytes_max = layout.share_bytes,
                                              .cache_bytes = mr_cache_bytes(),
                                              .window_max = 64,
                                              .idle_timeout_ms = 1000000,
                                              .opener = options->opener};
    if (mr_sessions_open(&bench->sessions, &config, bench->counters, &error) != 0 ||
        mr_shard_open(&bench->shard, layout.share_bytes, DEVICES, &error) != 0 ||
        mr_shard_open(&bench->other, layout.share_bytes, DEVICES, &error) != 0 ||
        (bench->opener = mr_opener_open(options->opener, DEVICES, &error)) == NULL)
        fail(error.text);
    bench->timed.base.ops = &timed_ops;
    bench->timed.base.keys = DEVICES;
    bench->timed.inner = bench->sessions->opener;
    bench->sessions->opener = &bench->timed.base;
    mr_load_open(&bench->load, &layout, DEVICES);
    for (uint32_t i = 0; i < DEVICES; i++)
        if (mr_opener_key(bench->opener, i, &bench->load.keys[i].up) != 0)
            fail("a key was refused");
}

static void bench_close(struct bench *bench)
{
    bench->sessions->opener = bench->timed.inner;
    mr_sessions_close(bench->sessions);
    mr_opener_close(bench->opener);
    mr_shard_close(&bench->shard);
    mr_shard_close(&bench->other);
    mr_load_close(&bench->load);
    free(bench->counters);
}

/* --- figures --------------------------------------------------------------------------------- */

struct figure {
    const char *name, *unit;
    double of[ROUNDS_MAX];
};

enum { AEAD, ADD, IDEAL, INGEST, RATIO, WITH_ACKS, SESSION, OPEN, FOLD, FIGURES };

static void figures_of(struct figure *figures, unsigned round, const struct sample *sample,
                       double bytes)
{
    const double *s = sample->seconds;
    const double ingest_s = s[PART_INGEST], sum_s = s[PART_SESSION] + s[PART_OPEN] + s[PART_FOLD];

    figures[AEAD].of[round] = 1e-9 * bytes / s[PART_AEAD];
    figures[ADD].of[round] = 1e-9 * bytes / s[PART_ADD];
    figures[IDEAL].of[round] = 1e-9 * bytes / (s[PART_AEAD] + s[PART_ADD]);
    figures[INGEST].of[round] = 1e-9 * bytes / ingest_s;
    figures[RATIO].of[round] = (s[PART_AEAD] + s[PART_ADD]) / ingest_s;
    figures[WITH_ACKS].of[round] = 1e-9 * bytes / (ingest_s + s[PART_ACK]);
    figures[SESSION].of[round] = s[PART_SESSION] / sum_s;
    figures[OPEN].of[round] = s[PART_OPEN] / sum_s;
    figures[FOLD].of[round] = s[PART_FOLD] / sum_s;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static json_t *report(struct figure *figures, unsigned rounds)
{
    json_t *all = json_object();

    for (unsigned i = 0; i < FIGURES; i++) {
        double *of = figures[i].of;
        qsort(of, rounds, sizeof *of, by_value);
        printf("  %-20s %8.3f %-5s (%.3f to %.3f)\n", figures[i].name, of[rounds / 2],
               figures[i].unit, of[0], of[rounds - 1]);
        json_object_set_new(all, figures[i].name,
                            json_pack("{sssfsfsf}", "unit", figures[i].unit, "median",
                                      of[rounds / 2], "min", of[0], "max", of[rounds - 1]));
    }
    return all;
}

static json_t *measure(const char *name, uint64_t slots_bytes, const struct options *options)
{
    struct figure figures[FIGURES] = {
        [AEAD] = {.name = "aead", .unit = "GB/s"},
        [ADD] = {.name = "add", .unit = "GB/s"},
        [IDEAL] = {.name = "limit", .unit = "GB/s"},
        [INGEST] = {.name = "ingest", .unit = "GB/s"},
        [RATIO] = {.name = "ingest/limit", .unit = ""},
        [WITH_ACKS] = {.name = "ingest_and_acks", .unit = "GB/s"},
        [SESSION] = {.name = "share_of_sessions", .unit = ""},
        [OPEN] = {.name = "share_of_opening", .unit = ""},
        [FOLD] = {.name = "share_of_folding", .unit = ""},
    };
    struct bench *bench = aligned_alloc(64, (sizeof *bench + 63) / 64 * 64);
    struct sample sample;

    if (bench == NULL)
        fail("out of memory");
    bench_open(bench, slots_bytes, options);
    const struct mr_layout *layout = &bench->load.layout;
    const double bytes = (double)DEVICES * (double)layout->share_bytes;
    printf("%s: %u slots of %llu bytes, %.0f MiB together; %u chunks each; opened by %s (%s)\n",
           name, DEVICES, (unsigned long long)layout->share_bytes, bytes / 1048576, layout->chunks,
           mr_opener_name(bench->opener), mr_opener_why(bench->opener));
    pass(bench, &sample); /* not counted */
    for (unsigned round = 0; round < options->rounds; round++) {
        pass(bench, &sample);
        figures_of(figures, round, &sample, bytes);
    }
    json_t *result =
        json_pack("{sssIsIsisiss}", "name", name, "slots_bytes", (json_int_t)bytes, "sessions",
                  (json_int_t)DEVICES, "chunk_bytes", (int)layout->chunk_bytes, "rounds",
                  (int)options->rounds, "opener", mr_opener_name(bench->opener));
    json_object_set_new(result, "figures", report(figures, options->rounds));
    bench_close(bench);
    free(bench);
    return result;
}

/* --- the command ----------------------------------------------------------------------------- */

static void usage(const char *name)
{
    fprintf(stderr,
            "usage: %s [--quick] [--rounds N] [--slots MIB] [--opener openssl|ipsec_mb] "
            "[--json FILE]\n",
            name);
    exit(2);
}

static void parse(struct options *options, int argc, char **argv)
{
    static const struct option names[] = {
        {"quick", no_argument, NULL, 'q'},       {"rounds", required_argument, NULL, 'r'},
        {"slots", required_argument, NULL, 's'}, {"opener", required_argument, NULL, 'o'},
        {"json", required_argument, NULL, 'j'},  {0}};
    int c;

    while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (c) {
        case 'q':
            options->quick = true;
            options->rounds = 3;
            break;
        case 'r':
            options->rounds = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 's':
            options->slots_bytes = strtoull(optarg, NULL, 10) << 20;
            break;
        case 'o':
            options->opener =
                strcmp(optarg, "openssl") == 0 ? MR_OPENER_OPENSSL : MR_OPENER_IPSEC_MB;
            break;
        case 'j':
            options->json = optarg;
            break;
        default:
            usage(argv[0]);
        }
    }
    if (options->rounds < 1 || options->rounds > ROUNDS_MAX || optind != argc)
        usage(argv[0]);
}

static void cpu_name(char *name, size_t room)
{
    char line[256];
    FILE *file = fopen("/proc/cpuinfo", "re");

    snprintf(name, room, "unknown");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "model name\t: ", 13) == 0) {
            line[strcspn(line, "\n")] = '\0';
            snprintf(name, room, "%.100s", line + 13);
            break;
        }
    }
    if (file != NULL)
        fclose(file);
}

/* Well inside the cache, since a virtual machine is told of more than it has; the packets are made
 * once and fit as well. */
static uint64_t fits_bytes(uint64_t cache)
{
    const uint64_t ring = (uint64_t)MR_LOAD_RING_PACKETS * MR_CHUNK_BYTES_DEFAULT;

    return (cache / 4 < ring ? cache / 4 : ring) - 512 * DEVICES;
}

int main(int argc, char **argv)
{
    struct options options = {.rounds = 7};
    char cpu[128];
    const long reported = sysconf(_SC_LEVEL3_CACHE_SIZE);
    const uint64_t cache = reported > 0 ? (uint64_t)reported : 32u << 20;
    json_t *sizes = json_array();

    parse(&options, argc, argv);
    cpu_name(cpu, sizeof cpu);
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("%s, last-level cache %.0f MiB, kernels %s\n", cpu, (double)cache / 1048576,
           mr_kernels_select(UINT32_MAX)->name);
    if (options.slots_bytes > 0) {
        json_array_append_new(sizes, measure("chosen", options.slots_bytes, &options));
    } else {
        json_array_append_new(sizes, measure("fits", fits_bytes(cache), &options));
        if (!options.quick)
            json_array_append_new(sizes, measure("beyond", 4 * cache, &options));
    }
    json_t *all =
        json_pack("{sssssIsssbso}", "bench", "ingest", "cpu", cpu, "cache_bytes", (json_int_t)cache,
                  "kernels", mr_kernels_select(UINT32_MAX)->name, "sum_checked", 1, "sizes", sizes);
    if (options.json != NULL && json_dump_file(all, options.json, JSON_INDENT(2)) != 0)
        fail("cannot write the JSON file");
    json_decref(all);
    return 0;
}
