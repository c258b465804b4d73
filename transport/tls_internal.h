/* tls_internal.h - what the files of the TLS context share: tls_files.c reads what a context is
 * made of, tls_peer.c judges the other side, tls.c makes contexts and connections of the two. */
#ifndef MR_TRANSPORT_TLS_INTERNAL_H
#define MR_TRANSPORT_TLS_INTERNAL_H

#include "transport/tls.h"

struct mr_tls {
    SSL_CTX *context;
    BIO_METHOD *sockets;
    enum mr_tls_side side;
    char *revocation_file; /* NULL: none */
    STACK_OF(X509) * cas;  /* of ca_file */
    struct mr_revocations *revocations;
    const struct mr_tls_sessions *sessions; /* of a server; NULL: nobody resumes */
};

/* tls_files.c: all of them into the context. 0 or -1 with an error. */
int mr_tls_load_files(struct mr_tls *tls, const struct mr_tls_files *files, struct mr_error *error);

/* tls_peer.c: OpenSSL's callbacks. */
int mr_tls_verify(int trusted, X509_STORE_CTX *store);
struct stack_st_X509_CRL *mr_tls_lists(const X509_STORE_CTX *store, const X509_NAME *name);

#endif
