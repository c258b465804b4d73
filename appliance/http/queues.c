/* queues.c - the server's queues of connections: those with something to send, those that have not
 * come through their handshake, those that may give way to a newcomer. Lists only: what happens to
 * a connection is decided by others. */
#include "appliance/http/server_internal.h"

void mr_queues_init(struct mr_server *server)
{
    TAILQ_INIT(&server->flush);
    TAILQ_INIT(&server->unauthenticated);
    TAILQ_INIT(&server->yielding);
}

/* --- something to send ----------------------------------------------------------------------- */

void mr_queue_flush(struct mr_connection *connection)
{
    struct mr_server *server = connection->server;
    if (connection->pumping || connection->flush_queued) {
        return;
    }
    connection->flush_queued = true;
    TAILQ_INSERT_TAIL(&server->flush, connection, in_flush);
    mr_timer_arm(server->flush_timer, 0);
}

void mr_queue_leave_flush(struct mr_connection *connection)
{
    if (connection->flush_queued) {
        TAILQ_REMOVE(&connection->server->flush, connection, in_flush);
        connection->flush_queued = false;
    }
}

/* --- before the handshake is done ------------------------------------------------------------ */

void mr_queue_join_unauthenticated(struct mr_connection *connection)
{
    TAILQ_INSERT_TAIL(&connection->server->unauthenticated, connection, in_unauthenticated);
    connection->server->unauthenticated_count++;
    connection->is_unauthenticated = true;
}

void mr_queue_leave_unauthenticated(struct mr_connection *connection)
{
    if (connection->is_unauthenticated) {
        TAILQ_REMOVE(&connection->server->unauthenticated, connection, in_unauthenticated);
        connection->server->unauthenticated_count--;
        connection->is_unauthenticated = false;
    }
}

/* --- who gives way --------------------------------------------------------------------------- */

bool mr_queue_may_yield(const struct mr_connection *connection)
{
    return (connection->server->config.yielding_roles &
            MR_ROLE_BIT(connection->peer.identity.role)) != 0;
}

uint64_t mr_queue_rest_ms(const struct mr_connection *connection)
{
    const struct mr_server_config *config = &connection->server->config;
    return config->keep_ms > 0 && mr_queue_may_yield(connection) ? config->keep_ms
                                                                 : config->idle_timeout_ms;
}

void mr_queue_note_idle(struct mr_connection *connection)
{
    struct mr_server *server = connection->server;
    if (connection->yields || !mr_queue_may_yield(connection)) {
        return;
    }
    TAILQ_INSERT_TAIL(&server->yielding, connection, in_yielding);
    connection->yields = connection->rests = true;
    server->resting_count++;
    if (mr_queue_rest_ms(connection) <
        server->config.idle_timeout_ms / 2) { /* before the next look */
        mr_timer_arm(connection->timer,
                     mr_loop_now_ms(server->loop) + mr_queue_rest_ms(connection));
    }
    if (server->config.kept_max > 0 && server->resting_count > server->config.kept_max) {
        mr_timer_arm(server->surplus_timer, 0); /* not here: the caller may walk the connections */
    }
}

void mr_queue_note_busy(struct mr_connection *connection)
{
    if (connection->yields) {
        TAILQ_REMOVE(&connection->server->yielding, connection, in_yielding);
        connection->server->resting_count -= connection->rests;
        connection->yields = connection->rests = false;
    }
}

void mr_queue_note_over(struct mr_connection *connection)
{
    mr_queue_note_busy(connection);
    TAILQ_INSERT_HEAD(&connection->server->yielding, connection, in_yielding);
    connection->yields = true;
}
