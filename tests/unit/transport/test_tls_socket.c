/* test_tls_socket.c - what a held socket sends: nothing is lost or late, and segments are full. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "transport/tls_socket.h"

#define PATIENCE_MS 20000

struct pair {
    int here, there;
    BIO_METHOD *method;
    BIO *bio;
};

static int open_pair(void **state)
{
    static struct pair pair;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    const int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(listener >= 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    pair.here = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(pair.here, (struct sockaddr *)&address, sizeof address), 0);
    pair.there = accept(listener, NULL, NULL);
    assert_true(pair.there >= 0);
    close(listener);
    assert_int_equal(setsockopt(pair.here, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one), 0);
    pair.method = mr_tls_socket_method();
    pair.bio = mr_tls_socket(pair.method, pair.here);
    assert_non_null(pair.bio);
    *state = &pair;
    return 0;
}

static int close_pair(void **state)
{
    const struct pair *pair = *state;
    BIO_free(pair->bio);
    BIO_meth_free(pair->method);
    close(pair->here);
    close(pair->there);
    return 0;
}

/* Bytes that TCP has not sent once; 0 where nobody tells (an emulated kernel). */
static int waiting(const struct pair *pair)
{
    int bytes = 0;
    return ioctl(pair->here, SIOCOUTQNSD, &bytes) == 0 ? bytes : 0;
}

static void write_some(const struct pair *pair, char what, int bytes)
{
    char text[1000];
    memset(text, what, sizeof text);
    assert_true(bytes <= (int)sizeof text);
    assert_int_equal(BIO_write(pair->bio, text, bytes), bytes);
}

static void expect(const struct pair *pair, char what, int bytes)
{
    for (int got = 0; got < bytes; got++) {
        struct pollfd readable = {.fd = pair->there, .events = POLLIN};
        char byte = 0;
        assert_int_equal(poll(&readable, 1, PATIENCE_MS), 1);
        assert_int_equal(recv(pair->there, &byte, 1, 0), 1);
        assert_int_equal(byte, what);
    }
}

/* What is sent when nothing more is said to follow takes along what waited. */
static void test_the_last_takes_all_along(void **state)
{
    const struct pair *pair = *state;
    mr_tls_socket_hold(pair->bio, true);
    write_some(pair, 'a', 700);
    mr_tls_socket_hold(pair->bio, false);
    write_some(pair, 'b', 300);
    assert_int_equal(waiting(pair), 0);
    expect(pair, 'a', 700);
    expect(pair, 'b', 300);
}

/* Where nothing followed after all, flushing sends it; flushed twice, or with nothing held: fine.
 */
static void test_flushed(void **state)
{
    const struct pair *pair = *state;
    for (unsigned turn = 0; turn < 3; turn++) {
        mr_tls_socket_hold(pair->bio, true);
        write_some(pair, 'c', 500);
        assert_int_equal(BIO_flush(pair->bio), 1);
        assert_int_equal(waiting(pair), 0);
        assert_int_equal(BIO_flush(pair->bio), 1);
        write_some(pair, 'd', 1); /* no longer held */
        assert_int_equal(waiting(pair), 0);
        expect(pair, 'c', 500);
        expect(pair, 'd', 1);
    }
}

/* A BIO of another kind is left alone. */
static void test_another_kind(void **state)
{
    BIO *memory = BIO_new(BIO_s_mem());
    (void)state;
    mr_tls_socket_hold(memory, true);
    assert_int_equal(BIO_write(memory, "abc", 3), 3);
    mr_tls_socket_hold(memory, false);
    assert_int_equal(BIO_pending(memory), 3);
    BIO_free(memory);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, open_pair, close_pair)
    const struct CMUnitTest tests[] = {
        T(test_the_last_takes_all_along),
        T(test_flushed),
        cmocka_unit_test(test_another_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
