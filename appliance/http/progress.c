/* progress.c - a connection's time limits: its handshake ends, what it asked for gets on, it rests
 * no longer than it may. */
#include "appliance/http/server_internal.h"

/* A body or an answer that moves less than this in half an idle timeout makes no progress; after
 * three such looks in a row the connection is closed. */
#define PROGRESS_BYTES 4096
#define STRIKES_MAX    3

#define SHAKING_MS 10 /* a piece of a handshake takes less */

/* Each body by itself: else whoever asks something now and then could hold the room of many. */
static bool has_stalled_body(struct mr_connection *connection)
{
    struct mr_request *request;
    bool stalled = false;
    for (request = LIST_FIRST(&connection->requests); request;
         request = LIST_NEXT(request, in_connection)) {
        stalled |= request->state == MR_REQUEST_RECEIVING &&
                   mr_request_stalls(request, PROGRESS_BYTES, STRIKES_MAX);
    }
    return stalled;
}

/* Answers together: a slow reader gets them by turns. */
static bool has_stalled_answers(struct mr_connection *connection)
{
    if (connection->away.is_away && connection->away.kind == MR_AWAY_WRITING) {
        connection->strikes = 0; /* it is being sent just now */
        return false;
    }
    const uint64_t bytes = connection->io.bytes_in + connection->io.bytes_out;
    if (connection->requests_in[MR_REQUEST_ANSWERING] == 0 ||
        bytes - connection->bytes_then >= PROGRESS_BYTES ||
        connection->ended_requests != connection->ended_then) {
        connection->strikes = 0;
    } else {
        connection->strikes++;
    }
    connection->bytes_then = bytes;
    connection->ended_then = connection->ended_requests;
    return connection->strikes >= STRIKES_MAX;
}

static void look_at_progress(struct mr_connection *connection, uint64_t now_ms)
{
    const bool stalled_body = has_stalled_body(connection);
    if (has_stalled_answers(connection) || stalled_body) {
        mr_connection_end(connection, MR_END_STALLED, NGHTTP2_CANCEL);
        return;
    }
    mr_timer_arm(connection->timer, now_ms + mr_connection_half_idle_ms(connection->server));
}

/* The peer's time for its handshake may be over; what a piece of it takes here is not its own. */
static void look_at_handshake(struct mr_connection *connection, uint64_t now_ms)
{
    const struct mr_shake *shake = &connection->shake;
    if (shake->is_handed_on) {
        mr_timer_arm(connection->timer, now_ms + SHAKING_MS);
    } else if (now_ms < shake->until_ms) {
        mr_timer_arm(connection->timer, shake->until_ms);
    } else {
        mr_handshake_fail(connection, MR_HANDSHAKE_TIMEOUT, "not done in time");
    }
}

void mr_progress_look(void *context)
{
    struct mr_connection *connection = context;
    const struct mr_server *server = connection->server;
    const uint64_t now_ms = mr_loop_now_ms(server->loop);
    switch (connection->state) {
    case MR_CONNECTION_HANDSHAKE:
        look_at_handshake(connection, now_ms);
        return;
    case MR_CONNECTION_LINGER:
        mr_connection_free(connection);
        return;
    case MR_CONNECTION_OPEN:
        break;
    }
    const uint64_t idle_until_ms = connection->idle_since_ms + mr_queue_rest_ms(connection);
    const uint64_t look_ms = now_ms + mr_connection_half_idle_ms(server);
    if (!LIST_EMPTY(&connection->requests)) {
        look_at_progress(connection, now_ms);
    } else if (now_ms >= idle_until_ms) {
        mr_connection_end(connection, MR_END_IDLE, NGHTTP2_NO_ERROR);
    } else {
        connection->strikes = 0;
        /* A request that comes meanwhile is looked at as soon as on any connection. */
        mr_timer_arm(connection->timer, idle_until_ms < look_ms ? idle_until_ms : look_ms);
    }
}
