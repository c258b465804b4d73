/* tls_session.c - a server's side: OpenSSL asks, whoever keeps the sessions answers. */
#include "transport/tls_session.h"

#include "transport/tls_internal.h"

/* Sessions of another program, or of one that verifies otherwise, are not taken up. */
static const uint8_t scope[] = "millrace-1";

static const struct mr_tls_sessions *sessions_of(const SSL *ssl)
{
    const struct mr_tls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    return tls->sessions;
}

static int keep(SSL *ssl, SSL_SESSION *session)
{
    const struct mr_tls_sessions *sessions = sessions_of(ssl);
    sessions->keep(sessions->context, SSL_get_app_data(ssl), session);
    return 0; /* its reference is not needed */
}

static SSL_SESSION *take(SSL *ssl, const unsigned char *id, int bytes, int *is_shared)
{
    const struct mr_tls_sessions *sessions = sessions_of(ssl);
    *is_shared = 0;
    return sessions->take(sessions->context, SSL_get_app_data(ssl), id, (size_t)bytes);
}

int mr_tls_session_scope(SSL_SESSION *session)
{
    return SSL_SESSION_set1_id_context(session, scope, sizeof scope - 1) == 1 ? 0 : -1;
}

/* Without "tickets" in OpenSSL's sense a ticket is a name of 32 random bytes. */
void mr_tls_sessions_set(struct mr_tls *tls, const struct mr_tls_sessions *sessions)
{
    tls->sessions = sessions;
    SSL_CTX_set_session_id_context(tls->context, scope, sizeof scope - 1);
    SSL_CTX_set_session_cache_mode(tls->context,
                                   SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(tls->context, keep);
    SSL_CTX_sess_set_get_cb(tls->context, take);
    SSL_CTX_set_timeout(tls->context, MR_TLS_SESSION_MAX_S);
    SSL_CTX_set_num_tickets(tls->context, 1);
}
