#include "transport/tls.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "transport/tls_socket.h"

#define CHAIN_DEPTH_MAX 3

struct mr_tls {
    SSL_CTX *context;
    BIO_METHOD *sockets;
    enum mr_tls_side side;
    char *revocation_file, *ca_file; /* NULL: none */
    struct mr_revocations *revocations;
};

/* 128 bits of strength or more, forward secret; no RSA key exchange or PKCS #1 v1.5, no SHA-1. */
static const char cipher_suites[] =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
static const char groups[] = "X25519:P-256:P-384";
static const char signature_algorithms[] =
    "ed25519:ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:rsa_pss_rsae_sha256:rsa_pss_pss_sha256";
static const uint8_t alpn_h2[] = {2, 'h', '2'};

const char *mr_tls_reason(const char *otherwise)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    return reason ? reason : otherwise;
}

/* --- files ----------------------------------------------------------------------------------- */

static int no_passphrase(char *buffer, int size, int writing, void *context)
{
    (void)buffer, (void)size, (void)writing, (void)context;
    return 0; /* never ask on a terminal */
}

static int check_key_mode(const char *path, struct mr_error *error)
{
    struct stat about;
    if (stat(path, &about) != 0) {
        return mr_error_set(error, "private_key_file %s: %s", path, strerror(errno));
    }
    if (about.st_mode & (S_IRWXG | S_IRWXO)) {
        return mr_error_set(error,
                            "private_key_file %s: open to others than its owner (mode %04o); make "
                            "it private: chmod 600 %s",
                            path, (unsigned)(about.st_mode & 07777), path);
    }
    return 0;
}

int mr_tls_reload(struct mr_tls *tls, struct mr_error *error)
{
    if (!tls->revocation_file) {
        return 0;
    }
    struct mr_revocations *fresh = mr_revocations_read(tls->revocation_file, tls->ca_file, error);
    if (!fresh) {
        return -1;
    }
    mr_revocations_free(tls->revocations);
    tls->revocations = fresh;
    return 0;
}

const struct mr_revocations *mr_tls_revocations(const struct mr_tls *tls)
{
    return tls->revocations;
}

static int load_revocations(struct mr_tls *tls, const struct mr_tls_files *files,
                            struct mr_error *error)
{
    if (!files->revocation_file || !*files->revocation_file) {
        return 0;
    }
    tls->revocation_file = strdup(files->revocation_file);
    tls->ca_file = strdup(files->ca_file);
    if (!tls->revocation_file || !tls->ca_file) {
        return mr_error_set(error, "TLS: out of memory");
    }
    return mr_tls_reload(tls, error) == 0 ? 0 : mr_error_prefix(error, "revocation_file");
}

/* What we send behind our own certificate is settled here, once. Left alone, OpenSSL builds and
 * verifies our own chain anew in every handshake and sends the CA's certificate along, which the
 * peer must parse although it believes only its own. A chain that cannot be completed is sent as
 * it is in the file: judging it is the peer's part. */
static void fix_chain(SSL_CTX *context)
{
    SSL_CTX_build_cert_chain(
        context, SSL_BUILD_CHAIN_FLAG_UNTRUSTED | SSL_BUILD_CHAIN_FLAG_NO_ROOT |
                     SSL_BUILD_CHAIN_FLAG_IGNORE_ERROR | SSL_BUILD_CHAIN_FLAG_CLEAR_ERROR);
    SSL_CTX_set_mode(context, SSL_MODE_NO_AUTO_CHAIN);
}

static int load_files(struct mr_tls *tls, const struct mr_tls_files *files, struct mr_error *error)
{
    if (SSL_CTX_load_verify_file(tls->context, files->ca_file) != 1) {
        return mr_error_set(error, "ca_file %s: %s (certificates in PEM are expected)",
                            files->ca_file, mr_tls_reason("not readable"));
    }
    if (SSL_CTX_use_certificate_chain_file(tls->context, files->certificate_file) != 1) {
        return mr_error_set(error, "certificate_file %s: %s (a certificate in PEM is expected)",
                            files->certificate_file, mr_tls_reason("not readable"));
    }
    if (check_key_mode(files->private_key_file, error) != 0) {
        return -1;
    }
    if (SSL_CTX_use_PrivateKey_file(tls->context, files->private_key_file, SSL_FILETYPE_PEM) != 1) {
        return mr_error_set(error,
                            "private_key_file %s: %s (the key of %s in PEM, without a passphrase, "
                            "is expected)",
                            files->private_key_file, mr_tls_reason("not readable"),
                            files->certificate_file);
    }
    fix_chain(tls->context);
    if (load_revocations(tls, files, error) != 0) {
        return -1;
    }
    if (tls->side == MR_TLS_SERVER) {
        /* Tells clients which CA to show a certificate of. */
        SSL_CTX_set_client_CA_list(tls->context, SSL_load_client_CA_file(files->ca_file));
    }
    return 0;
}

/* --- the peer's certificate ------------------------------------------------------------------ */

