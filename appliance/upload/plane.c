/* Setting the upload plane up, taking it down, and its metrics. */
#include "appliance/upload/plane.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "appliance/runtime/cache.h"
#include "appliance/upload/plane_internal.h"

#define SESSIONS_MAX (1u << 24) /* the index's 24 bits of an upload id */

static int check_numbers(const struct mr_upload_plane_config *config, struct mr_error *error)
{
    if (config->workers < 1 || config->workers > MR_WORKERS_MAX) {
        return mr_error_set(error, "workers is %u: use 1 to %u", config->workers, MR_WORKERS_MAX);
    }
    if (config->slots_per_worker < 1 ||
        config->slots_per_worker > SESSIONS_MAX / MR_SESSIONS_PER_SLOT) {
        return mr_error_set(error, "slots_per_worker is %u: use 1 to %u", config->slots_per_worker,
                            SESSIONS_MAX / MR_SESSIONS_PER_SLOT);
    }
    if (config->share_bytes_max < 2 * MR_TRAILER_BYTES) {
        return mr_error_set(error, "share_bytes_max is %" PRIu64 ": the smallest share has %u",
                            config->share_bytes_max, 2 * MR_TRAILER_BYTES);
    }
    if (config->window_max < 1 || config->window_total < 1 || config->idle_timeout_ms < 1) {
        return mr_error_set(error,
                            "window_max, window_total and idle_timeout_ms must be 1 or more");
    }
    if (config->port_base + config->workers - 1 > UINT16_MAX) {
        return mr_error_set(error, "port_base %u leaves no ports for %u workers: lower it",
                            config->port_base, config->workers);
    }
    return 0;
}

static uint64_t accumulator_bytes(const struct mr_upload_plane_config *config)
{
    return config->accumulator_bytes > 0
               ? config->accumulator_bytes
               : mr_upload_plane_round_bytes(config, config->share_bytes_max, UINT32_MAX);
}

/* Everything that is mapped at start-up must fit the machine: better to say so now than to be
 * killed in the middle of a round. */
static int check_memory(const struct mr_upload_plane_config *config, struct mr_error *error)
{
    const uint64_t machine = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    const double per_worker = (double)config->slots_per_worker * (double)config->share_bytes_max +
                              (double)accumulator_bytes(config);
    const double plan = (config->workers + 1.0) * per_worker;

    if (plan <= (double)machine) {
        return 0;
    }
    return mr_error_set(error,
                        "the upload plane would need %.0f MiB and this machine has %.0f: lower "
                        "workers, slots_per_worker or share_bytes_max, or lead fewer tasks",
                        plan / 1048576.0, (double)machine / 1048576.0);
}

static int check_hosts(const struct mr_upload_plane_config *config, struct mr_error *error)
{
    if (strlen(config->advertise_host) >= sizeof((struct mr_upload_grant *)0)->udp_host) {
        return mr_error_set(error, "advertise_host is too long for a numeric address");
    }
    return 0;
}

static int copy_config(struct mr_upload_plane *plane, const struct mr_upload_plane_config *config,
                       struct mr_error *error)
{
    plane->config = *config;
    plane->config.accumulator_bytes = accumulator_bytes(config);
    plane->config.worker_cpus = NULL; /* used while opening only, as is the port's */
    plane->config.dpdk = (struct mr_dpdk_config){0};
    plane->config.source = strdup(config->source);
    plane->config.listen_host = strdup(config->listen_host);
    plane->config.advertise_host = strdup(config->advertise_host);
    if (!plane->config.source || !plane->config.listen_host || !plane->config.advertise_host) {
        return mr_error_set(error, "out of memory for the upload plane");
    }
    return 0;
}

