/* ingest_bench.c - one core's ingest, from a received datagram to the folded accumulator, beside
 * its own limit 1 / (1/aead + 1/add), once with slots that fit the last-level cache, once with
 * slots far beyond it, and once over a bad network; and a worker's whole path beside the session
 * core.
 *
 * usage: ingest_bench [--quick] [--json FILE] [--slots MIB | --worker] [--opener openssl|ipsec_mb]
 * [--cpu-mask MASK]
 */
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/runtime/cache.h"
#include "kernels/kernels.h"
#include "perf/figures.h"
#include "perf/ingest_pass.h"
#include "perf/ingest_worker.h"

#define DEVICES      4096u
#define LONG_DEVICES 64u /* of uploads as long as a round of 10^6 values has them: */
#define LONG_CHUNKS  1421u
#define BEYOND       8 /* times the last-level cache */

struct options {
    const char *json;
    enum mr_opener_kind opener;
    uint32_t cpu_levels;
    unsigned samples;
    double sample_s; /* of ingest in one sample, at least */
    uint64_t slots_bytes, cache_bytes;
    bool quick, worker_only;
};

struct names {
    const char *slot_bytes; /* a key of the context */
    struct mr_figure aead, add, limit, ingest, ratio, with_acks, session, open, fold, opening,
        folding, ceiling;
};

#define RATE(GROUP, NAME)                                                                          \
    {                                                                                              \
        .name = "ingest." GROUP "." NAME, .unit = "GB/s", .better = MR_BETTER_HIGHER               \
    }
#define SHARE(GROUP, NAME)                                                                         \
    {                                                                                              \
        .name = "ingest." GROUP "." NAME, .unit = "share", .better = MR_BETTER_NEITHER             \
    }
#define NAMES(GROUP, TARGET)                                                                       \
    {                                                                                              \
        .slot_bytes = GROUP "_slot_bytes", .aead = RATE(GROUP, "aead"), .add = RATE(GROUP, "add"), \
        .limit = RATE(GROUP, "limit"), .ingest = RATE(GROUP, "rate"),                              \
        .ratio = {.name = "ingest." GROUP ".ratio",                                                \
                  .unit = "ratio",                                                                 \
                  .better = MR_BETTER_HIGHER,                                                      \
                  .target = (TARGET),                                                              \
                  .of = "1 / (1/aead + 1/add)"},                                                   \
        .with_acks = RATE(GROUP, "rate_with_acks"), .session = SHARE(GROUP, "share_of_sessions"),  \
        .open = SHARE(GROUP, "share_of_opening"), .fold = SHARE(GROUP, "share_of_folding"),        \
        .opening = RATE(GROUP, "opening"), .folding = RATE(GROUP, "folding"), .ceiling = {         \
            .name = "ingest." GROUP ".ratio_were_sessions_free",                                   \
            .unit = "ratio",                                                                       \
            .better = MR_BETTER_NEITHER,                                                           \
            .of = "1 / (1/aead + 1/add)"                                                           \
        }                                                                                          \
    }

static const struct names fits_names = NAMES("fits", 0.85);
static const struct names beyond_names = NAMES("beyond", 0.55);
static const struct names chosen_names = NAMES("chosen", 0);

static const struct mr_figure faulty_rate = RATE("faults", "rate");
static const struct mr_figure faulty_ratio = {
    .name = "ingest.faults.ratio",
    .unit = "ratio",
    .better = MR_BETTER_HIGHER,
    .of = "ingest of the same uploads without faults, ingest.fits.rate"};

/* A worker's whole path beside the session core alone. */
struct worker_names {
    struct mr_figure rate, core, ratio, acks;
};

