/* tls_files.c - the files that a TLS context is made of, read strictly: what is in them is used, or
 * refused with a remedy. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "transport/certificate.h"
#include "transport/tls_internal.h"

/* --- the CAs --------------------------------------------------------------------------------- */

static int take_cas(struct mr_tls *tls, STACK_OF(X509_INFO) * parts, struct mr_error *error)
{
    for (int i = 0; i < sk_X509_INFO_num(parts); i++) {
        const X509_INFO *part = sk_X509_INFO_value(parts, i);
        char name[MR_CERTIFICATE_NAME_MAX];
        if (part->x_pkey) {
            return mr_error_set(error, "a private key is in it: the CA's key belongs on no hub and "
                                       "no device, take it away");
        }
        if (part->crl) {
            return mr_error_set(error, "a revocation list is in it: it belongs into "
                                       "revocation_file");
        }
        if (!part->x509) {
            continue;
        }
        if (X509_check_ca(part->x509) == 0) {
            mr_certificate_name(name, X509_get_subject_name(part->x509));
            return mr_error_set(error, "%s is no CA: only the federation's CAs belong here", name);
        }
        if (!sk_X509_push(tls->cas, part->x509)) {
            return mr_error_set(error, "out of memory");
        }
        X509_up_ref(part->x509);
    }
    return sk_X509_num(tls->cas) > 0
               ? 0
               : mr_error_set(error, "no certificate is in it (certificates in PEM are expected)");
}

static int read_cas(struct mr_tls *tls, const char *file, struct mr_error *error)
{
    BIO *bio = BIO_new_file(file, "r");
    if (!bio) {
        return mr_error_set(error, "ca_file %s: %s", file, strerror(errno));
    }
    STACK_OF(X509_INFO) *parts = PEM_X509_INFO_read_bio(bio, NULL, NULL, NULL);
    BIO_free(bio);
    tls->cas = sk_X509_new_null();
    const int status =
        !parts || !tls->cas
            ? mr_error_set(error, "cut off or damaged (certificates in PEM are expected)")
            : take_cas(tls, parts, error);
    sk_X509_INFO_pop_free(parts, X509_INFO_free);
    return status == 0 ? 0 : mr_error_prefix(error, "ca_file %s", file);
}

/* --- what peers are judged by ---------------------------------------------------------------- */

static X509_STORE *make_store(const struct mr_tls *tls)
{
    X509_STORE *store = X509_STORE_new();
    bool good = store;
    for (int i = 0; good && i < sk_X509_num(tls->cas); i++) {
        good = X509_STORE_add_cert(store, sk_X509_value(tls->cas, i)) == 1;
    }
    if (!good) {
        X509_STORE_free(store);
        return NULL;
    }
    return store;
}

/* OpenSSL checks every certificate of a peer's chain against its CA's list from now on, and refuses
 * where there is none. */
static void demand_lists(const struct mr_tls *tls)
{
    X509_STORE *store = SSL_CTX_get_cert_store(tls->context);
    X509_STORE_set_lookup_crls(store, mr_tls_lists);
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
}

/* Nothing that a CA signed is taken without its list. */
static int check_lists(const struct mr_tls *tls, const struct mr_revocations *lists,
                       struct mr_error *error)
{
    for (int i = 0; i < sk_X509_num(tls->cas); i++) {
        const X509 *ca = sk_X509_value(tls->cas, i);
        STACK_OF(X509_CRL) *own = mr_revocations_of(lists, ca);
        char name[MR_CERTIFICATE_NAME_MAX];
        if (!own) {
            mr_certificate_name(name, X509_get_subject_name(ca));
            return mr_error_set(error,
                                "%s: holds no list of certificate %d of ca_file (%s), so that "
                                "nobody of that CA would be let in: add its list (an empty one: "
                                "millrace pki crl), or take the CA out of ca_file",
                                tls->revocation_file, i + 1, name);
        }
        sk_X509_CRL_pop_free(own, X509_CRL_free);
    }
    return 0;
}

/* A list may also be of a CA between our own certificate and the root. */
static struct mr_revocations *read_revocations(const struct mr_tls *tls, struct mr_error *error)
{
    STACK_OF(X509) *chain = NULL;
    STACK_OF(X509) *cas = sk_X509_dup(tls->cas);
    bool good = cas;
    SSL_CTX_get0_chain_certs(tls->context, &chain);
    for (int i = 0; good && i < sk_X509_num(chain); i++) {
        good = sk_X509_push(cas, sk_X509_value(chain, i)) > 0;
    }
    struct mr_revocations *fresh = NULL;
    if (good && (fresh = mr_revocations_read(tls->revocation_file, cas, error)) != NULL &&
        check_lists(tls, fresh, error) != 0) {
        mr_revocations_free(fresh);
        fresh = NULL;
    }
    if (!good) {
        mr_error_set(error, "out of memory");
    }
    sk_X509_free(cas);
    return fresh;
}

int mr_tls_reload(struct mr_tls *tls, struct mr_error *error)
{
    if (!tls->revocation_file) {
        return 0;
    }
    struct mr_revocations *fresh = read_revocations(tls, error);
    if (!fresh) {
        return -1;
    }
    if (mr_revocations_follow(fresh, tls->revocations, error) != 0) {
        mr_revocations_free(fresh);
        return mr_error_prefix(error, "%s", tls->revocation_file);
    }
    mr_revocations_free(tls->revocations);
    tls->revocations = fresh;
    return 0;
}