/* The one millrace URI of the certificate. 0 or -1. */
static int identity_of(struct mr_identity *identity, X509 *certificate)
{
    static const char prefix[] = "urn:millrace:";
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    unsigned found = 0, good = 0;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) { /* none when NULL */
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type != GEN_URI) {
            continue;
        }
        const char *uri = (const char *)ASN1_STRING_get0_data(name->d.uniformResourceIdentifier);
        const size_t length = (size_t)ASN1_STRING_length(name->d.uniformResourceIdentifier);
        if (length < sizeof prefix - 1 || strncasecmp(uri, prefix, sizeof prefix - 1) != 0) {
            continue; /* somebody else's; OpenSSL keeps a NUL behind the bytes */
        }
        found++;
        good += strlen(uri) == length && mr_identity_parse(identity, uri) == 0;
    }
    GENERAL_NAMES_free(names);
    return found == 1 && good == 1 ? 0 : -1;
}

static int refuse(struct mr_tls_peer *peer, enum mr_tls_refusal refusal, const char *reason)
{
    peer->refusal = refusal;
    peer->reason = reason;
    return 0;
}

/* The verifying SSL's own rules: the list may have been read anew since the context was made. */
static bool is_revoked(const SSL *ssl, struct mr_tls_peer *peer, X509 *certificate)
{
    const struct mr_tls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    return mr_serial_of(&peer->serial, X509_get0_serialNumber(certificate)) != 0 ||
           (tls->revocations && mr_revocations_has(tls->revocations, &peer->serial));
}

/* Called for each certificate of the chain, the peer's own last (depth 0). */
static int verify(int trusted, X509_STORE_CTX *store)
{
    const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct mr_tls_peer *peer = SSL_get_app_data(ssl);
    const int problem = X509_STORE_CTX_get_error(store);
    if (!trusted) {
        const int time =
            problem == X509_V_ERR_CERT_HAS_EXPIRED || problem == X509_V_ERR_CERT_NOT_YET_VALID;
        return refuse(peer, time ? MR_TLS_EXPIRED : MR_TLS_UNTRUSTED,
                      X509_verify_cert_error_string(problem));
    }
    if (X509_STORE_CTX_get_error_depth(store) > 0) {
        return 1;
    }
    if (is_revoked(ssl, peer, X509_STORE_CTX_get_current_cert(store))) {
        X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REVOKED);
        return refuse(peer, MR_TLS_REVOKED, "the certificate is revoked");
    }
    if (identity_of(&peer->identity, X509_STORE_CTX_get_current_cert(store)) != 0) {
        X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED); /* alert bad_certificate */
        return refuse(peer, MR_TLS_NO_IDENTITY,
                      "the certificate does not name exactly one millrace identity");
    }
    if (peer->expected_hub != MR_TLS_ANY_PEER &&
        (peer->identity.role != MR_ROLE_HUB || peer->identity.hub_index != peer->expected_hub)) {
        X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
        return refuse(peer, MR_TLS_WRONG_HUB, "the certificate is not that of the expected hub");
    }
    return 1;
}

const char *mr_tls_refused_by_peer(void)
{
    static const struct {
        int reason;
        const char *words;
    } alerts[] = {
        {SSL_R_TLSV1_ALERT_UNKNOWN_CA, "our certificate is not of the CA they trust"},
        {SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED, "they ask for a certificate and got none"},
        {SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED, "our certificate is expired or not valid yet"},
        {SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED, "our certificate is revoked"},
        {SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, "our certificate is bad, or names no identity"},
        {SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE, "our certificate is not fit for this use"},
        {SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, "they do not accept our certificate"},
        {SSL_R_TLSV1_ALERT_ACCESS_DENIED, "they do not accept our certificate"},
        {SSL_R_TLSV1_ALERT_DECRYPT_ERROR, "our key does not fit our certificate"},
    };
    const unsigned long code = ERR_peek_last_error();
    for (size_t i = 0; i < sizeof alerts / sizeof *alerts; i++) {
        if (ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == alerts[i].reason) {
            return alerts[i].words;
        }
    }
    return NULL;
}

/* --- contexts and connections ---------------------------------------------------------------- */

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
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_default_passwd_cb(context, no_passphrase);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, verify);
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
        status = load_files(tls, files, error);
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
    tls->context = fresh->context;
    tls->revocations = fresh->revocations;
    tls->revocation_file = fresh->revocation_file;
    tls->ca_file = fresh->ca_file;
    SSL_CTX_set_app_data(tls->context, tls);
    fresh->context = old.context;
    fresh->revocations = old.revocations;
    fresh->revocation_file = old.revocation_file;
    fresh->ca_file = old.ca_file;
    mr_tls_close(fresh);
}

void mr_tls_expiry(const struct mr_tls *tls, char text[MR_TLS_EXPIRY_BYTES])
{
    const X509 *certificate = SSL_CTX_get0_certificate(tls->context);
    struct tm time;
    if (!certificate || ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &time) != 1 ||
        strftime(text, MR_TLS_EXPIRY_BYTES, "%Y-%m-%dT%H:%M:%SZ", &time) == 0) {
        snprintf(text, MR_TLS_EXPIRY_BYTES, "unknown");
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
    free(tls->ca_file);
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

int mr_tls_export(SSL *ssl, const char *label, const uint8_t *context, size_t context_bytes,
                  uint8_t *out, size_t out_bytes)
{
    return SSL_is_init_finished(ssl) &&
                   SSL_export_keying_material(ssl, out, out_bytes, label, strlen(label), context,
                                              context_bytes, 1) == 1
               ? 0
               : -1;
}
