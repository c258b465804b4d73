/* away.c - open connections whose TLS state and socket a thread of the pool has for a moment, to
 * write or to read. All else of such a connection stays the loop's. */
#include "appliance/http/server_internal.h"

/* That a thread takes at a time: as many connections get on side by side as there are. */
#define PIECE_BYTES ((size_t)128 * 1024)

static void work(void *context)
{
    struct mr_connection *connection = context;
    if (connection->away.kind == MR_AWAY_READING) {
        mr_h2_io_fetch(&connection->io, PIECE_BYTES);
    } else {
        connection->away.result = mr_h2_io_write(&connection->io);
    }
}

void mr_away_init(struct mr_connection *connection, mr_loop_fn back)
{
    connection->away.task =
        (struct mr_pool_task){.work = work, .done = back, .context = connection};
}

void mr_away_begin(struct mr_connection *connection)
{
    if (connection->server->pool) {
        connection->io.out_room = PIECE_BYTES;
    }
}

void mr_away_hand_on(struct mr_connection *connection, enum mr_away_kind kind)
{
    connection->away.kind = kind;
    connection->away.is_away = true;
    connection->server->away_count++;
    mr_pool_run(connection->server->pool, &connection->away.task);
}

void mr_away_back(struct mr_connection *connection)
{
    connection->away.is_away = false;
    connection->server->away_count--;
}

void mr_away_take_back(struct mr_connection *connection)
{
    if (connection->away.is_away) {
        /* Whether it could be written the next write finds out as well; what was read is kept. */
        (void)mr_pool_recall(connection->server->pool, &connection->away.task);
        mr_away_back(connection);
        mr_queue_flush(connection);
    }
}
