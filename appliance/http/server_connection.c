#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>

#include "appliance/http/server_internal.h"
#include "base/assert.h"

/* Bytes one connection may move before the others get their turn. */
#define TURN_BYTES    ((size_t)256 * 1024)
#define PIECES_A_TURN (TURN_BYTES / MR_H2_READ_BYTES)
/* A body or an answer that moves less than this in half an idle timeout makes no progress; after
 * three such looks in a row the connection is closed. */
#define PROGRESS_BYTES 4096
#define STRIKES_MAX    3

#define LINGER_MS        1000
#define LINGER_BYTES_MAX ((size_t)256 * 1024)
#define KEEPALIVE_S      15
#define UNACKED_MS       30000

const char *const mr_handshake_names[MR_HANDSHAKE_FAILURES] = {
    "untrusted_certificate",
    "expired_certificate",
    "revoked_certificate",
    "no_certificate",
    "no_identity",
    "protocol",
    "timeout",
    "closed",
    "pushed_out",
};
const char *const mr_end_names[MR_ENDS] = {"peer",  "idle",    "stalled", "protocol",
                                           "flood", "revoked", "crowded", "gave_way"};

/* --- the end --------------------------------------------------------------------------------- */

static void watch(struct mr_connection *connection, uint32_t events)
{
    if (connection->events != events &&
        mr_loop_fd_change(connection->server->loop, connection->fd, events) == 0) {
        connection->events = events;
    }
}

/* Requests, session and TLS state go; the socket stays. */
static void drop_session(struct mr_connection *connection)
{
    struct mr_request *request;
    if (connection->flush_queued) {
        TAILQ_REMOVE(&connection->server->flush, connection, in_flush);
        connection->flush_queued = false;
    }
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

static void leave_strangers(struct mr_connection *connection)
{
    if (connection->is_stranger) {
        TAILQ_REMOVE(&connection->server->strangers, connection, in_strangers);
        connection->server->stranger_count--;
        connection->is_stranger = false;
    }
}

void mr_connection_free(struct mr_connection *connection)
{
    struct mr_server *server = connection->server;
    leave_strangers(connection);
    drop_session(connection);
    mr_identity_quota_leave(connection);
    mr_loop_fd_remove(server->loop, connection->fd);
    close(connection->fd);
    mr_timer_close(connection->timer);
    LIST_REMOVE(connection, in_server);
    server->connection_count--;
    free(connection);
}

/* Closing a socket with unread bytes resets it, and the reset may overtake our last words (an alert
 * or a GOAWAY). So: no more from us, and read on for a moment until the peer has gone. */
static void linger(struct mr_connection *connection)
{
    drop_session(connection);
    if (shutdown(connection->fd, SHUT_WR) != 0) {
        mr_connection_free(connection);
        return;
    }
    connection->state = MR_CONNECTION_LINGER;
    mr_identity_quota_leave(connection);
    if (!connection->is_stranger) {
        mr_connection_note_over(connection);
    }
    watch(connection, EPOLLIN);
    mr_timer_arm(connection->timer, mr_loop_now_ms(connection->server->loop) + LINGER_MS);
}

static void on_linger(struct mr_connection *connection)
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

static void note_end(const struct mr_connection *connection, enum mr_connection_end why)
{
    struct mr_server *server = connection->server;
    server->counters.ends[why]++;
    mr_log_event(server->log, why <= MR_END_IDLE ? MR_LOG_DEBUG : MR_LOG_WARN,
                 "control.connection_ended", "peer=%s:%u why=%s", connection->host,
                 connection->port, mr_end_names[why]);
}

static void end(struct mr_connection *connection, enum mr_connection_end why, uint32_t code)
{
    note_end(connection, why);
    if (why == MR_END_PEER) {
        mr_connection_free(connection);
        return;
    }
    nghttp2_session_terminate_session(connection->session, code);
    if (mr_h2_io_flush(&connection->io, TURN_BYTES) == MR_H2_IO_DONE) {
        SSL_shutdown(connection->ssl);
    }
    linger(connection);
}

void mr_connection_revoke(struct mr_connection *connection)
{
    if (connection->state == MR_CONNECTION_OPEN) {
        end(connection, MR_END_REVOKED, NGHTTP2_NO_ERROR);
    }
}

void mr_connection_give_way(struct mr_connection *connection, enum mr_connection_end why)
{
    if (connection->state == MR_CONNECTION_OPEN) { /* else its end is counted already */
        note_end(connection, why);
        nghttp2_session_terminate_session(connection->session, NGHTTP2_NO_ERROR);
        (void)mr_h2_io_flush(&connection->io, TURN_BYTES);
    }
    mr_connection_free(connection);
}

/* Both sides have said GOAWAY, or one of them for good. */
static void end_over(struct mr_connection *connection)
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
    linger(connection);
}

