#include "transport/h2_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>

#include "transport/dial.h"
#include "transport/h2_client_internal.h"

/* --- failures -------------------------------------------------------------------------------- */

int mr_h2_client_fail(const struct mr_h2_client *client, enum mr_h2_failure failure,
                      struct mr_error *error, const char *why)
{
    mr_error_set(error, "%s: %s", client->hub, why);
    return failure;
}

int mr_h2_client_fail_tls(const struct mr_h2_client *client, int problem, struct mr_error *error)
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
    return mr_h2_client_fail(
        client, MR_H2_BROKEN, error,
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
            return mr_h2_client_fail_tls(client, problem, error);
        }
        const short events = want == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
        const int ready = mr_wait_fd(client->fd, events, deadline_ms, client->wake_fd);
        if (ready <= 0) {
            return ready < 0 ? mr_h2_client_fail(client, MR_H2_BROKEN, error, strerror(errno))
                             : mr_h2_client_fail(client, MR_H2_TIMEOUT, error, "no answer in time");
        }
    }
    if (!mr_tls_speaks_h2(client->ssl)) {
        return mr_h2_client_fail(client, MR_H2_BROKEN, error, "it does not speak HTTP/2");
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
        return mr_h2_client_fail(client, MR_H2_BROKEN, error, "out of memory");
    }
    const int status = shake_hands(client, deadline_ms, error);
    if (status != MR_H2_OK) {
        return status;
    }
    if (mr_h2_exchange_session(&client->session) != 0) {
        return mr_h2_client_fail(client, MR_H2_BROKEN, error, "out of memory");
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
    pthread_mutex_init(&client->mutex, NULL);
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
        if (mr_h2_io_flush(&client->io, MR_H2_TURN_BYTES) == MR_H2_IO_DONE) {
            SSL_shutdown(client->ssl);
        }
        ERR_clear_error();
    }
    mr_h2_io_fini(&client->io);
    nghttp2_session_del(client->session);
    SSL_free(client->ssl);
    mr_tls_close(client->tls);
    if (client->fd >= 0) {
        close(client->fd);
    }
    pthread_mutex_destroy(&client->mutex);
    free(client);
}

int mr_h2_client_export(struct mr_h2_client *client, const char *label,
                        uint8_t secret[MR_CONNECTION_SECRET_BYTES])
{
    pthread_mutex_lock(&client->mutex);
    const int status = mr_tls_export(client->ssl, label, secret);
    pthread_mutex_unlock(&client->mutex);
    return status;
}

void mr_h2_client_retire(struct mr_h2_client *client)
{
    pthread_mutex_lock(&client->mutex);
    client->is_retired = true;
    client->peer.ticket = NULL;
    pthread_mutex_unlock(&client->mutex);
}

unsigned mr_h2_client_streams_max(struct mr_h2_client *client)
{
    pthread_mutex_lock(&client->mutex);
    const uint32_t most = nghttp2_session_get_remote_settings(
        client->session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    pthread_mutex_unlock(&client->mutex);
    return most;
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
