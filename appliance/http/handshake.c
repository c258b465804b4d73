/* handshake.c - TLS handshakes: how they get on, why they fail. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include <openssl/err.h>

#include "appliance/http/server_internal.h"

const char *const mr_handshake_names[MR_HANDSHAKE_FAILURES] = {
    "untrusted_certificate",
    "expired_certificate",
    "revoked_certificate",
    "no_revocation_list",
    "refused_by_peer",
    "no_certificate",
    "no_identity",
    "protocol",
    "timeout",
    "closed",
    "pushed_out",
};

static enum mr_handshake_failure failure_of(const struct mr_connection *connection)
{
    const unsigned long code = ERR_peek_last_error();
    switch (connection->peer.refusal) {
    case MR_TLS_UNTRUSTED:
    case MR_TLS_WRONG_USE:
        return MR_HANDSHAKE_UNTRUSTED;
    case MR_TLS_EXPIRED:
        return MR_HANDSHAKE_EXPIRED;
    case MR_TLS_REVOKED:
        return MR_HANDSHAKE_REVOKED;
    case MR_TLS_NO_LIST:
        return MR_HANDSHAKE_NO_LIST;
    case MR_TLS_NO_IDENTITY:
    case MR_TLS_WRONG_HUB:
        return MR_HANDSHAKE_NO_IDENTITY;
    case MR_TLS_ACCEPTED:
        break;
    }
    if (mr_tls_refused_by_peer()) {
        /* Either side's: what expires is one thing to look for. */
        return ERR_GET_REASON(code) == SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED
                   ? MR_HANDSHAKE_EXPIRED
                   : MR_HANDSHAKE_REFUSED_BY_PEER;
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
    mr_log_strangers(server->log, MR_LOG_WARN, "control.handshake_failed",
                     "peer=%s:%u reason=%s detail=%s", connection->host, connection->port,
                     mr_handshake_names[failure], detail);
}

void mr_handshake_fail(struct mr_connection *connection, enum mr_handshake_failure failure,
                       const char *detail)
{
    note_failure(connection, failure, detail);
    if (failure == MR_HANDSHAKE_CLOSED) {
        mr_connection_free(connection);
    } else {
        mr_connection_linger(connection);
    }
}

void mr_handshake_push_out(struct mr_connection *connection)
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
    mr_away_begin(connection);
    return 0;
}

/* The certificate was looked at when it came, and the list may have been read again since: reading
 * it ends those that are open. */
static bool is_revoked_by_now(const struct mr_connection *connection)
{
    const struct mr_revocations *revocations = mr_tls_revocations(connection->server->tls);
    return revocations && mr_revocations_has(revocations, &connection->peer.serial);
}

/* The reason has the error queue of this thread behind it. */
static void note_reason(struct mr_connection *connection, int problem)
{
    struct mr_tls_peer *peer = &connection->peer;
    const char *by_peer = mr_tls_refused_by_peer();
    char text[64];
    connection->shake.failure = failure_of(connection);
    if (peer->refusal) {
        return; /* it has its own */
    }
    const char *otherwise = problem ? strerror_r(problem, text, sizeof text) : "the peer went away";
    snprintf(peer->reason, sizeof peer->reason, "%s", by_peer ? by_peer : mr_tls_reason(otherwise));
}

void mr_handshake_shake(void *context)
{
    struct mr_connection *connection = context;
    struct mr_shake *shake = &connection->shake;
    ERR_clear_error();
    errno = 0;
    const int done = SSL_do_handshake(connection->ssl);
    shake->is_under_way = BIO_number_written(SSL_get_wbio(connection->ssl)) > 0;
    if (done == 1) {
        shake->result = MR_SHAKE_DONE;
        return;
    }
    const int problem = errno;
    const int want = SSL_get_error(connection->ssl, done);
    if (want == SSL_ERROR_WANT_READ || want == SSL_ERROR_WANT_WRITE) {
        shake->result = want == SSL_ERROR_WANT_READ ? MR_SHAKE_READ : MR_SHAKE_WRITE;
        return;
    }
    shake->result = MR_SHAKE_FAILED;
    note_reason(connection, problem);
    ERR_clear_error();
}

/* True when it is done. */
static bool is_shaken(struct mr_connection *connection)
{
    switch (connection->shake.result) {
    case MR_SHAKE_DONE:
        return true;
    case MR_SHAKE_READ:
        mr_connection_watch_handshake(connection, EPOLLIN);
        return false;
    case MR_SHAKE_WRITE:
        mr_connection_watch_handshake(connection, EPOLLOUT);
        return false;
    case MR_SHAKE_FAILED:
        break;
    }
    mr_handshake_fail(connection, connection->shake.failure, connection->peer.reason);
    return false;
}

/* The oldest connections of the same identity beyond identity_connections_max end. */
static void thin_out(const struct mr_connection *newest)
{
    struct mr_connection *surplus;
    while ((surplus = mr_identity_quota_surplus(newest)) != NULL) {
        mr_connection_give_way(surplus, MR_END_CROWDED);
    }
}

bool mr_handshake_settle(struct mr_connection *connection)
{
    if (!is_shaken(connection)) {
        return false;
    }
    if (!mr_tls_speaks_h2(connection->ssl)) {
        mr_handshake_fail(connection, MR_HANDSHAKE_PROTOCOL, "h2 was not agreed upon (ALPN)");
        return false;
    }
    if (is_revoked_by_now(connection)) {
        mr_handshake_fail(connection, MR_HANDSHAKE_REVOKED, "revoked during its handshake");
        return false;
    }
    if (start_session(connection) != 0 || mr_identity_quota_join(connection) != 0) {
        mr_handshake_fail(connection, MR_HANDSHAKE_PROTOCOL, "out of memory");
        return false;
    }
    connection->server->counters.handshakes++;
    connection->server->counters.resumed += SSL_session_reused(connection->ssl) ? 1 : 0;
    mr_connection_opened(connection);
    mr_keeping_supersede(connection);
    thin_out(connection);
    return true;
}
