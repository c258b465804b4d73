#include "transport/tls.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "transport/certificate.h"
#include "transport/tls_internal.h"
#include "transport/tls_session.h"
#include "transport/tls_socket.h"

/* CAs between a certificate and the root: those that its mr_serial has room for. */
#define CHAIN_DEPTH_MAX MR_SERIAL_ABOVE

/* Of a client: a delta or a model comes in hundreds of records. A server reads one at a time. */
#define READ_AHEAD_BYTES ((size_t)128 * 1024)

/* 128 bits of strength or more, forward secret; no RSA key exchange or PKCS #1 v1.5, no SHA-1. */
static const char cipher_suites[] =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
static const char groups[] = "X25519:P-256:P-384";
static const char signature_algorithms[] =
    "ed25519:ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:rsa_pss_rsae_sha256:rsa_pss_pss_sha256";
static const uint8_t alpn_h2[] = {2, 'h', '2'};

/* --- contexts and connections ---------------------------------------------------------------- */

static int no_passphrase(char *buffer, int size, int writing, void *context)
{
    (void)buffer, (void)size, (void)writing, (void)context;
    return 0; /* never ask on a terminal */
}

static int choose_h2(SSL *ssl, const unsigned char **chosen, unsigned char *chosen_length,
                     const unsigned char *offered, unsigned offered_length, void *context)
{
    (void)ssl, (void)context;
    unsigned char *found;
    if (SSL_select_next_proto(&found, chosen_length, alpn_h2, sizeof alpn_h2, offered,
                              offered_length) != OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *chosen = found;
    return SSL_TLSEXT_ERR_OK;
}

static int set_rules(struct mr_tls *tls)
{
    SSL_CTX *context = tls->context;
    SSL_CTX_set_app_data(context, tls);
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_session_cache_mode(context, tls->side == MR_TLS_CLIENT
                                                ? SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL
                                                : SSL_SESS_CACHE_OFF);
    /* A record's head and body with one call, and many small ones. Whoever reads does so until
     * nothing is left inside before it waits for the socket (h2_io.h). */
    SSL_CTX_set_read_ahead(context, 1);
    if (tls->side == MR_TLS_CLIENT) {
        SSL_CTX_sess_set_new_cb(context, mr_tls_ticket_keep);
        SSL_CTX_set_default_read_buffer_len(context, READ_AHEAD_BYTES);
    }
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_default_passwd_cb(context, no_passphrase);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, mr_tls_verify);
    SSL_CTX_set_verify_depth(context, CHAIN_DEPTH_MAX);
    SSL_CTX_set_alpn_select_cb(context, choose_h2, NULL);
    return SSL_CTX_set_num_tickets(context, 0) == 1 &&
                   SSL_CTX_set_max_early_data(context, 0) == 1 &&
                   SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1 &&
                   SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1 &&
                   SSL_CTX_set_ciphersuites(context, cipher_suites) == 1 &&
                   SSL_CTX_set1_groups_list(context, groups) == 1 &&
                   SSL_CTX_set1_sigalgs_list(context, signature_algorithms) == 1 &&
                   SSL_CTX_set_alpn_protos(context, alpn_h2, sizeof alpn_h2) == 0
               ? 0
               : -1;
}

int mr_tls_open(struct mr_tls **out, enum mr_tls_side side, const struct mr_tls_files *files,
                struct mr_error *error)
{
    int status = -1;
    struct mr_tls *tls = calloc(1, sizeof *tls);
    if (!tls) {
        return mr_error_set(error, "TLS: out of memory");
    }
    ERR_clear_error();
    tls->side = side;
    tls->sockets = mr_tls_socket_method();
    tls->context = SSL_CTX_new(side == MR_TLS_SERVER ? TLS_server_method() : TLS_client_method());
    if (!tls->sockets || !tls->context || set_rules(tls) != 0) {
        mr_error_set(error, "TLS: %s", mr_tls_reason("out of memory"));
    } else {
        status = mr_tls_load_files(tls, files, error);
    }
    ERR_clear_error();
    if (status != 0) {
        mr_tls_close(tls);
        return -1;
    }
    *out = tls;
    return 0;
}

