/* sending.c - what a session has to say, as TLS records to the socket. Where the server has a pool,
 * one of its threads takes what would keep the loop: a model, a delta. HTTP/2 stays on the loop's
 * thread: what a session says next is gathered there, and a thread writes what was gathered. */
#include "appliance/http/server_internal.h"

/* A thread costs two wake-ups; answers of a few records are written at once. */
#define AWAY_BYTES_LEAST ((size_t)32 * 1024)

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
            mr_away_hand_on(connection, MR_AWAY_WRITING);
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
