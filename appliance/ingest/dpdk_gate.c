/* A memif's control channel, led past us, so that a peer may go at any moment.
 *
 * The PMD unmaps the rings as soon as its control socket says that the peer is gone, on a thread of
 * EAL's, while a worker may be reading them. So the PMD is given a socket of ours, and messages and
 * file descriptors are carried between it and the peer's. When the peer hangs up (or dies, or says
 * goodbye), the workers are stopped first, then the port, and only then does the PMD hear of it;
 * afterwards it waits for the next peer. The rings themselves are shared as ever: no packet passes
 * here. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <rte_ethdev.h>

#include "appliance/ingest/dpdk_env.h"
#include "appliance/ingest/dpdk_internal.h"
#include "appliance/runtime/thread.h"

#define MESSAGE_BYTES_MAX 256
#define RETRY_MS          50
#define PATH_MAX_BYTES    (sizeof((struct sockaddr_un *)0)->sun_path - 2)
/* memif 2.0: what a message is, in its first two bytes. */
#define TYPE_DISCONNECT 8u

struct mr_dpdk_gate {
    struct mr_dpdk_port *port;
    bool is_client; /* the PMD calls, the peer listens */
    bool zero_copy, orphaned;
    bool running;
    atomic_bool stop;
    int wake_fd;
    int listener;     /* where the calling side calls */
    int inner, outer; /* the PMD's connection and the peer's; -1: none */
    struct sockaddr_un public_name, inner_name;
    socklen_t public_bytes, inner_bytes;
    pthread_t thread;
};

/* --- names ------------------------------------------------------------------------------------ */

static socklen_t name_set(struct sockaddr_un *name, const char *path, bool abstract)
{
    name->sun_family = AF_UNIX;
    memcpy(name->sun_path + (abstract ? 1 : 0), path, strnlen(path, PATH_MAX_BYTES));
    if (!abstract) {
        return sizeof *name;
    }
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strnlen(path, PATH_MAX_BYTES));
}

/* The value of `key` in a device string; "" if it is not there. */
static void argument(const char *device, const char *key, char value[128])
{
    const size_t length = strlen(key);

    *value = '\0';
    for (const char *at = strchr(device, ','); at; at = strchr(at, ',')) {
        at++;
        if (strncmp(at, key, length) == 0 && at[length] == '=') {
            snprintf(value, 128, "%.*s", (int)strcspn(at + length + 1, ","), at + length + 1);
        }
    }
}

/* The device string with the socket exchanged for ours. */
static void rewrite(const char *device, const char *path, char inner[512])
{
    char text[512], *rest = NULL;

    snprintf(text, sizeof text, "%s", device);
    *inner = '\0';
    for (char *one = strtok_r(text, ",", &rest); one; one = strtok_r(NULL, ",", &rest)) {
        const size_t used = strlen(inner);
        if (strncmp(one, "socket", 6) != 0) {
            snprintf(inner + used, 512 - used, "%s%s", used > 0 ? "," : "", one);
        }
    }
    const size_t used = strlen(inner);
    snprintf(inner + used, 512 - used, ",socket=%s,socket-abstract=yes", path);
}

/* --- carrying messages ------------------------------------------------------------------------ */

enum carried { CARRIED, LOST, HELD_BACK };

/* One message from one side to the other. A goodbye of the peer is held back: see hang_up. */
static enum carried carry(int from, int to, bool from_peer)
{
    uint8_t bytes[MESSAGE_BYTES_MAX];
    _Alignas(struct cmsghdr)
        uint8_t control[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
    struct iovec part = {.iov_base = bytes, .iov_len = sizeof bytes};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};
    const ssize_t length = recvmsg(from, &message, MSG_CMSG_CLOEXEC);
    uint16_t type = 0;
    int fd = -1;

