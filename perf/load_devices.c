/* load_devices.c - many devices in one process, for benches of whole rounds: each a real client of
 * libmillrace-edge (TLS, verified announcements, UDP uploads) with a thread of its own and a
 * trainer that costs next to nothing.
 *
 * A device's delta is a run of whole quantisation steps, different for each device and round. Whole
 * steps pass the stochastic rounding unchanged and the norm is far below any clip, so that the
 * plain sum is known here without asking the library what it made of the delta.
 *
 * usage: load_devices --dimension D --scale S [--ring-bits W] [--at-once N] DEVICE.json…
 *
 * Reads commands from standard input and answers each with one line of JSON:
 *   round        every device takes part in the next round, with fresh connections; at most N at
 *                the same time
 *   fresh        likewise, and clients live on from here: with fresh connections in this round,
 *   resumed      with connections that take the last ones' sessions up, or
 *   kept         with those that are there from the round before
 *   reach        every device connects to every hub and asks one small question
 *   follow DIR   every device takes part with a client that lives on, waits for the release, pulls
 *                and installs it as DIR/NNN; stages of each, in seconds of the monotonic clock, and
 *                the CPU of its thread until the model is verified and until it is installed
 *   pull DIR     the latter alone, of what is released already; a device that has it is not listed
 *   connect      every device connects to every hub, with clients that live on from here
 *   pull-kept DIR  as pull, over those connections
 *   check FILE   compares the hub's sum of that round with the plain sum of the devices that heard
 *                "committed"; ends with 1 when they differ */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "edge-client/include/millrace_edge.h"
#include "edge-client/session/connections.h"
#include "edge-client/session/control.h"
#include "perf/load_devices.h"

#define WAIT_MS 120000
/* For the release of a round that is about to end: as long as a hub lets one wait. */
#define PULL_WAIT_MS 30000
/* A device whose hub is away comes back, as millrace-edge does. */
#define TRIES       100
#define PAUSE_US    100000
#define STACK_BYTES (1u << 20)