/* --- the handshake --------------------------------------------------------------------------- */

static enum mr_handshake_failure failure_of(const struct mr_connection *connection)
{
    const unsigned long code = ERR_peek_last_error();
    switch (connection->peer.refusal) {
    case MR_TLS_UNTRUSTED:
        return MR_HANDSHAKE_UNTRUSTED;
    case MR_TLS_EXPIRED:
        return MR_HANDSHAKE_EXPIRED;
    case MR_TLS_REVOKED:
        return MR_HANDSHAKE_REVOKED;
    case MR_TLS_NO_IDENTITY:
    case MR_TLS_WRONG_HUB:
        return MR_HANDSHAKE_NO_IDENTITY;
    case MR_TLS_ACCEPTED:
        break;
    }
    if (ERR_GET_LIB(code) != ERR_LIB_SSL ||
        ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
        return MR_HANDSHAKE_CLOSED;
    }
    return ERR_GET_REASON(code) == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE
               ? MR_HANDSHAKE_NO_CERTIFICATE
               : MR_HANDSHAKE_PROTOCOL;
}

static void note_failure(const struct mr_connection *connection, enum mr_handshake_failure failure,
                         const char *detail)
{
    struct mr_server *server = connection->server;
    server->counters.handshake_failures[failure]++;
    mr_log_event(server->log, MR_LOG_WARN, "control.handshake_failed",
                 "peer=%s:%u reason=%s detail=%s", connection->host, connection->port,
                 mr_handshake_names[failure], detail);
}

static void fail_handshake(struct mr_connection *connection, enum mr_handshake_failure failure,
                           const char *detail)
{
    note_failure(connection, failure, detail);
    if (failure == MR_HANDSHAKE_CLOSED) {
        mr_connection_free(connection);
    } else {
        linger(connection);
    }
}

void mr_connection_push_out(struct mr_connection *connection)
{
    if (connection->state == MR_CONNECTION_HANDSHAKE) { /* else its failure is counted already */
        note_failure(connection, MR_HANDSHAKE_PUSHED_OUT, "the oldest of too many");
    }
    mr_connection_free(connection);
}

static int start_session(struct mr_connection *connection)
{
    struct mr_server *server = connection->server;
    if (nghttp2_session_server_new2(&connection->session, server->callbacks, connection,
                                    server->options) != 0) {
        connection->session = NULL;
        return -1;
    }
    if (mr_stream_settings(connection->session, server->config.streams_max) != 0) {
        return -1;
    }
    mr_h2_io_init(&connection->io, connection->ssl, connection->session);
    return 0;
}

static uint64_t half_idle_ms(const struct mr_server *server)
{
    return server->config.idle_timeout_ms / 2 + 1;
}

/* The certificate was looked at when it came, and the list may have been read again since: reading
 * it ends those that are open. */
static bool is_revoked_by_now(const struct mr_connection *connection)
{
    const struct mr_revocations *revocations = mr_tls_revocations(connection->server->tls);
    return revocations && mr_revocations_has(revocations, &connection->peer.serial);
}

/* True when the connection is open now. */
static bool on_handshake(struct mr_connection *connection)
{
    struct mr_server *server = connection->server;
    ERR_clear_error();
    errno = 0;
    const int done = SSL_do_handshake(connection->ssl);
    if (done != 1) {
        const int problem = errno;
        const int want = SSL_get_error(connection->ssl, done);
        if (want == SSL_ERROR_WANT_READ || want == SSL_ERROR_WANT_WRITE) {
            watch(connection, want == SSL_ERROR_WANT_READ ? EPOLLIN : EPOLLOUT);
            return false;
        }
        const char *detail = mr_tls_reason(problem ? strerror(problem) : "the peer went away");
        fail_handshake(connection, failure_of(connection),
                       connection->peer.refusal ? connection->peer.reason : detail);
        return false;
    }
    if (!mr_tls_speaks_h2(connection->ssl)) {
        fail_handshake(connection, MR_HANDSHAKE_PROTOCOL, "h2 was not agreed upon (ALPN)");
        return false;
    }
    if (is_revoked_by_now(connection)) {
        fail_handshake(connection, MR_HANDSHAKE_REVOKED, "revoked during its handshake");
        return false;
    }
    if (start_session(connection) != 0 || mr_identity_quota_join(connection) != 0) {
        fail_handshake(connection, MR_HANDSHAKE_PROTOCOL, "out of memory");
        return false;
    }
    server->counters.handshakes++;
    leave_strangers(connection);
    connection->state = MR_CONNECTION_OPEN;
    connection->idle_since_ms = mr_loop_now_ms(server->loop);
    mr_timer_arm(connection->timer, connection->idle_since_ms + half_idle_ms(server));
    mr_identity_quota_thin_out(connection);
    return true;
}

