#include "transport/h2_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>

#include "transport/dial.h"
#include "transport/h2_exchange.h"
#include "transport/h2_io.h"
#include "transport/tls.h"

/* Bytes moved between two looks at the clock. */
#define TURN_BYTES ((size_t)1024 * 1024)

struct mr_h2_client {
    struct mr_tls *tls;
    SSL *ssl;
    struct mr_tls_peer peer;
    int fd;
    int wake_fd; /* the endpoint's */
    nghttp2_session *session;
    struct mr_h2_io io;
    struct mr_h2_exchange exchange; /* the request under way */
    char hub[96];                   /* "hub 1 (host:port)", for error texts */
    char authority[96];
    uint8_t buffer[MR_H2_READ_BYTES];
};

/* --- failures -------------------------------------------------------------------------------- */

static int fail(const struct mr_h2_client *client, enum mr_h2_failure failure,
                struct mr_error *error, const char *why)
{
    mr_error_set(error, "%s: %s", client->hub, why);
    return failure;
}

static int fail_in_time(const struct mr_h2_client *client, struct mr_error *error)
{
    return fail(client, MR_H2_TIMEOUT, error, "no answer in time");
}

/* TLS failed: their certificate, ours, or the connection. */
static int fail_tls(const struct mr_h2_client *client, int problem, struct mr_error *error)
{
    const char *words;
    if (client->peer.refusal != MR_TLS_ACCEPTED) {
        mr_error_set(error, "%s: we do not accept its certificate: %s", client->hub,
                     client->peer.reason);
        return MR_H2_REFUSED;
    }
    if ((words = mr_tls_refused_by_peer()) != NULL) {
        mr_error_set(error, "%s refused us: %s", client->hub, words);
        return MR_H2_REFUSED;
    }
    return fail(client, MR_H2_BROKEN, error,
                mr_tls_reason(problem ? strerror(problem) : "it closed the connection"));
}

/* --- opening --------------------------------------------------------------------------------- */

static int shake_hands(struct mr_h2_client *client, uint64_t deadline_ms, struct mr_error *error)
{
    for (;;) {
        ERR_clear_error();
        errno = 0;
        const int done = SSL_do_handshake(client->ssl);
        if (done == 1) {
            break;
        }
        const int problem = errno;
        const int want = SSL_get_error(client->ssl, done);
        if (want != SSL_ERROR_WANT_READ && want != SSL_ERROR_WANT_WRITE) {
            return fail_tls(client, problem, error);
        }
        const short events = want == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
        const int ready = mr_wait_fd(client->fd, events, deadline_ms, client->wake_fd);
        if (ready <= 0) {
            return ready < 0 ? fail(client, MR_H2_BROKEN, error, strerror(errno))
                             : fail_in_time(client, error);
        }
    }
    if (!mr_tls_speaks_h2(client->ssl)) {
        return fail(client, MR_H2_BROKEN, error, "it does not speak HTTP/2");
    }
    return MR_H2_OK;
}

static int start(struct mr_h2_client *client, const struct mr_h2_endpoint *endpoint,
                 uint64_t deadline_ms, struct mr_error *error)
{
    const struct mr_tls_files files = {endpoint->ca_file, endpoint->certificate_file,
                                       endpoint->private_key_file, endpoint->revocation_file};
    if (mr_tls_open(&client->tls, MR_TLS_CLIENT, &files, error) != 0) {
        return MR_H2_REFUSED; /* nobody can accept a certificate that we cannot show */
    }
    client->fd = mr_dial(endpoint->host, endpoint->port, deadline_ms, client->wake_fd, error);
    if (client->fd < 0) {
        mr_error_prefix(error, "hub %u", endpoint->hub_index);
        return client->fd;
    }
    client->peer.expected_hub = endpoint->hub_index;
    client->peer.ticket = endpoint->ticket;
    client->ssl = mr_tls_connection(client->tls, client->fd, &client->peer);
    if (!client->ssl) {
        return fail(client, MR_H2_BROKEN, error, "out of memory");
    }
    const int status = shake_hands(client, deadline_ms, error);
    if (status != MR_H2_OK) {
        return status;
    }
    if (mr_h2_exchange_session(&client->session, &client->exchange) != 0) {
        return fail(client, MR_H2_BROKEN, error, "out of memory");
    }
    mr_h2_io_init(&client->io, client->ssl, client->session);
    return MR_H2_OK;
}

