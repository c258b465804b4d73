/* pki_revoke.c - the throw-away CA takes a certificate back: one more entry of its revocation list.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "appliance/cli/pki.h"
#include "appliance/cli/pki_file.h"

#define LIST    "revoked.pem"
#define VALID_S (365L * 24 * 60 * 60)
#define EARLY_S (-5L * 60)

static int fail(struct mr_error *error, const char *what)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    mr_error_set(error, "%s: %s", what, reason ? reason : "out of memory");
    ERR_clear_error();
    return -1;
}

/* The list so far, or a new one. */
static X509_CRL *open_list(const char *path, struct mr_error *error)
{
    FILE *file = fopen(path, "re");
    if (!file && errno == ENOENT) {
        return X509_CRL_new();
    }
    X509_CRL *list = file ? PEM_read_X509_CRL(file, NULL, NULL, NULL) : NULL;
    if (file) {
        fclose(file);
    }
    if (!list) {
        mr_error_set(error, "%s is no revocation list in PEM: take it away to begin a new one",
                     path);
        ERR_clear_error();
    }
    return list;
}

static int add_entry(X509_CRL *list, X509 *certificate)
{
    X509_REVOKED *entry = NULL;
    if (X509_CRL_get0_by_cert(list, &entry, certificate) == 1) {
        return 0; /* it is there */
    }
    entry = X509_REVOKED_new();
    ASN1_TIME *now = X509_gmtime_adj(NULL, 0);
    if (entry && now &&
        X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(certificate)) == 1 &&
        X509_REVOKED_set_revocationDate(entry, now) == 1 &&
        X509_CRL_add0_revoked(list, entry) == 1) {
        ASN1_TIME_free(now);
        return 0;
    }
    ASN1_TIME_free(now);
    X509_REVOKED_free(entry);
    return -1;
}

/* One more than the list before, so that whoever has seen that one takes no older. */
static int count_up(X509_CRL *list)
{
    ASN1_INTEGER *number = X509_CRL_get_ext_d2i(list, NID_crl_number, NULL, NULL);
    BIGNUM *value = number ? ASN1_INTEGER_to_BN(number, NULL) : BN_new();
    ASN1_INTEGER_free(number);
    number = value && BN_add_word(value, 1) == 1 ? BN_to_ASN1_INTEGER(value, NULL) : NULL;
    const int done =
        number && X509_CRL_add1_ext_i2d(list, NID_crl_number, number, 0, X509V3_ADD_REPLACE) == 1;
    ASN1_INTEGER_free(number);
    BN_free(value);
    return done ? 0 : -1;
}

/* Which of the CA's keys signed it. */
static int name_key(X509_CRL *list, X509 *ca)
{
    AUTHORITY_KEYID *id = AUTHORITY_KEYID_new();
    const ASN1_OCTET_STRING *key_id = X509_get0_subject_key_id(ca);
    int done = id && key_id;
    if (done) {
        id->keyid = ASN1_OCTET_STRING_dup(key_id);
        done = id->keyid && X509_CRL_add1_ext_i2d(list, NID_authority_key_identifier, id, 0,
                                                  X509V3_ADD_REPLACE) == 1;
    }
    AUTHORITY_KEYID_free(id);
    return done ? 0 : -1;
}

static int sign(X509_CRL *list, X509 *ca, EVP_PKEY *key)
{
    ASN1_TIME *from = X509_gmtime_adj(NULL, EARLY_S), *until = X509_gmtime_adj(NULL, VALID_S);
    const int done = from && until && X509_CRL_set_version(list, X509_CRL_VERSION_2) == 1 &&
                     X509_CRL_set_issuer_name(list, X509_get_subject_name(ca)) == 1 &&
                     X509_CRL_set1_lastUpdate(list, from) == 1 &&
                     X509_CRL_set1_nextUpdate(list, until) == 1 && X509_CRL_sort(list) == 1 &&
                     count_up(list) == 0 && name_key(list, ca) == 0 &&
                     X509_CRL_sign(list, key, EVP_sha256()) > 0;
    ASN1_TIME_free(from);
    ASN1_TIME_free(until);
    return done ? 0 : -1;
}

/* In one step: whoever reads meanwhile sees the old list or the new one. */
static int replace(const char *path, X509_CRL *list, struct mr_error *error)
{
    char fresh[PATH_MAX];
    if (snprintf(fresh, sizeof fresh, "%s.new", path) >= (int)sizeof fresh) {
        return mr_error_set(error, "the path of the folder is too long: %.64s…", path);
    }
    const int fd = unlink(fresh) == 0 || errno == ENOENT
                       ? open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644)
                       : -1;
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    int done = file && PEM_write_X509_CRL(file, list) == 1;
    done = file && fclose(file) == 0 && done;
    if (!done || rename(fresh, path) != 0) {
        mr_error_set(error, "%s: cannot write it: %s", path, strerror(errno));
        unlink(fresh);
        return -1;
    }
    return 0;
}

/* The certificate alone: its key may be elsewhere, or in the wrong hands. */
static X509 *read_certificate(const char *dir, const char *stem, struct mr_error *error)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s.pem", dir, stem) >= (int)sizeof path) {
        mr_error_set(error, "the path of the folder is too long: %.64s…", dir);
        return NULL;
    }
    FILE *file = fopen(path, "re");
    X509 *certificate = file ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;
    if (!certificate) {
        mr_error_set(error, "%s: %s", path, file ? "no certificate in PEM" : strerror(errno));
        ERR_clear_error();
    }
    if (file) {
        fclose(file);
    }
    return certificate;
}

static int take_back(const char *dir, X509_CRL *list, const char *path, const char *stem,
                     struct mr_error *error)
{
    X509 *ca = NULL, *certificate = NULL;
    EVP_PKEY *key = NULL;
    int status = -1;
    if (mr_pki_read(dir, "ca", &ca, &key, error) == 0 &&
        (!stem || (certificate = read_certificate(dir, stem, error)) != NULL)) {
        status = (!certificate || add_entry(list, certificate) == 0) && sign(list, ca, key) == 0
                     ? replace(path, list, error)
                     : fail(error, path);
    }
    EVP_PKEY_free(key);
    X509_free(ca);
    X509_free(certificate);
    return status;
}

int mr_pki_revoke(const char *dir, const char *stem, struct mr_error *error)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/" LIST, dir) >= (int)sizeof path) {
        return mr_error_set(error, "the path of the folder is too long: %.64s…", dir);
    }
    X509_CRL *list = open_list(path, error);
    if (!list) {
        return -1;
    }
    const int status = take_back(dir, list, path, stem, error);
    X509_CRL_free(list);
    return status;
}
