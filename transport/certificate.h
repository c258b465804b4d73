/* certificate.h - what a certificate says: who it speaks for, who signed it, how long it holds. */
#ifndef MR_TRANSPORT_CERTIFICATE_H
#define MR_TRANSPORT_CERTIFICATE_H

#include <stdint.h>

#include <openssl/x509.h>

#include "wire/identity.h"

#define MR_CERTIFICATE_NAME_MAX 72
#define MR_CERTIFICATE_TIME_MAX 32
#define MR_KEY_HASH_BYTES       32

/* The one millrace URI of the certificate. 0, or -1 where there is none, more than one, or a
 * malformed one. */
int mr_certificate_identity(struct mr_identity *identity, X509 *certificate);

/* SHA-256 of the public key: a CA is told by it from another of the same name. */
void mr_certificate_key_hash(uint8_t hash[MR_KEY_HASH_BYTES], const X509 *certificate);

/* What its CAs take it back by; `chain` begins with it and ends with the root (wire/identity.h). */
void mr_certificate_serial(struct mr_serial *serial, STACK_OF(X509) * chain);
/* The first bytes of the above for one certificate, by its CA's key and its number. */
void mr_certificate_tag(uint8_t tag[MR_SERIAL_OWN_BYTES],
                        const uint8_t issuer_key_hash[MR_KEY_HASH_BYTES],
                        const ASN1_INTEGER *number);

/* "CN=hub-0, O=Example", cut where it is too long: printable ASCII without double quotes. */
void mr_certificate_name(char text[MR_CERTIFICATE_NAME_MAX], const X509_NAME *name);
/* Seconds since 1970; INT64_MAX for a time that cannot be read, or NULL. */
int64_t mr_certificate_seconds(const ASN1_TIME *time);
/* "2026-07-01T12:00:00Z"; "unknown" for INT64_MAX. */
void mr_certificate_time(char text[MR_CERTIFICATE_TIME_MAX], int64_t seconds);

#endif
