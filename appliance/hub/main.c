/* main.c - millrace-hub: boot order only. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "appliance/hub/hub.h"
#include "appliance/hub/hub_check.h"
#include "appliance/hub/hub_exits.h"
#include "appliance/hub/hub_reload.h"
#include "appliance/hub/hub_wait.h"
#include "appliance/hub/sandbox_plan.h"
#include "appliance/runtime/standard_fds.h"
#include "appliance/storage/folder_lock.h"
#include "base/json_memory.h"

#ifndef MR_VERSION
#define MR_VERSION "unknown"
#endif

#define READY_FLUSH_MS 1000u

struct options {
    const char *config_file;
    const char *cpu_mask;
    int ready_fd; /* -1: none */
    bool check, rebuild_versions;
};

static const char usage[] =
    "usage: millrace-hub --config FILE [--check] [--cpu-mask LEVELS] [--ready-fd N]\n"
    "                    [--rebuild-versions]\n"
    "  --config FILE      the hub's YAML configuration\n"
    "  --check            check the configuration and stop\n"
    "  --cpu-mask LEVELS  as cpu_mask in the configuration: \"all\", \"avx2\", \"-avx512\"\n"
    "  --ready-fd N       write \"READY control=PORT\" to this descriptor once the hub listens\n"
    "  --rebuild-versions where a task's versions.db is gone, make a new one from its models;\n"
    "                     aliases and tags are lost with the old one\n"
    "  --version          print the version and stop\n";

