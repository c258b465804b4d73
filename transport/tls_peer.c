/* tls_peer.c - whom we take at the other end, and what the other end says of us. */
#include <stdio.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "transport/certificate.h"
#include "transport/tls_internal.h"
#include "wire/refusal.h"

static const SSL *ssl_of(const X509_STORE_CTX *store)
{
    return X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
}

/* The verifying SSL's own rules: the lists may have been read anew since the context was made. */
static const struct mr_tls *tls_of(const X509_STORE_CTX *store)
{
    return SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl_of(store)));
}

/* OpenSSL would look by the CA's name alone, and two CAs may have the same one. */
struct stack_st_X509_CRL *mr_tls_lists(const X509_STORE_CTX *store, const X509_NAME *name)
{
    (void)name;
    STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(store);
    const int depth = X509_STORE_CTX_get_error_depth(store), last = sk_X509_num(chain) - 1;
    const struct mr_revocations *revocations = tls_of(store)->revocations;
    const X509 *issuer = sk_X509_value(chain, depth < last ? depth + 1 : last);
    return revocations ? mr_revocations_of(revocations, issuer) : NULL;
}

/* --- refusing -------------------------------------------------------------------------------- */

static int refuse(struct mr_tls_peer *peer, enum mr_tls_refusal refusal, const char *reason)
{
    peer->refusal = refusal;
    snprintf(peer->reason, sizeof peer->reason, "%s", reason);
    return 0;
}

/* Goes on: that a CA further up was taken back is the better reason. judge() refuses in the end. */
static int refuse_unlisted(struct mr_tls_peer *peer, const X509 *certificate, int problem)
{
    char issuer[MR_CERTIFICATE_NAME_MAX];
    mr_certificate_name(issuer, X509_get_issuer_name(certificate));
    if (peer->refusal == MR_TLS_NO_LIST) {
        return 1; /* the first of several */
    }
    peer->refusal = MR_TLS_NO_LIST;
    if (problem == X509_V_ERR_UNABLE_TO_GET_CRL) {
        snprintf(peer->reason, sizeof peer->reason,
                 "no revocation list of its CA (%s) is in revocation_file, where every CA needs "
                 "one, be it empty",
                 issuer);
    } else {
        snprintf(peer->reason, sizeof peer->reason, "the revocation list of its CA (%s): %s",
                 issuer, X509_verify_cert_error_string(problem));
    }
    return 1;
}

static int refuse_term(struct mr_tls_peer *peer, const X509 *certificate, bool over)
{
    char name[MR_CERTIFICATE_NAME_MAX], time[MR_CERTIFICATE_TIME_MAX];
    mr_certificate_name(name, X509_get_subject_name(certificate));
    mr_certificate_time(time, mr_certificate_seconds(over ? X509_get0_notAfter(certificate)
                                                          : X509_get0_notBefore(certificate)));
    peer->refusal = MR_TLS_EXPIRED;
    snprintf(peer->reason, sizeof peer->reason, "the certificate %s %s %s", name,
             over ? "expired on" : "is not valid before", time);
    return 0;
}

/* A chain that OpenSSL does not take. */
static int refuse_chain(struct mr_tls_peer *peer, X509_STORE_CTX *store, int problem)
{
    const X509 *certificate = X509_STORE_CTX_get_current_cert(store);
    char name[MR_CERTIFICATE_NAME_MAX] = "?";
    if (certificate) {
        mr_certificate_name(name, X509_get_subject_name(certificate));
    }
    switch (problem) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return refuse_term(peer, certificate, problem == X509_V_ERR_CERT_HAS_EXPIRED);
    case X509_V_ERR_CERT_REVOKED:
        peer->refusal = MR_TLS_REVOKED;
        snprintf(peer->reason, sizeof peer->reason, "the certificate %s is revoked", name);
        return 0;
    case X509_V_ERR_UNABLE_TO_GET_CRL:
    case X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER:
    case X509_V_ERR_UNABLE_TO_DECRYPT_CRL_SIGNATURE:
    case X509_V_ERR_CRL_SIGNATURE_FAILURE:
    case X509_V_ERR_KEYUSAGE_NO_CRL_SIGN:
    case X509_V_ERR_UNHANDLED_CRITICAL_CRL_EXTENSION:
    case X509_V_ERR_DIFFERENT_CRL_SCOPE:
    case X509_V_ERR_CRL_PATH_VALIDATION_ERROR:
        return refuse_unlisted(peer, certificate, problem);
    default:
        peer->refusal = problem == X509_V_ERR_INVALID_PURPOSE ? MR_TLS_WRONG_USE : MR_TLS_UNTRUSTED;
        snprintf(peer->reason, sizeof peer->reason, "%s (%s)",
                 X509_verify_cert_error_string(problem), name);
        return 0;
    }
}

