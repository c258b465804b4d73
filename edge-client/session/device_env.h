/* device_env.h - everything a device's session asks of the outside: clocks, randomness, control
 * connections, datagrams. One table of functions, so that a test or a simulator can stand in for
 * it.
 *
 * mr_device_env_system fills the real one. Functions may block up to the timeout they are given,
 * but not once the env's cancel was asked. */
#ifndef MRE_SESSION_DEVICE_ENV_H
#define MRE_SESSION_DEVICE_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "edge-client/session/cancel.h"
#include "transport/h2_client.h"
#include "base/error.h"
#include "wire/keys.h"

#define MR_WORLD_BATCH 64 /* datagrams per send call at most; a default window is one call */

struct mr_device_env_datagrams {
    const uint8_t *bytes[MR_WORLD_BATCH];
    size_t lengths[MR_WORLD_BATCH];
    unsigned count;
};

struct mr_device_env {
    void *context;
    struct mr_cancel *cancel; /* NULL: cannot be asked */

    uint64_t (*now_us)(void *context);  /* monotonic */
    uint64_t (*unix_ms)(void *context); /* wall clock, for deadlines */
    void (*sleep_ms)(void *context, unsigned ms);
    /* CSPRNG. 0 or -1. */
    int (*random)(void *context, uint8_t *out, size_t bytes);

    /* A control connection: as mr_h2_client_*, returning enum mr_h2_failure; connect also 1: one
     * that other clients have asked over. */
    int (*connect)(void *context, const struct mr_h2_endpoint *endpoint, unsigned timeout_ms,
                   void **connection, struct mr_error *error);
    /* Needs it no more; for_all: it is not used for any further question, whoever else has it, and
     * the next connect gives another one. */
    void (*disconnect)(void *context, void *connection, bool for_all);
    int (*request)(void *context, void *connection, const struct mr_h2_request *request,
                   struct mr_h2_response *response, struct mr_error *error);
    int (*exporter)(void *context, void *connection, const char *label,
                    uint8_t secret[MR_CONNECTION_SECRET_BYTES]);

    /* The numeric address of a control connection's other end. 0 or -1. */
    int (*peer)(void *context, void *connection, char *host, size_t room);

    /* A UDP socket connected to host:port. NULL with an error when the address is unusable. A
     * datagram that cannot be sent counts as lost. receive waits up to timeout_us for one datagram
     * and returns its length (0 = none). */
    void *(*udp_open)(void *context, const char *host, uint16_t port, struct mr_error *error);
    void (*udp_close)(void *context, void *udp);
    void (*udp_send)(void *context, void *udp, const struct mr_device_env_datagrams *datagrams);
    size_t (*udp_receive)(void *context, void *udp, uint8_t *out, size_t capacity,
                          uint64_t timeout_us);
};

/* What the real one is made of. */
struct mr_device_system {
    struct mr_cancel *cancel; /* waits end where it is asked */
    struct mre_connections *connections;
};
/* All of `system` must outlive it. */
void mr_device_env_system(struct mr_device_env *env, const struct mr_device_system *system);

#endif
