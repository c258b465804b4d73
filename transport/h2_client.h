/* h2_client.h - a small blocking HTTP/2 client over TLS 1.3 with a client certificate.
 *
 * Used by devices towards hubs, by hubs towards each other (each from a thread of its own), and by
 * the ops command. One connection. Several threads may ask over it at once, each one question at a
 * time, which takes a stream of its own: an answer that is long in coming keeps no other back.
 * Checks that the server's certificate chains to the CA and names the expected hub
 * (urn:millrace:hub:<index>). */
#ifndef MR_TRANSPORT_H2_CLIENT_H
#define MR_TRANSPORT_H2_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "transport/h2_message.h"
#include "wire/keys.h"

struct mr_h2_client;
struct mr_tls_ticket; /* tls_session.h */

struct mr_h2_endpoint {
    const char *host; /* name or numeric address */
    uint16_t port;
    uint16_t hub_index; /* expected identity of the server */
    const char *ca_file;
    const char *certificate_file;
    const char *private_key_file;
    const char *revocation_file; /* NULL or "": none */
    /* Where this client's session with that hub is kept for its next connection, by the client
     * itself; NULL: nowhere. The content is the caller's to free, and must stay until _close. */
    struct mr_tls_ticket **ticket;
    int wake_fd; /* > 0: as soon as it can be read from, waits end with MR_H2_BROKEN */
    /* For who keeps connections, as long as they rest; the client itself does not look at it. */
    unsigned keep_ms;
};

/* How a request failed below HTTP. */
enum mr_h2_failure {
    MR_H2_OK = 0,
    MR_H2_UNREACHABLE = -1, /* no TCP connection */
    MR_H2_REFUSED = -2,     /* TLS: they do not accept our certificate, or we not theirs */
    MR_H2_TIMEOUT = -3,
    MR_H2_BROKEN = -4, /* connection lost, protocol error, body above the bound */
};

/* Connects and shakes hands. With TLS 1.3 a server's refusal of our certificate shows only on the
 * first read: a request then returns MR_H2_REFUSED. Returns enum mr_h2_failure. */
int mr_h2_client_open(struct mr_h2_client **client, const struct mr_h2_endpoint *endpoint,
                      unsigned timeout_ms, struct mr_error *error);
/* NULL allowed. No other thread is in a call of it any more. */
void mr_h2_client_close(struct mr_h2_client *client);

/* Bytes, of either direction and as the network sees them, that a request must move in a timeout to
 * be given another (request->whole_ms). */
#define MR_H2_PROGRESS_BYTES 4096

/* One request, to its whole answer. Blocks; any thread. Returns enum mr_h2_failure: after MR_H2_OK
 * the response (of any status) is owed a mr_h2_response_fini; after a failure it is zero, and for
 * this thread only _close or _retire is of use. A request that failed by itself (too late, woken,
 * reset by the server) leaves the others that are under way alone; where the connection is lost,
 * all fail. */
int mr_h2_client_request(struct mr_h2_client *client, const struct mr_h2_request *request,
                         struct mr_h2_response *response, struct mr_error *error);

/* Takes no further requests (they fail as MR_H2_BROKEN), nor a ticket; those under way go on. Any
 * thread. */
void mr_h2_client_retire(struct mr_h2_client *client);

/* So many requests at once does the server take; what it said last. Any thread. */
unsigned mr_h2_client_streams_max(struct mr_h2_client *client);

/* The numeric address of the other end; at least 64 bytes of room. 0 or -1. */
int mr_h2_client_peer(const struct mr_h2_client *client, char *host, size_t room);

/* TLS exporter of this connection, also once it is lost or retired. Any thread. 0 or -1. */
int mr_h2_client_export(struct mr_h2_client *client, const char *label,
                        uint8_t secret[MR_CONNECTION_SECRET_BYTES]);

#endif
