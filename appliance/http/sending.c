/* sending.c - what a session has to say, as TLS records to the socket. Where the server has a pool,
 * one of its threads takes what would keep the loop: a model, a delta. HTTP/2 stays on the loop's
 * thread: what a session says next is gathered there, and a thread writes what was gathered. */
#include "appliance/http/server_internal.h"

/* A thread costs two wake-ups; answers of a few records are written at once. */
#define AWAY_BYTES_LEAST ((size_t)32 * 1024)
/* That it takes at a time: as many connections get on side by side as there are. */
#define PIECE_BYTES ((size_t)128 * 1024)

static void write_gathered(void *context)
{
    struct mr_connection *connection = context;
    connection->sending.result = mr_h2_io_write(&connection->io);
}

void mr_sending_init(struct mr_connection *connection, mr_loop_fn sent)
{
    connection->sending.task =
        (struct mr_pool_task){.work = write_gathered, .done = sent, .context = connection};
}

void mr_sending_begin(struct mr_connection *connection)
{
    if (connection->server->pool) {
        connection->io.out_room = PIECE_BYTES;
    }
}

static void hand_on(struct mr_connection *connection)
{
    connection->sending.is_away = true;
    connection->server->away_count++;
    mr_pool_run(connection->server->pool, &connection->sending.task);
}

enum mr_h2_io_result mr_sending_flush(struct mr_connection *connection)
{
    struct mr_h2_io *io = &connection->io;
    if (!connection->server->pool) {
        return mr_h2_io_flush(io, MR_CONNECTION_TURN_BYTES);
    }
    for (size_t sent = 0; sent < MR_CONNECTION_TURN_BYTES;) {
        if (mr_h2_io_gather(io) != 0) {
            return MR_H2_IO_HTTP2;
        }
        const size_t more = mr_h2_io_gathered(io);
        if (more >= AWAY_BYTES_LEAST) {
            hand_on(connection);
            return MR_H2_IO_MORE;
        }
        const enum mr_h2_io_result result = mr_h2_io_write(io);
        if (result != MR_H2_IO_DONE || more == 0) {
            return result;
        }
        sent += more;
    }
    return MR_H2_IO_MORE;
}

void mr_sending_back(struct mr_connection *connection)
{
    connection->sending.is_away = false;
    connection->server->away_count--;
}

void mr_sending_take_back(struct mr_connection *connection)
{
    if (connection->sending.is_away) {
        /* Whether it could be written the next write finds out as well. */
        (void)mr_pool_recall(connection->server->pool, &connection->sending.task);
        mr_sending_back(connection);
        mr_queue_flush(connection);
    }
}
