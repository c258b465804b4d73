#include "appliance/cli/pki_certificate.h"

#include <string.h>

#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

int mr_pki_random(uint8_t *out, size_t bytes, struct mr_error *error)
{
    if (RAND_bytes(out, (int)bytes) != 1) {
        return mr_error_set(error, "the cryptographic library gives no random bytes");
    }
    return 0;
}

static int set_serial(X509 *certificate)
{
    uint8_t serial[16];
    if (RAND_bytes(serial, sizeof serial) != 1) {
        return -1;
    }
    serial[0] = (serial[0] & 0x7f) | 0x40; /* positive, and always 16 bytes */
    BIGNUM *number = BN_bin2bn(serial, sizeof serial, NULL);
    const int ok = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
    BN_free(number);
    return ok ? 0 : -1;
}

static int add_name(X509 *certificate, const char *field, const char *text)
{
    X509_NAME *name = X509_get_subject_name(certificate);
    return X509_NAME_add_entry_by_txt(name, field, MBSTRING_ASC, (const uint8_t *)text, -1, -1,
                                      0) == 1
               ? 0
               : -1;
}

static int set_subject(X509 *certificate, const char *stem, int is_ca)
{
    if (!is_ca) {
        return add_name(certificate, "CN", stem);
    }
    /* Two CAs must not share a name, or a chain would be tried with the wrong key. */
    uint8_t random[4];
    char unique[2 * sizeof random + 1] = {0};
    if (RAND_bytes(random, sizeof random) != 1) {
        return -1;
    }
    for (size_t i = 0; i < sizeof random; i++) {
        unique[2 * i] = "0123456789abcdef"[random[i] >> 4];
        unique[2 * i + 1] = "0123456789abcdef"[random[i] & 15];
    }
    return add_name(certificate, "CN", "Millrace throw-away CA") == 0 &&
                   add_name(certificate, "OU", unique) == 0
               ? 0
               : -1;
}

/* Takes the value. */
static int push_name(GENERAL_NAMES *names, int type, ASN1_STRING *value)
{
    GENERAL_NAME *name = GENERAL_NAME_new();
    if (!name) {
        ASN1_STRING_free(value);
        return -1;
    }
    GENERAL_NAME_set0_value(name, type, value);
    if (!sk_GENERAL_NAME_push(names, name)) {
        GENERAL_NAME_free(name);
        return -1;
    }
    return 0;
}

static int push_text(GENERAL_NAMES *names, int type, const char *text)
{
    ASN1_IA5STRING *value = ASN1_IA5STRING_new();
    if (!value || ASN1_STRING_set(value, text, -1) != 1) {
        ASN1_IA5STRING_free(value);
        return -1;
    }
    return push_name(names, type, value);
}

/* subjectAltName: identities as URIs, hosts as addresses or names. */
static int add_names(X509 *certificate, const struct mr_pki_leaf *leaf)
{
    if (leaf->uri_count + leaf->host_name_count == 0) {
        return 0;
    }
    GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
    int status = names ? 0 : -1;
    for (unsigned i = 0; status == 0 && i < leaf->uri_count; i++) {
        status = push_text(names, GEN_URI, leaf->uris[i]);
    }
    for (unsigned i = 0; status == 0 && i < leaf->host_name_count; i++) {
        ASN1_OCTET_STRING *address = a2i_IPADDRESS(leaf->host_names[i]);
        status = address ? push_name(names, GEN_IPADD, address)
                         : push_text(names, GEN_DNS, leaf->host_names[i]);
    }
    if (status == 0 && X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, 0) != 1) {
        status = -1;
    }
    GENERAL_NAMES_free(names);
    return status;
}

struct extension {
    int nid;
    const char *value;
};

static const struct extension ca_extensions[] = {
    {NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
    {NID_key_usage, "critical,keyCertSign,cRLSign"},
    {NID_subject_key_identifier, "hash"},
};

static const struct extension leaf_extensions[] = {
    {NID_basic_constraints, "critical,CA:FALSE"}, {NID_key_usage, "critical,digitalSignature"},
    {NID_ext_key_usage, "serverAuth,clientAuth"}, /* hubs call each other */
    {NID_subject_key_identifier, "hash"},         {NID_authority_key_identifier, "keyid:always"},
};

static int add_extensions(X509 *certificate, X509 *issuer)
{
    const struct extension *extensions = issuer ? leaf_extensions : ca_extensions;
    const size_t count = issuer ? sizeof leaf_extensions / sizeof *leaf_extensions
                                : sizeof ca_extensions / sizeof *ca_extensions;
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer ? issuer : certificate, certificate, NULL, NULL, 0);
    for (size_t i = 0; i < count; i++) {
        X509_EXTENSION *extension =
            X509V3_EXT_conf_nid(NULL, &context, extensions[i].nid, extensions[i].value);
        const int ok = extension && X509_add_ext(certificate, extension, -1);
        X509_EXTENSION_free(extension);
        if (!ok) {
            return -1;
        }
    }
    return 0;
}

X509 *mr_pki_certificate(const struct mr_pki_leaf *leaf, EVP_PKEY *key, X509 *issuer,
                         EVP_PKEY *issuer_key, struct mr_error *error)
{
    X509 *certificate = X509_new();
    if (certificate && X509_set_version(certificate, X509_VERSION_3) == 1 &&
        set_serial(certificate) == 0 &&
        X509_gmtime_adj(X509_getm_notBefore(certificate), (long)leaf->from_s) &&
        X509_gmtime_adj(X509_getm_notAfter(certificate), (long)leaf->until_s) &&
        X509_set_pubkey(certificate, key) == 1 &&
        set_subject(certificate, leaf->stem, !issuer) == 0 &&
        X509_set_issuer_name(certificate, X509_get_subject_name(issuer ? issuer : certificate)) ==
            1 &&
        add_extensions(certificate, issuer) == 0 && add_names(certificate, leaf) == 0 &&
        X509_sign(certificate, issuer_key, EVP_sha256()) > 0) {
        return certificate;
    }
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    mr_error_set(error, "%s: cannot make the certificate: %s", leaf->stem,
                 reason ? reason : "out of memory");
    ERR_clear_error();
    X509_free(certificate);
    return NULL;
}