const struct mr_revocations *mr_tls_revocations(const struct mr_tls *tls)
{
    return tls->revocations;
}

/* The first error says what is wrong with a file, the last only who noticed. */
static const char *file_reason(void)
{
    const unsigned long first = ERR_peek_error();
    const char *reason =
        ERR_SYSTEM_ERROR(first) ? strerror(ERR_GET_REASON(first)) : ERR_reason_error_string(first);
    return reason ? reason : "not readable";
}

/* --- our own certificate --------------------------------------------------------------------- */

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

/* OpenSSL takes the first key of the file and passes over the rest. */
static int check_one_key(const char *path, struct mr_error *error)
{
    static const char kind[] = "PRIVATE KEY";
    BIO *file = BIO_new_file(path, "r");
    char *name, *header;
    unsigned char *data;
    long length;
    unsigned keys = 0;
    while (file && PEM_read_bio(file, &name, &header, &data, &length) == 1) {
        const size_t end = strlen(name);
        keys += end >= sizeof kind - 1 && strcmp(name + end - (sizeof kind - 1), kind) == 0;
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_clear_free(data, (size_t)length);
    }
    BIO_free(file);
    ERR_clear_error();
    return keys <= 1 ? 0
                     : mr_error_set(error,
                                    "private_key_file %s: %u keys are in it: leave the one of the "
                                    "certificate alone there",
                                    path, keys);
}

/* Each certificate of the file is the CA of the one before it. OpenSSL would pass over others. */
static int check_order(SSL_CTX *context, const char *path, struct mr_error *error)
{
    STACK_OF(X509) *chain = NULL;
    X509 *below = SSL_CTX_get0_certificate(context);
    SSL_CTX_get0_chain_certs(context, &chain);
    for (int i = 0; i < sk_X509_num(chain); i++) {
        X509 *ca = sk_X509_value(chain, i);
        if (X509_check_issued(ca, below) != X509_V_OK ||
            X509_verify(below, X509_get0_pubkey(ca)) != 1) {
            char name[MR_CERTIFICATE_NAME_MAX];
            mr_certificate_name(name, X509_get_subject_name(ca));
            return mr_error_set(error,
                                "certificate_file %s: certificate %d in it (%s) did not sign the "
                                "one before it: our own stands first, then its CA, then that CA's",
                                path, i + 2, name);
        }
        below = ca;
    }
    return 0;
}

/* What we send behind our own certificate is settled here, once. Left alone, OpenSSL builds and
 * verifies our own chain anew in every handshake and sends the CA's certificate along, which the
 * peer must parse although it believes only its own. A chain that cannot be completed is sent as
 * it is in the file: judging it is the peer's part (and fitness.h's). */
static void fix_chain(SSL_CTX *context)
{
    SSL_CTX_build_cert_chain(
        context, SSL_BUILD_CHAIN_FLAG_UNTRUSTED | SSL_BUILD_CHAIN_FLAG_NO_ROOT |
                     SSL_BUILD_CHAIN_FLAG_IGNORE_ERROR | SSL_BUILD_CHAIN_FLAG_CLEAR_ERROR);
    SSL_CTX_set_mode(context, SSL_MODE_NO_AUTO_CHAIN);
}

static int load_own(struct mr_tls *tls, const struct mr_tls_files *files, struct mr_error *error)
{
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(tls->context, files->certificate_file) != 1) {
        return mr_error_set(error, "certificate_file %s: %s (a certificate in PEM is expected)",
                            files->certificate_file, file_reason());
    }
    if (check_order(tls->context, files->certificate_file, error) != 0 ||
        check_key_mode(files->private_key_file, error) != 0 ||
        check_one_key(files->private_key_file, error) != 0) {
        return -1;
    }
    if (SSL_CTX_use_PrivateKey_file(tls->context, files->private_key_file, SSL_FILETYPE_PEM) != 1) {
        return mr_error_set(error,
                            "private_key_file %s: %s (the key of %s in PEM, without a passphrase, "
                            "is expected)",
                            files->private_key_file, file_reason(), files->certificate_file);
    }
    fix_chain(tls->context);
    return 0;
}

/* Tells clients which CA to show a certificate of. */
static int name_cas(const struct mr_tls *tls)
{
    for (int i = 0; i < sk_X509_num(tls->cas); i++) {
        if (SSL_CTX_add_client_CA(tls->context, sk_X509_value(tls->cas, i)) != 1) {
            return -1;
        }
    }
    return 0;
}

int mr_tls_load_files(struct mr_tls *tls, const struct mr_tls_files *files, struct mr_error *error)
{
    const bool lists = files->revocation_file && *files->revocation_file;
    tls->revocation_file = lists ? strdup(files->revocation_file) : NULL;
    if (lists && !tls->revocation_file) {
        return mr_error_set(error, "TLS: out of memory");
    }
    if (read_cas(tls, files->ca_file, error) != 0) {
        return -1;
    }
    X509_STORE *store = make_store(tls);
    if (!store || (tls->side == MR_TLS_SERVER && name_cas(tls) != 0)) {
        X509_STORE_free(store);
        return mr_error_set(error, "TLS: out of memory");
    }
    SSL_CTX_set_cert_store(tls->context, store); /* which takes it over */
    if (load_own(tls, files, error) != 0) {
        return -1;
    }
    if (tls->revocation_file) {
        demand_lists(tls); /* which our own chain was settled without */
    }
    return mr_tls_reload(tls, error) == 0 ? 0 : mr_error_prefix(error, "revocation_file");
}
