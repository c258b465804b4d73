/* tls_session.h - taking up a former connection's session: TLS 1.3's PSK with a fresh X25519
 * (psk_dhe_ke), never early data.
 *
 * The hub keeps what it needs for that (a ticket is the name of an entry of its own cache, good for
 * one use), the device its half, in memory only. Neither side sees a certificate then, so each
 * remembers whom the first handshake authenticated and asks again whether that still holds.
 * docs/decisions/0059. */
#ifndef MR_TRANSPORT_TLS_SESSION_H
#define MR_TRANSPORT_TLS_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "transport/tls.h"

/* Since its chain was verified in a full handshake a session is taken up for so long at most. */
#define MR_TLS_SESSION_MAX_S 86400

/* --- a server's ------------------------------------------------------------------------------ */

/* Where a server keeps sessions. */
struct mr_tls_sessions {
    void *context;
    /* A connection of that peer may be taken up by who has this session. */
    void (*keep)(void *context, const struct mr_tls_peer *peer, SSL_SESSION *session);
    /* The session of that name, for the last time, a reference of the caller's; and whose it is,
     * into *peer. NULL: there is none, or it does not hold any more: a full handshake follows. */
    SSL_SESSION *(*take)(void *context, struct mr_tls_peer *peer, const uint8_t *id, size_t bytes);
};
/* From the next handshake on. The struct stays the caller's, until the tls is closed. */
void mr_tls_sessions_set(struct mr_tls *tls, const struct mr_tls_sessions *sessions);

/* Makes it one of such a server's. 0 or -1. */
int mr_tls_session_scope(SSL_SESSION *session);

/* --- a client's ------------------------------------------------------------------------------ */

/* Before the handshake: the peer's ticket, if it is one that this tls, with its certificate, its
 * CAs and its lists, would get now as well. It is gone from *peer->ticket then, whatever comes of
 * it. */
void mr_tls_ticket_offer(const struct mr_tls *tls, SSL *ssl);
/* OpenSSL's callback of a client's context. */
int mr_tls_ticket_keep(SSL *ssl, SSL_SESSION *session);
void mr_tls_ticket_free(struct mr_tls_ticket *ticket); /* NULL allowed */

#endif
