/* revocation.h - the certificates that a CA has taken back: a CRL in PEM, read as a list of
 * serials.
 *
 * The list must be signed by the CA. One that has run out (nextUpdate) still holds for what it
 * names: an old list is better than none, and no reason to turn everybody away. Not thread-safe. */
#ifndef MR_TRANSPORT_REVOCATION_H
#define MR_TRANSPORT_REVOCATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/x509.h>

#include "base/error.h"
#include "wire/identity.h"

struct mr_revocations;

/* Every list of the file; each must be of one of the CA file's certificates. NULL with an error
 * that names the file and the remedy. */
struct mr_revocations *mr_revocations_read(const char *file, const char *ca_file,
                                           struct mr_error *error);
void mr_revocations_free(struct mr_revocations *revocations); /* NULL allowed */

size_t mr_revocations_count(const struct mr_revocations *revocations);
bool mr_revocations_expired(const struct mr_revocations *revocations);
bool mr_revocations_has(const struct mr_revocations *revocations, const struct mr_serial *serial);

/* 0, or -1 for a serial that is negative or too long. */
int mr_serial_of(struct mr_serial *serial, const ASN1_INTEGER *number);

#endif
