/* tls_socket.h - OpenSSL's view of a socket: send() with MSG_NOSIGNAL instead of write(). */
#ifndef MR_TRANSPORT_TLS_SOCKET_H
#define MR_TRANSPORT_TLS_SOCKET_H

#include <stdbool.h>

#include <openssl/bio.h>

BIO_METHOD *mr_tls_socket_method(void); /* NULL: out of memory; BIO_meth_free is owed */
/* A BIO over fd, which stays the caller's. NULL: out of memory. */
BIO *mr_tls_socket(BIO_METHOD *method, int fd);
/* While more follows at once, TCP may wait for it, and sends segments that are full: a record each
 * would wake the other side as often. What is sent when nothing follows any more sends what waits
 * as well, and where nothing is, BIO_flush does. Of a socket's BIO; any other is left as it is. */
void mr_tls_socket_hold(BIO *bio, bool more);

#endif
