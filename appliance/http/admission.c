/* admission.c - from a request's headers to its handler: rate limits, the route table, roles, and
 * whether there is room now. */
#include <string.h>
#include <strings.h>

#include "appliance/http/query.h"
#include "appliance/http/server_internal.h"

/* Takes a token; refuses the request where there is none. */
static bool is_over(struct mr_request *request, enum mr_limit limit, const void *key, size_t bytes)
{
    struct mr_server *server = request->server;
    uint32_t retry_after_ms;
    if (mr_buckets_take(server->buckets[limit], key, bytes, mr_loop_now_ms(server->loop),
                        &retry_after_ms)) {
        return false;
    }
    server->counters.limited[limit]++;
    mr_request_refuse(request, MR_REFUSAL_RATE_LIMITED, retry_after_ms,
                      "too many requests from this %s",
                      limit == MR_LIMIT_IDENTITY_REQUESTS ? "identity" : "address");
    return true;
}

static bool is_rate_limited(struct mr_request *request)
{
    const struct in6_addr *source = &request->connection->source;
    char name[MR_IDENTITY_URI_MAX] = "";
    if (mr_identity_is_trusted(request->server, &request->identity)) {
        return false;
    }
    mr_identity_format(name, &request->identity);
    return is_over(request, MR_LIMIT_IDENTITY_REQUESTS, name, strlen(name)) ||
           is_over(request, MR_LIMIT_SOURCE_REQUESTS, source, sizeof *source);
}

/* True where the request has no place now, as far as it has said what it needs. */
static bool is_crowded(struct mr_request *request)
{
    const struct mr_server *server = request->server;
    return (!mr_identity_is_trusted(server, &request->identity) &&
            server->request_count > server->requests_max) ||
           (request->content_length != UINT64_MAX &&
            !mr_request_make_room(request, (size_t)request->content_length));
}

/* "application/json", whatever its case and the parameters behind it. */
static bool is_type(const char *given, const char *wanted)
{
    const size_t length = strlen(wanted);
    return strncasecmp(given, wanted, length) == 0 && strchr("; \t", given[length]);
}

/* Of a body that is there, or announced. */
static bool has_wrong_type(struct mr_request *request)
{
    const char *wanted = request->match.route->content_type;
    if (request->is_encoded) {
        mr_request_refuse(request, MR_REFUSAL_BAD_REQUEST, 0,
                          "a body is taken as it is, without content-encoding");
        return true;
    }
    if (!wanted || (!request->is_doubled_type && is_type(request->content_type, wanted))) {
        return false;
    }
    mr_request_refuse(request, MR_REFUSAL_BAD_REQUEST, 0,
                      "the body's content-type must be %s, not '%.63s'%s", wanted,
                      request->content_type, request->is_doubled_type ? " and another one" : "");
    return true;
}

/* All headers are there: refuses at once what will never be handled, body or not. */
void mr_request_admit(struct mr_request *request)
{
    struct mr_server *server = request->server;
    struct mr_error error;
    request->is_head = strcmp(request->method, "HEAD") == 0;
    if (is_rate_limited(request)) {
        return;
    }
    const enum mr_route_result result = mr_route_find(
        &request->match, server->routes, server->route_count, request->method, request->path);
    const struct mr_route *route = request->match.route;
    if (result == MR_ROUTE_NO_PATH) {
        mr_request_refuse(request, MR_REFUSAL_NOT_FOUND, 0, "there is nothing at this path");
    } else if (result == MR_ROUTE_NO_METHOD) {
        mr_request_refuse(request, MR_REFUSAL_WRONG_METHOD, 0, "this path knows %s",
                          request->match.allow);
    } else if (!(route->roles & MR_ROLE_BIT(request->identity.role))) {
        mr_request_refuse(request, MR_REFUSAL_UNAUTHORISED_ROLE, 0,
                          "the certificate's role may not do this");
    } else if (mr_query_check(request->match.query, route->query, &error) != 0) {
        mr_request_refuse(request, MR_REFUSAL_BAD_REQUEST, 0, "%s", error.text);
    } else if (request->content_length != UINT64_MAX && request->content_length > route->body_max) {
        mr_request_refuse(request, MR_REFUSAL_BODY_TOO_LARGE, 0,
                          "a body here has at most %zu bytes", route->body_max);
    } else if (request->content_length != UINT64_MAX && request->content_length > 0 &&
               has_wrong_type(request)) {
        return;
    } else if (is_crowded(request)) {
        mr_request_refuse(request, MR_REFUSAL_BUSY, 1000, "too many requests are under way");
    }
}

void mr_request_complete(struct mr_request *request)
{
    request->whole = true;
    if (request->state == MR_REQUEST_RECEIVING && request->match.route &&
        (request->body_length == 0 || !has_wrong_type(request))) {
        mr_request_move(request, MR_REQUEST_HANDED);
        request->match.route->handler(request->server->context, request);
    }
}
