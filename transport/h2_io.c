#include "transport/h2_io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include "transport/tls_socket.h"

#define OUT_BYTES ((size_t)32 * 1024)

void mr_h2_io_init(struct mr_h2_io *io, SSL *ssl, nghttp2_session *session)
{
    *io = (struct mr_h2_io){.ssl = ssl, .session = session, .out_room = OUT_BYTES};
}

static void drop_out(struct mr_h2_io *io)
{
    free(io->out);
    io->out = NULL;
    io->out_length = io->out_at = 0;
}

static void drop_in(struct mr_h2_io *io)
{
    free(io->in);
    io->in = NULL;
    io->in_length = io->in_at = 0;
}

void mr_h2_io_fini(struct mr_h2_io *io)
{
    drop_in(io);
    drop_out(io);
    *io = (struct mr_h2_io){0};
}

/* Gathers frames, so that small ones share a TLS record. */
int mr_h2_io_gather(struct mr_h2_io *io)
{
    if (io->out_at < io->out_length) {
        return 0;
    }
    io->out_length = io->out_at = 0;
    while (io->out_length < io->out_room) {
        if (io->frame_left == 0) {
            const ssize_t got = nghttp2_session_mem_send(io->session, &io->frame);
            if (got <= 0) {
                return got < 0 ? -1 : 0;
            }
            io->frame_left = (size_t)got;
        }
        if (!io->out) {
            io->out = OPENSSL_malloc(io->out_room);
            if (!io->out) {
                return -1;
            }
        }
        const size_t space = io->out_room - io->out_length;
        const size_t take = io->frame_left < space ? io->frame_left : space;
        memcpy(io->out + io->out_length, io->frame, take);
        io->out_length += take;
        io->frame += take;
        io->frame_left -= take;
    }
    return 0;
}

static enum mr_h2_io_result why(const SSL *ssl, int result)
{
    switch (SSL_get_error(ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return MR_H2_IO_DONE;
    case SSL_ERROR_WANT_WRITE:
        return MR_H2_IO_WAIT;
    case SSL_ERROR_ZERO_RETURN:
        return MR_H2_IO_CLOSED;
    default:
        break;
    }
    const unsigned long code = ERR_peek_last_error();
    if (ERR_GET_LIB(code) == ERR_LIB_SSL &&
        ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
        return MR_H2_IO_CLOSED; /* HTTP/2 has its own ends: a missing close_notify cuts nothing */
    }
    return MR_H2_IO_TLS;
}

/* Clearing an empty queue costs as much as reading a record. */
static void forget_errors(void)
{
    if (ERR_peek_error() != 0) {
        ERR_clear_error();
    }
}

size_t mr_h2_io_gathered(const struct mr_h2_io *io)
{
    return io->out_length - io->out_at;
}

enum mr_h2_io_result mr_h2_io_write(struct mr_h2_io *io)
{
    if (io->out_length == 0) {
        (void)BIO_flush(SSL_get_wbio(io->ssl));
        drop_out(io);
        return MR_H2_IO_DONE;
    }
    /* Where it is full, the rest of a body mostly follows. */
    mr_tls_socket_hold(SSL_get_wbio(io->ssl), io->out_length == io->out_room);
    while (io->out_at < io->out_length) {
        forget_errors();
        errno = 0;
        const int n = SSL_write(io->ssl, io->out + io->out_at, (int)mr_h2_io_gathered(io));
        if (n <= 0) {
            const enum mr_h2_io_result result = why(io->ssl, n);
            return result == MR_H2_IO_DONE ? MR_H2_IO_WAIT : result;
        }
        io->out_at += (size_t)n;
        io->bytes_out += (uint64_t)n;
    }
    return MR_H2_IO_DONE;
}

enum mr_h2_io_result mr_h2_io_flush(struct mr_h2_io *io, size_t budget)
{
    for (size_t sent = 0; sent < budget;) {
        if (mr_h2_io_gather(io) != 0) {
            return MR_H2_IO_HTTP2;
        }
        const size_t more = mr_h2_io_gathered(io);
        const enum mr_h2_io_result result = mr_h2_io_write(io);
        if (result != MR_H2_IO_DONE || more == 0) {
            return result;
        }
        sent += more;
    }
    return MR_H2_IO_MORE;
}

/* One record, or a part of it, and whether more is there behind it: _MORE; else *length may be 0.
 */
static enum mr_h2_io_result read_record(struct mr_h2_io *io, uint8_t *buffer, size_t *length)
{
    forget_errors();
    errno = 0;
    const int n = SSL_read(io->ssl, buffer, MR_H2_READ_BYTES);
    *length = n > 0 ? (size_t)n : 0;
    if (n <= 0) {
        const enum mr_h2_io_result result = why(io->ssl, n);
        return result == MR_H2_IO_WAIT ? MR_H2_IO_DONE : result;
    }
    /* A record that is not full is the last for now, more often than not: asking the socket once
     * more would cost as much as the record. Where more has come, the owner is told of it. */
    return n < MR_H2_READ_BYTES && !SSL_has_pending(io->ssl) ? MR_H2_IO_DONE : MR_H2_IO_MORE;
}

void mr_h2_io_fetch(struct mr_h2_io *io, size_t room)
{
    enum mr_h2_io_result then = MR_H2_IO_MORE;
    io->in = malloc(room);
    while (io->in && then == MR_H2_IO_MORE && room - io->in_length >= MR_H2_READ_BYTES) {
        size_t length;
        then = read_record(io, io->in + io->in_length, &length);
        io->in_length += length;
    }
    io->in_then = then;
}

bool mr_h2_io_has_fetched(const struct mr_h2_io *io)
{
    return io->in;
}

/* What the session is fed next: of what was fetched, or a record. As read_record. */
static enum mr_h2_io_result next_piece(struct mr_h2_io *io, uint8_t *buffer, const uint8_t **piece,
                                       size_t *length)
{
    if (!io->in) {
        *piece = buffer;
        return read_record(io, buffer, length);
    }
    const size_t left = io->in_length - io->in_at;
    *piece = io->in + io->in_at;
    *length = left < MR_H2_READ_BYTES ? left : MR_H2_READ_BYTES;
    io->in_at += *length;
    return *length < left ? MR_H2_IO_MORE : io->in_then;
}

enum mr_h2_io_result mr_h2_io_read(struct mr_h2_io *io, uint8_t *buffer, size_t budget,
                                   int *http2_error)
{
    for (size_t got = 0; got < budget;) {
        const uint8_t *piece;
        size_t length;
        const enum mr_h2_io_result then = next_piece(io, buffer, &piece, &length);
        const ssize_t taken = length > 0 ? nghttp2_session_mem_recv(io->session, piece, length) : 0;
        if (io->in && io->in_at == io->in_length) {
            drop_in(io);
        }
        if (taken < 0) {
            *http2_error = (int)taken;
            return MR_H2_IO_HTTP2;
        }
        io->bytes_in += (uint64_t)length;
        got += length;
        if (then != MR_H2_IO_MORE) {
            return then;
        }
    }
    return MR_H2_IO_MORE;
}

bool mr_h2_io_over(const struct mr_h2_io *io)
{
    return io->out_at == io->out_length && io->frame_left == 0 &&
           !nghttp2_session_want_read(io->session) && !nghttp2_session_want_write(io->session);
}
