#include "appliance/hub/hub_wait.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "appliance/hub/hub.h"
#include "transport/certificate_time.h"

#define LOOK_MS 500

/* --- waiting --------------------------------------------------------------------------------- */

/* 0: what is waited for is there. -1 with an error: not yet. */
typedef int (*look_fn)(const void *context, struct mr_error *error);

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Waits a moment. True when a signal says that there is no need any more. */
static bool is_stopped(int signals, int moment_ms)
{
    struct pollfd ready = {.fd = signals, .events = POLLIN};
    struct signalfd_siginfo info;
    return poll(&ready, 1, moment_ms) == 1 &&
           read(signals, &info, sizeof info) == (ssize_t)sizeof info && info.ssi_signo != SIGHUP;
}

static enum mr_hub_wait wait_for(const struct mr_hub_waiting *waiting, const char *what,
                                 look_fn look, const void *context, struct mr_error *error)
{
    const uint64_t began_ms = now_ms();
    bool said = false;
    while (look(context, error) != 0) {
        if (now_ms() - began_ms >= waiting->patience_ms) {
            return MR_HUB_WAIT_TOO_LONG;
        }
        if (!said) {
            mr_log_event(waiting->log, MR_LOG_WARN, "hub.waiting", "for=%s at_most_ms=%u why=%s",
                         what, waiting->patience_ms, error->text);
            (void)mr_log_flush(waiting->log, LOOK_MS);
            said = true;
        }
        if (is_stopped(waiting->signals, LOOK_MS)) {
            return MR_HUB_WAIT_STOPPED;
        }
    }
    return MR_HUB_WAIT_READY;
}

/* --- addresses ------------------------------------------------------------------------------- */

/* 0 or an errno. What is no numeric address is nothing to wait for: the opening says so. */
static int try_to_bind(const char *host, uint16_t port, int type)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC,
                                   .ai_socktype = type,
                                   .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
    const int one = 1;
    struct addrinfo *address;
    char service[8];
    int problem = 0;
    snprintf(service, sizeof service, "%u", port);
    if (getaddrinfo(host, service, &hints, &address) != 0) {
        return 0;
    }
    const int fd = socket(address->ai_family, type | SOCK_CLOEXEC, 0);
    if (fd >= 0 && type == SOCK_STREAM) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    }
    if (fd < 0 || bind(fd, address->ai_addr, address->ai_addrlen) != 0) {
        problem = errno;
    }
    if (fd >= 0) {
        close(fd);
    }
    freeaddrinfo(address);
    return problem == EADDRNOTAVAIL || problem == EADDRINUSE || problem == ENETDOWN ? problem : 0;
}

static int look_at(const char *host, unsigned port, int type, const char *remedy,
                   struct mr_error *error)
{
    const int problem = port == 0 ? 0 : try_to_bind(host, (uint16_t)port, type);
    if (problem == 0) {
        return 0;
    }
    return mr_error_set(error, "cannot bind %s %s port %u: %s; %s",
                        type == SOCK_STREAM ? "TCP" : "UDP", host, port, strerror(problem), remedy);
}

static int look_at_addresses(const void *context, struct mr_error *error)
{
    const struct mr_hub_config *config = context;
    const struct mr_config_upload *upload = &config->upload;
    const char *source = upload->source;
    const bool by_driver = strcmp(source, "dpdk") == 0 ||
                           (strcmp(source, "auto") == 0 && *upload->dpdk_device != '\0');
    const bool uploads = mr_hub_tasks_led(config) > 0 && upload->port_base != 0 && !by_driver;
    if (look_at(config->control.listen_host, config->control.port, SOCK_STREAM,
                "choose control.listen_host and control.port that are free here", error) != 0) {
        return -1;
    }
    for (unsigned i = 0; uploads && i < upload->workers; i++) {
        if (look_at(upload->listen_host, upload->port_base + i, SOCK_DGRAM,
                    "choose upload.listen_host and upload.port_base that are free here",
                    error) != 0) {
            return -1;
        }
    }
    return 0;
}

enum mr_hub_wait mr_hub_wait_for_addresses(const struct mr_hub_waiting *waiting,
                                           const struct mr_hub_config *config,
                                           struct mr_error *error)
{
    return wait_for(waiting, "addresses", look_at_addresses, config, error);
}

/* --- the clock ------------------------------------------------------------------------------- */

static int look_at_clock(const void *context, struct mr_error *error)
{
    const char *certificate_file = context;
    const int64_t left_s = mr_certificate_begins_in_s(certificate_file);
    if (left_s <= 0) {
        return 0;
    }
    return mr_error_set(error,
                        "%s holds only in %" PRId64 " seconds by this machine's clock: the clock "
                        "was not set yet (NTP), or the certificate is for later",
                        certificate_file, left_s);
}

enum mr_hub_wait mr_hub_wait_for_clock(const struct mr_hub_waiting *waiting,
                                       const char *certificate_file, struct mr_error *error)
{
    return wait_for(waiting, "clock", look_at_clock, certificate_file, error);
}

/* --- the disk -------------------------------------------------------------------------------- */

static int look_at_disk(const void *context, struct mr_error *error)
{
    const char *data_dir = context;
    char folder[PATH_MAX];
    size_t length = strlen(data_dir);
    while (length > 1 && data_dir[length - 1] == '/') {
        length--;
    }
    while (length > 0 && data_dir[length - 1] != '/') {
        length--;
    }
    if (length == 0 || length >= sizeof folder) {
        return 0; /* the working directory; or a path that nothing mends */
    }
    memcpy(folder, data_dir, length);
    folder[length] = '\0';
    if (access(folder, F_OK) == 0 || errno != ENOENT) {
        return 0;
    }
    return mr_error_set(
        error, "data_dir %.300s: the folder above it is not there; is its disk mounted?", data_dir);
}

enum mr_hub_wait mr_hub_wait_for_disk(const struct mr_hub_waiting *waiting, const char *data_dir,
                                      struct mr_error *error)
{
    return wait_for(waiting, "disk", look_at_disk, data_dir, error);
}
