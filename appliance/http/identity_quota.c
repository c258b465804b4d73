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
static struct mr_holder_row *row_of(struct mr_server *server, const char *name)
{
    uint64_t state = server->holder_salt;
    for (; *name; name++) {
        state = (state ^ (uint8_t)*name) * FNV_PRIME;
    }
    return &server->holders[(state ^ state >> 32) % ROWS];
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

int mr_holders_open(struct mr_server *server, uint64_t salt)
{
    TAILQ_INIT(&server->yielding);
    server->holder_salt = salt;
    server->identity_bodies_max = identity_bodies_max(server);
    server->holders = calloc(ROWS, sizeof *server->holders);
    return server->holders ? 0 : -1;
}

void mr_holders_close(struct mr_server *server)
{
    for (unsigned i = 0; server->holders && i < ROWS; i++) {
        MR_ASSERT(LIST_EMPTY(&server->holders[i]));
    }
    free(server->holders);
}

static struct mr_holder *find_or_new(struct mr_server *server, const struct mr_identity *identity)
{
    struct mr_holder *holder;
    char name[MR_IDENTITY_URI_MAX];
    mr_identity_format(name, identity);
    struct mr_holder_row *row = row_of(server, name);
    for (holder = LIST_FIRST(row); holder; holder = LIST_NEXT(holder, in_row)) {
        if (strcmp(holder->name, name) == 0) {
            return holder;
        }
    }
    holder = calloc(1, sizeof *holder);
    if (holder) {
        memccpy(holder->name, name, '\0', sizeof holder->name);
        TAILQ_INIT(&holder->connections);
        LIST_INSERT_HEAD(row, holder, in_row);
    }
    return holder;
}

struct mr_holder *mr_holder_use(struct mr_holder *holder)
{
    holder->uses++;
    return holder;
}

void mr_holder_release(struct mr_holder *holder)
{
    if (holder && --holder->uses == 0) {
        MR_ASSERT(holder->bodies_bytes == 0 && TAILQ_EMPTY(&holder->connections));
        LIST_REMOVE(holder, in_row);
        free(holder);
    }
}

/* --- connections ----------------------------------------------------------------------------- */

int mr_holder_join(struct mr_connection *connection)
{
    struct mr_holder *holder = find_or_new(connection->server, &connection->peer.identity);
    if (!holder) {
        return -1;
    }
    connection->holder = mr_holder_use(holder);
    TAILQ_INSERT_TAIL(&holder->connections, connection, in_holder);
    holder->connection_count++;
    mr_connection_note_idle(connection);
    return 0;
}

void mr_holder_leave(struct mr_connection *connection)
{
    struct mr_holder *holder = connection->holder;
    mr_connection_note_busy(connection);
    if (holder) {
        TAILQ_REMOVE(&holder->connections, connection, in_holder);
        holder->connection_count--;
        connection->holder = NULL;
        mr_holder_release(holder);
    }
}

void mr_holder_thin_out(struct mr_connection *newest)
{
    const struct mr_holder *holder = newest->holder;
    const unsigned most = newest->server->config.identity_connections_max;
    if (most == 0 || newest->peer.identity.role == MR_ROLE_HUB) {
        return;
    }
    while (holder->connection_count > most) {
        mr_connection_give_way(TAILQ_FIRST(&holder->connections), MR_END_CROWDED);
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

static bool holder_has_room(const struct mr_request *request, size_t more)
{
    const size_t most = request->server->identity_bodies_max;
    return is_hubs(request) || (more <= most && request->holder->bodies_bytes <= most - more);
}

/* A device that comes back over a new connection need not wait until the lost one is found out:
 * what its older ones were sending gives way. Not the other way round: two that send at once would
 * push out each other for ever. */
static void make_way(struct mr_request *newer, size_t more)
{
    struct mr_connection *connection;
    struct mr_request *request, *next;
    for (connection = TAILQ_FIRST(&newer->holder->connections); connection != newer->connection;
         connection = TAILQ_NEXT(connection, in_holder)) {
        for (request = LIST_FIRST(&connection->requests); request; request = next) {
            next = LIST_NEXT(request, in_connection);
            if (holder_has_room(newer, more)) {
                return;
            }
            if (request->state == MR_REQUEST_RECEIVING && request->body_room > 0) {
                mr_request_refuse(request, 503, "busy", 1000,
                                  "this identity sends a body over a newer connection");
            }
        }
    }
}

bool mr_holder_make_room(struct mr_request *request, size_t more)
{
    if (!holder_has_room(request, more)) {
        make_way(request, more);
    }
    const size_t most = request->server->config.bodies_bytes_max;
    return holder_has_room(request, more) && more <= most && *pool_of(request) <= most - more;
}

void mr_holder_count(struct mr_request *request, size_t more)
{
    *pool_of(request) += more;
    request->holder->bodies_bytes += more;
}

void mr_holder_uncount(struct mr_request *request, size_t less)
{
    *pool_of(request) -= less;
    request->holder->bodies_bytes -= less;
}
