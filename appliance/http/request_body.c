/* request_body.c - the body of a request while it comes in: room for it within its identity's and
 * the server's bounds, and whether it gets on. */
#include <stdlib.h>
#include <string.h>

#include "appliance/http/server_internal.h"

#define BODY_ROOM_FIRST ((size_t)4096)

/* A device that comes back over a new connection need not wait until the lost one is found out:
 * what its older ones were sending gives way. Not the other way round: two that send at once would
 * push out each other for ever. */
static void make_way(struct mr_request *newer, size_t more)
{
    struct mr_connection *connection;
    struct mr_request *request, *next;
    for (connection = TAILQ_FIRST(&newer->quota->connections); connection != newer->connection;
         connection = TAILQ_NEXT(connection, in_quota)) {
        for (request = LIST_FIRST(&connection->requests); request; request = next) {
            next = LIST_NEXT(request, in_connection);
            if (mr_identity_quota_has_room(newer, more)) {
                return;
            }
            if (request->state == MR_REQUEST_RECEIVING && request->body_room > 0) {
                mr_request_refuse(request, MR_REFUSAL_BUSY, 1000,
                                  "this identity sends a body over a newer connection");
            }
        }
    }
}

bool mr_request_make_room(struct mr_request *request, size_t more)
{
    if (!mr_identity_quota_has_room(request, more)) {
        make_way(request, more);
    }
    return mr_identity_quota_has_room(request, more) &&
           mr_identity_quota_server_has_room(request, more);
}

static int grow(struct mr_request *request, size_t room)
{
    const size_t more = room - request->body_room;
    if (!mr_request_make_room(request, more)) {
        return -1;
    }
    uint8_t *body = realloc(request->body, room);
    if (!body) {
        return -1;
    }
    request->body = body;
    request->body_room = room;
    mr_identity_quota_count(request, more);
    return 0;
}

/* What a peer says will come costs nothing until it comes: room follows the bytes. */
int mr_request_append(struct mr_request *request, const uint8_t *data, size_t length)
{
    const size_t need = request->body_length + length;
    if (need > request->body_room) {
        const size_t most = request->match.route->body_max;
        const size_t bound =
            request->content_length < most ? (size_t)request->content_length : most;
        size_t room = 2 * request->body_room;
        room = room < BODY_ROOM_FIRST ? BODY_ROOM_FIRST : room;
        room = room > bound ? bound : room;
        if (grow(request, room < need ? need : room) != 0) {
            return -1;
        }
    }
    memcpy(request->body + request->body_length, data, length);
    request->body_length = need;
    return 0;
}

bool mr_request_stalls(struct mr_request *request, size_t bytes, unsigned most)
{
    const size_t moved = request->header_bytes + request->body_length;
    request->strikes = moved - request->moved_then >= bytes ? 0 : request->strikes + 1;
    request->moved_then = moved;
    return request->strikes >= most;
}