int mr_h2_client_open(struct mr_h2_client **out, const struct mr_h2_endpoint *endpoint,
                      unsigned timeout_ms, struct mr_error *error)
{
    struct mr_h2_client *client = calloc(1, sizeof *client);
    if (!client) {
        mr_error_set(error, "hub %u: out of memory", endpoint->hub_index);
        return MR_H2_BROKEN;
    }
    const int v6 = strchr(endpoint->host, ':') ? 1 : 0;
    client->fd = -1;
    client->wake_fd = endpoint->wake_fd;
    snprintf(client->authority, sizeof client->authority, v6 ? "[%.64s]:%u" : "%.64s:%u",
             endpoint->host, endpoint->port);
    snprintf(client->hub, sizeof client->hub, "hub %u (%.80s)", endpoint->hub_index,
             client->authority);
    const int status = start(client, endpoint, mr_monotonic_ms() + timeout_ms, error);
    ERR_clear_error();
    if (status != MR_H2_OK) {
        mr_h2_client_close(client);
        return status;
    }
    *out = client;
    return MR_H2_OK;
}

void mr_h2_client_close(struct mr_h2_client *client)
{
    if (!client) {
        return;
    }
    if (client->session) {
        /* A polite end, if the socket takes it at once. */
        nghttp2_session_terminate_session(client->session, NGHTTP2_NO_ERROR);
        if (mr_h2_io_flush(&client->io, TURN_BYTES) == MR_H2_IO_DONE) {
            SSL_shutdown(client->ssl);
        }
        ERR_clear_error();
    }
    mr_h2_io_fini(&client->io);
    nghttp2_session_del(client->session);
    mr_h2_exchange_fini(&client->exchange);
    SSL_free(client->ssl);
    mr_tls_close(client->tls);
    if (client->fd >= 0) {
        close(client->fd);
    }
    free(client);
}

/* --- requests -------------------------------------------------------------------------------- */

static int fail_io(struct mr_h2_client *client, enum mr_h2_io_result result, int http2_error,
                   struct mr_error *error)
{
    switch (result) {
    case MR_H2_IO_TLS:
        return fail_tls(client, errno, error);
    case MR_H2_IO_HTTP2:
        return fail(client, MR_H2_BROKEN, error, nghttp2_strerror(http2_error));
    default:
        return fail(client, MR_H2_BROKEN, error, "it closed the connection");
    }
}

/* Moves what can be moved; reads also after a failed write, since the refusal that explains it may
 * be waiting there. MR_H2_OK with *events to wait for (0: come back at once). */
static int turn(struct mr_h2_client *client, short *events, struct mr_error *error)
{
    int http2_error = NGHTTP2_ERR_NOMEM;
    const enum mr_h2_io_result sent = mr_h2_io_flush(&client->io, TURN_BYTES);
    const int sent_errno = errno;
    const enum mr_h2_io_result got =
        mr_h2_io_read(&client->io, client->buffer, TURN_BYTES, &http2_error);
    if (client->exchange.state != MR_H2_EXCHANGE_OPEN) {
        return MR_H2_OK; /* whatever became of the connection, the answer is there */
    }
    if (got != MR_H2_IO_DONE && got != MR_H2_IO_MORE) {
        return fail_io(client, got, http2_error, error);
    }
    if (sent != MR_H2_IO_DONE && sent != MR_H2_IO_MORE && sent != MR_H2_IO_WAIT) {
        errno = sent_errno;
        return fail_io(client, sent, http2_error, error);
    }
    if (mr_h2_io_over(&client->io)) {
        return fail(client, MR_H2_BROKEN, error, "it ended the connection");
    }
    const int again = got == MR_H2_IO_MORE || sent == MR_H2_IO_MORE ||
                      (sent == MR_H2_IO_DONE && nghttp2_session_want_write(client->session));
    *events = again ? 0 : (short)(sent == MR_H2_IO_WAIT ? POLLIN | POLLOUT : POLLIN);
    return MR_H2_OK;
}