void fail(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("load_devices: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

static double thread_cpu_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double monotonic_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + 1e-6 * (double)t.tv_usec;
}

/* splitmix64 (Steele et al. 2014). */
static uint64_t mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* --- one device's round ---------------------------------------------------------------------- */

static enum mre_trained train(void *context, const struct mre_task *task, float *vector,
                              struct mre_report *report)
{
    struct device *device = context;
    const struct load *load = device->load;
    const double began_s = thread_cpu_s();

    if (task->dimension != load->dimension) {
        snprintf(report->why, sizeof report->why, "the model has %zu values, --dimension says %zu",
                 task->dimension, load->dimension);
        return MRE_TRAINED_NOT;
    }
    device->offset = (uint32_t)(mix(mix(task->round) + device->number) % OFFSETS);
    for (size_t i = 0; i < load->dimension; i++) {
        vector[i] = (float)load->pool[device->offset + i] * load->step;
    }
    report->examples = EXAMPLES;
    report->loss = 1;
    device->trained_s = thread_cpu_s() - began_s;
    return MRE_TRAINED_DELTA;
}

static void *take_part(void *context)
{
    struct device *device = context;
    struct mre_client *client;

    device->trained_s = 0;
    for (unsigned tries = 0; tries < TRIES; tries++) {
        if (mre_client_open(&client, mre_config_options(device->config), &device->outcome) != 0) {
            return NULL;
        }
        mre_client_round(client, WAIT_MS, train, device, &device->outcome);
        mre_client_close(client);
        if (device->outcome.result != MRE_UNREACHABLE) {
            return NULL;
        }
        usleep(PAUSE_US);
    }
    return NULL;
}

/* What the device has of earlier connections is lost before it begins. */
enum loss { LOSES_ALL, LOSES_CONNECTIONS, LOSES_NOTHING };

static void lose(struct mre_client *client, enum loss loss)
{
    for (unsigned i = 0; loss != LOSES_NOTHING && i < MRE_HUBS_MAX; i++) {
        mr_control_drop(client, i);
    }
    if (loss == LOSES_ALL) {
        mr_connections_forget(client->system.connections);
    }
}

static void *take_part_again(struct device *device, enum loss loss)
{
    const struct mre_options *options = mre_config_options(device->config);

    device->trained_s = 0;
    if (!device->client && mre_client_open(&device->client, options, &device->outcome) != 0) {
        return NULL;
    }
    lose(device->client, loss);
    mre_client_round(device->client, WAIT_MS, train, device, &device->outcome);
    return NULL;
}

static void *take_part_fresh(void *device)
{
    return take_part_again(device, LOSES_ALL);
}

static void *take_part_resumed(void *device)
{
    return take_part_again(device, LOSES_CONNECTIONS);
}

static void *take_part_kept(void *device)
{
    return take_part_again(device, LOSES_NOTHING);
}

/* Every other command brings clients of its own. */
static void close_clients(struct load *load)
{
    for (unsigned i = 0; i < load->count; i++) {
        mre_client_close(load->devices[i].client);
        load->devices[i].client = NULL;
    }
}

static void *reach_hubs(void *context)
{
    struct device *device = context;
    const struct mre_options *options = mre_config_options(device->config);

    if (!device->client && mre_client_open(&device->client, options, &device->outcome) != 0) {
        return NULL;
    }
    for (unsigned hub = 0, tries = 0; hub < options->hub_count && tries < TRIES; tries++) {
        const bool reached = mre_client_reach(device->client, hub, &device->outcome) == MRE_OK;
        hub += reached;
        usleep(reached ? 0 : PAUSE_US);
    }
    return NULL;
}

/* --- the release ------------------------------------------------------------------------------ */

static void note_cpu(struct pulled *pulled)
{
    if (pulled->stages < LOAD_STAGES) {
        pulled->cpu_s[pulled->stages++] = thread_cpu_s();
    }
}

/* The linker leads the library's calls here: it looks at the clock at each stage of a pull. */
uint32_t __real_mr_client_pull_ms(const struct mre_client *client);
uint32_t __wrap_mr_client_pull_ms(const struct mre_client *client);
uint32_t __wrap_mr_client_pull_ms(const struct mre_client *client)
{
    note_cpu(client->progress_context);
    return __real_mr_client_pull_ms(client);
}

/* The library hands it back with the client: nobody watches the progress itself. */
static void watch(struct mre_client *client, struct pulled *pulled)
{
    pulled->stages = 0;
    client->progress_context = pulled;
    note_cpu(pulled);
}

static void pull_with(struct device *device, struct mre_client *client, unsigned wait_ms)
{
    struct pulled *pulled = &device->pulled;
    struct mre_outcome outcome;
    char file[4200];

    snprintf(file, sizeof file, "%s/%03u", device->load->folder, device->number);
    pulled->began_s = monotonic_s();
    watch(client, pulled);
    mre_release_pull(client, file, wait_ms, &pulled->outcome);
    if (pulled->outcome.result == MRE_UPDATED &&
        mre_release_install(file, NULL, NULL, &outcome) != MRE_UPDATED) {
        pulled->outcome = outcome;
    }
    pulled->installed_s = monotonic_s();
    note_cpu(pulled);
}

/* A round, and with the same client the release that it makes. */
static void *follow(void *context)
{
    struct device *device = context;
    const struct mre_options *options = mre_config_options(device->config);

    device->pulled.outcome.result = MRE_FAILED;
    if (!device->client && mre_client_open(&device->client, options, &device->outcome) != 0) {
        return NULL;
    }
    if (mre_client_round(device->client, WAIT_MS, train, device, &device->outcome) ==
        MRE_COMMITTED) {
        pull_with(device, device->client, PULL_WAIT_MS);
    }
    return NULL;
}

static void *pull(void *context)
{
    struct device *device = context;
    const struct mre_options *options = mre_config_options(device->config);
    struct mre_outcome *outcome = &device->pulled.outcome;

    outcome->result = MRE_FAILED;
    if (device->client || mre_client_open(&device->client, options, outcome) == 0) {
        pull_with(device, device->client, 0);
    }
    return NULL;
}

static void report_pulls(const struct load *load, double user_s, double system_s)
{
    unsigned installed = 0;

    printf("{\"devices\": [");
    for (unsigned i = 0; i < load->count; i++) {
        const struct pulled *pulled = &load->devices[i].pulled;
        const struct mre_outcome *outcome = &pulled->outcome;
        const double began_s = pulled->began_s;
        if (outcome->result == MRE_OK) {
            continue; /* nothing was new */
        }
        if (outcome->result != MRE_UPDATED) {
            fprintf(stderr, "load_devices: device %u: %s: %s\n", i,
                    mre_result_name(outcome->result), outcome->text);
            continue;
        }
        if (pulled->stages != LOAD_STAGES) {
            fail("device %u: a pull of %u stages", i, pulled->stages);
        }
        printf("%s{\"began\": %.6f, \"heard\": %.6f, \"fetched\": %.6f, \"verified\": %.6f, "
               "\"kept\": %.6f, \"installed\": %.6f, \"bytes\": %" PRIu64
               ", \"verified_cpu\": %.6f, \"installed_cpu\": %.6f}",
               installed++ ? ", " : "", began_s, began_s + 1e-3 * outcome->heard_ms,
               began_s + 1e-3 * outcome->fetched_ms, began_s + 1e-3 * outcome->verified_ms,
               began_s + 1e-3 * outcome->kept_ms, pulled->installed_s, outcome->fetched_bytes,
               pulled->cpu_s[3] - pulled->cpu_s[0],
               pulled->cpu_s[LOAD_STAGES - 1] - pulled->cpu_s[0]);
    }
    printf("], \"user_s\": %.6f, \"system_s\": %.6f}\n", user_s, system_s);
}

/* --- all of them ----------------------------------------------------------------------------- */

static void *run_some(void *context)
{
    struct load *load = context;
    for (unsigned i; (i = atomic_fetch_add(&load->next, 1)) < load->count;) {
        load->part(&load->devices[i]);
    }
    return NULL;
}

/* Runs `part` for every device, each alone in a thread, to the end. */
static void run_all(struct load *load, void *(*part)(void *device))
{
    const unsigned count = load->at_once < load->count ? load->at_once : load->count;
    pthread_t *threads = calloc(count, sizeof *threads);
    pthread_attr_t attributes;

    if (!threads) {
        fail("out of memory for %u threads", count);
    }
    load->part = part;
    atomic_store(&load->next, 0);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    for (unsigned i = 0; i < count; i++) {
        if (pthread_create(&threads[i], &attributes, run_some, load) != 0) {
            fail("thread %u: %s", i, strerror(errno));
        }
    }
    for (unsigned i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_attr_destroy(&attributes);
    free(threads);
}

static void report(const struct load *load, double user_s, double system_s)
{
    uint64_t datagrams = 0, retransmitted = 0, share_bytes = 0, round = 0;
    unsigned committed = 0;
    double trained_s = 0;

    for (unsigned i = 0; i < load->count; i++) {
        const struct device *device = &load->devices[i];
        const struct mre_outcome *outcome = &device->outcome;
        committed += outcome->result == MRE_COMMITTED;
        datagrams += outcome->datagrams;
        retransmitted += outcome->retransmitted;
        trained_s += device->trained_s;
        share_bytes = outcome->share_bytes;
        round = outcome->round;
        if (outcome->result != MRE_COMMITTED) {
            fprintf(stderr, "load_devices: device %u: %s: %s\n", device->number,
                    mre_result_name(outcome->result), outcome->text);
        }
    }
    printf("{\"round\": %" PRIu64 ", \"committed\": %u, \"user_s\": %.6f, \"system_s\": %.6f, "
           "\"trainer_s\": %.6f, \"datagrams\": %" PRIu64 ", \"retransmitted\": %" PRIu64
           ", \"share_bytes\": %" PRIu64 "}\n",
           round, committed, user_s, system_s, trained_s, datagrams, retransmitted, share_bytes);
}

static void run_round(struct load *load, void *(*part)(void *device))
{
    struct rusage before, after;

    getrusage(RUSAGE_SELF, &before);
    run_all(load, part);
    getrusage(RUSAGE_SELF, &after);
    report(load, seconds(after.ru_utime) - seconds(before.ru_utime),
           seconds(after.ru_stime) - seconds(before.ru_stime));
}

/* Where the clients do not live on, their end is a part of it. */
static void run_pulls(struct load *load, const char *folder, void *(*part)(void *device),
                      bool keeps)
{
    struct rusage before, after;

    load->folder = folder;
    getrusage(RUSAGE_SELF, &before);
    run_all(load, part);
    if (!keeps) {
        close_clients(load);
    }
    getrusage(RUSAGE_SELF, &after);
    report_pulls(load, seconds(after.ru_utime) - seconds(before.ru_utime),
                 seconds(after.ru_stime) - seconds(before.ru_stime));
}

static void reach_all(struct load *load, bool keeps)
{
    run_all(load, reach_hubs);
    for (unsigned i = 0; i < load->count; i++) {
        if (load->devices[i].outcome.result != 0) {
            fail("device %u reached no hub: %s", i, load->devices[i].outcome.text);
        }
    }
    if (!keeps) {
        close_clients(load);
    }
    puts("{\"reached\": true}");
}

/* --- the command ----------------------------------------------------------------------------- */

static void usage(void)
{
    fprintf(stderr, "usage: load_devices --dimension D --scale S [--ring-bits W] [--at-once N] "
                    "DEVICE.json...\n");
    exit(2);
}

static void parse(struct load *load, int argc, char **argv)
{
    static const struct option names[] = {{"dimension", required_argument, NULL, 'd'},
                                          {"scale", required_argument, NULL, 's'},
                                          {"ring-bits", required_argument, NULL, 'w'},
                                          {"at-once", required_argument, NULL, 'n'},
                                          {0}};
    int option;

    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (option == 'd') {
            load->dimension = strtoull(optarg, NULL, 10);
        } else if (option == 's') {
            load->step = 1 / strtof(optarg, NULL);
        } else if (option == 'w') {
            load->ring_bits = (unsigned)strtoul(optarg, NULL, 10);
        } else if (option == 'n') {
            load->at_once = (unsigned)strtoul(optarg, NULL, 10);
        } else {
            usage();
        }
    }
    if (load->dimension == 0 || load->at_once == 0 || !(load->step > 0) || optind == argc ||
        !mr_ring_width_known(load->ring_bits)) {
        usage();
    }
}

static void open_devices(struct load *load, char **paths, unsigned count)
{
    load->devices = calloc(count, sizeof *load->devices);
    load->pool = malloc(load->dimension + OFFSETS);
    if (!load->devices || !load->pool) {
        fail("out of memory");
    }
    /* As many levels as a round of these devices has. */
    const unsigned levels = mr_quantiser_levels((uint8_t)load->ring_bits, count, MR_HEADROOM_MIN);
    for (size_t i = 0; i < load->dimension + OFFSETS; i++) {
        load->pool[i] = (int8_t)((int)(mix(i) % (2 * levels + 1)) - (int)levels);
    }
    for (load->count = 0; load->count < count; load->count++) {
        struct device *device = &load->devices[load->count];
        *device = (struct device){.load = load, .number = load->count};
        if (mre_config_load(&device->config, paths[load->count], &device->outcome) != 0) {
            fail("%s: %s", paths[load->count], device->outcome.text);
        }
    }
}

static bool keeps_clients(const char *command)
{
    return strcmp(command, "fresh") == 0 || strcmp(command, "resumed") == 0 ||
           strcmp(command, "kept") == 0 || strncmp(command, "check ", 6) == 0 ||
           strcmp(command, "connect") == 0 || strncmp(command, "pull-kept ", 10) == 0 ||
           strncmp(command, "follow ", 7) == 0;
}

int main(int argc, char **argv)
{
    struct load load = {.ring_bits = 16, .at_once = UINT_MAX};
    char line[4200];

    parse(&load, argc, argv);
    open_devices(&load, argv + optind, (unsigned)(argc - optind));
    setvbuf(stdout, NULL, _IOLBF, 0);
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = '\0';
        if (!keeps_clients(line)) {
            close_clients(&load);
        }
        if (strcmp(line, "round") == 0) {
            run_round(&load, take_part);
        } else if (strcmp(line, "fresh") == 0) {
            run_round(&load, take_part_fresh);
        } else if (strcmp(line, "resumed") == 0) {
            run_round(&load, take_part_resumed);
        } else if (strcmp(line, "kept") == 0) {
            run_round(&load, take_part_kept);
        } else if (strcmp(line, "reach") == 0) {
            reach_all(&load, false);
        } else if (strcmp(line, "connect") == 0) {
            reach_all(&load, true);
        } else if (strncmp(line, "follow ", 7) == 0) {
            run_pulls(&load, line + 7, follow, true);
        } else if (strncmp(line, "pull ", 5) == 0) {
            run_pulls(&load, line + 5, pull, false);
        } else if (strncmp(line, "pull-kept ", 10) == 0) {
            run_pulls(&load, line + 10, pull, true);
        } else if (strncmp(line, "check ", 6) == 0) {
            load_check(&load, line + 6);
        } else {
            fail("no command '%s'", line);
        }
    }
    close_clients(&load);
    for (unsigned i = 0; i < load.count; i++) {
        mre_config_free(load.devices[i].config);
    }
    free(load.devices);
    free(load.pool);
    return 0;
}
