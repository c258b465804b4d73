/* main.c - millrace-hub: boot order only. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "appliance/hub/hub.h"
#include "appliance/hub/hub_check.h"
#include "appliance/hub/hub_reload.h"
#include "appliance/hub/sandbox_plan.h"
#include "base/json_memory.h"

#ifndef MR_VERSION
#define MR_VERSION "unknown"
#endif

/* Exit codes: 0 stopped as asked, 1 failed while running, 2 wrong use or configuration, 4 another
 * process has data_dir. */
enum {
    EXIT_RUNNING = 1,
    EXIT_SET_UP = 2,
    EXIT_IN_USE = 4,
};

struct options {
    const char *config_file;
    const char *cpu_mask;
    int ready_fd; /* -1: none */
    bool check;
};

static const char usage[] =
    "usage: millrace-hub --config FILE [--check] [--cpu-mask LEVELS] [--ready-fd N]\n"
    "  --config FILE      the hub's YAML configuration\n"
    "  --check            check the configuration and stop\n"
    "  --cpu-mask LEVELS  as cpu_mask in the configuration: \"all\", \"avx2\", \"-avx512\"\n"
    "  --ready-fd N       write \"READY control=PORT\" to this descriptor once the hub listens\n"
    "  --version          print the version and stop\n";

static int parse(struct options *options, int argc, char **argv)
{
    static const struct option names[] = {
        {"config", required_argument, NULL, 'c'},
        {"check", no_argument, NULL, 'k'},
        {"cpu-mask", required_argument, NULL, 'm'},
        {"ready-fd", required_argument, NULL, 'r'},
        {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    *options = (struct options){.ready_fd = -1};
    for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        switch (c) {
        case 'c':
            options->config_file = optarg;
            break;
        case 'k':
            options->check = true;
            break;
        case 'm':
            options->cpu_mask = optarg;
            break;
        case 'r':
            options->ready_fd = (int)strtol(optarg, NULL, 10);
            break;
        case 'v':
            puts("millrace-hub " MR_VERSION);
            exit(0);
        case 'h':
            fputs(usage, stdout);
            exit(0);
        default:
            fputs(usage, stderr);
            return -1;
        }
    }
    if (!options->config_file || optind != argc) {
        fputs(usage, stderr);
        return -1;
    }
    return 0;
}

/* The kernels, or NULL for a mask that means nothing. */
static const struct mr_kernels *choose_kernels(const char *text, struct mr_log *log)
{
    uint32_t mask;
    if (mr_cpu_mask_parse(text, &mask) != 0) {
        fprintf(stderr,
                "millrace-hub: --cpu-mask %s: must be \"all\", names to keep (\"avx2\") or "
                "names to take away (\"-avx512\")\n",
                text);
        return NULL;
    }
    const struct mr_kernels *kernels = mr_kernels_select(mask);
    mr_log_event(log, MR_LOG_INFO, "hub.kernels", "level=%s machine=0x%x mask=0x%x", kernels->name,
                 mr_cpu_levels(), mask);
    return kernels;
}

/* --- signals --------------------------------------------------------------------------------- */

struct listener {
    struct mr_hub *hub;
    const char *config_file;
};

static void on_signal(void *context, int fd, uint32_t events)
{
    const struct listener *listener = context;
    struct mr_hub *hub = listener->hub;
    struct signalfd_siginfo info;
    (void)events;
    if (read(fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGHUP) {
            mr_hub_reload(hub, listener->config_file);
            return;
        }
        mr_log_event(hub->log, MR_LOG_INFO, "hub.stopping", "signal=%u", info.ssi_signo);
        mr_loop_stop(hub->loop);
    }
}

/* Blocked before any thread is there, so that all inherit it. */
static int block_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is a write error with a text */
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* --- running --------------------------------------------------------------------------------- */

static void tell_ready(const struct mr_hub *hub, int ready_fd)
{
    const unsigned port = mr_server_port(hub->server);
    mr_log_event(hub->log, MR_LOG_INFO, "hub.ready", "hub=%u tasks=%u control_port=%u",
                 hub->config->identity.index, hub->api.tasks_count, port);
    if (ready_fd >= 0) {
        dprintf(ready_fd, "READY control=%u\n", port);
        close(ready_fd);
    }
}

static int open_loop(struct mr_loop **loop, struct mr_confinement *confinement,
                     struct mr_error *error)
{
    if (mr_loop_open(loop, error) != 0) {
        return -1;
    }
    mr_loop_on_thread(*loop, mr_sandbox_confine_job, &confinement->sandbox);
    return 0;
}

static int run(const struct mr_hub_config *config, const struct options *options,
               const struct mr_kernels *kernels, struct mr_log *log, int signals)
{
    struct mr_loop *loop = NULL;
    struct mr_hub *hub = NULL;
    struct listener listener = {.config_file = options->config_file};
    struct mr_confinement confinement;
    struct mr_error error = {.text = "cannot watch for signals"};
    int code = EXIT_SET_UP, opened = 0;
    if (mr_confinement_begin(&confinement, config, options->config_file, &error) != 0 ||
        open_loop(&loop, &confinement, &error) != 0 ||
        (opened = mr_hub_open(&hub, config, kernels, loop, log, &error)) != 0 ||
        mr_loop_fd_add(loop, signals, EPOLLIN, on_signal, &listener) != 0 ||
        mr_confinement_finish(&confinement, hub, &error) != 0) {
        fprintf(stderr, "millrace-hub: %s\n", error.text);
        code = opened == MR_HUB_DATA_DIR_IN_USE ? EXIT_IN_USE : EXIT_SET_UP;
    } else {
        listener.hub = hub;
        tell_ready(hub, options->ready_fd);
        mr_loop_run(loop);
        mr_loop_fd_remove(loop, signals);
        code = hub->failed ? EXIT_RUNNING : 0;
    }
    mr_confinement_end(&confinement);
    mr_hub_close(hub);
    if (loop) {
        mr_loop_close(loop);
    }
    return code;
}

int main(int argc, char **argv)
{
    struct options options;
    struct mr_hub_config *config;
    struct mr_error error;
    mr_json_stop_without_memory();
    if (parse(&options, argc, argv) != 0) {
        return EXIT_SET_UP;
    }
    if (mr_hub_check(&config, options.config_file, &error) != 0) {
        fprintf(stderr, "millrace-hub: %s\n", error.text);
        return EXIT_SET_UP;
    }
    if (options.check) {
        printf("%s: good\n", options.config_file);
        mr_hub_config_free(config);
        return 0;
    }
    const int signals = block_signals();
    struct mr_log *log = mr_log_open(mr_log_level_named(config->log_level), STDERR_FILENO);
    const struct mr_kernels *kernels =
        choose_kernels(options.cpu_mask ? options.cpu_mask : config->cpu_mask, log);
    const int code = kernels ? run(config, &options, kernels, log, signals) : EXIT_SET_UP;
    mr_log_event(log, MR_LOG_INFO, "hub.stopped", "code=%d", code);
    mr_log_close(log);
    close(signals);
    mr_hub_config_free(config);
    return code;
}
