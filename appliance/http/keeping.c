/* keeping.c - which connections may stay open: not those whose certificate has run out or was
 * replaced by a newer one, and not more at rest than there is room for. (Those whose certificate
 * was revoked end when the list is read: server.c.) */
#include <string.h>
#include <time.h>

#include "appliance/http/server_internal.h"

/* So long an upload or a long poll may go on under a certificate that ran out meanwhile. */
#define RECHECK_MS 2000

static int64_t unix_s(const struct mr_server *server)
{
    return server->config.unix_s ? server->config.unix_s() : (int64_t)time(NULL);
}

bool mr_keeping_is_over(const struct mr_connection *connection)
{
    return unix_s(connection->server) > connection->peer.ends_s;
}

static void on_recheck(void *context)
{
    struct mr_server *server = context;
    struct mr_connection *connection, *next;
    const int64_t now_s = unix_s(server);
    for (connection = LIST_FIRST(&server->connections); connection; connection = next) {
        next = LIST_NEXT(connection, in_server);
        if (connection->state == MR_CONNECTION_OPEN && now_s > connection->peer.ends_s) {
            mr_connection_end(connection, MR_END_EXPIRED, NGHTTP2_NO_ERROR);
        }
    }
    mr_timer_arm(server->recheck_timer, mr_loop_now_ms(server->loop) + RECHECK_MS);
}

/* Those that rest come behind those that are over in the queue. */
static struct mr_connection *longest_at_rest(struct mr_server *server)
{
    struct mr_connection *connection = TAILQ_FIRST(&server->yielding);
    while (connection && !connection->rests) {
        connection = TAILQ_NEXT(connection, in_yielding);
    }
    return connection;
}

static void on_surplus(void *context)
{
    struct mr_server *server = context;
    struct mr_connection *connection;
    while (server->resting_count > server->config.kept_max &&
           (connection = longest_at_rest(server)) != NULL) {
        mr_connection_end(connection, MR_END_SURPLUS, NGHTTP2_NO_ERROR);
    }
}

int mr_keeping_open(struct mr_server *server)
{
    server->surplus_timer = mr_timer_open(server->loop, on_surplus, server);
    server->recheck_timer = mr_timer_open(server->loop, on_recheck, server);
    if (!server->surplus_timer || !server->recheck_timer) {
        return -1;
    }
    mr_timer_arm(server->recheck_timer, mr_loop_now_ms(server->loop) + RECHECK_MS);
    return 0;
}

void mr_keeping_close(struct mr_server *server)
{
    mr_timer_close(server->surplus_timer);
    mr_timer_close(server->recheck_timer);
}

/* Of two certificates of one name the one that was issued later is the device's. */
static bool is_older(const struct mr_connection *connection, const struct mr_connection *newest)
{
    return memcmp(connection->peer.serial.bytes, newest->peer.serial.bytes, MR_SERIAL_OWN_BYTES) !=
               0 &&
           connection->peer.begins_s <= newest->peer.begins_s;
}

void mr_keeping_supersede(const struct mr_connection *newest)
{
    struct mr_connection *connection, *next;
    if (!mr_queue_may_yield(newest)) {
        return; /* operators and hubs may have several at a time */
    }
    if (newest->server->sessions) {
        mr_tickets_supersede(newest->server->sessions, &newest->peer);
    }
    for (connection = TAILQ_FIRST(&newest->quota->connections); connection; connection = next) {
        next = TAILQ_NEXT(connection, in_quota);
        if (is_older(connection, newest)) {
            mr_connection_end(connection, MR_END_REKEYED, NGHTTP2_NO_ERROR);
        }
    }
}
