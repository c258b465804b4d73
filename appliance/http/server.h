/* server.h - the control plane: HTTP/2 over TLS 1.3 with client certificates (nghttp2 + OpenSSL).
 *
 * Runs on the loop's thread, handshakes and the records of long bodies perhaps beside it. A request
 * reaches its handler whole: authenticated (certificate chains to our CA, not expired, one millrace
 * identity), routed, role-checked, body complete and within the route's bound. The handler answers
 * at once or keeps the request and answers later (long polls, work on other threads). */
#ifndef MR_HTTP_SERVER_H
#define MR_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/keys.h"
#include "appliance/observe/log.h"
#include "appliance/observe/metrics.h"
#include "appliance/runtime/loop.h"
#include "transport/revocation.h"
#include "transport/tls.h"
#include "base/error.h"
#include "wire/identity.h"
#include "wire/refusal.h"

struct mr_server;
struct mr_request; /* owned by the server until answered */

#define MR_ROLE_BIT(role)     (1u << (role))
#define MR_REQUEST_PARAMS_MAX 4

typedef void (*mr_handler_fn)(void *context, struct mr_request *request);

/* Body bytes that are worth a call of a row's `progress`. */
#define MR_ROUTE_PROGRESS_BYTES 1024

/* One row of the route table. `path` segments in braces match one segment each and become
 * parameters in order: "/v1/tasks/{task}/rounds/{round}". */
struct mr_route {
    const char *method;
    const char *path;
    uint32_t roles; /* MR_ROLE_BIT(…) | … */
    /* Members that its query may have, each once, a decimal number: "after wait_ms". NULL: none. */
    const char *query;
    const char *content_type; /* of its body, where there is one; NULL: any */
    size_t body_max;          /* larger: 413 body_too_large */
    mr_handler_fn handler;
    /* NULL, or told that more of the body has come, before the handler has the request: may look at
     * the request, but not answer or keep it. */
    mr_handler_fn progress;
};

/* What a server answers; the rows stay the caller's until it is closed. */
struct mr_route_table {
    const struct mr_route *rows;
    unsigned count;
    void *context; /* of every handler and progress */
};

struct mr_server_config {
    const char *listen_host; /* numeric address */
    uint16_t port;           /* 0 picks a free one (tests) */
    const char *ca_file;
    const char *certificate_file;
    const char *private_key_file;
    const char *revocation_file; /* NULL or "": none */
    /* Sets of MR_ROLE_BIT. The trusted are few and others depend on them: no limit of identities,
     * requests or rates holds for them, and their bodies have a room of their own. */
    uint32_t trusted_roles;
    /* Where all connections are taken, those of these roles may be closed for a newcomer. */
    uint32_t yielding_roles;
    /* Beyond: the oldest in its handshake is closed. Where none is in one: the connection of
     * yielding_roles that was idle for the longest time, or else the newcomer. */
    unsigned connections_max;
    /* Of one identity that is not trusted; beyond: its oldest is closed. 0: no limit. */
    unsigned identity_connections_max;
    unsigned streams_max; /* per connection */
    /* All buffered request bodies together, those of the trusted apart from the others'; beyond:
     * 503 busy. An identity that is not trusted has room for the largest body that it may send and
     * a message; beyond: 503 busy. */
    size_t bodies_bytes_max;
    unsigned handshake_timeout_ms;
    unsigned idle_timeout_ms; /* a connection without open requests */
    /* Those of yielding_roles rest for so long between requests; 0: idle_timeout_ms, as all. */
    unsigned keep_ms;
    /* So many of them may rest at once; beyond: the one that has rested the longest is closed. 0:
     * no limit but connections_max. */
    unsigned kept_max;
    /* Memory for sessions that those of yielding_roles may take up again; 0: every connection
     * shakes hands in full. */
    size_t sessions_bytes_max;
    /* The wall clock in seconds since 1970, by which certificates end; NULL: the system's. */
    int64_t (*unix_s)(void);
    unsigned handshakes_max; /* not through with it at once; beyond: the oldest is closed */
    /* Beside the loop's, which shake hands and encrypt and decrypt long bodies; 0: the loop's
     * thread does. One that is closed while such a thread works on its handshake keeps its memory
     * until the thread has finished that piece: as many as there are threads, which the limits
     * above do not count. Nor do they what such threads have in their hands of open connections,
     * 128 KiB of each at most. */
    unsigned handshake_threads;
    /* A second, ten seconds' worth at once; 0: no limit. Beyond: connections are closed at once,
     * requests are refused as rate_limited. Requests of the trusted are not counted. */
    uint32_t source_connections_rate;
    uint32_t source_requests_rate;
    uint32_t identity_requests_rate;
};