#define WORKER_NAMES(GROUP, TARGET)                                                                \
    {                                                                                              \
        .rate = RATE(GROUP, "rate"), .core = RATE(GROUP, "session_core"),                          \
        .ratio = {.name = "ingest." GROUP ".ratio",                                                \
                  .unit = "ratio",                                                                 \
                  .better = MR_BETTER_HIGHER,                                                      \
                  .target = (TARGET),                                                              \
                  .of = "the session core without ACKs, same packets"},                            \
        .acks = {                                                                                  \
            .name = "ingest." GROUP ".acks_per_upload",                                            \
            .unit = "acks",                                                                        \
            .better = MR_BETTER_NEITHER                                                            \
        }                                                                                          \
    }

static const struct worker_names worker_names = WORKER_NAMES("worker", 0.7);
static const struct worker_names long_names = WORKER_NAMES("worker_long", 0.9);

static double stages_s(const double seconds[MR_INGEST_PARTS])
{
    return seconds[MR_INGEST_SESSION] + seconds[MR_INGEST_OPEN] + seconds[MR_INGEST_FOLD];
}

/* Passes of one kind until they ingested for long enough; how many. */
static unsigned repeat(struct mr_ingest *ingest, enum mr_ingest_kind kind, double least_s,
                       double seconds[MR_INGEST_PARTS])
{
    unsigned passes = 0;
    double took_s;

    memset(seconds, 0, MR_INGEST_PARTS * sizeof *seconds);
    do {
        mr_ingest_pass(ingest, kind, seconds);
        passes++;
        took_s = kind == MR_INGEST_TIMED ? stages_s(seconds) : seconds[MR_INGEST_ALL];
    } while (took_s < least_s);
    return passes;
}

static void sample(struct mr_figures *figures, const struct names *names, struct mr_ingest *ingest,
                   const struct options *options)
{
    const double pass_bytes = (double)DEVICES * mr_ingest_layout(ingest)->share_bytes;
    double s[MR_INGEST_PARTS];
    const double bytes = 1e-9 * pass_bytes * repeat(ingest, MR_INGEST_PLAIN, options->sample_s, s);

    mr_figures_sample(figures, &names->ingest, bytes / s[MR_INGEST_ALL]);
    mr_figures_sample(figures, &names->aead, bytes / s[MR_INGEST_AEAD]);
    mr_figures_sample(figures, &names->add, bytes / s[MR_INGEST_ADD]);
    mr_figures_sample(figures, &names->limit, bytes / (s[MR_INGEST_AEAD] + s[MR_INGEST_ADD]));
    mr_figures_sample(figures, &names->ratio,
                      (s[MR_INGEST_AEAD] + s[MR_INGEST_ADD]) / s[MR_INGEST_ALL]);
    mr_figures_sample(figures, &names->with_acks, bytes / (s[MR_INGEST_ALL] + s[MR_INGEST_ACK]));
    const double limit = bytes / (s[MR_INGEST_AEAD] + s[MR_INGEST_ADD]);
    const double timed_bytes =
        1e-9 * pass_bytes * repeat(ingest, MR_INGEST_TIMED, options->sample_s / 2, s);
    const double all_s = stages_s(s), staged_s = s[MR_INGEST_OPEN] + s[MR_INGEST_FOLD];
    mr_figures_sample(figures, &names->opening, timed_bytes / s[MR_INGEST_OPEN]);
    mr_figures_sample(figures, &names->folding, timed_bytes / s[MR_INGEST_FOLD]);
    mr_figures_sample(figures, &names->ceiling, timed_bytes / staged_s / limit);
    mr_figures_sample(figures, &names->session, s[MR_INGEST_SESSION] / all_s);
    mr_figures_sample(figures, &names->open, s[MR_INGEST_OPEN] / all_s);
    mr_figures_sample(figures, &names->fold, s[MR_INGEST_FOLD] / all_s);
}

