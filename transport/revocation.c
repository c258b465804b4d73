#include "transport/revocation.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "transport/revocation_internal.h"

/* --- one list -------------------------------------------------------------------------------- */

/* NULL where none of them signed it, or may sign lists. */
static X509 *signer_of(X509_CRL *crl, STACK_OF(X509) * cas)
{
    for (int i = 0; i < sk_X509_num(cas); i++) {
        X509 *ca = sk_X509_value(cas, i);
        if (X509_NAME_cmp(X509_get_subject_name(ca), X509_CRL_get_issuer(crl)) == 0 &&
            (X509_get_key_usage(ca) & KU_CRL_SIGN) &&
            X509_CRL_verify(crl, X509_get0_pubkey(ca)) == 1) {
            return ca;
        }
    }
    return NULL;
}

/* A list that speaks for a part of a CA's certificates only, or for another CA's: what it leaves
 * out would pass unseen. */
static bool is_whole(const X509_CRL *crl)
{
    if (X509_CRL_get_ext_by_NID(crl, NID_delta_crl, -1) >= 0) {
        return false;
    }
    ISSUING_DIST_POINT *scope =
        X509_CRL_get_ext_d2i(crl, NID_issuing_distribution_point, NULL, NULL);
    const bool whole =
        !scope || (scope->onlyuser <= 0 && scope->onlyCA <= 0 && scope->onlyattr <= 0 &&
                   scope->indirectCRL <= 0 && !scope->onlysomereasons);
    ISSUING_DIST_POINT_free(scope);
    return whole;
}

/* How the tags are sorted; those of CAs are cut shorter, which sorts alike. */
static int by_bytes(const void *a, const void *b)
{
    return memcmp(a, b, MR_SERIAL_OWN_BYTES);
}

static int add_tags(struct mr_revocations *revocations, const struct mr_revocation_list *list)
{
    STACK_OF(X509_REVOKED) *entries = X509_CRL_get_REVOKED(list->crl);
    const int more = entries ? sk_X509_REVOKED_num(entries) : 0;
    uint8_t(*tags)[MR_SERIAL_OWN_BYTES] =
        realloc(revocations->tags, (revocations->count + (size_t)more + 1) * sizeof *tags);
    if (!tags) {
        return -1;
    }
    revocations->tags = tags;
    for (int i = 0; i < more; i++) {
        mr_certificate_tag(tags[revocations->count++], list->signer,
                           X509_REVOKED_get0_serialNumber(sk_X509_REVOKED_value(entries, i)));
    }
    return 0;
}

/* Takes a reference of its own. */
static int take(struct mr_revocations *revocations, X509_CRL *crl, STACK_OF(X509) * cas,
                struct mr_error *error)
{
    const unsigned number = revocations->list_count + 1;
    char name[MR_CERTIFICATE_NAME_MAX];
    mr_certificate_name(name, X509_CRL_get_issuer(crl));
    if (number > MR_REVOCATION_LISTS_MAX) {
        return mr_error_set(error, "more than %d lists", MR_REVOCATION_LISTS_MAX);
    }
    if (!is_whole(crl)) {
        return mr_error_set(error,
                            "list %u, of %s, is a delta, a part or another CA's: give the CA's "
                            "whole list",
                            number, name);
    }
    const X509 *signer = signer_of(crl, cas);
    if (!signer) {
        return mr_error_set(error,
                            "list %u, of %s, is not signed by a CA that is known here: put that "
                            "CA's certificate (with the right to sign lists) into ca_file",
                            number, name);
    }
    struct mr_revocation_list *list = &revocations->lists[revocations->list_count];
    mr_certificate_key_hash(list->signer, signer);
    for (unsigned i = 0; i < revocations->list_count; i++) {
        if (memcmp(revocations->lists[i].signer, list->signer, MR_KEY_HASH_BYTES) == 0) {
            return mr_error_set(error, "list %u is of %s as list %u is: keep the newest alone",
                                number, name, i + 1);
        }
    }
    X509_CRL_up_ref(crl);
    list->crl = crl;
    revocations->list_count++;
    return add_tags(revocations, list) == 0 ? 0 : mr_error_set(error, "out of memory");
}

/* --- the file -------------------------------------------------------------------------------- */

/* Those known, and those that stand in the file itself. The references stay where they were. */
static STACK_OF(X509) * all_cas(STACK_OF(X509_INFO) * parts, STACK_OF(X509) * cas)
{
    STACK_OF(X509) *all = cas ? sk_X509_dup(cas) : sk_X509_new_null();
    for (int i = 0; all && i < sk_X509_INFO_num(parts); i++) {
        X509 *certificate = sk_X509_INFO_value(parts, i)->x509;
        if (certificate && !sk_X509_push(all, certificate)) {
            sk_X509_free(all);
            return NULL;
        }
    }
    return all;
}

