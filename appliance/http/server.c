/* server.c - opening the server, accepting connections, closing it. */
#include "appliance/http/server.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/rand.h>

#include "appliance/http/server_internal.h"
#include "base/assert.h"

#define BACKLOG         1024
#define ACCEPTS_A_TURN  64
#define ACCEPT_PAUSE_MS 100
#define BEHIND_PAUSE_MS 1
/* Pieces of handshakes that may wait when more connections are taken in. */
#define SHAKES_A_THREAD  16
#define REQUESTS_BESIDES 1024 /* requests that may be under way besides two a connection */

/* --- listening ------------------------------------------------------------------------------- */

static int bind_to(const struct addrinfo *address)
{
    const int one = 1;
    const int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, address->ai_addr, address->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
        const int problem = errno;
        close(fd);
        errno = problem;
        return -1;
    }
    return fd;
}

static int listen_on(struct mr_server *server, const struct mr_server_config *config,
                     struct mr_error *error)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC,
                                   .ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_NUMERICHOST | AI_PASSIVE};
    struct addrinfo *address;
    char service[8];
    snprintf(service, sizeof service, "%u", config->port);
    if (getaddrinfo(config->listen_host, service, &hints, &address) != 0) {
        return mr_error_set(error,
                            "control.listen_host %s: not a numeric address (0.0.0.0 and :: listen "
                            "on all)",
                            config->listen_host);
    }
    server->listen_fd = bind_to(address);
    freeaddrinfo(address);
    if (server->listen_fd < 0) {
        return mr_error_set(error,
                            "cannot listen on %s port %u: %s; choose control.listen_host and "
                            "control.port that are free here",
                            config->listen_host, config->port, strerror(errno));
    }
    struct sockaddr_in6 bound = {0}; /* an IPv4 address fits, with its port at the same place */
    socklen_t length = sizeof bound;
    if (getsockname(server->listen_fd, (struct sockaddr *)&bound, &length) != 0) {
        return mr_error_set(error, "control plane: %s", strerror(errno));
    }
    server->port = ntohs(bound.sin6_port);
    return 0;
}

/* --- accepting ------------------------------------------------------------------------------- */

/* An address, or the first half of an IPv6 one: whoever has one of these has 2^64. */
static struct in6_addr source_of(const struct sockaddr_storage *peer)
{
    struct in6_addr source = {0};
    if (peer->ss_family == AF_INET6) {
        const struct in6_addr *address = &((const struct sockaddr_in6 *)peer)->sin6_addr;
        memcpy(&source, address, IN6_IS_ADDR_V4MAPPED(address) ? sizeof source : 8);
    } else {
        memcpy(source.s6_addr + 12, &((const struct sockaddr_in *)peer)->sin_addr, 4);
    }
    return source;
}

static bool is_limited(struct mr_server *server, const struct in6_addr *source)
{
    uint32_t retry_after_ms;
    if (!mr_buckets_take(server->buckets[MR_LIMIT_SOURCE_CONNECTIONS], source, sizeof *source,
                         mr_loop_now_ms(server->loop), &retry_after_ms)) {
        server->counters.limited[MR_LIMIT_SOURCE_CONNECTIONS]++;
        return true;
    }
    return false;
}

/* False if there is no room for one more. What gives way is the oldest connection that has
 * not come through its handshake: an honest
 * handshake takes a few milliseconds, so the oldest is the likeliest never to end. Were the
 * newcomer closed instead, whoever holds handshakes_max stalled ones would keep everybody out.
 * Where all places belong to identities, the device that has asked for nothing for the longest time
 * gives way. Strangers cannot drive out many so: the next one finds the one that took its place. */
static bool make_room(struct mr_server *server)
{
    if (server->unauthenticated_count < server->config.handshakes_max &&
        server->connection_count < server->config.connections_max) {
        return true;
    }
    if (!TAILQ_EMPTY(&server->unauthenticated)) {
        mr_handshake_push_out(TAILQ_FIRST(&server->unauthenticated));
        return true;
    }
    if (!TAILQ_EMPTY(&server->yielding)) {
        mr_connection_give_way(TAILQ_FIRST(&server->yielding), MR_END_GAVE_WAY);
        return true;
    }
    return false;
}

