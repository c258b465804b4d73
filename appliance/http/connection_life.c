/* connection_life.c - what state a connection is in, and every way in which it ends. The only file
 * that sets its state. */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/err.h>

#include "appliance/http/server_internal.h"
#include "base/assert.h"

#define LINGER_MS        1000
#define LINGER_BYTES_MAX ((size_t)256 * 1024)

const char *const mr_end_names[MR_ENDS] = {"peer",    "idle",    "stalled", "protocol",
                                           "flood",   "revoked", "crowded", "gave_way",
                                           "expired", "rekeyed", "surplus"};

void mr_connection_watch(struct mr_connection *connection, uint32_t events)
{
    if (connection->events != events &&
        mr_loop_fd_change(connection->server->loop, connection->fd, events) == 0) {
        connection->events = events;
    }
}

/* With a pool one event at a time: the next is for who has looked at what came of this one. */
void mr_connection_watch_handshake(struct mr_connection *connection, uint32_t events)
{
    const struct mr_server *server = connection->server;
    if (!server->pool) {
        mr_connection_watch(connection, events);
    } else if (mr_loop_fd_change(server->loop, connection->fd, events | EPOLLONESHOT) == 0) {
        connection->events = events | EPOLLONESHOT;
    }
}

uint64_t mr_connection_half_idle_ms(const struct mr_server *server)
{
    return server->config.idle_timeout_ms / 2 + 1;
}

/* Requests, session and TLS state go; the socket stays. */
static void drop_session(struct mr_connection *connection)
{
    struct mr_request *request;
    mr_queue_leave_flush(connection);
    nghttp2_session_del(connection->session); /* before the answers its streams point to */
    connection->session = NULL;
    while ((request = LIST_FIRST(&connection->requests)) != NULL) {
        mr_request_stream_gone(request);
    }
    mr_h2_io_fini(&connection->io);
    SSL_free(connection->ssl);
    connection->ssl = NULL;
    ERR_clear_error();
}

bool mr_connection_recall(struct mr_connection *connection)
{
    struct mr_pool *pool = connection->server->pool;
    return !pool || mr_pool_withdraw(pool, &connection->shake.task);
}

/* The last of it; its server may be closing. */
static void free_memory(struct mr_connection *connection)
{
    SSL_free(connection->ssl);
    ERR_clear_error();
    close(connection->fd);
    OPENSSL_cleanse(connection->exported, sizeof connection->exported);
    free(connection);
}

void mr_connection_shaken_late(struct mr_connection *connection)
{
    MR_ASSERT(connection->shake.is_abandoned);
    free_memory(connection);
}

void mr_connection_free(struct mr_connection *connection)
{
    struct mr_server *server = connection->server;
    mr_away_take_back(connection);
    const bool is_away = !mr_connection_recall(connection);
    mr_queue_leave_unauthenticated(connection);
    if (!is_away) {
        drop_session(connection);
    }
    mr_identity_quota_leave(connection);
    mr_loop_fd_remove(server->loop, connection->fd);
    mr_timer_close(connection->timer);
    LIST_REMOVE(connection, in_server);
    server->connection_count--;
    if (is_away) { /* its socket is the thread's as well: another one must not get its number */
        connection->shake.is_abandoned = true;
        shutdown(connection->fd, SHUT_RDWR);
        return;
    }
    free_memory(connection);
}

/* Closing a socket with unread bytes resets it, and the reset may overtake our last words (an alert
 * or a GOAWAY). So: no more from us, and read on for a moment until the peer has gone. */
void mr_connection_linger(struct mr_connection *connection)
{
    drop_session(connection);
    if (shutdown(connection->fd, SHUT_WR) != 0) {
        mr_connection_free(connection);
        return;
    }
    connection->state = MR_CONNECTION_LINGER;
    mr_identity_quota_leave(connection);
    if (!connection->is_unauthenticated) {
        mr_queue_note_over(connection);
    }
    mr_connection_watch(connection, EPOLLIN);
    mr_timer_arm(connection->timer, mr_loop_now_ms(connection->server->loop) + LINGER_MS);
}

void mr_connection_drain(struct mr_connection *connection)
{
    struct mr_server *server = connection->server;
    for (;;) {
        const ssize_t n =
            recv(connection->fd, server->read_buffer, sizeof server->read_buffer, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        connection->lingered += n > 0 ? (size_t)n : 0;
        if (n <= 0 || connection->lingered > LINGER_BYTES_MAX) {
            mr_connection_free(connection);
            return;
        }
    }
}

void mr_connection_opened(struct mr_connection *connection)
{
    const struct mr_server *server = connection->server;
    mr_queue_leave_unauthenticated(connection);
    connection->state = MR_CONNECTION_OPEN;
    connection->idle_since_ms = mr_loop_now_ms(server->loop);
    const uint64_t look_ms = mr_connection_half_idle_ms(server),
                   rest_ms = mr_queue_rest_ms(connection);
    mr_timer_arm(connection->timer,
                 connection->idle_since_ms + (rest_ms < look_ms ? rest_ms : look_ms));
}

static void note_end(const struct mr_connection *connection, enum mr_end_cause why)
{
    struct mr_server *server = connection->server;
    server->counters.ends[why]++;
    const bool is_usual = why <= MR_END_IDLE || why >= MR_END_EXPIRED;
    mr_log_strangers(server->log, is_usual ? MR_LOG_DEBUG : MR_LOG_WARN, "control.connection_ended",
                     "peer=%s:%u why=%s", connection->host, connection->port, mr_end_names[why]);
}

void mr_connection_end(struct mr_connection *connection, enum mr_end_cause why, uint32_t code)
{
    note_end(connection, why);
    mr_away_take_back(connection);
    if (why == MR_END_PEER) {
        mr_connection_free(connection);
        return;
    }
    nghttp2_session_terminate_session(connection->session, code);
    if (mr_h2_io_flush(&connection->io, MR_CONNECTION_TURN_BYTES) == MR_H2_IO_DONE) {
        SSL_shutdown(connection->ssl);
    }
    mr_connection_linger(connection);
}

void mr_connection_revoke(struct mr_connection *connection)
{
    if (connection->state == MR_CONNECTION_OPEN) {
        mr_connection_end(connection, MR_END_REVOKED, NGHTTP2_NO_ERROR);
    }
}

void mr_connection_give_way(struct mr_connection *connection, enum mr_end_cause why)
{
    if (connection->state == MR_CONNECTION_OPEN) { /* else its end is counted already */
        note_end(connection, why);
        mr_away_take_back(connection);
        nghttp2_session_terminate_session(connection->session, NGHTTP2_NO_ERROR);
        (void)mr_h2_io_flush(&connection->io, MR_CONNECTION_TURN_BYTES);
    }
    mr_connection_free(connection);
}

/* Both sides have said GOAWAY, or one of them for good. */
void mr_connection_end_over(struct mr_connection *connection)
{
    switch (connection->goaway) {
    case NGHTTP2_NO_ERROR:
        note_end(connection, MR_END_PEER);
        break;
    case NGHTTP2_ENHANCE_YOUR_CALM:
    case NGHTTP2_INTERNAL_ERROR: /* nghttp2's answer to too many resets */
        note_end(connection, MR_END_FLOOD);
        break;
    default:
        note_end(connection, MR_END_PROTOCOL);
        break;
    }
    mr_connection_linger(connection);
}
