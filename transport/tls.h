/* tls.h - TLS 1.3 with certificates at both ends; the same rules for the hub's server and for every
 * client: nothing older, ALPN h2, no early data, and a peer that has exactly one millrace identity
 * in a certificate of our CA.
 *
 * A connection may take up a former one's session (tls_session.h): without certificates, with a
 * fresh key exchange, and so with an exporter of its own, from which upload keys come.
 *
 * Sockets are written with MSG_NOSIGNAL: no SIGPIPE in whoever uses this. */
#ifndef MR_TRANSPORT_TLS_H
#define MR_TRANSPORT_TLS_H

#include <stdint.h>

#include <openssl/ssl.h>

#include "transport/revocation.h"
#include "base/error.h"
#include "wire/identity.h"
#include "wire/keys.h"

struct mr_tls;

enum mr_tls_side {
    MR_TLS_SERVER,
    MR_TLS_CLIENT,
};

struct mr_tls_files {
    const char *ca_file;          /* roots, and issuing CAs that peers need not send then */
    const char *certificate_file; /* our own, then the CAs between it and the root */
    const char *private_key_file; /* refused when anybody but its owner may read it */
    const char *revocation_file;  /* NULL or "": none. Else each CA must have a list in it */
};

/* 0, or -1 with an error that names the file and the remedy. */
int mr_tls_open(struct mr_tls **tls, enum mr_tls_side side, const struct mr_tls_files *files,
                struct mr_error *error);
/* Reads the revocation file again; handshakes go by it from now on. On failure, and where a list is
 * older than the one that is there, the old ones hold. They are for counting and asking, until the
 * next reload. */
int mr_tls_reload(struct mr_tls *tls, struct mr_error *error);
const struct mr_revocations *mr_tls_revocations(const struct mr_tls *tls); /* NULL: none */
/* From the next handshake on the files of `fresh` count, of the same side and never used for a
 * connection; connections that are there go on. `fresh` is gone afterwards. */
void mr_tls_renew(struct mr_tls *tls, struct mr_tls *fresh);

/* What runs out, the earliest of its kind. */
enum mr_tls_term {
    MR_TLS_TERM_OWN,   /* our certificate */
    MR_TLS_TERM_CA,    /* a CA above it, the root included */
    MR_TLS_TERM_LISTS, /* a revocation list */
    MR_TLS_TERMS,
};
extern const char *const mr_tls_term_names[MR_TLS_TERMS]; /* "own", "ca", "revocation_list" */
/* When, in seconds since 1970; INT64_MAX: never, or there is none. */
int64_t mr_tls_ends(const struct mr_tls *tls, enum mr_tls_term term);
void mr_tls_close(struct mr_tls *tls); /* NULL allowed; its connections must be freed before */

/* Why we do not take the peer's certificate. */
enum mr_tls_refusal {
    MR_TLS_ACCEPTED = 0,
    MR_TLS_UNTRUSTED,   /* not of our CA */
    MR_TLS_WRONG_USE,   /* not issued for what it is shown for */
    MR_TLS_EXPIRED,     /* or not valid yet */
    MR_TLS_NO_IDENTITY, /* none, two, or a malformed one */
    MR_TLS_WRONG_HUB,   /* another hub than expected, or no hub */
    MR_TLS_REVOKED,     /* it, or a CA above it, was taken back */
    MR_TLS_NO_LIST,     /* there are revocation lists, but none (that is good) of its CA */
};

struct mr_tls_ticket; /* tls_session.h */

#define MR_TLS_ANY_PEER   (-1)
#define MR_TLS_REASON_MAX 256

/* What the handshake finds out of the peer. Belongs to the connection's owner and outlives the SSL.
 */
struct mr_tls_peer {
    int expected_hub;              /* in: the hub it has to be, or MR_TLS_ANY_PEER */
    struct mr_tls_ticket **ticket; /* in, of a client: where its session is kept; NULL: nowhere */
    struct mr_identity identity;
    struct mr_serial serial; /* of its certificate */
    /* Seconds since 1970: from when on its certificate holds, and when the first of it and the CAs
     * above it runs out. */
    int64_t begins_s, ends_s;
    int64_t verified_s; /* when its chain was verified: at this handshake, or where it is resumed */
    enum mr_tls_refusal refusal;
    char reason[MR_TLS_REASON_MAX]; /* of the refusal, in words: printable ASCII */
};

/* A connection over a non-blocking socket, which stays the caller's. NULL: out of memory. */
SSL *mr_tls_connection(struct mr_tls *tls, int fd, struct mr_tls_peer *peer);

/* True when "h2" was agreed upon. */
int mr_tls_speaks_h2(const SSL *ssl);

/* RFC 8446, 7.5, with no context: of one label always the same. 0 or -1. */
int mr_tls_export(SSL *ssl, const char *label, uint8_t secret[MR_CONNECTION_SECRET_BYTES]);

/* What the peer's alert says of our certificate, in words for its owner; NULL when the last error
 * of this thread's queue is no such alert. */
const char *mr_tls_refused_by_peer(void);
/* The last error of this thread's queue in OpenSSL's words, or `otherwise`. */
const char *mr_tls_reason(const char *otherwise);

#endif
