/* revocation_age.c - which of two lists of one CA is the newer. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/x509v3.h>

#include "base/bytes.h"
#include "transport/revocation_internal.h"

#define NUMBER_MAX     64 /* digits: RFC 5280 5.2.3 allows 20 bytes, which are 49 */
#define LINE_MAX_BYTES (2 * MR_KEY_HASH_BYTES + NUMBER_MAX + 24)

/* A list's age: its number (decimal; "-": it has none) and date. */
struct age {
    char number[NUMBER_MAX + 1];
    int64_t made_s;
};

static struct age age_of(const X509_CRL *crl)
{
    struct age age = {.number = "-",
                      .made_s = mr_certificate_seconds(X509_CRL_get0_lastUpdate(crl))};
    ASN1_INTEGER *number = X509_CRL_get_ext_d2i(crl, NID_crl_number, NULL, NULL);
    BIGNUM *value = number ? ASN1_INTEGER_to_BN(number, NULL) : NULL;
    char *text = value ? BN_bn2dec(value) : NULL;
    if (text && *text != '-' && strlen(text) <= NUMBER_MAX) {
        snprintf(age.number, sizeof age.number, "%s", text);
    }
    OPENSSL_free(text);
    BN_free(value);
    ASN1_INTEGER_free(number);
    return age;
}

/* By the numbers where both have one, else by the dates. */
static bool is_older(const struct age *a, const struct age *b)
{
    if (*a->number == '-' || *b->number == '-') {
        return a->made_s < b->made_s;
    }
    const size_t digits_a = strlen(a->number), digits_b = strlen(b->number);
    return digits_a != digits_b ? digits_a < digits_b : strcmp(a->number, b->number) < 0;
}

static int check_age(const struct mr_revocation_list *list, unsigned number, const struct age *seen,
                     struct mr_error *error)
{
    const struct age age = age_of(list->crl);
    if (!is_older(&age, seen)) {
        return 0;
    }
    char name[MR_CERTIFICATE_NAME_MAX], now[MR_CERTIFICATE_TIME_MAX], then[MR_CERTIFICATE_TIME_MAX];
    mr_certificate_name(name, X509_CRL_get_issuer(list->crl));
    mr_certificate_time(now, age.made_s);
    mr_certificate_time(then, seen->made_s);
    return mr_error_set(error,
                        "list %u, of %s, is number %s of %s and older than the one that was in "
                        "force, number %s of %s: get the CA's newest (to let a certificate in "
                        "again, the CA signs a newer list without it)",
                        number, name, age.number, now, seen->number, then);
}

int mr_revocations_follow(const struct mr_revocations *fresh, const struct mr_revocations *seen,
                          struct mr_error *error)
{
    for (unsigned i = 0; fresh && seen && i < fresh->list_count; i++) {
        const struct mr_revocation_list *before =
            mr_revocation_list_of(seen, fresh->lists[i].signer);
        const struct age age = before ? age_of(before->crl) : (struct age){.number = "-"};
        if (before && check_age(&fresh->lists[i], i + 1, &age, error) != 0) {
            return -1;
        }
    }
    return 0;
}

/* A line each: the signer's key, the number, the date. */
char *mr_revocations_note(const struct mr_revocations *revocations)
{
    const size_t room = revocations->list_count * (size_t)LINE_MAX_BYTES + 1;
    char *note = calloc(1, room);
    size_t used = 0;
    for (unsigned i = 0; note && i < revocations->list_count; i++) {
        const struct age age = age_of(revocations->lists[i].crl);
        char key[2 * MR_KEY_HASH_BYTES + 1];
        mr_hex_encode(key, revocations->lists[i].signer, MR_KEY_HASH_BYTES);
        used += (size_t)snprintf(note + used, room - used, "%s %s %" PRId64 "\n", key, age.number,
                                 age.made_s);
    }
    return note;
}

/* One line of a note; the next one, or NULL for a line that is none. */
static const char *read_line(const char *line, uint8_t signer[MR_KEY_HASH_BYTES], struct age *age)
{
    char key[2 * MR_KEY_HASH_BYTES + 1];
    int length = 0;
    if (sscanf(line, "%64[0-9a-f] %64[0-9-] %" SCNd64 "%n", key, age->number, &age->made_s,
               &length) != 3 ||
        mr_hex_decode(signer, MR_KEY_HASH_BYTES, key) != 0 || line[length] != '\n') {
        return NULL;
    }
    return line + length + 1;
}

int mr_revocations_follow_note(const struct mr_revocations *fresh, const char *note,
                               struct mr_error *error)
{
    for (const char *line = note; *line != '\0';) {
        uint8_t signer[MR_KEY_HASH_BYTES];
        struct age seen;
        line = read_line(line, signer, &seen);
        if (!line) {
            return mr_error_set(error, "is damaged: take it away, and see to it that the lists are "
                                       "the newest");
        }
        const struct mr_revocation_list *list = mr_revocation_list_of(fresh, signer);
        if (list && check_age(list, (unsigned)(list - fresh->lists) + 1, &seen, error) != 0) {
            return -1;
        }
    }
    return 0;
}
