/* tls_socket.h - OpenSSL's view of a socket: send() with MSG_NOSIGNAL instead of write(). */
#ifndef MR_TRANSPORT_TLS_SOCKET_H
#define MR_TRANSPORT_TLS_SOCKET_H

#include <openssl/bio.h>

BIO_METHOD *mr_tls_socket_method(void); /* NULL: out of memory; BIO_meth_free is owed */
/* A BIO over fd, which stays the caller's. NULL: out of memory. */
BIO *mr_tls_socket(BIO_METHOD *method, int fd);

#endif
