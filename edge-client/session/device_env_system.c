#include <openssl/rand.h>
#include <stdlib.h>
#include <time.h>

#include "edge-client/session/connections.h"
#include "edge-client/session/device_env.h"
#include "edge-client/upload/udp_link.h"
#include "transport/dial.h"

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

static int wake_fd(void *context)
{
    return ((const struct mr_device_system *)context)->cancel->fd;
}

static void sleep_ms(void *context, unsigned ms)
{
    (void)mr_wait_fd(-1, 0, mr_monotonic_ms() + ms, wake_fd(context));
}

static int random_bytes(void *context, uint8_t *out, size_t bytes)
{
    (void)context;
    return RAND_bytes(out, (int)bytes) == 1 ? 0 : -1;
}

static int h2_connect(void *context, const struct mr_h2_endpoint *endpoint, unsigned timeout_ms,
                      void **connection, struct mr_error *error)
{
    const struct mr_device_system *system = context;
    struct mr_connection_shared *taken = NULL;
    struct mr_h2_endpoint woken = *endpoint;
    woken.wake_fd = wake_fd(context);
    const int status = mr_connections_take(system->connections, &woken, timeout_ms, &taken, error);
    *connection = taken;
    return status;
}

static void h2_disconnect(void *context, void *connection, bool for_all)
{
    (void)context;
    if (for_all) {
        mr_connections_retire(connection);
    } else {
        mr_connections_leave(connection);
    }
}

static int h2_request(void *context, void *connection, const struct mr_h2_request *request,
                      struct mr_h2_response *response, struct mr_error *error)
{
    struct mr_h2_request woken = *request;
    woken.wake_fd = wake_fd(context);
    return mr_connections_ask(connection, &woken, response, error);
}

static int h2_exporter(void *context, void *connection, const char *label,
                       uint8_t secret[MR_CONNECTION_SECRET_BYTES])
{
    (void)context;
    return mr_h2_client_export(mr_connections_client(connection), label, secret);
}

static int h2_peer(void *context, void *connection, char *host, size_t room)
{
    (void)context;
    return mr_h2_client_peer(mr_connections_client(connection), host, room);
}

/* --- datagrams ------------------------------------------------------------------------------- */

static void *udp_open(void *context, const char *host, uint16_t port, struct mr_error *error)
{
    struct mr_udp_link *link = malloc(sizeof *link);
    if (!link) {
        mr_error_set(error, "out of memory for a UDP socket");
    } else if (mr_udp_link_open(link, host, port, error)) {
        free(link);
        link = NULL;
    } else {
        link->wake_fd = wake_fd(context);
    }
    return link;
}

static void udp_close(void *context, void *udp)
{
    (void)context;
    mr_udp_link_close(udp);
    free(udp);
}

static void udp_send(void *context, void *udp, const struct mr_device_env_datagrams *datagrams)
{
    (void)context;
    struct iovec parts[MR_WORLD_BATCH];
    for (unsigned i = 0; i < datagrams->count; i++) {
        parts[i].iov_base = (void *)(uintptr_t)datagrams->bytes[i];
        parts[i].iov_len = datagrams->lengths[i];
    }
    mr_udp_link_send(udp, parts, datagrams->count);
}

static size_t udp_receive(void *context, void *udp, uint8_t *out, size_t capacity,
                          uint64_t timeout_us)
{
    (void)context;
    return mr_udp_link_receive(udp, out, capacity, timeout_us);
}

void mr_device_env_system(struct mr_device_env *env, const struct mr_device_system *system)
{
    *env = (struct mr_device_env){.context = (void *)(uintptr_t)system,
                                  .cancel = system->cancel,
                                  .now_us = now_us,
                                  .unix_ms = unix_ms,
                                  .sleep_ms = sleep_ms,
                                  .random = random_bytes,
                                  .connect = h2_connect,
                                  .disconnect = h2_disconnect,
                                  .request = h2_request,
                                  .exporter = h2_exporter,
                                  .peer = h2_peer,
                                  .udp_open = udp_open,
                                  .udp_close = udp_close,
                                  .udp_send = udp_send,
                                  .udp_receive = udp_receive};
}
