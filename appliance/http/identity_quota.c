/* identity_quota.c - what one identity holds of the server: its connections and the bodies of its
 * requests, so that one certificate cannot take what is there for all. */
#include <stdlib.h>
#include <string.h>

#include "appliance/http/server_internal.h"
#include "base/assert.h"
#include "wire/messages.h"

#define ROWS        1024u /* a power of two */
#define FNV_PRIME   0x100000001b3u
#define OTHER_ROLES (MR_ROLE_BIT(MR_ROLE_DEVICE) | MR_ROLE_BIT(MR_ROLE_OPERATOR))

/* --- the table ------------------------------------------------------------------------------- */

/* FNV-1a from a secret start: who may choose its name still cannot choose its row. */
static struct mr_identity_quota_row *row_of(struct mr_server *server, const char *name)
{
    uint64_t state = server->quota_salt;
    for (; *name; name++) {
        state = (state ^ (uint8_t)*name) * FNV_PRIME;
    }
    return &server->quotas[(state ^ state >> 32) % ROWS];
}

/* A body that is as large as any of theirs, and a message beside it: they send one at a time. */
static size_t identity_bodies_max(const struct mr_server *server)
{
    size_t largest = 0;
    for (unsigned i = 0; i < server->route_count; i++) {
        const struct mr_route *route = &server->routes[i];
        if (route->roles & OTHER_ROLES && route->body_max > largest) {
            largest = route->body_max;
        }
    }
    return largest + MR_MESSAGE_MAX;
}

int mr_identity_quotas_open(struct mr_server *server, uint64_t salt)
{
    TAILQ_INIT(&server->yielding);
    server->quota_salt = salt;
    server->identity_bodies_max = identity_bodies_max(server);
    server->quotas = calloc(ROWS, sizeof *server->quotas);
    return server->quotas ? 0 : -1;
}

void mr_identity_quotas_close(struct mr_server *server)
{
    for (unsigned i = 0; server->quotas && i < ROWS; i++) {
        MR_ASSERT(LIST_EMPTY(&server->quotas[i]));
    }
    free(server->quotas);
}

static struct mr_identity_quota *find_or_new(struct mr_server *server,
                                             const struct mr_identity *identity)
{
    struct mr_identity_quota *quota;
    char name[MR_IDENTITY_URI_MAX];
    mr_identity_format(name, identity);
    struct mr_identity_quota_row *row = row_of(server, name);
    for (quota = LIST_FIRST(row); quota; quota = LIST_NEXT(quota, in_row)) {
        if (strcmp(quota->name, name) == 0) {
            return quota;
        }
    }
    quota = calloc(1, sizeof *quota);
    if (quota) {
        memccpy(quota->name, name, '\0', sizeof quota->name);
        TAILQ_INIT(&quota->connections);
        LIST_INSERT_HEAD(row, quota, in_row);
    }
    return quota;
}

struct mr_identity_quota *mr_identity_quota_use(struct mr_identity_quota *quota)
{
    quota->uses++;
    return quota;
}

void mr_identity_quota_release(struct mr_identity_quota *quota)
{
    if (quota && --quota->uses == 0) {
        MR_ASSERT(quota->bodies_bytes == 0 && TAILQ_EMPTY(&quota->connections));
        LIST_REMOVE(quota, in_row);
        free(quota);
    }
}

/* --- connections ----------------------------------------------------------------------------- */

int mr_identity_quota_join(struct mr_connection *connection)
{
    struct mr_identity_quota *quota = find_or_new(connection->server, &connection->peer.identity);
    if (!quota) {
        return -1;
    }
    connection->quota = mr_identity_quota_use(quota);
    TAILQ_INSERT_TAIL(&quota->connections, connection, in_holder);
    quota->connection_count++;
    mr_connection_note_idle(connection);
    return 0;
}

void mr_identity_quota_leave(struct mr_connection *connection)
{
    struct mr_identity_quota *quota = connection->quota;
    mr_connection_note_busy(connection);
    if (quota) {
        TAILQ_REMOVE(&quota->connections, connection, in_holder);
        quota->connection_count--;
        connection->quota = NULL;
        mr_identity_quota_release(quota);
    }
}

void mr_identity_quota_thin_out(struct mr_connection *newest)
{
    const struct mr_identity_quota *quota = newest->quota;
    const unsigned most = newest->server->config.identity_connections_max;
    if (most == 0 || newest->peer.identity.role == MR_ROLE_HUB) {
        return;
    }
    while (quota->connection_count > most) {
        mr_connection_give_way(TAILQ_FIRST(&quota->connections), MR_END_CROWDED);
    }
}

void mr_connection_note_idle(struct mr_connection *connection)
{
    if (!connection->yields && connection->peer.identity.role == MR_ROLE_DEVICE) {
        TAILQ_INSERT_TAIL(&connection->server->yielding, connection, in_yielding);
        connection->yields = true;
    }
}

void mr_connection_note_busy(struct mr_connection *connection)
{
    if (connection->yields) {
        TAILQ_REMOVE(&connection->server->yielding, connection, in_yielding);
        connection->yields = false;
    }
}

void mr_connection_note_over(struct mr_connection *connection)
{
    mr_connection_note_busy(connection);
    TAILQ_INSERT_HEAD(&connection->server->yielding, connection, in_yielding);
    connection->yields = true;
}

/* --- bodies ---------------------------------------------------------------------------------- */

static bool is_hubs(const struct mr_request *request)
{
    return request->identity.role == MR_ROLE_HUB;
}

/* Hubs have a room of their own: no crowd of devices makes a round fail. */
static size_t *pool_of(const struct mr_request *request)
{
    return is_hubs(request) ? &request->server->hub_bodies_bytes : &request->server->bodies_bytes;
}

static bool quota_has_room(const struct mr_request *request, size_t more)
{
    const size_t most = request->server->identity_bodies_max;
    return is_hubs(request) || (more <= most && request->quota->bodies_bytes <= most - more);
}

/* A device that comes back over a new connection need not wait until the lost one is found out:
 * what its older ones were sending gives way. Not the other way round: two that send at once would
 * push out each other for ever. */
static void make_way(struct mr_request *newer, size_t more)
{
    struct mr_connection *connection;
    struct mr_request *request, *next;
    for (connection = TAILQ_FIRST(&newer->quota->connections); connection != newer->connection;
         connection = TAILQ_NEXT(connection, in_holder)) {
        for (request = LIST_FIRST(&connection->requests); request; request = next) {
            next = LIST_NEXT(request, in_connection);
            if (quota_has_room(newer, more)) {
                return;
            }
            if (request->state == MR_REQUEST_RECEIVING && request->body_room > 0) {
                mr_request_refuse(request, MR_REFUSAL_BUSY, 1000,
                                  "this identity sends a body over a newer connection");
            }
        }
    }
}

bool mr_identity_quota_make_room(struct mr_request *request, size_t more)
{
    if (!quota_has_room(request, more)) {
        make_way(request, more);
    }
    const size_t most = request->server->config.bodies_bytes_max;
    return quota_has_room(request, more) && more <= most && *pool_of(request) <= most - more;
}

void mr_identity_quota_count(struct mr_request *request, size_t more)
{
    *pool_of(request) += more;
    request->quota->bodies_bytes += more;
}

void mr_identity_quota_uncount(struct mr_request *request, size_t less)
{
    *pool_of(request) -= less;
    request->quota->bodies_bytes -= less;
}
