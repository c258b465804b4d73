/* h2_client_internal.h - what the files of the HTTP/2 client share: h2_client.c opens and closes
 * connections, h2_request.c asks over them, from any number of threads.
 *
 * The connection has no thread of its own. Of those that wait for an answer one drives: it waits
 * for the socket and reads for all. The others sleep until they are nudged: their answer is there,
 * the connection is lost, or the one that drove has gone and it is theirs to drive. */
#ifndef MR_TRANSPORT_H2_CLIENT_INTERNAL_H
#define MR_TRANSPORT_H2_CLIENT_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "transport/h2_client.h"
#include "transport/h2_exchange.h"
#include "transport/h2_io.h"
#include "transport/tls.h"

/* Bytes moved between two looks at the clock. */
#define MR_H2_TURN_BYTES ((size_t)1024 * 1024)

/* Until when a request may take: longer while the connection moves, but not beyond the end. */
struct mr_h2_patience {
    unsigned timeout_ms;
    uint64_t deadline_ms, end_ms;
    uint64_t moved; /* when this deadline was set */
};

/* A request under way, on the stack of who asked. */
struct mr_h2_call {
    LIST_ENTRY(mr_h2_call) in_client;
    struct mr_h2_exchange exchange;
    struct mr_h2_patience patience;
    int wake_fd;
    int nudge_fd; /* an eventfd, of those that have waited while another drove; -1: none */
    bool unsent;  /* the socket took not all of it */
};

struct mr_h2_client {
    /* Of all below, but for what only _open and _close touch. Nobody waits while holding it. */
    pthread_mutex_t mutex;
    struct mr_tls *tls;
    SSL *ssl;
    struct mr_tls_peer peer;
    int fd;
    int wake_fd; /* the endpoint's */
    nghttp2_session *session;
    struct mr_h2_io io;
    LIST_HEAD(, mr_h2_call) calls;
    struct mr_h2_call *driver; /* NULL: nobody waits for the socket */
    bool is_retired;
    enum mr_h2_failure failure; /* of the whole connection; MR_H2_OK: none */
    struct mr_error why;
    char hub[96]; /* "hub 1 (host:port)", for error texts */
    char authority[96];
    uint8_t buffer[MR_H2_READ_BYTES];
};

/* Sets the text, with the hub before it; returns `failure`. */
int mr_h2_client_fail(const struct mr_h2_client *client, enum mr_h2_failure failure,
                      struct mr_error *error, const char *why);
/* TLS failed: their certificate, ours, or the connection (`problem`: the socket's errno). */
int mr_h2_client_fail_tls(const struct mr_h2_client *client, int problem, struct mr_error *error);

#endif