static int open_tables(struct mr_upload_plane *plane, struct mr_error *error)
{
    const unsigned workers = plane->config.workers;

    plane->workers = calloc(workers, sizeof(struct mr_worker *));
    plane->views = calloc(workers, sizeof *plane->views);
    plane->window_totals = calloc(workers, sizeof *plane->window_totals);
    if (!plane->workers || !plane->views || !plane->window_totals) {
        return mr_error_set(error, "out of memory for the upload plane");
    }
    return 0;
}

static int open_worker(struct mr_upload_plane *plane, unsigned index, int cpu,
                       struct mr_error *error)
{
    const struct mr_upload_plane_config *config = &plane->config;
    const struct mr_worker_config worker = {
        .index = index,
        .cpu = cpu,
        .sessions = {.lane = (uint8_t)index,
                     .sessions = mr_plane_sessions_per_worker(config),
                     .slots = config->slots_per_worker,
                     .share_bytes_max = config->share_bytes_max,
                     .cache_bytes = mr_cache_bytes() / config->workers,
                     .window_max = config->window_max,
                     .idle_timeout_ms = config->idle_timeout_ms,
                     .cpu_levels = 2 * plane->kernels->cpu_level - 1}, /* no level above it */
        .accumulator_bytes = config->accumulator_bytes,
        .source = {.kind = config->source,
                   .listen_host = config->listen_host,
                   .advertise_host = config->advertise_host,
                   .port = (uint16_t)(config->port_base == 0 ? 0 : config->port_base + index),
                   .receive_buffer_bytes = config->receive_buffer_bytes,
                   .dpdk = plane->dpdk,
                   .worker = index},
        .make_source = plane->sources.make,
        .make_context = plane->sources.context,
        .kernels = plane->kernels,
        .report_fd = plane->report_fd,
    };

    if (mr_worker_view_open(&plane->views[index], (uint8_t)index, worker.sessions.sessions,
                            worker.sessions.slots) != 0) {
        return mr_error_set(error, "out of memory for worker %u: lower slots_per_worker", index);
    }
    if (mr_worker_open(&plane->workers[index], &worker, error) != 0) {
        return -1;
    }
    mr_log_event(plane->log, MR_LOG_INFO, "upload.worker",
                 "worker=%u port=%u source=%s why=%s receive_buffer=%u", index,
                 mr_worker_port(plane->workers[index]), mr_worker_source(plane->workers[index]),
                 mr_worker_source_why(plane->workers[index]),
                 mr_worker_receive_buffer_bytes(plane->workers[index]));
    if (index == 0) { /* the same for all */
        mr_log_event(plane->log, MR_LOG_INFO, "upload.opener", "name=%s why=%s",
                     mr_opener_name(mr_worker_opener(plane->workers[0])),
                     mr_opener_why(mr_worker_opener(plane->workers[0])));
    }
    return 0;
}

/* The port that the workers' sources share. With "auto" one that does not work is no obstacle. */
static int open_port(struct mr_upload_plane *plane, const struct mr_dpdk_config *wanted,
                     struct mr_error *error)
{
    struct mr_dpdk_config config = *wanted;
    const bool is_auto = strcmp(plane->config.source, "auto") == 0;
    const bool has_device = config.device && *config.device != '\0';

    if (strcmp(plane->config.source, "dpdk") != 0 && !(is_auto && has_device)) {
        return 0;
    }
    config.port_base = plane->config.port_base;
    config.workers = (uint16_t)plane->config.workers;
    if (mr_dpdk_port_open(&plane->dpdk, &config, error) == 0) {
        return 0;
    }
    if (!is_auto) {
        return -1;
    }
    mr_log_event(plane->log, MR_LOG_WARN, "upload.dpdk", "refused=%s", error->text);
    return 0;
}

