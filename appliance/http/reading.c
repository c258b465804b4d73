/* reading.c - bodies that are long: where the server has a pool, one of its threads receives and
 * decrypts what would keep the loop. HTTP/2 stays on the loop's thread, which feeds the session
 * what was fetched. */
#include <sys/ioctl.h>

#include "appliance/http/server_internal.h"

/* A thread costs two wake-ups. What is left of a body for one: */
#define LEFT_BYTES_LEAST ((uint64_t)64 * 1024)
/* … and what of it is there by now: over a slow line records come one at a time. Where the loop
 * falls behind more has come when it looks. */
#define WAITING_BYTES_LEAST (32 * 1024)

static bool is_long(const struct mr_request *request)
{
    return request->state == MR_REQUEST_RECEIVING &&
           request->content_length - request->body_length >= LEFT_BYTES_LEAST;
}

static bool has_long_body(const struct mr_connection *connection)
{
    const struct mr_request *request = LIST_FIRST(&connection->requests);
    while (request && !is_long(request)) {
        request = LIST_NEXT(request, in_connection);
    }
    return request;
}

bool mr_reading_is_much(const struct mr_connection *connection)
{
    int waiting;
    return connection->server->pool && !mr_h2_io_has_fetched(&connection->io) &&
           has_long_body(connection) && ioctl(connection->fd, FIONREAD, &waiting) == 0 &&
           waiting >= WAITING_BYTES_LEAST;
}