/* In turns with the same uploads over a good network. */
static void sample_faults(struct mr_figures *figures, struct mr_ingest *ingest,
                          const struct options *options)
{
    const double pass_bytes = (double)DEVICES * mr_ingest_layout(ingest)->share_bytes;
    double good[MR_INGEST_PARTS], bad[MR_INGEST_PARTS];
    const double good_bytes =
        1e-9 * pass_bytes * repeat(ingest, MR_INGEST_PLAIN, options->sample_s / 2, good);
    const double bad_bytes =
        1e-9 * pass_bytes * repeat(ingest, MR_INGEST_FAULTY, options->sample_s / 2, bad);

    mr_figures_sample(figures, &faulty_rate, bad_bytes / bad[MR_INGEST_ALL]);
    mr_figures_sample(figures, &faulty_ratio,
                      bad_bytes / bad[MR_INGEST_ALL] / (good_bytes / good[MR_INGEST_ALL]));
}

static void measure(struct mr_figures *figures, const struct names *names, uint64_t slots_bytes,
                    bool faults, const struct options *options)
{
    const struct mr_ingest_pass_config config = {.devices = DEVICES,
                                                 .slots_bytes = slots_bytes,
                                                 .cache_bytes = options->cache_bytes,
                                                 .opener = options->opener,
                                                 .cpu_levels = options->cpu_levels};
    struct mr_ingest *ingest = mr_ingest_open(&config);
    double seconds[MR_INGEST_PARTS];

    mr_figures_context_number(figures, names->slot_bytes,
                              (double)mr_ingest_layout(ingest)->share_bytes);
    mr_figures_context(figures, "opener", mr_opener_name(mr_ingest_opener(ingest)));
    mr_figures_context(figures, "opener_is", mr_opener_why(mr_ingest_opener(ingest)));
    repeat(ingest, MR_INGEST_PLAIN, 0, seconds); /* not counted */
    for (unsigned i = 0; i < options->samples; i++) {
        sample(figures, names, ingest, options);
    }
    for (unsigned i = 0; faults && i < options->samples; i++) {
        sample_faults(figures, ingest, options);
    }
    mr_ingest_close(ingest);
}

/* The two in turns, each in the CPU time of its thread. */
static void sample_worker(struct mr_figures *figures, const struct worker_names *names,
                          struct mr_ingest *ingest, struct mr_ingest_worker *worker,
                          const struct options *options)
{
    const struct mr_load *load = mr_ingest_load(ingest);
    const double pass_bytes = 1e-9 * load->devices * (double)load->layout.share_bytes;
    double core[MR_INGEST_PARTS] = {0}, worker_s = 0;
    uint64_t acks = 0;
    unsigned passes = 0;

    do {
        mr_ingest_pass(ingest, MR_INGEST_QUICK, core);
        worker_s += mr_ingest_worker_pass(worker, &acks);
        passes++;
    } while (worker_s < options->sample_s);
    mr_figures_sample(figures, &names->rate, pass_bytes * passes / worker_s);
    mr_figures_sample(figures, &names->core, pass_bytes * passes / core[MR_INGEST_ALL]);
    mr_figures_sample(figures, &names->ratio, core[MR_INGEST_ALL] / worker_s);
    mr_figures_sample(figures, &names->acks, (double)acks / passes / load->devices);
}

static void measure_worker(struct mr_figures *figures, const struct worker_names *names,
                           uint32_t devices, uint64_t slots_bytes, const struct options *options)
{
    const struct mr_ingest_pass_config config = {.devices = devices,
                                                 .slots_bytes = slots_bytes,
                                                 .cache_bytes = options->cache_bytes,
                                                 .opener = options->opener,
                                                 .cpu_levels = options->cpu_levels};
    struct mr_ingest *ingest = mr_ingest_open(&config);
    const struct mr_ingest_worker_config worker_config = {.load = mr_ingest_load(ingest),
                                                          .cache_bytes = options->cache_bytes,
                                                          .opener = options->opener,
                                                          .cpu_levels = options->cpu_levels};
    struct mr_ingest_worker *worker = mr_ingest_worker_open(&worker_config);
    double seconds[MR_INGEST_PARTS];
    uint64_t acks = 0;

    repeat(ingest, MR_INGEST_QUICK, 0, seconds); /* not counted */
    (void)mr_ingest_worker_pass(worker, &acks);
    for (unsigned i = 0; i < options->samples; i++) {
        sample_worker(figures, names, ingest, worker, options);
    }
    mr_ingest_worker_close(worker);
    mr_ingest_close(ingest);
}

