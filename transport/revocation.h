/* revocation.h - the certificates that CAs have taken back: lists (CRLs) in one PEM file, one list
 * of each CA.
 *
 * Each list must be whole (neither delta, partial nor indirect) and signed by a CA that is known
 * here. Handshakes are checked with OpenSSL's own CRL checking; the tags here are for what is asked
 * later, of certificates that are known by their struct mr_serial alone. A list that has run out
 * (nextUpdate) still holds for what it names: an old list is better than none, and no reason to
 * turn everybody away. Not thread-safe. */
#ifndef MR_TRANSPORT_REVOCATION_H
#define MR_TRANSPORT_REVOCATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/x509.h>

#include "base/error.h"
#include "wire/identity.h"

struct mr_revocations;

/* The lists of the file, each signed by one of `cas` or of the certificates that stand in the file
 * itself. NULL with an error that names the file and the remedy. */
struct mr_revocations *mr_revocations_read(const char *file, STACK_OF(X509) * cas,
                                           struct mr_error *error);
void mr_revocations_free(struct mr_revocations *revocations); /* NULL allowed */

/* 0, or -1 with an error where a list of `fresh` is older than the one of the same CA in `seen`
 * (NULL: none was seen). */
int mr_revocations_follow(const struct mr_revocations *fresh, const struct mr_revocations *seen,
                          struct mr_error *error);

/* How old the lists are, as text (malloc'd; NULL: out of memory), to be kept over a restart; and
 * mr_revocations_follow of what was seen then. A text that is damaged is an error. */
char *mr_revocations_note(const struct mr_revocations *revocations);
int mr_revocations_follow_note(const struct mr_revocations *fresh, const char *note,
                               struct mr_error *error);

/* Certificates that are named, over all lists. */
size_t mr_revocations_count(const struct mr_revocations *revocations);
/* When the first of the lists runs out, in seconds since 1970; INT64_MAX: none says. */
int64_t mr_revocations_ends(const struct mr_revocations *revocations);
/* Whether the certificate, or a CA above it, is on a list. */
bool mr_revocations_has(const struct mr_revocations *revocations, const struct mr_serial *serial);

/* The lists of that CA, each with a reference of the caller's; NULL: there is none. */
struct stack_st_X509_CRL *mr_revocations_of(const struct mr_revocations *revocations,
                                            const X509 *issuer);

#endif
