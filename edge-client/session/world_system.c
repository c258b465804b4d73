#include <errno.h>
#include <netdb.h>
#include <openssl/rand.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "edge-client/session/world.h"

static uint64_t clock_us(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t now_us(void *context)
{
    (void)context;
    return clock_us(CLOCK_MONOTONIC);
}

static uint64_t unix_ms(void *context)
{
    (void)context;
    return clock_us(CLOCK_REALTIME) / 1000;
}

static void sleep_ms(void *context, unsigned ms)
{
    (void)context;
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    while (nanosleep(&t, &t) && errno == EINTR)
        ;
}

static int random_bytes(void *context, uint8_t *out, size_t bytes)
{
    (void)context;
    return RAND_bytes(out, (int)bytes) == 1 ? 0 : -1;
}

static int h2_connect(void *context, const struct mr_h2_endpoint *endpoint, unsigned timeout_ms,
                      void **connection, struct mr_error *error)
{
    (void)context;
    struct mr_h2_client *client = NULL;
    int failure = mr_h2_client_open(&client, endpoint, timeout_ms, error);
    *connection = client;
    return failure;
}

static void h2_disconnect(void *context, void *connection)
{
    (void)context;
    mr_h2_client_close(connection);
}

static int h2_request(void *context, void *connection, const char *method, const char *path,
                      const char *content_type, const void *body, size_t length, size_t body_max,
                      unsigned timeout_ms, struct mr_h2_response *response, struct mr_error *error)
{
    (void)context;
    return mr_h2_client_request(connection, method, path, content_type, body, length, body_max,
                                timeout_ms, response, error);
}

static int h2_exporter(void *context, void *connection, const char *label,
                       const uint8_t *label_context, size_t context_bytes, uint8_t *out,
                       size_t out_bytes)
{
    (void)context;
    return mr_h2_client_export(connection, label, label_context, context_bytes, out, out_bytes);
}

/* --- datagrams: the handle is the descriptor plus one, so that NULL is none ------------------- */

static int descriptor(const void *udp)
{
    return (int)(intptr_t)udp - 1;
}

static void *udp_open(void *context, const char *host, uint16_t port, struct mr_error *error)
{
    (void)context;
    char service[8];
    struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICHOST};
    struct addrinfo *found = NULL;
    snprintf(service, sizeof service, "%u", port);
    int why = getaddrinfo(host, service, &hints, &found);
    if (why) {
        mr_error_set(error, "the lead's upload address %s is not usable: %s", host,
                     gai_strerror(why));
        return NULL;
    }
    int fd = socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen)) {
        mr_error_set(error, "no UDP socket to %s port %u: %s", host, port, strerror(errno));
        if (fd >= 0)
            close(fd);
        fd = -1;
    }
    freeaddrinfo(found);
    return fd < 0 ? NULL : (void *)(intptr_t)(fd + 1);
}

static void udp_close(void *context, void *udp)
{
    (void)context;
    close(descriptor(udp));
}

static void udp_send(void *context, void *udp, const struct mr_world_datagrams *datagrams)
{
    (void)context;
    struct mmsghdr messages[MR_WORLD_BATCH];
    struct iovec vectors[MR_WORLD_BATCH];
    memset(messages, 0, sizeof messages);
    for (unsigned i = 0; i < datagrams->count; i++) {
        vectors[i].iov_base = (void *)(uintptr_t)datagrams->bytes[i];
        vectors[i].iov_len = datagrams->lengths[i];
        messages[i].msg_hdr.msg_iov = &vectors[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    /* The socket blocks while its buffer is full. An error (an ICMP answer to an earlier datagram,
     * say) is reported once and clears: that one datagram counts as lost. */
    for (unsigned at = 0; at < datagrams->count;) {
        int sent = sendmmsg(descriptor(udp), messages + at, datagrams->count - at, 0);
        at += sent > 0 ? (unsigned)sent : errno == EINTR ? 0 : 1;
    }
}

static size_t udp_receive(void *context, void *udp, uint8_t *out, size_t capacity,
                          uint64_t timeout_us)
{
    (void)context;
    ssize_t got = recv(descriptor(udp), out, capacity, MSG_DONTWAIT);
    if (got > 0 || timeout_us == 0)
        return got > 0 ? (size_t)got : 0;
    struct pollfd wait = {.fd = descriptor(udp), .events = POLLIN};
    struct timespec t = {.tv_sec = (time_t)(timeout_us / 1000000),
                         .tv_nsec = (long)(timeout_us % 1000000) * 1000};
    if (ppoll(&wait, 1, &t, NULL) <= 0)
        return 0;
    got = recv(descriptor(udp), out, capacity, MSG_DONTWAIT);
    return got > 0 ? (size_t)got : 0;
}

void mr_world_system(struct mr_world *world)
{
    *world = (struct mr_world){.now_us = now_us,
                               .unix_ms = unix_ms,
                               .sleep_ms = sleep_ms,
                               .random = random_bytes,
                               .connect = h2_connect,
                               .disconnect = h2_disconnect,
                               .request = h2_request,
                               .exporter = h2_exporter,
                               .udp_open = udp_open,
                               .udp_close = udp_close,
                               .udp_send = udp_send,
                               .udp_receive = udp_receive};
}
