/* tls_ticket.c - a client's side: one ticket a server, for one connection. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "transport/certificate.h"
#include "transport/tls_internal.h"
#include "transport/tls_session.h"

#define STAND_BYTES 32

struct mr_tls_ticket {
    SSL_SESSION *session;
    struct mr_tls_peer peer;    /* whom the full handshake has found there */
    uint8_t stand[STAND_BYTES]; /* what it was made with: our certificate and the CAs */
};

/* 0 or -1. */
static int stand_of(uint8_t stand[STAND_BYTES], const struct mr_tls *tls)
{
    uint8_t part[STAND_BYTES];
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    bool good =
        hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1 &&
        X509_digest(SSL_CTX_get0_certificate(tls->context), EVP_sha256(), part, NULL) == 1 &&
        EVP_DigestUpdate(hash, part, sizeof part) == 1;
    for (int i = 0; good && i < sk_X509_num(tls->cas); i++) {
        good = X509_digest(sk_X509_value(tls->cas, i), EVP_sha256(), part, NULL) == 1 &&
               EVP_DigestUpdate(hash, part, sizeof part) == 1;
    }
    good = good && EVP_DigestFinal_ex(hash, stand, NULL) == 1;
    EVP_MD_CTX_free(hash);
    return good ? 0 : -1;
}

void mr_tls_ticket_free(struct mr_tls_ticket *ticket)
{
    if (ticket) {
        SSL_SESSION_free(ticket->session);
        free(ticket);
    }
}

/* Whether the server's certificate and ours are still what the full handshake has gone by. */
static bool holds(const struct mr_tls_ticket *ticket, const struct mr_tls *tls,
                  const struct mr_tls_peer *peer)
{
    uint8_t stand[STAND_BYTES];
    const int64_t now_s = (int64_t)time(NULL);
    const struct mr_tls_peer *then = &ticket->peer;
    return stand_of(stand, tls) == 0 && memcmp(stand, ticket->stand, sizeof stand) == 0 &&
           then->expected_hub == peer->expected_hub && now_s <= then->ends_s &&
           now_s >= then->verified_s && now_s - then->verified_s <= MR_TLS_SESSION_MAX_S &&
           !(tls->revocations && mr_revocations_has(tls->revocations, &then->serial));
}

void mr_tls_ticket_offer(const struct mr_tls *tls, SSL *ssl)
{
    struct mr_tls_peer *peer = SSL_get_app_data(ssl);
    struct mr_tls_ticket *ticket = peer->ticket ? *peer->ticket : NULL;
    if (!ticket) {
        return;
    }
    *peer->ticket = NULL;
    if (holds(ticket, tls, peer) && SSL_set_session(ssl, ticket->session) == 1) {
        struct mr_tls_ticket **place = peer->ticket;
        *peer = ticket->peer; /* verifying overwrites it, where the server wants that */
        peer->ticket = place;
    }
    mr_tls_ticket_free(ticket);
}

int mr_tls_ticket_keep(SSL *ssl, SSL_SESSION *session)
{
    const struct mr_tls_peer *peer = SSL_get_app_data(ssl);
    const struct mr_tls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    struct mr_tls_ticket *ticket = peer->ticket ? calloc(1, sizeof *ticket) : NULL;
    if (!ticket || stand_of(ticket->stand, tls) != 0) {
        free(ticket);
        return 0;
    }
    /* A copy: OpenSSL spoils the session of a connection that is lost, which is when it is wanted.
     */
    ticket->session = SSL_SESSION_dup(session);
    ticket->peer = *peer;
    if (!ticket->session) {
        mr_tls_ticket_free(ticket);
        return 0;
    }
    mr_tls_ticket_free(*peer->ticket); /* the newest is the one to use */
    *peer->ticket = ticket;
    return 0; /* the original's reference is OpenSSL's */
}
