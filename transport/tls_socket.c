#include "transport/tls_socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <sys/socket.h>

#define CTRL_HOLD  0x4d52     /* none of OpenSSL's commands … */
#define FLAGS_HELD 0x01000000 /* … nor of its flags */

static int socket_of(BIO *bio)
{
    return (int)(intptr_t)BIO_get_data(bio);
}

static int socket_write(BIO *bio, const char *data, int length)
{
    BIO_clear_retry_flags(bio);
    const int more = BIO_test_flags(bio, FLAGS_HELD) ? MSG_MORE : 0;
    const ssize_t sent = send(socket_of(bio), data, (size_t)length, MSG_NOSIGNAL | more);
    if (sent < 0 && (errno == EAGAIN || errno == EINTR)) {
        BIO_set_retry_write(bio);
    }
    return (int)sent;
}

static int socket_read(BIO *bio, char *data, int length)
{
    BIO_clear_retry_flags(bio);
    const ssize_t got = recv(socket_of(bio), data, (size_t)length, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        BIO_set_retry_read(bio);
    } else if (got == 0) {
        BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
    }
    return (int)got;
}

/* TCP_NODELAY, which is set already, sends what waits (tcp(7)). */
static void let_go(BIO *bio)
{
    const int one = 1;
    if (BIO_test_flags(bio, FLAGS_HELD)) {
        BIO_clear_flags(bio, FLAGS_HELD);
        (void)setsockopt(socket_of(bio), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    }
}

static long socket_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)pointer;
    switch (command) {
    case CTRL_HOLD:
        BIO_clear_flags(bio, FLAGS_HELD);
        BIO_set_flags(bio, number ? FLAGS_HELD : 0);
        return 1;
    case BIO_CTRL_FLUSH:
        let_go(bio);
        return 1;
    case BIO_CTRL_EOF:
        return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
    default:
        return 0;
    }
}

BIO_METHOD *mr_tls_socket_method(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
    if (method) {
        BIO_meth_set_write(method, socket_write);
        BIO_meth_set_read(method, socket_read);
        BIO_meth_set_ctrl(method, socket_ctrl);
    }
    return method;
}

BIO *mr_tls_socket(BIO_METHOD *method, int fd)
{
    BIO *bio = BIO_new(method);
    if (bio) {
        BIO_set_data(bio, (void *)(intptr_t)fd);
        BIO_set_init(bio, 1);
    }
    return bio;
}

void mr_tls_socket_hold(BIO *bio, bool more)
{
    (void)BIO_ctrl(bio, CTRL_HOLD, more, NULL);
}