static int open_all(struct mr_upload_plane *plane, const int *cpus, struct mr_error *error)
{
    if (open_tables(plane, error) != 0 ||
        mr_lane_open(&plane->lane, MR_LANE_HTTP2, mr_plane_sessions_per_worker(&plane->config),
                     plane->config.slots_per_worker, plane->config.share_bytes_max,
                     plane->config.accumulator_bytes, error) != 0) {
        return -1;
    }
    plane->report_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (plane->report_fd < 0) {
        return mr_error_set(error, "cannot make an eventfd: %s", strerror(errno));
    }
    for (unsigned i = 0; i < plane->config.workers; i++) {
        if (open_worker(plane, i, cpus ? cpus[i] : -1, error) != 0) {
            return -1;
        }
    }
    plane->lane_timer = mr_timer_open(plane->loop, mr_plane_on_lane_timer, plane);
    if (!plane->lane_timer ||
        mr_loop_fd_add(plane->loop, plane->report_fd, EPOLLIN, mr_plane_on_report, plane) != 0) {
        return mr_error_set(error, "the event loop has no room for the upload plane");
    }
    mr_timer_arm(plane->lane_timer, mr_loop_now_ms(plane->loop) + plane->config.idle_timeout_ms);
    return 0;
}

int mr_upload_plane_open_over(struct mr_upload_plane **opened, struct mr_loop *loop,
                              const struct mr_upload_plane_config *config,
                              const struct mr_kernels *kernels,
                              const struct mr_plane_sources *sources, struct mr_log *log,
                              struct mr_error *error)
{
    *opened = NULL;
    if (check_numbers(config, error) != 0 || check_hosts(config, error) != 0 ||
        check_memory(config, error) != 0) {
        return -1;
    }
    struct mr_upload_plane *plane = calloc(1, sizeof *plane);
    if (!plane) {
        return mr_error_set(error, "out of memory for the upload plane");
    }
    plane->report_fd = -1;
    plane->loop = loop;
    plane->kernels = kernels;
    plane->sources = *sources;
    plane->log = log;
    if (copy_config(plane, config, error) != 0 || open_port(plane, &config->dpdk, error) != 0 ||
        open_all(plane, config->worker_cpus, error) != 0) {
        mr_upload_plane_close(plane);
        return -1;
    }
    *opened = plane;
    return 0;
}

int mr_upload_plane_open(struct mr_upload_plane **plane, struct mr_loop *loop,
                         const struct mr_upload_plane_config *config,
                         const struct mr_kernels *kernels, struct mr_log *log,
                         struct mr_error *error)
{
    const struct mr_plane_sources sources = {.make = NULL};

    return mr_upload_plane_open_over(plane, loop, config, kernels, &sources, log, error);
}

void mr_upload_plane_confine(struct mr_upload_plane *plane)
{
    for (unsigned i = 0; i < plane->config.workers; i++) {
        mr_worker_order(plane->workers[i])->kind = MR_ORDER_CONFINE;
        mr_worker_send(plane->workers[i]);
    }
}

void mr_upload_plane_close(struct mr_upload_plane *plane)
{
    if (!plane) {
        return;
    }
    for (unsigned i = 0; plane->workers && i < plane->config.workers; i++) {
        mr_worker_close(plane->workers[i]);
    }
    mr_dpdk_port_close(plane->dpdk);
    for (unsigned i = 0; i < MR_PLANE_ROUNDS_MAX; i++) {
        if (plane->rounds[i]) {
            mr_plane_round_free(plane->rounds[i]);
        }
    }
    for (unsigned i = 0; plane->views && i < plane->config.workers; i++) {
        mr_worker_view_close(&plane->views[i]);
    }
    mr_lane_close(&plane->lane);
    if (plane->lane_timer) {
        mr_timer_close(plane->lane_timer);
    }
    if (plane->report_fd >= 0) {
        mr_loop_fd_remove(plane->loop, plane->report_fd);
        close(plane->report_fd);
    }
    free(plane->workers);
    free(plane->views);
    free(plane->window_totals);
    free(plane->events.items);
    free((char *)plane->config.source);
    free((char *)plane->config.listen_host);
    free((char *)plane->config.advertise_host);
    free(plane);
}