/* --- the command ----------------------------------------------------------------------------- */

static void usage(const char *name)
{
    fprintf(stderr,
            "usage: %s [--quick] [--json FILE] [--slots MIB | --worker] [--opener "
            "openssl|ipsec_mb] [--cpu-mask MASK]\n",
            name);
    exit(2);
}

static void parse(struct options *options, int argc, char **argv)
{
    static const struct option names[] = {{"quick", no_argument, NULL, 'q'},
                                          {"slots", required_argument, NULL, 's'},
                                          {"worker", no_argument, NULL, 'w'},
                                          {"opener", required_argument, NULL, 'o'},
                                          {"json", required_argument, NULL, 'j'},
                                          {"cpu-mask", required_argument, NULL, 'm'},
                                          {0}};
    int c;

    while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (c == 'q') {
            options->quick = true;
        } else if (c == 's') {
            options->slots_bytes = strtoull(optarg, NULL, 10) << 20;
        } else if (c == 'w') {
            options->worker_only = true;
        } else if (c == 'o' && strcmp(optarg, "openssl") == 0) {
            options->opener = MR_OPENER_OPENSSL;
        } else if (c == 'o' && strcmp(optarg, "ipsec_mb") == 0) {
            options->opener = MR_OPENER_IPSEC_MB;
        } else if (c == 'j') {
            options->json = optarg;
        } else if (c != 'm' || mr_cpu_mask_parse(optarg, &options->cpu_levels) != 0) {
            usage(argv[0]);
        }
    }
    if (optind != argc) {
        usage(argv[0]);
    }
}

/* One CPU, that its caches stay its own. */
static void stay_here(void)
{
    const int cpu = sched_getcpu();
    cpu_set_t cpus;

    if (cpu < 0) {
        return;
    }
    CPU_ZERO(&cpus);
    CPU_SET((size_t)cpu, &cpus);
    (void)sched_setaffinity(0, sizeof cpus, &cpus);
}

/* Slots of two chunks, 10.8 MiB together: they leave a cache of 32 MiB, of which a virtual machine
 * may have half, to packets and keys as well. */
static uint64_t fits_bytes(void)
{
    return DEVICES * (2 * (uint64_t)MR_CHUNK_BYTES_DEFAULT - MR_TRAILER_BYTES);
}

int main(int argc, char **argv)
{
    struct options options = {
        .samples = 9, .sample_s = 0.2, .cpu_levels = UINT32_MAX, .cache_bytes = mr_cache_bytes()};

    parse(&options, argc, argv);
    if (options.quick) {
        options.samples = 3;
        options.sample_s = 0.05;
    }
    if (options.cache_bytes == 0) {
        options.cache_bytes = 32u << 20;
    }
    stay_here();
    struct mr_figures *figures = mr_figures_open("ingest");
    mr_figures_context(figures, "kernels", mr_kernels_select(options.cpu_levels)->name);
    mr_figures_context_number(figures, "sessions", DEVICES);
    mr_figures_context_number(figures, "last_level_cache_bytes", (double)options.cache_bytes);
    if (options.slots_bytes > 0) {
        measure(figures, &chosen_names, options.slots_bytes, false, &options);
    } else {
        if (!options.worker_only) {
            measure(figures, &fits_names, fits_bytes(), true, &options);
            measure(figures, &beyond_names, BEYOND * options.cache_bytes, false, &options);
        }
        measure_worker(figures, &worker_names, DEVICES, fits_bytes(), &options);
        measure_worker(figures, &long_names, LONG_DEVICES,
                       LONG_DEVICES * (LONG_CHUNKS * (uint64_t)MR_CHUNK_BYTES_DEFAULT), &options);
    }
    mr_figures_checked(figures); /* a wrong sum would have ended the program */
    const int written = mr_figures_write(figures, options.json);
    mr_figures_close(figures);
    return written == 0 ? 0 : 1;
}
