/* identity_quota.c - what one identity holds of the server: its connections and the bodies of its
 * requests, so that one certificate cannot take what is there for all. Counts only: what happens
 * to a connection or a request that is too much is decided by others. */
#include <stdlib.h>
#include <string.h>

#include "appliance/http/server_internal.h"
#include "base/assert.h"
#include "wire/messages.h"

#define ROWS      1024u /* a power of two */
#define FNV_PRIME 0x100000001b3u

bool mr_identity_is_trusted(const struct mr_server *server, const struct mr_identity *identity)
{
    return (server->config.trusted_roles & MR_ROLE_BIT(identity->role)) != 0;
}

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

/* Of an identity that is not trusted: a body as large as any that it may send, and a message beside
 * it. It sends one at a time. */
static size_t identity_bodies_max(const struct mr_server *server)
{
    size_t largest = 0;
    for (unsigned i = 0; i < server->route_count; i++) {
        const struct mr_route *route = &server->routes[i];
        if (route->roles & ~server->config.trusted_roles && route->body_max > largest) {
            largest = route->body_max;
        }
    }
    return largest + MR_MESSAGE_MAX;
}

int mr_identity_quotas_open(struct mr_server *server, uint64_t salt)
{
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
    TAILQ_INSERT_TAIL(&quota->connections, connection, in_quota);
    quota->connection_count++;
    mr_queue_note_idle(connection);
    return 0;
}

void mr_identity_quota_leave(struct mr_connection *connection)
{
    struct mr_identity_quota *quota = connection->quota;
    mr_queue_note_busy(connection);
    if (quota) {
        TAILQ_REMOVE(&quota->connections, connection, in_quota);
        quota->connection_count--;
        connection->quota = NULL;
        mr_identity_quota_release(quota);
    }
}

struct mr_connection *mr_identity_quota_surplus(const struct mr_connection *newest)
{
    const struct mr_server *server = newest->server;
    const unsigned most = server->config.identity_connections_max;
    if (most == 0 || mr_identity_is_trusted(server, &newest->peer.identity) ||
        newest->quota->connection_count <= most) {
        return NULL;
    }
    return TAILQ_FIRST(&newest->quota->connections);
}

/* --- bodies ---------------------------------------------------------------------------------- */

static bool is_trusted(const struct mr_request *request)
{
    return mr_identity_is_trusted(request->server, &request->identity);
}

/* The trusted have a room of their own, which no crowd of others can fill. */
static size_t *pool_of(const struct mr_request *request)
{
    return is_trusted(request) ? &request->server->trusted_bodies_bytes
                               : &request->server->bodies_bytes;
}

bool mr_identity_quota_has_room(const struct mr_request *request, size_t more)
{
    const size_t most = request->server->identity_bodies_max;
    return is_trusted(request) || (more <= most && request->quota->bodies_bytes <= most - more);
}

bool mr_identity_quota_server_has_room(const struct mr_request *request, size_t more)
{
    const size_t most = request->server->config.bodies_bytes_max;
    return more <= most && *pool_of(request) <= most - more;
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
