#include "transport/revocation.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>

struct mr_revocations {
    struct mr_serial *serials; /* sorted */
    size_t count;
    bool expired;
};

int mr_serial_of(struct mr_serial *serial, const ASN1_INTEGER *number)
{
    BIGNUM *value = ASN1_INTEGER_to_BN(number, NULL);
    const int written =
        value && !BN_is_negative(value) ? BN_bn2binpad(value, serial->bytes, MR_SERIAL_BYTES) : -1;
    BN_free(value);
    return written == MR_SERIAL_BYTES ? 0 : -1;
}

static int by_bytes(const void *a, const void *b)
{
    return memcmp(a, b, MR_SERIAL_BYTES);
}

/* Whether one of the CA's certificates signed the list. */
static bool is_signed(X509_CRL *list, const char *ca_file)
{
    BIO *file = BIO_new_file(ca_file, "r");
    X509 *ca;
    bool held = false;
    while (file && !held && (ca = PEM_read_bio_X509(file, NULL, NULL, NULL)) != NULL) {
        held = X509_NAME_cmp(X509_get_subject_name(ca), X509_CRL_get_issuer(list)) == 0 &&
               X509_CRL_verify(list, X509_get0_pubkey(ca)) == 1;
        X509_free(ca);
    }
    BIO_free(file);
    return held;
}

static int take(struct mr_revocations *revocations, X509_CRL *list)
{
    STACK_OF(X509_REVOKED) *entries = X509_CRL_get_REVOKED(list);
    const int more = entries ? sk_X509_REVOKED_num(entries) : 0;
    const ASN1_TIME *until = X509_CRL_get0_nextUpdate(list);
    revocations->expired = revocations->expired || (until && X509_cmp_current_time(until) < 0);
    struct mr_serial *serials =
        realloc(revocations->serials, (revocations->count + (size_t)more + 1) * sizeof *serials);
    if (!serials) {
        return -1;
    }
    revocations->serials = serials;
    for (int i = 0; i < more; i++) {
        const X509_REVOKED *entry = sk_X509_REVOKED_value(entries, i);
        if (mr_serial_of(&serials[revocations->count], X509_REVOKED_get0_serialNumber(entry)) ==
            0) {
            revocations->count++; /* another is of no certificate that we take */
        }
    }
    return 0;
}

static int read_lists(struct mr_revocations *revocations, BIO *bio, const char *file,
                      const char *ca_file, struct mr_error *error)
{
    X509_CRL *list;
    unsigned lists = 0;
    int status = 0;
    while (status == 0 && (list = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL)) != NULL) {
        lists++;
        if (!is_signed(list, ca_file)) {
            status = mr_error_set(error, "%s: list %u is not signed by the CA in %s", file, lists,
                                  ca_file);
        } else if (take(revocations, list) != 0) {
            status = mr_error_set(error, "%s: out of memory", file);
        }
        X509_CRL_free(list);
    }
    const bool whole = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    if (status == 0 && (lists == 0 || !whole)) {
        status = mr_error_set(
            error, "%s holds no revocation list in PEM (-----BEGIN X509 CRL-----)", file);
    }
    return status;
}

struct mr_revocations *mr_revocations_read(const char *file, const char *ca_file,
                                           struct mr_error *error)
{
    struct mr_revocations *revocations = calloc(1, sizeof *revocations);
    BIO *bio = BIO_new_file(file, "r");
    int status = -1;
    if (!revocations || !bio) {
        mr_error_set(error, "%s: %s", file, strerror(errno ? errno : ENOMEM));
    } else {
        ERR_clear_error();
        status = read_lists(revocations, bio, file, ca_file, error);
    }
    BIO_free(bio);
    ERR_clear_error();
    if (status != 0) {
        mr_revocations_free(revocations);
        return NULL;
    }
    qsort(revocations->serials, revocations->count, sizeof *revocations->serials, by_bytes);
    return revocations;
}

void mr_revocations_free(struct mr_revocations *revocations)
{
    if (revocations) {
        free(revocations->serials);
        free(revocations);
    }
}

size_t mr_revocations_count(const struct mr_revocations *revocations)
{
    return revocations->count;
}

bool mr_revocations_expired(const struct mr_revocations *revocations)
{
    return revocations->expired;
}

bool mr_revocations_has(const struct mr_revocations *revocations, const struct mr_serial *serial)
{
    return bsearch(serial, revocations->serials, revocations->count, sizeof *serial, by_bytes) !=
           NULL;
}
