/* server_internal.h - the server's own structures, shared by its files:
 *
 *   queues.c           the server's lists of connections
 *   token_buckets.c    rates
 *   identity_quota.c   what one identity holds: its connections, the bodies of its requests
 *   route.c            the route table
 *   query.c            a request's query
 *   selection.c        preconditions and ranges
 *   answer_head.c      the fields of an answer
 *   request.c          the life of a request, what handlers call: looking at it, answering it
 *   request_body.c     a body while it comes in
 *   admission.c        from a request's headers to its handler
 *   stream.c           HTTP/2 streams: frames become requests
 *   away.c             connections whose TLS state a thread has for a moment
 *   sending.c          what a session says, as TLS records, by a thread where there is much of it
 *   reading.c          whether there is much to read, so that a thread does
 *   connection_life.c  a connection's state, and every way in which it ends
 *   keeping.c          which connections may stay: run out, superseded, too many at rest
 *   handshake.c        TLS handshakes
 *   progress.c         a connection's time limits
 *   connection.c       a connection's beginning, bytes in and out
 *   metrics.c          the counters as text
 *   server.c           opening, accepting, closing
 *
 * and tickets.c, which knows nothing of connections.
 * Calls go upwards in this list only.
 * Everything runs on the loop's thread, but for mr_handshake_shake, the work of away.c, and what
 * OpenSSL calls inside them, where the server has a pool. */
#ifndef MR_HTTP_SERVER_INTERNAL_H
#define MR_HTTP_SERVER_INTERNAL_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <nghttp2/nghttp2.h>

#include "appliance/http/token_buckets.h"
#include "appliance/http/server.h"
#include "appliance/runtime/pool.h"
#include "appliance/http/route.h"
#include "appliance/http/tickets.h"
#include "transport/h2_date.h"
#include "transport/h2_io.h"
#include "transport/tls.h"

#define MR_REQUEST_PATH_MAX   512
#define MR_REQUEST_METHOD_MAX 8
#define MR_REQUEST_TYPE_MAX   64
#define MR_REQUEST_TAGS_MAX   256
#define MR_REQUEST_RANGE_MAX  64
#define MR_HEADER_LIST_MAX    16384 /* RFC 9113 6.5.2: names, values and 32 bytes each */
/* Bytes that one connection may move before the others get their turn. */
#define MR_CONNECTION_TURN_BYTES ((size_t)256 * 1024)

/* --- identities ------------------------------------------------------------------------------ */

/* One that has a connection or a request. */
struct mr_identity_quota {
    LIST_ENTRY(mr_identity_quota) in_row;
    char name[MR_IDENTITY_URI_MAX];
    unsigned uses;                           /* connections and requests that point here */
    TAILQ_HEAD(, mr_connection) connections; /* through their handshake, the oldest first */
    unsigned connection_count;
    size_t bodies_bytes;
};
LIST_HEAD(mr_identity_quota_row, mr_identity_quota);

/* --- requests -------------------------------------------------------------------------------- */

enum mr_request_state {
    MR_REQUEST_RECEIVING, /* headers or body are coming */
    MR_REQUEST_HANDED,    /* the handler has it */
    MR_REQUEST_ANSWERING, /* answered; the answer is on its way */
    MR_REQUEST_STATES,
};

/* The bytes of an answer until the last is out. */
struct mr_answer {
    const uint8_t *body;
    size_t length, at;
    void *owned;         /* freed, or */
    mr_loop_fn released; /* called with released_context */
    void *released_context;
};

struct mr_request {
    LIST_ENTRY(mr_request) in_server;
    LIST_ENTRY(mr_request) in_connection;
    struct mr_server *server;         /* NULL once the server is closed */
    struct mr_connection *connection; /* NULL once the stream is gone */
    struct mr_identity_quota *quota;  /* NULL once the server is closed */
    int32_t stream;
    enum mr_request_state state;
    struct mr_identity identity;
    struct mr_serial serial;
    char peer_host[INET6_ADDRSTRLEN];