static int parse(struct options *options, int argc, char **argv)
{
    static const struct option names[] = {
        {"config", required_argument, NULL, 'c'},
        {"check", no_argument, NULL, 'k'},
        {"cpu-mask", required_argument, NULL, 'm'},
        {"ready-fd", required_argument, NULL, 'r'},
        {"rebuild-versions", no_argument, NULL, 'b'},
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
        case 'b':
            options->rebuild_versions = true;
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
static const struct mr_kernels *choose_kernels(const char *text, struct mr_log *log,
                                               struct mr_error *error)
{
    uint32_t mask;
    if (mr_cpu_mask_parse(text, &mask) != 0) {
        mr_error_set(
            error,
            "--cpu-mask %.200s: must be \"all\", names to keep (\"avx2\") or names to take "
            "away (\"-avx512\")",
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

/* What a start is made of. */
struct boot {
    const struct options *options;
    struct mr_log *log;
    int signals; /* a signalfd */
    struct mr_hub_config *config;
    const struct mr_kernels *kernels;
};

/* Not a word of the start is still on its way when somebody hears that the hub is ready; unless
 * nobody reads them. */
static void tell_ready(const struct mr_hub *hub, int ready_fd)
{
    const unsigned port = mr_server_port(hub->server);
    mr_log_event(hub->log, MR_LOG_INFO, "hub.ready", "hub=%u tasks=%u control_port=%u",
                 hub->config->identity.index, hub->api.tasks_count, port);
    if (ready_fd >= 0) {
        struct pollfd reader = {.fd = ready_fd, .events = POLLOUT};
        (void)mr_log_flush(hub->log, READY_FLUSH_MS);
        if (poll(&reader, 1, READY_FLUSH_MS) == 1) { /* else nobody reads, and nobody waits */
            dprintf(ready_fd, "READY control=%u\n", port);
        }
        close(ready_fd);
    }
}

static enum mr_hub_exit not_started(const struct boot *boot, enum mr_hub_exit code, const char *why)
{
    mr_log_event(boot->log, MR_LOG_ERROR, "hub.not_started", "code=%d why=%s", code, why);
    return code;
}

/* What has threads: they are born confined. Until now the log's lines were waiting. */
static int start_threads(const struct boot *boot, struct mr_confinement *confinement,
                         struct mr_loop **loop, struct mr_error *error)
{
    struct mr_sandbox *sandbox = &confinement->sandbox;
    if (mr_log_start(boot->log, mr_sandbox_confine_job, sandbox) != 0) {
        return mr_error_set(error, "the log's thread: %s (see `ulimit -u`)", strerror(errno));
    }
    if (mr_loop_open(loop, error) != 0) {
        return -1;
    }
    mr_loop_on_thread(*loop, mr_sandbox_confine_job, sandbox);
    return 0;
}

/* The counter passes to the hub where there is one then. */
static int prepare(struct mr_hub **hub, const struct boot *boot, struct mr_loop *loop,
                   struct mr_age_counter *counter, struct mr_error *error)
{
    if (mr_hub_prepare(hub, boot->config, boot->kernels, loop, boot->log, error) != 0) {
        return -1;
    }
    mr_hub_take_counter(*hub, counter);
    return 0;
}

static enum mr_hub_exit run(const struct boot *boot)
{
    const struct mr_hub_config *config = boot->config;
    struct mr_loop *loop = NULL;
    struct mr_hub *hub = NULL;
    struct listener listener = {.config_file = boot->options->config_file};
    struct mr_confinement confinement;
    struct mr_error error = {.text = "cannot watch for signals"};
    enum mr_hub_exit code;
    int opened = 0;
    struct mr_age_counter *counter = NULL;
    if (mr_hub_open_counter(&counter, config, &error) != 0) {
        return not_started(boot, MR_HUB_EXIT_NOT_YET, error.text);
    }
    if (mr_confinement_begin(&confinement, config, boot->options->config_file, &error) != 0 ||
        start_threads(boot, &confinement, &loop, &error) != 0 ||
        prepare(&hub, boot, loop, counter, &error) != 0 ||
        mr_sandbox_become_user(&confinement.sandbox, &error) != 0 ||
        (opened = mr_hub_open(hub, boot->options->rebuild_versions, &error)) != 0 ||
        mr_loop_fd_add(loop, boot->signals, EPOLLIN, on_signal, &listener) != 0 ||
        mr_confinement_finish(&confinement, hub, &error) != 0) {
        code = not_started(
            boot, opened == MR_HUB_DATA_DIR_IN_USE ? MR_HUB_EXIT_IN_USE : MR_HUB_EXIT_NOT_YET,
            error.text);
    } else {
        listener.hub = hub;
        tell_ready(hub, boot->options->ready_fd);
        mr_loop_run(loop);
        mr_loop_fd_remove(loop, boot->signals);
        code = hub->failed ? MR_HUB_EXIT_FAILED : MR_HUB_EXIT_STOPPED;
    }
    mr_confinement_end(&confinement);
    if (!hub) {
        mr_age_counter_free(counter);
    }
    mr_hub_close(hub);
    if (loop) {
        mr_loop_close(loop);
    }
    return code;
}

/* --- starting -------------------------------------------------------------------------------- */

/* The configuration, checked. What would be wrong because a disk is not mounted yet or the clock
 * not set is waited for first. */
static enum mr_hub_wait load(struct boot *boot, struct mr_error *error)
{
    const struct mr_hub_waiting waiting = {boot->log, boot->signals, MR_HUB_PATIENCE_MS};
    const char *path = boot->options->config_file;
    struct mr_hub_config *form;
    struct mr_error unused;
    if (mr_hub_config_read(&form, path, &unused) == 0) {
        mr_log_set_level(boot->log, mr_log_level_named(form->log_level));
        enum mr_hub_wait waited = mr_hub_wait_for_disk(&waiting, form->data_dir, error);
        if (waited == MR_HUB_WAIT_READY) {
            waited = mr_hub_wait_for_clock(&waiting, form->identity.certificate_file, error);
        }
        mr_hub_config_free(form);
        if (waited != MR_HUB_WAIT_READY) {
            return waited;
        }
    }
    if (mr_hub_check(&boot->config, path, error) != 0) {
        return MR_HUB_WAIT_READY; /* and no configuration */
    }
    return mr_hub_wait_for_addresses(&waiting, boot->config, error);
}

/* Addresses that stay taken are most often those of the hub that has this data_dir. */
static enum mr_hub_exit not_in_time(const struct boot *boot, const struct mr_error *why)
{
    struct mr_folder_lock *lock = NULL;
    struct mr_error error;
    const int locked = boot->config ? mr_folder_lock(&lock, boot->config->data_dir, &error) : 0;
    mr_folder_unlock(lock);
    return locked > 0 ? not_started(boot, MR_HUB_EXIT_IN_USE, error.text)
                      : not_started(boot, MR_HUB_EXIT_NOT_YET, why->text);
}

static enum mr_hub_exit start(struct boot *boot)
{
    struct mr_error error = {.text = ""};
    const enum mr_hub_wait waited = load(boot, &error);
    if (waited == MR_HUB_WAIT_STOPPED) {
        return MR_HUB_EXIT_STOPPED;
    }
    if (waited == MR_HUB_WAIT_TOO_LONG) {
        return not_in_time(boot, &error);
    }
    if (!boot->config) {
        return not_started(boot, MR_HUB_EXIT_WRONG, error.text);
    }
    const char *mask = boot->options->cpu_mask;
    boot->kernels = choose_kernels(mask ? mask : boot->config->cpu_mask, boot->log, &error);
    if (!boot->kernels) {
        return not_started(boot, MR_HUB_EXIT_WRONG, error.text);
    }
    return run(boot);
}

/* For a person: plain text. */
static enum mr_hub_exit check(const char *config_file)
{
    struct mr_hub_config *config;
    struct mr_error error;
    if (mr_hub_check(&config, config_file, &error) != 0) {
        fprintf(stderr, "millrace-hub: %s\n", error.text);
        return MR_HUB_EXIT_WRONG;
    }
    printf("%s: good\n", config_file);
    mr_hub_config_free(config);
    return MR_HUB_EXIT_STOPPED;
}

int main(int argc, char **argv)
{
    struct options options;
    (void)mr_standard_fds_open(); /* without a /dev/null there is nobody to tell */
    mr_json_stop_without_memory();
    if (parse(&options, argc, argv) != 0) {
        return MR_HUB_EXIT_WRONG;
    }
    if (options.check) {
        return check(options.config_file);
    }
    struct boot boot = {.options = &options, .signals = block_signals()};
    boot.log = mr_log_open(MR_LOG_INFO, STDERR_FILENO);
    if (!boot.log) {
        fputs("millrace-hub: out of memory\n", stderr);
        return MR_HUB_EXIT_NOT_YET;
    }
    const enum mr_hub_exit code = start(&boot);
    mr_log_event(boot.log, MR_LOG_INFO, "hub.stopped", "code=%d", code);
    mr_log_close(boot.log);
    close(boot.signals);
    mr_hub_config_free(boot.config);
    return code;
}
