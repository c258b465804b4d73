/* party.h - keys and certificates made by hand, for what `millrace pki` does not make: CAs between,
 * CAs of one name, numbers that are chosen, and lists of what was taken back. */
#ifndef MR_TEST_TRANSPORT_PARTY_H
#define MR_TEST_TRANSPORT_PARTY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <cmocka.h>

#include <openssl/x509.h>

#define PARTY_LIFE_S 3600

struct party {
    EVP_PKEY *key;
    X509 *certificate;
};

/* `issuer` NULL: signs itself. `uri` ("URI:urn:…") NULL: a CA. */
struct party certify(const char *name, const struct party *issuer, long number, const char *uri,
                     long until_s);
void party_forget(struct party *party);

/* PEM files: certificates in this order; a key, of mode 0600. */
void party_write(const char *path, unsigned count, const struct party *const *parties);
void party_write_key(const char *path, const struct party *party);

/* Adds the CA's list to the file (begins it where `first`): its own number (0: none) and the
 * numbers that it takes back, up to a 0. It was made `age_s` ago. */
void party_write_list(const char *path, bool first, const struct party *ca, long number, long age_s,
                      const long *taken_back);

#endif
