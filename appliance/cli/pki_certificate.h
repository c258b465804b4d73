/* pki_certificate.h - builds one X.509 v3 certificate. Used by pki.c only. */
#ifndef MR_CLI_PKI_CERTIFICATE_H
#define MR_CLI_PKI_CERTIFICATE_H

#include <stddef.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "appliance/cli/pki.h"

/* A certificate for `key` with the leaf's names, signed by the issuer's key; issuer NULL: a CA,
 * self-signed. The caller owns it. NULL with an error. */
X509 *mr_pki_certificate(const struct mr_pki_leaf *leaf, EVP_PKEY *key, X509 *issuer,
                         EVP_PKEY *issuer_key, struct mr_error *error);

int mr_pki_random(uint8_t *out, size_t bytes, struct mr_error *error);

#endif