/* --- the peer's certificate ------------------------------------------------------------------ */

/* An old list is better than none. */
static bool is_about_a_lists_age(int problem)
{
    return problem == X509_V_ERR_CRL_HAS_EXPIRED || problem == X509_V_ERR_CRL_NOT_YET_VALID;
}

/* Of all of the chain: a CA that runs out takes along what it signed. */
static void note_term(struct mr_tls_peer *peer, STACK_OF(X509) * chain)
{
    peer->begins_s = mr_certificate_seconds(X509_get0_notBefore(sk_X509_value(chain, 0)));
    peer->ends_s = INT64_MAX;
    peer->verified_s = (int64_t)time(NULL);
    for (int i = 0; i < sk_X509_num(chain); i++) {
        const int64_t ends_s = mr_certificate_seconds(X509_get0_notAfter(sk_X509_value(chain, i)));
        peer->ends_s = ends_s < peer->ends_s ? ends_s : peer->ends_s;
    }
}

/* The chain is whole: the certificate that it begins with. */
static int judge(struct mr_tls_peer *peer, X509_STORE_CTX *store)
{
    X509 *certificate = X509_STORE_CTX_get_current_cert(store);
    if (peer->refusal != MR_TLS_ACCEPTED) { /* refuse_unlisted() */
        X509_STORE_CTX_set_error(store, X509_V_ERR_UNABLE_TO_GET_CRL);
        return 0;
    }
    mr_certificate_serial(&peer->serial, X509_STORE_CTX_get0_chain(store));
    note_term(peer, X509_STORE_CTX_get0_chain(store));
    if (mr_certificate_identity(&peer->identity, certificate) != 0) {
        X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED); /* alert bad_certificate */
        return refuse(peer, MR_TLS_NO_IDENTITY,
                      "the certificate does not name exactly one millrace identity");
    }
    if (peer->expected_hub != MR_TLS_ANY_PEER &&
        (peer->identity.role != MR_ROLE_HUB || peer->identity.hub_index != peer->expected_hub)) {
        char uri[MR_IDENTITY_URI_MAX];
        mr_identity_format(uri, &peer->identity);
        X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
        peer->refusal = MR_TLS_WRONG_HUB;
        snprintf(peer->reason, sizeof peer->reason,
                 "the certificate is not that of the expected hub but of %s", uri);
        return 0;
    }
    return 1;
}

/* Called for each certificate of the chain, the peer's own last (depth 0). */
int mr_tls_verify(int trusted, X509_STORE_CTX *store)
{
    struct mr_tls_peer *peer = SSL_get_app_data(ssl_of(store));
    const int problem = X509_STORE_CTX_get_error(store);
    if (!trusted && is_about_a_lists_age(problem)) {
        X509_STORE_CTX_set_error(store, X509_V_OK);
        return 1;
    }
    if (!trusted) {
        return refuse_chain(peer, store, problem);
    }
    return X509_STORE_CTX_get_error_depth(store) > 0 ? 1 : judge(peer, store);
}

/* --- what the other end says ----------------------------------------------------------------- */

const char *mr_tls_reason(const char *otherwise)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    return reason ? reason : otherwise;
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
