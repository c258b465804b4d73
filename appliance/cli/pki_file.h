/* pki_file.h - the files of the throw-away CA. Used by pki.c only.
 *
 * Files are made with O_EXCL and their final mode, so that no key is ever readable by others, not
 * even for a moment; what is there stays unless forced, then it is unlinked first. */
#ifndef MR_CLI_PKI_FILE_H
#define MR_CLI_PKI_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/error.h"

int mr_pki_write_key(const char *dir, const char *stem, EVP_PKEY *key, bool force,
                     struct mr_error *error);
int mr_pki_write_certificate(const char *dir, const char *stem, X509 *certificate, bool force,
                             struct mr_error *error);
/* `bytes` at most 64, written as lower-case hex and a newline. */
int mr_pki_write_hex(const char *dir, const char *file, const uint8_t *value, size_t bytes,
                     mode_t mode, bool force, struct mr_error *error);

/* <stem>.pem and <stem>.key; the caller owns both. */
int mr_pki_read(const char *dir, const char *stem, X509 **certificate, EVP_PKEY **key,
                struct mr_error *error);

#endif