    char method[MR_REQUEST_METHOD_MAX];     /* "" where it was longer */
    char path[MR_REQUEST_PATH_MAX];         /* "" where it was longer */
    char content_type[MR_REQUEST_TYPE_MAX]; /* "" where it was not told or was longer */
    bool is_doubled_type, is_encoded; /* content-type stood twice; content-encoding was there */
    bool is_head;                     /* the answer goes without its body */
    /* "" where they were not told or were longer: then they are passed over. */
    char if_none_match[MR_REQUEST_TAGS_MAX], if_range[MR_REQUEST_TAGS_MAX];
    char range[MR_REQUEST_RANGE_MAX];
    uint32_t retry_after_ms; /* of a refusal; 0: none */
    size_t header_bytes;
    uint64_t content_length; /* UINT64_MAX: not told */
    bool whole;              /* the peer's side of the stream has ended */
    struct mr_route_match match;

    uint8_t *body;
    size_t body_length, body_room; /* body_room is counted: see mr_identity_quota_count */
    size_t moved_then;             /* bytes that had come at the last look at its progress */
    unsigned strikes;              /* looks in a row without progress */
    struct mr_answer answer;
    char *word, *answer_word; /* of another hub, and to it (transport/h2_message.h); NULL: none */
    bool has_time_left;       /* told with the answer */
    uint64_t time_left_ms;
    bool has_next_key; /* likewise */
    uint32_t next_key;
    char etag[MR_ETAG_MAX]; /* of the body that is answered, with its quotes; "": none */
    bool is_immutable;
};

/* --- connections ----------------------------------------------------------------------------- */

enum mr_connection_state {
    MR_CONNECTION_HANDSHAKE,
    MR_CONNECTION_OPEN,
    /* Over; waits a moment so that our last words are not cut off by a reset. */
    MR_CONNECTION_LINGER,
};

enum mr_handshake_failure {
    MR_HANDSHAKE_UNTRUSTED,
    MR_HANDSHAKE_EXPIRED,
    MR_HANDSHAKE_REVOKED,
    MR_HANDSHAKE_NO_LIST,
    MR_HANDSHAKE_REFUSED_BY_PEER, /* it does not take our certificate */
    MR_HANDSHAKE_NO_CERTIFICATE,
    MR_HANDSHAKE_NO_IDENTITY,
    MR_HANDSHAKE_PROTOCOL,
    MR_HANDSHAKE_TIMEOUT,
    MR_HANDSHAKE_CLOSED,
    MR_HANDSHAKE_PUSHED_OUT,
    MR_HANDSHAKE_FAILURES,
};

enum mr_end_cause {
    MR_END_PEER,     /* closed or reset by the peer */
    MR_END_IDLE,     /* no request for idle_timeout_ms */
    MR_END_STALLED,  /* a request or an answer made no progress */
    MR_END_PROTOCOL, /* not HTTP/2, or against its rules */
    MR_END_FLOOD,    /* resets, settings or pings without measure */
    MR_END_REVOKED,  /* its certificate was taken back */
    MR_END_CROWDED,  /* the oldest of an identity that has too many */
    MR_END_GAVE_WAY, /* a device's without requests, for a newcomer where all places were taken */
    MR_END_EXPIRED,  /* its certificate, or a CA above it, has run out */
    MR_END_REKEYED,  /* the device came with a newer certificate */
    MR_END_SURPLUS,  /* the one that rested the longest of more than kept_max */
    MR_ENDS,
};

/* What was closed or refused because there was too much of it. */
enum mr_limit {
    MR_LIMIT_SOURCE_CONNECTIONS,
    MR_LIMIT_SOURCE_REQUESTS,
    MR_LIMIT_IDENTITY_REQUESTS,
    MR_LIMITS,
};

/* How far a piece of a handshake got. */
enum mr_shake_result {
    MR_SHAKE_DONE,
    MR_SHAKE_READ, /* more is to come from the peer */
    MR_SHAKE_WRITE,
    MR_SHAKE_FAILED, /* peer.reason says why */
};

struct mr_shake {
    struct mr_pool_task
        task; /* while it is begun `ssl`, `peer` and the rest of this are a thread's */
    enum mr_shake_result result;
    enum mr_handshake_failure failure;
    bool is_under_way; /* our own part, which costs the most, is sent */
    /* The loop's. */
    bool is_abandoned;  /* closed while it was begun: freed when it is done */
    bool is_handed_on;  /* a piece is with the threads, whether one has begun it or not */
    uint64_t handed_ms; /* since when */
    uint64_t until_ms;  /* when the peer's time is over, of which that is no part */
};

enum mr_away_kind {
    MR_AWAY_WRITING, /* what is gathered */
    MR_AWAY_READING,
};

