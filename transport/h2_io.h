/* h2_io.h - moves bytes between an HTTP/2 session and its TLS connection, both ends alike, without
 * ever waiting. */
#ifndef MR_TRANSPORT_H2_IO_H
#define MR_TRANSPORT_H2_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nghttp2/nghttp2.h>
#include <openssl/ssl.h>

#define MR_H2_READ_BYTES 16384 /* the largest TLS record: after a read none is left behind */

enum mr_h2_io_result {
    MR_H2_IO_DONE, /* flush: all is out. read: TLS has nothing more; the socket says when it has */
    /* The budget is used up: come back. After a read, of itself: what is left may be inside TLS, of
     * which the socket says nothing. */
    MR_H2_IO_MORE,
    MR_H2_IO_WAIT,   /* flush: the socket takes no more now */
    MR_H2_IO_CLOSED, /* the peer closed the connection */
    MR_H2_IO_TLS,    /* TLS failed: see OpenSSL's error queue; empty: the socket's errno */
    MR_H2_IO_HTTP2,  /* the peer does not speak HTTP/2, floods, or memory is out: `http2_error` */
};

struct mr_h2_io {
    SSL *ssl;                 /* the owner's */
    nghttp2_session *session; /* the owner's */
    uint8_t *out;             /* frames on their way; there only while some are */
    size_t out_length, out_at;
    size_t out_room;      /* what is gathered at most; the owner may change it before the first */
    const uint8_t *frame; /* the rest of a frame that nghttp2 still owns */
    size_t frame_left;
    uint8_t *in; /* what was fetched; there only until the session has it */
    size_t in_length, in_at;
    enum mr_h2_io_result in_then; /* what reading on would say */
    uint64_t bytes_in, bytes_out; /* plaintext, of the session, since the beginning */
};

void mr_h2_io_init(struct mr_h2_io *io, SSL *ssl, nghttp2_session *session);
void mr_h2_io_fini(struct mr_h2_io *io); /* wipes what was on its way */

/* Sends what the session has to say, about `budget` bytes at most. */
enum mr_h2_io_result mr_h2_io_flush(struct mr_h2_io *io, size_t budget);
/* A flush in two steps, so that another thread may take the second: it touches `ssl` and what was
 * gathered, and nothing of the session. Gathers what the session has to say; nothing while some of
 * it is not written. 0 or -1, as MR_H2_IO_HTTP2. */
int mr_h2_io_gather(struct mr_h2_io *io);
/* Bytes that are gathered and not written. */
size_t mr_h2_io_gathered(const struct mr_h2_io *io);
/* Writes them: _DONE, _WAIT, _CLOSED or _TLS. */
enum mr_h2_io_result mr_h2_io_write(struct mr_h2_io *io);
/* Feeds the session what came, about `budget` bytes at most; buffer[MR_H2_READ_BYTES] is wiped. */
enum mr_h2_io_result mr_h2_io_read(struct mr_h2_io *io, uint8_t *buffer, size_t budget,
                                   int *http2_error);
/* A read in two steps, so that another thread may take the first: it touches `ssl` and what is
 * fetched, and nothing of the session. Fetches `room` bytes at most; only where nothing is fetched.
 * The next reads feed the session these, and say what fetching found behind them. Where memory is
 * out nothing is fetched, and they read by themselves. */
void mr_h2_io_fetch(struct mr_h2_io *io, size_t room);
/* Whether something is fetched that no read has told of. */
bool mr_h2_io_has_fetched(const struct mr_h2_io *io);
/* True when neither side has anything more to say (after GOAWAY). */
bool mr_h2_io_over(const struct mr_h2_io *io);

#endif
