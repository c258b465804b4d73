/* h2_request.c - requests over a client's connection: one, or several threads' at once. */
#include "transport/h2_client.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <openssl/err.h>

#include "transport/dial.h"
#include "transport/h2_client_internal.h"

/* --- until when ------------------------------------------------------------------------------ */

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

static struct mr_h2_patience patience_of(const struct mr_h2_client *client,
                                         const struct mr_h2_request *request)
{
    const uint64_t now_ms = mr_monotonic_ms();
    struct mr_h2_patience patience = {.timeout_ms = request->timeout_ms,
                                      .deadline_ms = now_ms + request->timeout_ms,
                                      .end_ms = now_ms + request->whole_ms};
    if (patience.end_ms > patience.deadline_ms) {
        patience.moved = moved(client);
    }
    return patience;
}

/* The deadline has come: whether there is another. */
static bool extend(const struct mr_h2_client *client, struct mr_h2_patience *patience)
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

/* --- who waits for whom ---------------------------------------------------------------------- */

static void nudge(const struct mr_h2_call *call)
{
    const uint64_t one = 1;
    if (call->nudge_fd >= 0) {
        const ssize_t written = write(call->nudge_fd, &one, sizeof one);
        (void)written; /* it fails only where it is readable already */
    }
}

/* Those that wait no more. That the connection is lost they are told one by the other: see leave.
 */
static void nudge_ended(const struct mr_h2_client *client)
{
    const struct mr_h2_call *call;
    LIST_FOREACH(call, &client->calls, in_client) {
        if (call->exchange.state != MR_H2_EXCHANGE_OPEN) {
            nudge(call);
        }
    }
}

/* Sleeps until there is something to look at again, without the mutex. 1, 0 too late, -1 failed. */
static int sleep_until_due(struct mr_h2_client *client, struct mr_h2_call *call, short events)
{
    const bool drives = client->driver == call;
    const uint64_t deadline_ms = call->patience.deadline_ms;
    uint64_t nudges;
    if (!drives && call->nudge_fd < 0) {
        call->nudge_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (call->nudge_fd < 0) {
            return -1;
        }
    }
    const int nudge_fd = drives ? -1 : call->nudge_fd;
    const int fd = drives || call->unsent ? client->fd : -1;
    pthread_mutex_unlock(&client->mutex);
    const int ready = mr_wait_fds(fd, events, nudge_fd, deadline_ms, call->wake_fd);
    pthread_mutex_lock(&client->mutex);
    const int problem = errno;
    if (call->nudge_fd >= 0) {
        const ssize_t drained = read(call->nudge_fd, &nudges, sizeof nudges);
        (void)drained; /* nothing may be in it */
    }
    errno = problem;
    return ready;
}

/* It waits no longer. Whoever goes while nobody drives wakes another, be it only to go as well. */
static void leave(struct mr_h2_client *client, struct mr_h2_call *call)
{
    LIST_REMOVE(call, in_client);
    if (client->driver == call) {
        client->driver = NULL;
    }
    if (!client->driver && !LIST_EMPTY(&client->calls)) {
        nudge(LIST_FIRST(&client->calls));
    }
    if (call->nudge_fd >= 0) {
        close(call->nudge_fd);
    }
}

/* --- moving bytes ---------------------------------------------------------------------------- */

static int fail_io(struct mr_h2_client *client, enum mr_h2_io_result result, int http2_error,
                   struct mr_error *error)
{
    switch (result) {
    case MR_H2_IO_TLS:
        return mr_h2_client_fail_tls(client, errno, error);
    case MR_H2_IO_HTTP2:
        return mr_h2_client_fail(client, MR_H2_BROKEN, error, nghttp2_strerror(http2_error));
    default:
        return mr_h2_client_fail(client, MR_H2_BROKEN, error, "it closed the connection");
    }
}

/* Moves what can be moved; reads also after a failed write, since the refusal that explains it may
 * be waiting there. MR_H2_OK with *events to wait for (0: come back at once). */
