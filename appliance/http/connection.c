/* connection.c - one connection: its beginning, bytes in and out. */
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "appliance/http/server_internal.h"

#define PIECES_A_TURN (MR_CONNECTION_TURN_BYTES / MR_H2_READ_BYTES)
#define PIECES_UNREAD 4 /* that threads write in a row before what has come is read */

#define KEEPALIVE_S 15
#define UNACKED_MS  30000

/* --- bytes in and out ------------------------------------------------------------------------ */

/* Ends the connection where I/O says so; else watches for what is needed next. */
static void after_flush(struct mr_connection *connection, enum mr_h2_io_result sent)
{
    if (connection->away.is_away) {
        mr_connection_watch(connection, EPOLLONESHOT); /* nothing, until on_back */
        return;
    }
    switch (sent) {
    case MR_H2_IO_DONE:
        if (mr_h2_io_over(&connection->io)) {
            mr_connection_end_over(connection);
            return;
        }
        /* What is unread may be inside TLS, where the socket does not tell of it: the next turn
         * comes because it takes bytes. */
        mr_connection_watch(connection, connection->unread ? EPOLLIN | EPOLLOUT : EPOLLIN);
        return;
    case MR_H2_IO_WAIT:
    case MR_H2_IO_MORE:
        mr_connection_watch(connection, EPOLLIN | EPOLLOUT);
        return;
    case MR_H2_IO_HTTP2:
        mr_connection_end(connection, MR_END_PROTOCOL, NGHTTP2_INTERNAL_ERROR);
        return;
    case MR_H2_IO_CLOSED:
    case MR_H2_IO_TLS:
        mr_connection_end(connection, MR_END_PEER, 0);
        return;
    }
}

/* Answers go out between the pieces that come in, so that a limit which ends the session takes
 * effect after one piece, not after all that lies waiting. */
static void pump(struct mr_connection *connection)
{
    enum mr_h2_io_result got = MR_H2_IO_MORE, sent = MR_H2_IO_DONE;
    int http2_error = 0;
    bool is_much = false;
    connection->pumping = true;
    for (size_t i = 0;
         i < PIECES_A_TURN && got == MR_H2_IO_MORE && sent == MR_H2_IO_DONE && !is_much; i++) {
        got = mr_h2_io_read(&connection->io, connection->server->read_buffer, MR_H2_READ_BYTES,
                            &http2_error);
        if (got == MR_H2_IO_DONE || got == MR_H2_IO_MORE) {
            sent = mr_sending_flush(connection);
        }
        is_much = got == MR_H2_IO_MORE && sent == MR_H2_IO_DONE && mr_reading_is_much(connection);
    }
    connection->pumping = false;
    connection->unread = got == MR_H2_IO_MORE;
    if (got == MR_H2_IO_HTTP2) {
        const bool flood = http2_error == NGHTTP2_ERR_FLOODED;
        mr_connection_end(connection, flood ? MR_END_FLOOD : MR_END_PROTOCOL,
                          flood ? NGHTTP2_ENHANCE_YOUR_CALM : NGHTTP2_PROTOCOL_ERROR);
    } else if (got == MR_H2_IO_CLOSED || got == MR_H2_IO_TLS) {
        mr_connection_end(connection, MR_END_PEER, 0);
    } else {
        if (is_much) {
            mr_away_hand_on(connection, MR_AWAY_READING);
        }
        after_flush(connection, sent);
    }
}

void mr_connection_flush_now(struct mr_connection *connection)
{
    if (connection->away.is_away) {
        return; /* what is new is gathered when that is back */
    }
    connection->pumping = true; /* answers given meanwhile go along */
    const enum mr_h2_io_result sent = mr_sending_flush(connection);
    connection->pumping = false;
    after_flush(connection, sent);
}

static void serve(struct mr_connection *connection)
{
    if (mr_keeping_is_over(connection)) {
        mr_connection_end(connection, MR_END_EXPIRED, NGHTTP2_NO_ERROR);
        return;
    }
    pump(connection);
}

/* A thread has fetched what came, or has written what it was given, as far as the socket took it.
 * Now and then what has come meanwhile is read before more is sent: it may take the rest back. */