/* Until when a request may take: longer while it moves, but not beyond the end. */
struct patience {
    unsigned timeout_ms;
    uint64_t deadline_ms, end_ms;
    uint64_t moved; /* when this deadline was set */
};

/* Counted below TLS, since a slow path takes longer than a timeout for one record. What is still in
 * the socket's buffer has not gone anywhere. */
static uint64_t moved(const struct mr_h2_client *client)
{
    int unsent = 0;
    if (ioctl(client->fd, TIOCOUTQ, &unsent) != 0) {
        unsent = 0;
    }
    return BIO_number_read(SSL_get_rbio(client->ssl)) +
           BIO_number_written(SSL_get_wbio(client->ssl)) - (uint64_t)unsent;
}

static struct patience patience_of(const struct mr_h2_client *client,
                                   const struct mr_h2_request *request)
{
    const uint64_t now_ms = mr_monotonic_ms();
    struct patience patience = {.timeout_ms = request->timeout_ms,
                                .deadline_ms = now_ms + request->timeout_ms,
                                .end_ms = now_ms + request->whole_ms};
    if (patience.end_ms > patience.deadline_ms) {
        patience.moved = moved(client);
    }
    return patience;
}

/* The deadline has come: whether there is another. */
static bool extend(const struct mr_h2_client *client, struct patience *patience)
{
    if (patience->deadline_ms >= patience->end_ms) {
        return false;
    }
    const uint64_t moved_now = moved(client);
    if (moved_now - patience->moved < MR_H2_PROGRESS_BYTES) {
        return false;
    }
    const uint64_t next_ms = mr_monotonic_ms() + patience->timeout_ms;
    patience->moved = moved_now;
    patience->deadline_ms = next_ms < patience->end_ms ? next_ms : patience->end_ms;
    return true;
}

static int run(struct mr_h2_client *client, struct patience *patience, struct mr_error *error)
{
    for (;;) {
        short events = 0;
        const int status = turn(client, &events, error);
        if (status != MR_H2_OK || client->exchange.state != MR_H2_EXCHANGE_OPEN) {
            return status;
        }
        if (events == 0 && mr_monotonic_ms() < patience->deadline_ms) {
            continue;
        }
        const int ready = mr_wait_fd(client->fd, events, patience->deadline_ms, client->wake_fd);
        if (ready < 0 || (ready == 0 && !extend(client, patience))) {
            return ready < 0 ? fail(client, MR_H2_BROKEN, error, strerror(errno))
                             : fail_in_time(client, error);
        }
    }
}

int mr_h2_client_request(struct mr_h2_client *client, const struct mr_h2_request *request,
                         struct mr_h2_response *response, struct mr_error *error)
{
    *response = (struct mr_h2_response){0};
    if (mr_h2_exchange_begin(client->session, &client->exchange, client->authority, request) != 0) {
        return fail(client, MR_H2_BROKEN, error, "the connection takes no more requests");
    }
    struct patience patience = patience_of(client, request);
    int status = run(client, &patience, error);
    ERR_clear_error();
    if (status == MR_H2_OK && client->exchange.state == MR_H2_EXCHANGE_FAILED) {
        status = fail(client, MR_H2_BROKEN, error, client->exchange.reason);
    }
    if (status == MR_H2_OK) {
        mr_h2_exchange_take(&client->exchange, response);
        /* Tells the hub at once of what it need not answer any more; a failure shows next time. */
        (void)mr_h2_io_flush(&client->io, TURN_BYTES);
        ERR_clear_error();
    }
    return status;
}

int mr_h2_client_export(struct mr_h2_client *client, const char *label, const uint8_t *context,
                        size_t context_bytes, uint8_t *out, size_t out_bytes)
{
    return mr_tls_export(client->ssl, label, context, context_bytes, out, out_bytes);
}

int mr_h2_client_peer(const struct mr_h2_client *client, char *host, size_t room)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    return getpeername(client->fd, (struct sockaddr *)&address, &length) == 0 &&
                   getnameinfo((struct sockaddr *)&address, length, host, (socklen_t)room, NULL, 0,
                               NI_NUMERICHOST) == 0
               ? 0
               : -1;
}
