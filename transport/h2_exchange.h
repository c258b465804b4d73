/* h2_exchange.h - one request and its answer on a client's HTTP/2 session, which may have several
 * at once, each on a stream of its own. No I/O of its own: h2_io.h moves the bytes. */
#ifndef MR_TRANSPORT_H2_EXCHANGE_H
#define MR_TRANSPORT_H2_EXCHANGE_H

#include <stddef.h>
#include <stdint.h>

#include <nghttp2/nghttp2.h>

#include "transport/h2_message.h"

enum mr_h2_exchange_state {
    MR_H2_EXCHANGE_NONE = 0,
    MR_H2_EXCHANGE_OPEN,
    MR_H2_EXCHANGE_ANSWERED, /* whole */
    MR_H2_EXCHANGE_FAILED,   /* `reason` says why */
};

struct mr_h2_exchange {
    enum mr_h2_exchange_state state;
    const char *reason; /* static */
    int32_t stream;
    const uint8_t *body; /* of the request */
    size_t body_left;
    size_t answer_max;
    struct mr_h2_response answer;
};

/* A session whose callbacks fill the exchanges that are begun on it. 0 or -1. */
int mr_h2_exchange_session(nghttp2_session **session);
/* Queues the request to the server that `authority` (host:port) names; its time limits are the
 * caller's to keep. The exchange must stay where it is, and its request's body too, until it has
 * ended or is abandoned. 0, or -1 where the session takes none (it is ending, or memory is out). */
int mr_h2_exchange_begin(nghttp2_session *session, struct mr_h2_exchange *exchange,
                         const char *authority, const struct mr_h2_request *request);
/* Nobody waits for it any more: it may go, and the session goes on without it. */
void mr_h2_exchange_abandon(nghttp2_session *session, struct mr_h2_exchange *exchange);
/* Hands the answer over to the caller. */
void mr_h2_exchange_take(struct mr_h2_exchange *exchange, struct mr_h2_response *response);
void mr_h2_exchange_fini(struct mr_h2_exchange *exchange);

#endif