static void on_back(void *context)
{
    struct mr_connection *connection = context;
    mr_away_back(connection);
    if (connection->away.kind == MR_AWAY_READING) {
        serve(connection);
    } else if (connection->away.result != MR_H2_IO_DONE) {
        after_flush(connection, connection->away.result);
    } else if (++connection->away.pieces % PIECES_UNREAD == 0) {
        serve(connection);
    } else {
        mr_connection_flush_now(connection);
    }
}

/* A piece of the handshake is done: what follows from it, and what came behind its last bytes. */
static void go_on(struct mr_connection *connection)
{
    if (mr_handshake_settle(connection)) {
        serve(connection);
    }
}

static void on_shaken(void *context)
{
    struct mr_connection *connection = context;
    struct mr_shake *shake = &connection->shake;
    if (shake->is_abandoned) {
        mr_connection_shaken_late(connection);
        return;
    }
    shake->is_handed_on = false;
    shake->until_ms += mr_loop_now_ms(connection->server->loop) - shake->handed_ms;
    go_on(connection);
}

static void hand_on(struct mr_connection *connection, struct mr_pool *pool)
{
    struct mr_shake *shake = &connection->shake;
    shake->is_handed_on = true;
    shake->handed_ms = mr_loop_now_ms(connection->server->loop);
    if (shake->is_under_way) { /* what was begun ends before more begins */
        mr_pool_hurry(pool, &shake->task);
    } else {
        mr_pool_run(pool, &shake->task);
    }
}

static void shake_hands(struct mr_connection *connection)
{
    struct mr_pool *pool = connection->server->pool;
    if (pool) {
        hand_on(connection, pool);
    } else {
        mr_handshake_shake(connection);
        go_on(connection);
    }
}

static void on_event(void *context, int fd, uint32_t events)
{
    (void)fd, (void)events; /* level-triggered: trying tells more */
    struct mr_connection *connection = context;
    switch (connection->state) {
    case MR_CONNECTION_LINGER:
        mr_connection_drain(connection);
        return;
    case MR_CONNECTION_HANDSHAKE:
        shake_hands(connection);
        return;
    case MR_CONNECTION_OPEN:
        break;
    }
    if (!connection->away.is_away) {
        serve(connection);
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

static void set_peer(struct mr_connection *connection, const struct sockaddr_storage *peer)
{
    if (getnameinfo((const struct sockaddr *)peer, sizeof *peer, connection->host,
                    sizeof connection->host, NULL, 0, NI_NUMERICHOST) != 0) {
        strcpy(connection->host, "?");
    }
    connection->port =
        ntohs(peer->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)peer)->sin6_port
                                          : ((const struct sockaddr_in *)peer)->sin_port);
    connection->peer.expected_hub = MR_TLS_ANY_PEER;
}

struct mr_connection *mr_connection_open(struct mr_server *server, int fd,
                                         const struct sockaddr_storage *peer,
                                         const struct in6_addr *source)
{
    struct mr_connection *connection = calloc(1, sizeof *connection);
    if (!connection) {
        return NULL;
    }
    connection->server = server;
    connection->fd = fd;
    connection->events = EPOLLIN | (server->pool ? EPOLLONESHOT : 0);
    connection->shake.task =
        (struct mr_pool_task){.work = mr_handshake_shake, .done = on_shaken, .context = connection};
    mr_away_init(connection, on_back);
    LIST_INIT(&connection->requests);
    set_socket(fd);
    set_peer(connection, peer);
    connection->source = *source;
    connection->ssl = mr_tls_connection(server->tls, fd, &connection->peer);
    connection->timer = mr_timer_open(server->loop, mr_progress_look, connection);
    if (!connection->ssl || !connection->timer ||
        mr_loop_fd_add(server->loop, fd, connection->events, on_event, connection) != 0) {
        SSL_free(connection->ssl);
        mr_timer_close(connection->timer);
        free(connection);
        return NULL;
    }
    connection->shake.until_ms = mr_loop_now_ms(server->loop) + server->config.handshake_timeout_ms;
    mr_timer_arm(connection->timer, connection->shake.until_ms);
    LIST_INSERT_HEAD(&server->connections, connection, in_server);
    server->connection_count++;
    mr_queue_join_unauthenticated(connection);
    return connection;
}