/* --- bytes in and out ------------------------------------------------------------------------ */

/* Ends the connection where I/O says so; else watches for what is needed next. */
static void after_flush(struct mr_connection *connection, enum mr_h2_io_result sent)
{
    switch (sent) {
    case MR_H2_IO_DONE:
        if (mr_h2_io_over(&connection->io)) {
            end_over(connection);
            return;
        }
        watch(connection, EPOLLIN);
        return;
    case MR_H2_IO_WAIT:
    case MR_H2_IO_MORE:
        watch(connection, EPOLLIN | EPOLLOUT);
        return;
    case MR_H2_IO_HTTP2:
        end(connection, MR_END_PROTOCOL, NGHTTP2_INTERNAL_ERROR);
        return;
    case MR_H2_IO_CLOSED:
    case MR_H2_IO_TLS:
        end(connection, MR_END_PEER, 0);
        return;
    }
}

/* Answers go out between the pieces that come in, so that a limit which ends the session takes
 * effect after one piece, not after all that lies waiting. */
static void pump(struct mr_connection *connection)
{
    enum mr_h2_io_result got = MR_H2_IO_MORE, sent = MR_H2_IO_DONE;
    int http2_error = 0;
    connection->pumping = true;
    for (size_t i = 0; i < PIECES_A_TURN && got == MR_H2_IO_MORE && sent == MR_H2_IO_DONE; i++) {
        got = mr_h2_io_read(&connection->io, connection->server->read_buffer, MR_H2_READ_BYTES,
                            &http2_error);
        if (got == MR_H2_IO_DONE || got == MR_H2_IO_MORE) {
            sent = mr_h2_io_flush(&connection->io, TURN_BYTES);
        }
    }
    connection->pumping = false;
    if (got == MR_H2_IO_HTTP2) {
        const bool flood = http2_error == NGHTTP2_ERR_FLOODED;
        end(connection, flood ? MR_END_FLOOD : MR_END_PROTOCOL,
            flood ? NGHTTP2_ENHANCE_YOUR_CALM : NGHTTP2_PROTOCOL_ERROR);
    } else if (got == MR_H2_IO_CLOSED || got == MR_H2_IO_TLS) {
        end(connection, MR_END_PEER, 0);
    } else {
        after_flush(connection, sent);
    }
}

void mr_connection_flush_now(struct mr_connection *connection)
{
    connection->pumping = true; /* answers given meanwhile go along */
    const enum mr_h2_io_result sent = mr_h2_io_flush(&connection->io, TURN_BYTES);
    connection->pumping = false;
    after_flush(connection, sent);
}

void mr_connection_flush_soon(struct mr_connection *connection)
{
    struct mr_server *server = connection->server;
    if (connection->pumping || connection->flush_queued) {
        return;
    }
    connection->flush_queued = true;
    TAILQ_INSERT_TAIL(&server->flush, connection, in_flush);
    mr_timer_arm(server->flush_timer, 0);
}

static void on_event(void *context, int fd, uint32_t events)
{
    (void)fd, (void)events; /* level-triggered: trying tells more */
    struct mr_connection *connection = context;
    if (connection->state == MR_CONNECTION_LINGER) {
        on_linger(connection);
        return;
    }
    if (connection->state == MR_CONNECTION_HANDSHAKE && !on_handshake(connection)) {
        return;
    }
    pump(connection);
}

/* --- time limits ----------------------------------------------------------------------------- */

/* Each body by itself: else whoever asks something now and then could hold the room of many. */
static bool has_stalled_body(struct mr_connection *connection)
{
    struct mr_request *request;
    bool stalled = false;
    for (request = LIST_FIRST(&connection->requests); request;
         request = LIST_NEXT(request, in_connection)) {
        stalled |= request->state == MR_REQUEST_RECEIVING &&
                   mr_request_stalls(request, PROGRESS_BYTES, STRIKES_MAX);
    }
    return stalled;
}

