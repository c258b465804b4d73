#include "tests/unit/transport/party.h"

#include <stdio.h>
#include <sys/stat.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

static void extend(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

struct party certify(const char *name, const struct party *issuer, long number, const char *uri,
                     long until_s)
{
    struct party party = {EVP_EC_gen("P-256"), X509_new()};
    X509 *c = party.certificate;
    assert_non_null(party.key);
    assert_int_equal(X509_set_version(c, X509_VERSION_3), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(c), number), 1);
    X509_gmtime_adj(X509_getm_notBefore(c), -2L * PARTY_LIFE_S);
    X509_gmtime_adj(X509_getm_notAfter(c), until_s);
    X509_set_pubkey(c, party.key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(c), "CN", MBSTRING_ASC, (const uint8_t *)name,
                               -1, -1, 0);
    X509_set_issuer_name(c, X509_get_subject_name(issuer ? issuer->certificate : c));
    extend(c, c, NID_basic_constraints, uri ? "critical,CA:FALSE" : "critical,CA:TRUE");
    extend(c, c, NID_subject_key_identifier, "hash");
    if (issuer) { /* or OpenSSL cannot tell two CAs of one name apart */
        extend(c, issuer->certificate, NID_authority_key_identifier, "keyid:always");
    }
    if (uri) {
        extend(c, c, NID_subject_alt_name, uri);
    }
    assert_true(X509_sign(c, issuer ? issuer->key : party.key, EVP_sha256()) > 0);
    return party;
}

void party_forget(struct party *party)
{
    EVP_PKEY_free(party->key);
    X509_free(party->certificate);
}

void party_write(const char *path, unsigned count, const struct party *const *parties)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(PEM_write_X509(file, parties[i]->certificate), 1);
    }
    assert_int_equal(fclose(file), 0);
}

void party_write_key(const char *path, const struct party *party)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fchmod(fileno(file), 0600), 0);
    assert_int_equal(PEM_write_PrivateKey(file, party->key, NULL, NULL, 0, NULL, NULL), 1);
    assert_int_equal(fclose(file), 0);
}

static void take_back(X509_CRL *list, long number)
{
    X509_REVOKED *entry = X509_REVOKED_new();
    ASN1_INTEGER *serial = ASN1_INTEGER_new();
    ASN1_TIME *now = X509_gmtime_adj(NULL, 0);
    ASN1_INTEGER_set(serial, number);
    assert_int_equal(X509_REVOKED_set_serialNumber(entry, serial), 1);
    assert_int_equal(X509_REVOKED_set_revocationDate(entry, now), 1);
    assert_int_equal(X509_CRL_add0_revoked(list, entry), 1);
    ASN1_INTEGER_free(serial);
    ASN1_TIME_free(now);
}

void party_write_list(const char *path, bool first, const struct party *ca, long number, long age_s,
                      const long *taken_back)
{
    X509_CRL *list = X509_CRL_new();
    ASN1_TIME *from = X509_gmtime_adj(NULL, -age_s), *until = X509_gmtime_adj(NULL, PARTY_LIFE_S);
    X509_CRL_set_version(list, X509_CRL_VERSION_2);
    X509_CRL_set_issuer_name(list, X509_get_subject_name(ca->certificate));
    X509_CRL_set1_lastUpdate(list, from);
    X509_CRL_set1_nextUpdate(list, until);
    if (number) {
        ASN1_INTEGER *value = ASN1_INTEGER_new();
        ASN1_INTEGER_set(value, number);
        assert_int_equal(X509_CRL_add1_ext_i2d(list, NID_crl_number, value, 0, 0), 1);
        ASN1_INTEGER_free(value);
    }
    for (; *taken_back; taken_back++) {
        take_back(list, *taken_back);
    }
    assert_true(X509_CRL_sign(list, ca->key, EVP_sha256()) > 0);
    FILE *file = fopen(path, first ? "w" : "a");
    assert_non_null(file);
    assert_int_equal(PEM_write_X509_CRL(file, list), 1);
    assert_int_equal(fclose(file), 0);
    X509_CRL_free(list);
    ASN1_TIME_free(from);
    ASN1_TIME_free(until);
}