static int read_lists(struct mr_revocations *revocations, STACK_OF(X509_INFO) * parts,
                      STACK_OF(X509) * cas, struct mr_error *error)
{
    STACK_OF(X509) *all = all_cas(parts, cas);
    int status = all ? 0 : mr_error_set(error, "out of memory");
    for (int i = 0; status == 0 && i < sk_X509_INFO_num(parts); i++) {
        const X509_INFO *part = sk_X509_INFO_value(parts, i);
        if (part->x_pkey) {
            status = mr_error_set(error, "a private key is in it: it belongs into no other file");
        } else if (part->crl) {
            status = take(revocations, part->crl, all, error);
        }
    }
    if (status == 0 && revocations->list_count == 0) {
        status = mr_error_set(error, "holds no revocation list in PEM (-----BEGIN X509 CRL-----)");
    }
    sk_X509_free(all);
    return status;
}

struct mr_revocations *mr_revocations_read(const char *file, STACK_OF(X509) * cas,
                                           struct mr_error *error)
{
    struct mr_revocations *revocations = calloc(1, sizeof *revocations);
    errno = 0;
    BIO *bio = BIO_new_file(file, "r");
    int status = -1;
    if (!revocations || !bio) {
        mr_error_set(error, "%s: %s", file, strerror(errno ? errno : ENOMEM));
    } else {
        ERR_clear_error();
        STACK_OF(X509_INFO) *parts = PEM_X509_INFO_read_bio(bio, NULL, NULL, NULL);
        status = parts ? read_lists(revocations, parts, cas, error)
                       : mr_error_set(error, "is cut off or damaged: no whole PEM");
        if (status != 0) {
            mr_error_prefix(error, "%s", file);
        }
        sk_X509_INFO_pop_free(parts, X509_INFO_free);
    }
    BIO_free(bio);
    ERR_clear_error();
    if (status != 0) {
        mr_revocations_free(revocations);
        return NULL;
    }
    if (revocations->tags) {
        qsort(revocations->tags, revocations->count, sizeof *revocations->tags, by_bytes);
    }
    return revocations;
}

void mr_revocations_free(struct mr_revocations *revocations)
{
    if (revocations) {
        for (unsigned i = 0; i < revocations->list_count; i++) {
            X509_CRL_free(revocations->lists[i].crl);
        }
        free(revocations->tags);
        free(revocations);
    }
}

/* --- asking ---------------------------------------------------------------------------------- */

size_t mr_revocations_count(const struct mr_revocations *revocations)
{
    return revocations->count;
}

int64_t mr_revocations_ends(const struct mr_revocations *revocations)
{
    int64_t first = INT64_MAX;
    for (unsigned i = 0; i < revocations->list_count; i++) {
        const int64_t ends =
            mr_certificate_seconds(X509_CRL_get0_nextUpdate(revocations->lists[i].crl));
        first = ends < first ? ends : first;
    }
    return first;
}

/* Whether a tag begins with these bytes. */
static bool has_tag(const struct mr_revocations *revocations, const uint8_t *start, size_t bytes)
{
    size_t low = 0, high = revocations->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = memcmp(revocations->tags[middle], start, bytes);
        if (order == 0) {
            return true;
        }
        low = order < 0 ? middle + 1 : low;
        high = order < 0 ? high : middle;
    }
    return false;
}

bool mr_revocations_has(const struct mr_revocations *revocations, const struct mr_serial *serial)
{
    static const uint8_t none[MR_SERIAL_ABOVE_BYTES];
    if (has_tag(revocations, serial->bytes, MR_SERIAL_OWN_BYTES)) {
        return true;
    }
    for (int i = 0; i < MR_SERIAL_ABOVE; i++) {
        const uint8_t *tag = serial->bytes + MR_SERIAL_OWN_BYTES + i * MR_SERIAL_ABOVE_BYTES;
        if (memcmp(tag, none, sizeof none) != 0 &&
            has_tag(revocations, tag, MR_SERIAL_ABOVE_BYTES)) {
            return true;
        }
    }
    return false;
}

struct stack_st_X509_CRL *mr_revocations_of(const struct mr_revocations *revocations,
                                            const X509 *issuer)
{
    uint8_t key_hash[MR_KEY_HASH_BYTES];
    mr_certificate_key_hash(key_hash, issuer);
    const struct mr_revocation_list *list = mr_revocation_list_of(revocations, key_hash);
    STACK_OF(X509_CRL) *found = list ? sk_X509_CRL_new_null() : NULL;
    if (found && sk_X509_CRL_push(found, list->crl)) {
        X509_CRL_up_ref(list->crl);
        return found;
    }
    sk_X509_CRL_free(found);
    return NULL;
}
