#include "transport/dial.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "transport/h2_client.h"

/* What the system takes before it can send it: on a slow path a short question waits behind so
 * much of a share that goes over the same connection. */
#define UNSENT_BYTES (64 * 1024)

uint64_t mr_monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int mr_wait_fds(int fd, short events, int other_fd, uint64_t deadline_ms, int wake_fd)
{
    for (;;) {
        const uint64_t now_ms = mr_monotonic_ms();
        if (now_ms >= deadline_ms) {
            return 0;
        }
        const uint64_t left_ms = deadline_ms - now_ms;
        struct pollfd entries[3] = {{.fd = fd, .events = events},
                                    {.fd = other_fd, .events = POLLIN},
                                    {.fd = wake_fd, .events = POLLIN}};
        const int ready =
            poll(entries, wake_fd > 0 ? 3 : 2, left_ms > INT_MAX ? INT_MAX : (int)left_ms);
        if (ready > 0 && entries[2].revents) {
            errno = ECANCELED;
            return -1;
        }
        if (ready > 0) {
            return 1;
        }
        if (ready < 0 && errno != EINTR) {
            return -1;
        }
    }
}

int mr_wait_fd(int fd, short events, uint64_t deadline_ms, int wake_fd)
{
    return mr_wait_fds(fd, events, -1, deadline_ms, wake_fd);
}

/* 0 connected, 1 too late, -1 failed (errno). */
static int connect_within(int fd, const struct addrinfo *address, uint64_t deadline_ms, int wake_fd)
{
    if (connect(fd, address->ai_addr, address->ai_addrlen) == 0) {
        return 0;
    }
    if (errno != EINPROGRESS) {
        return -1;
    }
    const int ready = mr_wait_fd(fd, POLLOUT, deadline_ms, wake_fd);
    if (ready <= 0) {
        return ready < 0 ? -1 : 1;
    }
    int problem = 0;
    socklen_t length = sizeof problem;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &length) != 0) {
        return -1;
    }
    errno = problem;
    return problem ? -1 : 0;
}

int mr_dial(const char *host, uint16_t port, uint64_t deadline_ms, int wake_fd,
            struct mr_error *error)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    char service[8];
    snprintf(service, sizeof service, "%u", port);
    const int problem = getaddrinfo(host, service, &hints, &found);
    if (problem) {
        mr_error_set(error, "%s: %s", host, gai_strerror(problem));
        return MR_H2_UNREACHABLE;
    }
    int result = MR_H2_UNREACHABLE;
    for (const struct addrinfo *at = found; at && result < 0; at = at->ai_next) {
        const int fd =
            socket(at->ai_family, at->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, at->ai_protocol);
        const int status = fd < 0 ? -1 : connect_within(fd, at, deadline_ms, wake_fd);
        if (status == 0) {
            const int one = 1, unsent = UNSENT_BYTES;
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
            result = fd;
            break;
        }
        if (status > 0) {
            mr_error_set(error, "%s:%u: no answer in time", host, port);
            result = MR_H2_TIMEOUT;
        } else {
            mr_error_set(error, "%s:%u: %s", host, port, strerror(errno));
        }
        if (fd >= 0) {
            close(fd);
        }
    }
    freeaddrinfo(found);
    return result;
}