static void take_in(struct mr_server *server, int fd, const struct sockaddr_storage *peer)
{
    const struct in6_addr source = source_of(peer);
    server->counters.accepted++;
    if (is_limited(server, &source)) {
        close(fd);
        return;
    }
    if (!make_room(server)) {
        server->counters.over_limit++;
        mr_log_strangers(server->log, MR_LOG_WARN, "control.over_limit",
                         "connections_max=%u remedy=raise control.connections_max",
                         server->config.connections_max);
        close(fd);
    } else if (!mr_connection_open(server, fd, peer, &source)) {
        server->counters.over_limit++;
        close(fd);
    }
}

static void pause_accepting(struct mr_server *server, unsigned pause_ms)
{
    mr_loop_fd_change(server->loop, server->listen_fd, 0); /* it stays readable, and would spin */
    mr_timer_arm(server->accept_timer, mr_loop_now_ms(server->loop) + pause_ms);
}

/* Who is let in is worked at soon: were more let in than the threads get on with, every newcomer
 * would push out somebody whose handshake has not had its turn yet. */
static bool is_behind(const struct mr_server *server)
{
    return server->pool &&
           mr_pool_waiting(server->pool) >=
               server->away_count + SHAKES_A_THREAD * server->config.handshake_threads;
}

static void on_accept(void *context, int fd, uint32_t events)
{
    (void)events;
    struct mr_server *server = context;
    if (is_behind(server)) {
        pause_accepting(server, BEHIND_PAUSE_MS);
        return;
    }
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        struct sockaddr_storage peer = {0};
        socklen_t length = sizeof peer;
        const int accepted =
            accept4(fd, (struct sockaddr *)&peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (accepted >= 0) {
            take_in(server, accepted, &peer);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            mr_log_strangers(server->log, MR_LOG_ERROR, "control.accept_failed",
                             "error=%s remedy=raise `ulimit -n` above control.connections_max",
                             strerror(errno));
            pause_accepting(server, ACCEPT_PAUSE_MS);
            return;
        } else if (errno == EAGAIN) {
            return;
        } /* else this one is gone already: the next */
    }
}

static void on_accept_timer(void *context)
{
    struct mr_server *server = context;
    mr_loop_fd_change(server->loop, server->listen_fd, EPOLLIN);
}

static void on_flush_timer(void *context)
{
    struct mr_server *server = context;
    struct mr_connection *connection;
    while ((connection = TAILQ_FIRST(&server->flush)) != NULL) {
        mr_queue_leave_flush(connection);
        mr_connection_flush_now(connection);
    }
}

/* --- opening and closing --------------------------------------------------------------------- */

static int open_tables(struct mr_server *server, const struct mr_server_config *config)
{
    const uint32_t rates[MR_LIMITS] = {
        [MR_LIMIT_SOURCE_CONNECTIONS] = config->source_connections_rate,
        [MR_LIMIT_SOURCE_REQUESTS] = config->source_requests_rate,
        [MR_LIMIT_IDENTITY_REQUESTS] = config->identity_requests_rate,
    };
    uint64_t salt;
    if (RAND_bytes((uint8_t *)&salt, sizeof salt) != 1) {
        return -1;
    }
    for (unsigned i = 0; i < MR_LIMITS; i++) {
        server->buckets[i] = mr_buckets_new(rates[i], salt);
        if (!server->buckets[i]) {
            return -1;
        }
    }
    return mr_identity_quotas_open(server, salt);
}

static int is_revoked(void *context, const struct mr_serial *serial)
{
    const struct mr_server *server = context;
    const struct mr_revocations *revocations = mr_tls_revocations(server->tls);
    return revocations && mr_revocations_has(revocations, serial);
}

static int open_sessions(struct mr_server *server)
{
    const struct mr_tickets_config config = {.bytes_max = server->config.sessions_bytes_max,
                                             .roles = server->config.yielding_roles,
                                             .unix_s = server->config.unix_s,
                                             .is_revoked = is_revoked,
                                             .context = server};
    server->sessions = mr_tickets_open(&config);
    if (!server->sessions) {
        return -1;
    }
    mr_tls_sessions_set(server->tls, mr_tickets_hooks(server->sessions));
    return 0;
}