/* Answers together: a slow reader gets them by turns. */
static bool has_stalled_answers(struct mr_connection *connection)
{
    const uint64_t bytes = connection->io.bytes_in + connection->io.bytes_out;
    if (connection->requests_in[MR_REQUEST_ANSWERING] == 0 ||
        bytes - connection->bytes_then >= PROGRESS_BYTES ||
        connection->ended_requests != connection->ended_then) {
        connection->strikes = 0;
    } else {
        connection->strikes++;
    }
    connection->bytes_then = bytes;
    connection->ended_then = connection->ended_requests;
    return connection->strikes >= STRIKES_MAX;
}

static void look_at_progress(struct mr_connection *connection, uint64_t now_ms)
{
    const bool stalled_body = has_stalled_body(connection);
    if (has_stalled_answers(connection) || stalled_body) {
        end(connection, MR_END_STALLED, NGHTTP2_CANCEL);
        return;
    }
    mr_timer_arm(connection->timer, now_ms + half_idle_ms(connection->server));
}

static void on_timer(void *context)
{
    struct mr_connection *connection = context;
    const struct mr_server *server = connection->server;
    const uint64_t now_ms = mr_loop_now_ms(server->loop);
    switch (connection->state) {
    case MR_CONNECTION_HANDSHAKE:
        fail_handshake(connection, MR_HANDSHAKE_TIMEOUT, "not done in time");
        return;
    case MR_CONNECTION_LINGER:
        mr_connection_free(connection);
        return;
    case MR_CONNECTION_OPEN:
        break;
    }
    const uint64_t idle_until_ms = connection->idle_since_ms + server->config.idle_timeout_ms;
    if (!LIST_EMPTY(&connection->requests)) {
        look_at_progress(connection, now_ms);
    } else if (now_ms >= idle_until_ms) {
        end(connection, MR_END_IDLE, NGHTTP2_NO_ERROR);
    } else {
        connection->strikes = 0;
        mr_timer_arm(connection->timer, idle_until_ms);
    }
}

/* --- the beginning --------------------------------------------------------------------------- */

static void set_socket(int fd)
{
    const int one = 1, keepalive_s = KEEPALIVE_S;
    const unsigned unacked_ms = UNACKED_MS;
    /* A peer that is gone without a word is found out, also under a long poll. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &keepalive_s, sizeof keepalive_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &keepalive_s, sizeof keepalive_s);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacked_ms, sizeof unacked_ms);
}

void mr_connection_source(struct in6_addr *source, const struct sockaddr_storage *peer)
{
    *source = (struct in6_addr){0};
    if (peer->ss_family == AF_INET6) {
        const struct in6_addr *address = &((const struct sockaddr_in6 *)peer)->sin6_addr;
        /* Whoever has one address of IPv6 has 2^64. */
        memcpy(source, address, IN6_IS_ADDR_V4MAPPED(address) ? sizeof *source : 8);
    } else {
        memcpy(source->s6_addr + 12, &((const struct sockaddr_in *)peer)->sin_addr, 4);
    }
}

static void set_peer(struct mr_connection *connection, const struct sockaddr_storage *peer)
{
    if (getnameinfo((const struct sockaddr *)peer, sizeof *peer, connection->host,
                    sizeof connection->host, NULL, 0, NI_NUMERICHOST) != 0) {
        strcpy(connection->host, "?");
    }
    connection->port =
        ntohs(peer->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)peer)->sin6_port
                                          : ((const struct sockaddr_in *)peer)->sin_port);
    mr_connection_source(&connection->source, peer);
    connection->peer.expected_hub = MR_TLS_ANY_PEER;
}

struct mr_connection *mr_connection_open(struct mr_server *server, int fd,
                                         const struct sockaddr_storage *peer)
{
    struct mr_connection *connection = calloc(1, sizeof *connection);
    if (!connection) {
        return NULL;
    }
    connection->server = server;
    connection->fd = fd;
    connection->events = EPOLLIN;
    LIST_INIT(&connection->requests);
    set_socket(fd);
    set_peer(connection, peer);
    connection->ssl = mr_tls_connection(server->tls, fd, &connection->peer);
    connection->timer = mr_timer_open(server->loop, on_timer, connection);
    if (!connection->ssl || !connection->timer ||
        mr_loop_fd_add(server->loop, fd, EPOLLIN, on_event, connection) != 0) {
        SSL_free(connection->ssl);
        mr_timer_close(connection->timer);
        free(connection);
        return NULL;
    }
    mr_timer_arm(connection->timer,
                 mr_loop_now_ms(server->loop) + server->config.handshake_timeout_ms);
    LIST_INSERT_HEAD(&server->connections, connection, in_server);
    server->connection_count++;
    TAILQ_INSERT_TAIL(&server->strangers, connection, in_strangers);
    server->stranger_count++;
    connection->is_stranger = true;
    return connection;
}
