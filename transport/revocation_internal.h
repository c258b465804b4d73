/* revocation_internal.h - between revocation.c, which reads lists and is asked, and
 * revocation_age.c, which compares their ages. */
#ifndef MR_TRANSPORT_REVOCATION_INTERNAL_H
#define MR_TRANSPORT_REVOCATION_INTERNAL_H

#include <string.h>

#include "transport/certificate.h"
#include "transport/revocation.h"

#define MR_REVOCATION_LISTS_MAX 64 /* far more CAs than a federation has */

struct mr_revocation_list {
    X509_CRL *crl;
    uint8_t signer[MR_KEY_HASH_BYTES];
};

struct mr_revocations {
    struct mr_revocation_list lists[MR_REVOCATION_LISTS_MAX];
    unsigned list_count;
    uint8_t (*tags)[MR_SERIAL_OWN_BYTES]; /* sorted */
    size_t count;
};

/* The list of the CA with that key, or NULL. */
static inline const struct mr_revocation_list *
mr_revocation_list_of(const struct mr_revocations *revocations,
                      const uint8_t signer[MR_KEY_HASH_BYTES])
{
    for (unsigned i = 0; i < revocations->list_count; i++) {
        if (memcmp(revocations->lists[i].signer, signer, MR_KEY_HASH_BYTES) == 0) {
            return &revocations->lists[i];
        }
    }
    return NULL;
}

#endif