/* An open connection's TLS and socket, in a thread's hands. */
struct mr_away {
    struct mr_pool_task task; /* while it is not idle `ssl`, what `io` has gathered and what it
                                 fetches are a thread's */
    enum mr_away_kind kind;
    enum mr_h2_io_result result; /* of writing */
    /* The loop's. */
    bool is_away;    /* it was handed on, and is not back */
    unsigned pieces; /* written */
};

struct mr_connection {
    LIST_ENTRY(mr_connection) in_server;
    TAILQ_ENTRY(mr_connection) in_flush;
    TAILQ_ENTRY(mr_connection) in_unauthenticated;
    TAILQ_ENTRY(mr_connection) in_quota;
    TAILQ_ENTRY(mr_connection) in_yielding;
    struct mr_identity_quota *quota; /* NULL before its handshake is done, and once it is over */
    bool yields;
    bool rests; /* of those that yield: open, and without a request */
    /* Never came through a handshake: it goes on, or failed and the connection lingers. */
    bool is_unauthenticated;
    struct mr_server *server;
    enum mr_connection_state state;
    int fd;
    uint32_t events; /* what the loop watches for */
    SSL *ssl;
    struct mr_tls_peer peer;
    const char *exported_label; /* whose secret `exported` is; NULL: none was asked for yet */
    uint8_t exported[MR_CONNECTION_SECRET_BYTES];
    struct mr_shake shake;
    struct mr_away away;
    struct in6_addr source; /* what limits go by: an address, or the first half of an IPv6 one */
    char host[INET6_ADDRSTRLEN];
    uint16_t port;

    nghttp2_session *session;
    struct mr_h2_io io;
    bool pumping; /* inside its own event: it flushes by itself at the end */
    bool flush_queued;
    bool unread;         /* its turn ended before all was read */
    uint32_t calm;       /* frames that move nothing which it may still send */
    uint64_t calm_at_ms; /* when that was counted up */
    uint64_t window_updates;
    uint32_t goaway; /* the error code with which we ended it, or NGHTTP2_NO_ERROR */
    LIST_HEAD(, mr_request) requests;
    unsigned requests_in[MR_REQUEST_STATES];

    struct mr_timer *timer;
    uint64_t idle_since_ms;
    uint64_t ended_requests;         /* for progress */
    uint64_t bytes_then, ended_then; /* at the last look */
    unsigned strikes;                /* looks in a row where no answer got on */
    size_t lingered;                 /* bytes thrown away */
};

struct mr_server_counters {
    uint64_t accepted;
    uint64_t over_limit; /* accepted and closed at once */
    uint64_t limited[MR_LIMITS];
    uint64_t handshakes, resumed; /* the latter are of the former */
    uint64_t handshake_failures[MR_HANDSHAKE_FAILURES];
    uint64_t ends[MR_ENDS];
    uint64_t answers[6];   /* by the status's first digit */
    uint64_t answers_void; /* nobody was there any more */
};

struct mr_server {
    struct mr_loop *loop;
    struct mr_log *log;
    /* Its strings are the caller's and not looked at after opening. */
    struct mr_server_config config;
    const struct mr_route *routes;
    unsigned route_count;
    void *context;
    struct mr_tls *tls;
    struct mr_tickets *sessions; /* NULL: none are kept */
    struct mr_pool *pool;        /* shakes hands, moves bodies; NULL: the loop's thread does */
    unsigned away_count;         /* connections whose bytes are handed on to it */
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *options;
    int listen_fd;
    uint16_t port;
    struct mr_timer *accept_timer; /* resumes accepting after file descriptors ran out */
    struct mr_timer *flush_timer;

    LIST_HEAD(, mr_connection) connections;
    TAILQ_HEAD(, mr_connection) flush;
    unsigned connection_count;
    /* These have not come through their handshake: the oldest first. */
    TAILQ_HEAD(, mr_connection) unauthenticated;
    unsigned unauthenticated_count;
    /* Over, and those of yielding_roles without requests: the longest first. */
    TAILQ_HEAD(, mr_connection) yielding;
    unsigned resting_count;         /* of the latter */
    struct mr_timer *surplus_timer; /* more of them rest than may */
    struct mr_timer *recheck_timer; /* certificates run out while their connections are open */
    struct mr_identity_quota_row *quotas;
    uint64_t quota_salt;
    struct mr_buckets *buckets[MR_LIMITS]; /* by source or identity */
    LIST_HEAD(, mr_request) requests;
    unsigned request_count;
    unsigned requests_max;
    size_t bodies_bytes, trusted_bodies_bytes; /* each at most config.bodies_bytes_max */
    size_t identity_bodies_max;                /* of an identity that is not trusted */
    struct mr_server_counters counters;
    int64_t date_s; /* of the answers' `date` */
    char date[MR_H2_DATE_BYTES];
    uint8_t read_buffer[MR_H2_READ_BYTES];
};