    if (length < (ssize_t)sizeof type) {
        return LOST;
    }
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
            memcpy(&fd, CMSG_DATA(c), sizeof fd);
        }
    }
    memcpy(&type, bytes, sizeof type);
    enum carried done = from_peer && type >= TYPE_DISCONNECT ? HELD_BACK : CARRIED;
    if (done == CARRIED) {
        part.iov_len = (size_t)length;
        if (fd < 0) {
            message.msg_control = NULL;
            message.msg_controllen = 0;
        }
        if (sendmsg(to, &message, MSG_NOSIGNAL) != length) {
            done = LOST;
        }
    }
    if (fd >= 0) {
        close(fd);
    }
    return done;
}

static int dial(const struct sockaddr_un *name, socklen_t bytes)
{
    const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    if (fd >= 0 && connect(fd, (const struct sockaddr *)name, bytes) == 0) {
        return fd;
    }
    if (fd >= 0) {
        close(fd);
    }
    return -1;
}

static void shut(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
    *fd = -1;
}

/* The peer has gone: workers off the queues, the port stopped and started, which makes the PMD let
 * go of the old rings and wait for new ones. Done on EAL's thread, where the PMD takes a message:
 * what it has queued in answer to one is freed by the stop, and 22.11 does not lock it.
 *
 * Not with zero copy: there, this PMD (DPDK 22.11) closes the file behind EAL's own memory when it
 * lets go, and would hand the next peer whatever got that number. The rings are in our own memory,
 * so the workers go on looking at them, in vain, until the hub is started again. */
static void hang_up(struct mr_dpdk_gate *gate)
{
    struct mr_dpdk_port *port = gate->port;

    shut(&gate->outer);
    if (gate->zero_copy) {
        gate->orphaned = true;
        return;
    }
    mr_dpdk_port_pause(port);
    (void)mr_dpdk_env_call(rte_eth_dev_stop, port->id);
    shut(&gate->inner);
    (void)mr_dpdk_env_call(rte_eth_dev_start, port->id);
    mr_dpdk_port_resume(port);
}

/* Brings the two sides together: whoever calls is taken in, then the other is called. */
static void join_sides(struct mr_dpdk_gate *gate, bool called)
{
    int *caller = gate->is_client ? &gate->inner : &gate->outer;
    int *other = gate->is_client ? &gate->outer : &gate->inner;

    if (called && *caller < 0) {
        *caller = accept4(gate->listener, NULL, NULL, SOCK_CLOEXEC);
    }
    if (*caller >= 0 && *other < 0) {
        *other = gate->is_client ? dial(&gate->public_name, gate->public_bytes)
                                 : dial(&gate->inner_name, gate->inner_bytes);
    }
}

static void round_of(struct mr_dpdk_gate *gate)
{
    const bool joined = gate->inner >= 0 && gate->outer >= 0;
    const bool calling = !joined && !gate->orphaned;
    const int caller = gate->is_client ? gate->inner : gate->outer;
    struct pollfd fds[4] = {
        {.fd = gate->wake_fd, .events = POLLIN},
        {.fd = caller < 0 ? gate->listener : -1, .events = POLLIN},
        {.fd = joined ? gate->inner : -1, .events = POLLIN},
        {.fd = joined ? gate->outer : -1, .events = POLLIN},
    };

    /* A caller that waits for the other side is tried again; nothing else needs a clock. */
    if (poll(fds, 4, caller >= 0 && calling ? RETRY_MS : -1) < 0) {
        return;
    }
    if (calling) {
        join_sides(gate, fds[1].revents != 0);
    }
    if (!joined) {
        return;
    }
    if (fds[2].revents != 0 && carry(gate->inner, gate->outer, false) != CARRIED) {
        hang_up(gate); /* it refused the peer */
    } else if (fds[3].revents != 0 && carry(gate->outer, gate->inner, true) != CARRIED) {
        hang_up(gate);
    }
}