static int turn(struct mr_h2_client *client, const struct mr_h2_call *call, short *events,
                struct mr_error *error)
{
    int http2_error = NGHTTP2_ERR_NOMEM;
    const enum mr_h2_io_result sent = mr_h2_io_flush(&client->io, MR_H2_TURN_BYTES);
    const int sent_errno = errno;
    const enum mr_h2_io_result got =
        mr_h2_io_read(&client->io, client->buffer, MR_H2_TURN_BYTES, &http2_error);
    if (call->exchange.state != MR_H2_EXCHANGE_OPEN) {
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
        return mr_h2_client_fail(client, MR_H2_BROKEN, error, "it ended the connection");
    }
    const int again = got == MR_H2_IO_MORE || sent == MR_H2_IO_MORE ||
                      (sent == MR_H2_IO_DONE && nghttp2_session_want_write(client->session));
    *events = again ? 0 : (short)(sent == MR_H2_IO_WAIT ? POLLIN | POLLOUT : POLLIN);
    return MR_H2_OK;
}

/* For all that wait. */
static void drive(struct mr_h2_client *client, struct mr_h2_call *call, short *events)
{
    client->driver = call;
    client->failure = (enum mr_h2_failure)turn(client, call, events, &client->why);
    nudge_ended(client);
}

/* Another one reads: this one only sees to it that its question goes out. */
static void send_own(struct mr_h2_client *client, struct mr_h2_call *call, short *events)
{
    const enum mr_h2_io_result sent = mr_h2_io_flush(&client->io, MR_H2_TURN_BYTES);
    call->unsent = sent == MR_H2_IO_WAIT || sent == MR_H2_IO_MORE;
    *events = POLLOUT;
}

static void advance(struct mr_h2_client *client, struct mr_h2_call *call, short *events)
{
    if (!client->driver || client->driver == call) {
        drive(client, call, events);
    } else {
        send_own(client, call, events);
    }
}

/* --- requests -------------------------------------------------------------------------------- */

static int run(struct mr_h2_client *client, struct mr_h2_call *call, struct mr_error *error)
{
    for (;;) {
        short events = 0;
        if (client->failure == MR_H2_OK) {
            advance(client, call, &events);
        }
        if (call->exchange.state != MR_H2_EXCHANGE_OPEN) {
            return MR_H2_OK;
        }
        if (client->failure != MR_H2_OK) {
            *error = client->why;
            return client->failure;
        }
        if (events == 0 && mr_monotonic_ms() < call->patience.deadline_ms) {
            pthread_mutex_unlock(&client->mutex); /* others may want to send, or to go */
            pthread_mutex_lock(&client->mutex);
            continue;
        }
        const int ready = sleep_until_due(client, call, events);
        if (ready < 0) {
            return mr_h2_client_fail(client, MR_H2_BROKEN, error, strerror(errno));
        }
        if (ready == 0 && call->exchange.state == MR_H2_EXCHANGE_OPEN &&
            !extend(client, &call->patience)) {
            return mr_h2_client_fail(client, MR_H2_TIMEOUT, error, "no answer in time");
        }
    }
}

static int begin(struct mr_h2_client *client, struct mr_h2_call *call,
                 const struct mr_h2_request *request, struct mr_error *error)
{
    if (client->failure != MR_H2_OK || client->is_retired ||
        mr_h2_exchange_begin(client->session, &call->exchange, client->authority, request) != 0) {
        return mr_h2_client_fail(client, MR_H2_BROKEN, error,
                                 "the connection takes no more requests");
    }
    call->patience = patience_of(client, request);
    LIST_INSERT_HEAD(&client->calls, call, in_client);
    return MR_H2_OK;
}

int mr_h2_client_request(struct mr_h2_client *client, const struct mr_h2_request *request,
                         struct mr_h2_response *response, struct mr_error *error)
{
    struct mr_h2_call call = {.nudge_fd = -1,
                              .wake_fd = request->wake_fd > 0 ? request->wake_fd : client->wake_fd};
    *response = (struct mr_h2_response){0};
    pthread_mutex_lock(&client->mutex);
    int status = begin(client, &call, request, error);
    if (status == MR_H2_OK) {
        status = run(client, &call, error);
        leave(client, &call);
        if (status == MR_H2_OK && call.exchange.state == MR_H2_EXCHANGE_FAILED) {
            status = mr_h2_client_fail(client, MR_H2_BROKEN, error, call.exchange.reason);
        }
        mr_h2_exchange_abandon(client->session, &call.exchange);
        if (client->failure == MR_H2_OK) {
            /* Tells the hub at once of what it need not answer any more; a failure shows next time.
             */
            (void)mr_h2_io_flush(&client->io, MR_H2_TURN_BYTES);
        }
    }
    if (status == MR_H2_OK) {
        mr_h2_exchange_take(&call.exchange, response);
    }
    ERR_clear_error();
    pthread_mutex_unlock(&client->mutex);
    mr_h2_exchange_fini(&call.exchange);
    return status;
}
