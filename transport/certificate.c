#include "transport/certificate.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <openssl/sha.h>
#include <openssl/x509v3.h>

#include "wire/refusal.h"

int mr_certificate_identity(struct mr_identity *identity, X509 *certificate)
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

/* --- what it is taken back by ---------------------------------------------------------------- */

void mr_certificate_key_hash(uint8_t hash[MR_KEY_HASH_BYTES], const X509 *certificate)
{
    unsigned length = 0;
    if (X509_pubkey_digest(certificate, EVP_sha256(), hash, &length) != 1) {
        memset(hash, 0, MR_KEY_HASH_BYTES);
    }
}

void mr_certificate_tag(uint8_t tag[MR_SERIAL_OWN_BYTES],
                        const uint8_t issuer_key_hash[MR_KEY_HASH_BYTES],
                        const ASN1_INTEGER *number)
{
    static const char label[] = "millrace certificate";
    uint8_t bytes[sizeof label + MR_KEY_HASH_BYTES + 1 + SHA256_DIGEST_LENGTH];
    uint8_t digest[SHA256_DIGEST_LENGTH], *at = bytes;
    memcpy(at, label, sizeof label);
    at += sizeof label;
    memcpy(at, issuer_key_hash, MR_KEY_HASH_BYTES);
    at += MR_KEY_HASH_BYTES;
    *at++ = ASN1_STRING_type(number) == V_ASN1_NEG_INTEGER;
    SHA256(ASN1_STRING_get0_data(number), (size_t)ASN1_STRING_length(number), at); /* any length */
    SHA256(bytes, sizeof bytes, digest);
    memcpy(tag, digest, MR_SERIAL_OWN_BYTES);
}

void mr_certificate_serial(struct mr_serial *serial, STACK_OF(X509) * chain)
{
    uint8_t *at = serial->bytes;
    memset(serial, 0, sizeof *serial);
    for (int i = 0; i <= MR_SERIAL_ABOVE && i + 1 < sk_X509_num(chain); i++) {
        uint8_t key_hash[MR_KEY_HASH_BYTES], tag[MR_SERIAL_OWN_BYTES];
        const size_t bytes = i == 0 ? MR_SERIAL_OWN_BYTES : MR_SERIAL_ABOVE_BYTES;
        mr_certificate_key_hash(key_hash, sk_X509_value(chain, i + 1));
        mr_certificate_tag(tag, key_hash, X509_get0_serialNumber(sk_X509_value(chain, i)));
        memcpy(at, tag, bytes);
        at += bytes;
    }
}

/* --- for people ------------------------------------------------------------------------------ */

void mr_certificate_name(char text[MR_CERTIFICATE_NAME_MAX], const X509_NAME *name)
{
    BIO *out = BIO_new(BIO_s_mem());
    int length = 0;
    if (out && X509_NAME_print_ex(out, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0) {
        length = BIO_read(out, text, MR_CERTIFICATE_NAME_MAX - 1);
    }
    text[length > 0 ? length : 0] = '\0';
    BIO_free(out);
    mr_plain_text(text);
}

int64_t mr_certificate_seconds(const ASN1_TIME *time)
{
    struct tm parts;
    return time && ASN1_TIME_to_tm(time, &parts) == 1 ? (int64_t)timegm(&parts) : INT64_MAX;
}

void mr_certificate_time(char text[MR_CERTIFICATE_TIME_MAX], int64_t seconds)
{
    const time_t time = (time_t)seconds;
    struct tm parts;
    if (seconds == INT64_MAX || !gmtime_r(&time, &parts) ||
        strftime(text, MR_CERTIFICATE_TIME_MAX, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0) {
        snprintf(text, MR_CERTIFICATE_TIME_MAX, "unknown");
    }
}