static void *run(void *context)
{
    struct mr_dpdk_gate *gate = context;

    while (!atomic_load_explicit(&gate->stop, memory_order_acquire)) {
        round_of(gate);
    }
    return NULL;
}

/* --- set-up ----------------------------------------------------------------------------------- */

static int open_listener(struct mr_dpdk_gate *gate, struct mr_error *error)
{
    const struct sockaddr_un *name = gate->is_client ? &gate->inner_name : &gate->public_name;
    const socklen_t bytes = gate->is_client ? gate->inner_bytes : gate->public_bytes;

    if (!gate->is_client && name->sun_path[0] != '\0') {
        (void)unlink(name->sun_path); /* what an earlier hub left */
    }
    gate->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (gate->listener < 0 || bind(gate->listener, (const struct sockaddr *)name, bytes) != 0 ||
        listen(gate->listener, 8) != 0) {
        return mr_error_set(error, "cannot listen on the memif's socket: %s", strerror(errno));
    }
    return 0;
}

struct mr_dpdk_gate *mr_dpdk_gate_open(struct mr_dpdk_port *port, const char *device,
                                       char inner[512], struct mr_error *error)
{
    struct mr_dpdk_gate *gate = calloc(1, sizeof *gate);
    char path[128], abstract[128], role[128], copies[128], own[128];
    struct timespec now;

    if (!gate) {
        mr_error_set(error, "out of memory for a memif");
        return NULL;
    }
    gate->port = port;
    gate->listener = gate->inner = gate->outer = gate->wake_fd = -1;
    argument(device, "socket", path);
    argument(device, "socket-abstract", abstract);
    argument(device, "role", role);
    argument(device, "zero-copy", copies);
    gate->is_client = strcmp(role, "server") != 0 && strcmp(role, "master") != 0;
    /* Never the name of an earlier gate: the PMD lets go of one some time after it said so. */
    clock_gettime(CLOCK_MONOTONIC, &now);
    gate->zero_copy = gate->is_client && strcmp(copies, "yes") == 0;
    snprintf(own, sizeof own, "millrace-memif-%ld-%llx-%lx", (long)getpid(),
             (unsigned long long)now.tv_sec, (unsigned long)now.tv_nsec);
    gate->inner_bytes = name_set(&gate->inner_name, own, true);
    gate->public_bytes = name_set(&gate->public_name, *path != '\0' ? path : "/run/memif.sock",
                                  strcmp(abstract, "no") != 0);
    rewrite(device, own, inner);
    gate->wake_fd = eventfd(0, EFD_CLOEXEC);
    if (gate->wake_fd < 0 || open_listener(gate, error) != 0) {
        if (gate->wake_fd < 0) {
            mr_error_set(error, "cannot make an eventfd: %s", strerror(errno));
        }
        mr_dpdk_gate_close(gate);
        return NULL;
    }
    return gate;
}

int mr_dpdk_gate_start(struct mr_dpdk_gate *gate, struct mr_error *error)
{
    if (mr_thread_start(&gate->thread, run, gate, error) != 0) {
        return -1;
    }
    gate->running = true;
    pthread_setname_np(gate->thread, "mr-memif");
    return 0;
}

void mr_dpdk_gate_stop(struct mr_dpdk_gate *gate)
{
    const uint64_t one = 1;

    if (!gate || !gate->running) {
        return;
    }
    atomic_store_explicit(&gate->stop, true, memory_order_release);
    if (write(gate->wake_fd, &one, sizeof one) == (ssize_t)sizeof one) {
        pthread_join(gate->thread, NULL);
    }
    gate->running = false;
}

void mr_dpdk_gate_close(struct mr_dpdk_gate *gate)
{
    if (!gate) {
        return;
    }
    mr_dpdk_gate_stop(gate);
    shut(&gate->listener);
    shut(&gate->inner);
    shut(&gate->outer);
    shut(&gate->wake_fd);
    free(gate);
}