/* Listens at once; requests come when the loop runs. The config and the table are copied, what they
 * point at stays; the log may be NULL. 0, or -1 with an error that names the config's key. */
int mr_server_open(struct mr_server **server, struct mr_loop *loop,
                   const struct mr_server_config *config, const struct mr_route_table *routes,
                   struct mr_log *log, struct mr_error *error);
/* Not inside a handler. Requests not answered yet must still be answered, into the void. */
void mr_server_close(struct mr_server *server);
/* Reads the revocation file again and ends the connections of those it names. On failure the old
 * list holds. */
int mr_server_reload_revocations(struct mr_server *server, struct mr_error *error);
/* New handshakes go by these files from now on, and connections of certificates that their list
 * names end; the others go on. Takes `fresh` over (transport/tls.h: the server's side, never used).
 */
void mr_server_renew(struct mr_server *server, struct mr_tls *fresh);
const struct mr_revocations *mr_server_revocations(const struct mr_server *server);
/* When something of its files runs out, as mr_tls_ends. */
int64_t mr_server_ends(const struct mr_server *server, enum mr_tls_term term);
uint16_t mr_server_port(const struct mr_server *server);
void mr_server_metrics(const struct mr_server *server, struct mr_metrics *metrics);

/* --- inside a handler, or later until answered ---------------------------------------------- */
const struct mr_identity *mr_request_identity(const struct mr_request *request);
/* The serial of its certificate. */
const struct mr_serial *mr_request_serial(const struct mr_request *request);
/* Parameter i of the path (NUL-terminated), or "" . */
const char *mr_request_param(const struct mr_request *request, unsigned i);
/* Value of a member of the query that the row names, or `otherwise` where it is absent. */
uint64_t mr_request_query(const struct mr_request *request, const char *name, uint64_t otherwise);
const uint8_t *mr_request_body(const struct mr_request *request, size_t *length);
/* The peer's numeric address. */
const char *mr_request_peer_host(const struct mr_request *request);
/* What the TLS exporter of the request's connection gives for a label: the same for all of its
 * requests. `label` outlives the connection. 0, or -1 if the connection is gone. */
int mr_request_export(const struct mr_request *request, const char *label,
                      uint8_t secret[MR_CONNECTION_SECRET_BYTES]);

/* What another hub says beside its question (transport/h2_message.h, MR_H2_WORD); "": nothing. */
const char *mr_request_word(const struct mr_request *request);
/* Before the answer to another hub: what is said beside it; copied. */
void mr_request_answer_word(struct mr_request *request, const char *word);
/* Before the answer: it says how much time is left (transport/h2_message.h). */
void mr_request_time_left(struct mr_request *request, uint64_t time_left_ms);
/* Before the answer: it says which statement of next keys is the newest (likewise). */
void mr_request_next_key(struct mr_request *request, uint32_t number);

#define MR_ETAG_MAX 80 /* with quotes and NUL */
/* Before an answer of 200 to a GET: `tag` (characters of base64url and '.', without quotes) names
 * these bytes and no others. The answer then has `etag` and is 304, 206 or 416 where the request
 * asks for that (RFC 9110). `immutable`: what the path names never changes, so caches need not ask
 * again. */
void mr_request_validator(struct mr_request *request, const char *tag, bool immutable);

/* Answers; copies the body (or, for _owned, takes the malloc'd one). After it the request is gone.
 * A request whose connection died in the meantime is answered into the void: always answer exactly
 * once. `content_type` NULL for no body. */
void mr_request_answer(struct mr_request *request, int status, const char *content_type,
                       const void *body, size_t length);
void mr_request_answer_owned(struct mr_request *request, int status, const char *content_type,
                             void *body, size_t length);
/* A file's bytes: for models. The caller keeps `body` alive until released(context) is called. */
void mr_request_answer_borrowed(struct mr_request *request, int status, const char *content_type,
                                const void *body, size_t length, mr_loop_fn released,
                                void *context);
/* A refusal in the body format of wire/messages.h, with the status that goes with its code. */
void mr_request_refuse(struct mr_request *request, enum mr_refusal_code code,
                       uint32_t retry_after_ms, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