static int start(struct mr_server *server, const struct mr_server_config *config,
                 struct mr_error *error)
{
    const struct mr_tls_files files = {config->ca_file, config->certificate_file,
                                       config->private_key_file, config->revocation_file};
    if (mr_tls_open(&server->tls, MR_TLS_SERVER, &files, error) != 0) {
        return -1;
    }
    if (config->sessions_bytes_max > 0 && open_sessions(server) != 0) {
        return mr_error_set(error, "control plane: out of memory");
    }
    server->accept_timer = mr_timer_open(server->loop, on_accept_timer, server);
    server->flush_timer = mr_timer_open(server->loop, on_flush_timer, server);
    if (!server->accept_timer || !server->flush_timer || mr_keeping_open(server) != 0 ||
        open_tables(server, config) != 0 ||
        mr_stream_callbacks(&server->callbacks, &server->options) != 0) {
        return mr_error_set(error, "control plane: out of memory");
    }
    if (listen_on(server, config, error) != 0) {
        return -1;
    }
    if (mr_loop_fd_add(server->loop, server->listen_fd, EPOLLIN, on_accept, server) != 0) {
        return mr_error_set(error, "control plane: %s", strerror(errno));
    }
    return config->handshake_threads > 0 ? mr_pool_open(&server->pool, server->loop, "handshake",
                                                        config->handshake_threads, error)
                                         : 0;
}

int mr_server_open(struct mr_server **out, struct mr_loop *loop,
                   const struct mr_server_config *config, const struct mr_route_table *routes,
                   struct mr_log *log, struct mr_error *error)
{
    struct mr_server *server = calloc(1, sizeof *server);
    if (!server) {
        return mr_error_set(error, "control plane: out of memory");
    }
    server->loop = loop;
    server->log = log;
    server->config = *config;
    server->routes = routes->rows;
    server->route_count = routes->count;
    server->context = routes->context;
    server->listen_fd = -1;
    server->requests_max = 2 * config->connections_max + REQUESTS_BESIDES;
    LIST_INIT(&server->connections);
    LIST_INIT(&server->requests);
    mr_queues_init(server);
    if (start(server, config, error) != 0) {
        mr_server_close(server);
        return -1;
    }
    *out = server;
    return 0;
}

void mr_server_close(struct mr_server *server)
{
    struct mr_connection *connection;
    struct mr_request *request;
    if (!server) {
        return;
    }
    if (server->listen_fd >= 0) {
        mr_loop_fd_remove(server->loop, server->listen_fd);
        close(server->listen_fd);
    }
    while ((connection = LIST_FIRST(&server->connections)) != NULL) {
        mr_connection_free(connection);
    }
    mr_pool_close(server->pool); /* and with it what was abandoned */
    while ((request = LIST_FIRST(&server->requests)) != NULL) {
        LIST_REMOVE(request, in_server); /* its handler may still answer, into the void */
        mr_identity_quota_uncount(request, request->body_room);
        mr_identity_quota_release(request->quota);
        request->quota = NULL;
        request->server = NULL;
    }
    mr_identity_quotas_close(server);
    for (unsigned i = 0; i < MR_LIMITS; i++) {
        mr_buckets_free(server->buckets[i]);
    }
    mr_timer_close(server->accept_timer);
    mr_timer_close(server->flush_timer);
    mr_keeping_close(server);
    nghttp2_session_callbacks_del(server->callbacks);
    nghttp2_option_del(server->options);
    mr_tls_close(server->tls);
    mr_tickets_close(server->sessions);
    free(server);
}

static void end_revoked(struct mr_server *server)
{
    struct mr_connection *connection, *next;
    const struct mr_revocations *revocations = mr_tls_revocations(server->tls);
    for (connection = LIST_FIRST(&server->connections); revocations && connection;
         connection = next) {
        next = LIST_NEXT(connection, in_server);
        if (mr_revocations_has(revocations, &connection->peer.serial)) {
            mr_connection_revoke(connection);
        }
    }
}

/* Handshakes read what is changed here, and whom they have found so far is looked at. */
int mr_server_reload_revocations(struct mr_server *server, struct mr_error *error)
{
    mr_pool_pause(server->pool);
    const int status = mr_tls_reload(server->tls, error);
    if (status == 0) {
        end_revoked(server);
    }
    mr_pool_resume(server->pool);
    return status;
}

void mr_server_renew(struct mr_server *server, struct mr_tls *fresh)
{
    mr_pool_pause(server->pool);
    mr_tls_renew(server->tls, fresh);
    if (server->sessions) {
        mr_tickets_forget_all(server->sessions); /* other CAs may be trusted now */
    }
    end_revoked(server);
    mr_pool_resume(server->pool);
}

const struct mr_revocations *mr_server_revocations(const struct mr_server *server)
{
    return mr_tls_revocations(server->tls);
}

int64_t mr_server_ends(const struct mr_server *server, enum mr_tls_term term)
{
    return mr_tls_ends(server->tls, term);
}

uint16_t mr_server_port(const struct mr_server *server)
{
    return server->port;
}