/* queues.c */
void mr_queues_init(struct mr_server *server);
/* Something was submitted to its session: it is flushed soon, not inside the caller. */
void mr_queue_flush(struct mr_connection *connection);
void mr_queue_leave_flush(struct mr_connection *connection); /* also where it is not in */
void mr_queue_join_unauthenticated(struct mr_connection *connection);
void mr_queue_leave_unauthenticated(struct mr_connection *connection); /* also where it is not in */
/* Whether its role is one of yielding_roles. */
bool mr_queue_may_yield(const struct mr_connection *connection);
/* How long it may be without a request. */
uint64_t mr_queue_rest_ms(const struct mr_connection *connection);
/* For the order in which connections yield to newcomers: it has no request, has one, is over. */
void mr_queue_note_idle(struct mr_connection *connection);
void mr_queue_note_busy(struct mr_connection *connection);
void mr_queue_note_over(struct mr_connection *connection);

/* identity_quota.c */
bool mr_identity_is_trusted(const struct mr_server *server, const struct mr_identity *identity);
int mr_identity_quotas_open(struct mr_server *server, uint64_t salt); /* once the routes are set */
void mr_identity_quotas_close(struct mr_server *server);              /* after all that use them */
struct mr_identity_quota *mr_identity_quota_use(struct mr_identity_quota *quota);
void mr_identity_quota_release(struct mr_identity_quota *quota); /* NULL allowed */
/* The handshake is done: the connection is among its identity's. 0, or -1: out of memory. */
int mr_identity_quota_join(struct mr_connection *connection);
void mr_identity_quota_leave(struct mr_connection *connection); /* also where it never joined */
/* The oldest connection of the newest one's identity, where that has more than
 * identity_connections_max; else NULL. */
struct mr_connection *mr_identity_quota_surplus(const struct mr_connection *newest);
/* True if the request's body may grow by so much within its identity's bound, or the server's. */
bool mr_identity_quota_has_room(const struct mr_request *request, size_t more);
bool mr_identity_quota_server_has_room(const struct mr_request *request, size_t more);
/* Body bytes that came to be, or ceased to be, in memory: of the identity and of the server. */
void mr_identity_quota_count(struct mr_request *request, size_t more);
void mr_identity_quota_uncount(struct mr_request *request, size_t less);

/* answer_head.c */
/* Queues the answer's fields and, unless it has none, its body, which `read` gives. `whole`: the
 * length of the body of which request->answer may be a part. 0, or nghttp2's error. */
int mr_answer_submit(struct mr_request *request, int status, const char *content_type, size_t whole,
                     nghttp2_data_source_read_callback read);

/* request.c */
/* Another hub's word beside its question; of others, and without memory, it is as good as absent.
 */
void mr_request_keep_word(struct mr_request *request, const uint8_t *value, size_t length);
struct mr_request *mr_request_new(struct mr_connection *connection, int32_t stream);
void mr_request_move(struct mr_request *request, enum mr_request_state state);
/* The stream is gone: frees the request, unless its handler still has it. */
void mr_request_stream_gone(struct mr_request *request);

/* request_body.c */
/* True if the body may grow by so much, within its identity's bound and the server's. May refuse
 * bodies that come over older connections of the same identity. */
bool mr_request_make_room(struct mr_request *request, size_t more);
/* Adds to the body within the bounds. 0 or -1. */
int mr_request_append(struct mr_request *request, const uint8_t *data, size_t length);
/* A look at one that is still coming: true when it has stood still for `most` looks in a row, which
 * is to move less than `bytes` from one to the next. */
bool mr_request_stalls(struct mr_request *request, size_t bytes, unsigned most);

/* admission.c */
/* All headers are there: finds the route, or refuses at once what will never be handled. */
void mr_request_admit(struct mr_request *request);
/* The peer's side of the stream has ended: to the handler, unless it was refused. */
void mr_request_complete(struct mr_request *request);