/* Connections hold the context that they began with, whose rules are asked of the same `tls`. */
void mr_tls_renew(struct mr_tls *tls, struct mr_tls *fresh)
{
    const struct mr_tls old = *tls;
    *tls = *fresh;
    tls->sockets = old.sockets; /* connections that are there hold it */
    SSL_CTX_set_app_data(tls->context, tls);
    BIO_METHOD *sockets = fresh->sockets;
    *fresh = old;
    fresh->sockets = sockets;
    mr_tls_close(fresh);
    if (old.sessions) {
        mr_tls_sessions_set(tls, old.sessions);
    }
}

/* --- terms ----------------------------------------------------------------------------------- */

const char *const mr_tls_term_names[MR_TLS_TERMS] = {"own", "ca", "revocation_list"};

static int64_t earlier(int64_t first, const X509 *certificate)
{
    const int64_t ends = mr_certificate_seconds(X509_get0_notAfter(certificate));
    return ends < first ? ends : first;
}

/* The CAs that our own chain leads up to, as far as they are known here. */
static int64_t cas_end(const struct mr_tls *tls)
{
    STACK_OF(X509) *chain = NULL;
    X509 *below = SSL_CTX_get0_certificate(tls->context);
    int64_t first = INT64_MAX;
    SSL_CTX_get0_chain_certs(tls->context, &chain);
    for (int i = 0; i < sk_X509_num(chain); i++) {
        below = sk_X509_value(chain, i);
        first = earlier(first, below);
    }
    for (int i = 0; i < sk_X509_num(tls->cas); i++) {
        X509 *ca = sk_X509_value(tls->cas, i);
        if (X509_check_issued(ca, below) == X509_V_OK &&
            X509_verify(below, X509_get0_pubkey(ca)) == 1) {
            first = earlier(first, ca);
        }
    }
    return first;
}

int64_t mr_tls_ends(const struct mr_tls *tls, enum mr_tls_term term)
{
    switch (term) {
    case MR_TLS_TERM_OWN:
        return earlier(INT64_MAX, SSL_CTX_get0_certificate(tls->context));
    case MR_TLS_TERM_CA:
        return cas_end(tls);
    case MR_TLS_TERM_LISTS:
        return tls->revocations ? mr_revocations_ends(tls->revocations) : INT64_MAX;
    default:
        return INT64_MAX;
    }
}

void mr_tls_close(struct mr_tls *tls)
{
    if (!tls) {
        return;
    }
    SSL_CTX_free(tls->context);
    mr_revocations_free(tls->revocations);
    free(tls->revocation_file);
    sk_X509_pop_free(tls->cas, X509_free);
    BIO_meth_free(tls->sockets);
    free(tls);
}

SSL *mr_tls_connection(struct mr_tls *tls, int fd, struct mr_tls_peer *peer)
{
    SSL *ssl = SSL_new(tls->context);
    BIO *bio = mr_tls_socket(tls->sockets, fd);
    if (!ssl || !bio) {
        SSL_free(ssl);
        BIO_free(bio);
        return NULL;
    }
    SSL_set_bio(ssl, bio, bio);
    SSL_set_app_data(ssl, peer);
    if (tls->side == MR_TLS_SERVER) {
        SSL_set_accept_state(ssl);
    } else {
        SSL_set_connect_state(ssl);
        mr_tls_ticket_offer(tls, ssl);
    }
    return ssl;
}

int mr_tls_speaks_h2(const SSL *ssl)
{
    const unsigned char *agreed;
    unsigned length;
    SSL_get0_alpn_selected(ssl, &agreed, &length);
    return length == 2 && memcmp(agreed, "h2", 2) == 0;
}

int mr_tls_export(SSL *ssl, const char *label, uint8_t secret[MR_CONNECTION_SECRET_BYTES])
{
    return SSL_is_init_finished(ssl) &&
                   SSL_export_keying_material(ssl, secret, MR_CONNECTION_SECRET_BYTES, label,
                                              strlen(label), NULL, 0, 0) == 1
               ? 0
               : -1;
}