/* stream.c: what sessions are made with. 0 or -1. */
int mr_stream_callbacks(nghttp2_session_callbacks **callbacks, nghttp2_option **options);
int mr_stream_settings(nghttp2_session *session, unsigned streams_max);

/* away.c */
void mr_away_init(struct mr_connection *connection, mr_loop_fn back);
/* The connection is open: what is gathered at a time. */
void mr_away_begin(struct mr_connection *connection);
/* One whose TLS state is the loop's: `back` is called when the thread is through with it. To read:
 * nothing may be fetched. */
void mr_away_hand_on(struct mr_connection *connection, enum mr_away_kind kind);
void mr_away_back(struct mr_connection *connection); /* `back` was called */
/* For whoever needs its TLS state now: waits where a thread is at it. It goes on soon. */
void mr_away_take_back(struct mr_connection *connection);

/* sending.c: sends what the session has to say, about a turn's bytes at most; or has a thread send
 * what is too much for the loop's (is_away). */
enum mr_h2_io_result mr_sending_flush(struct mr_connection *connection);

/* reading.c: whether so much of a body waits that a thread is to read it. */
bool mr_reading_is_much(const struct mr_connection *connection);

/* connection_life.c */
extern const char *const mr_end_names[MR_ENDS];
void mr_connection_watch(struct mr_connection *connection, uint32_t events);
void mr_connection_watch_handshake(struct mr_connection *connection,
                                   uint32_t events); /* one in it */
/* Between two looks at how it gets on. */
uint64_t mr_connection_half_idle_ms(const struct mr_server *server);
void mr_connection_opened(struct mr_connection *connection); /* it came through its handshake */
/* Takes its handshake back from the threads; false where one of them is at it just now. */
bool mr_connection_recall(struct mr_connection *connection);
/* At once, and without a word. Where a thread is at its handshake the memory goes when that is done
 * (mr_connection_shaken_late), and only that. */
void mr_connection_free(struct mr_connection *connection);
void mr_connection_shaken_late(struct mr_connection *connection);
/* The last words are said: waits for a moment until the peer has gone. May free it. */
void mr_connection_linger(struct mr_connection *connection);
void mr_connection_drain(struct mr_connection *connection); /* while it lingers; may free it */
/* Ends an open one; `code` goes into the GOAWAY. May free it. */
void mr_connection_end(struct mr_connection *connection, enum mr_end_cause why, uint32_t code);
/* Both sides have said GOAWAY, or one of them for good. May free it. */
void mr_connection_end_over(struct mr_connection *connection);
/* Its certificate was revoked: ends it where it is open. */
void mr_connection_revoke(struct mr_connection *connection);
/* Through its handshake, and its place is needed: ended for that reason, and freed at once. */
void mr_connection_give_way(struct mr_connection *connection, enum mr_end_cause why);

/* keeping.c */
int mr_keeping_open(struct mr_server *server); /* its timers. 0 or -1: out of memory */
void mr_keeping_close(struct mr_server *server);
/* Whether the peer's certificate, or a CA above it, has run out by now. */
bool mr_keeping_is_over(const struct mr_connection *connection);
/* A device came through its handshake: what is open under a certificate of the same name that was
 * issued before ends, and cannot be taken up again. */
void mr_keeping_supersede(const struct mr_connection *newest);

/* handshake.c */
extern const char *const mr_handshake_names[MR_HANDSHAKE_FAILURES];
/* One more piece of it; on any thread. Touches nothing but the connection's ssl, peer and shake,
 * and what of the server does not change while its pool runs. */
void mr_handshake_shake(void *connection);
/* What follows from that piece. True when the connection is open now; else it may be freed. */
bool mr_handshake_settle(struct mr_connection *connection);
/* Counted and logged; the connection lingers or is freed. */
void mr_handshake_fail(struct mr_connection *connection, enum mr_handshake_failure failure,
                       const char *detail);
/* Makes room for another: counted, and freed without a word. */
void mr_handshake_push_out(struct mr_connection *connection);

/* progress.c: a connection's timer; may free it */
void mr_progress_look(void *connection);

/* connection.c */
/* Owns fd from here on. `source` is what limits go by. NULL: out of memory, fd is the caller's. */
struct mr_connection *mr_connection_open(struct mr_server *server, int fd,
                                         const struct sockaddr_storage *peer,
                                         const struct in6_addr *source);
void mr_connection_flush_now(struct mr_connection *connection); /* may free it */

#endif
