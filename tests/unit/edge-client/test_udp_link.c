/* test_udp_link.c - a batch over a real socket arrives as the datagrams it was made of, whichever
 * way it is sent, and each way that is refused falls to the next. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "edge-client/upload/udp_link.h"
#include "tests/refuse_call.h"

#define MANY     200
#define LONG_MAX 9000

static uint8_t data[MANY][LONG_MAX];

struct ends {
    struct mr_udp_link link;
    int hub;
};

static void open_ends(struct ends *ends)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof name;
    const int room = 4 << 20;
    struct mr_error error = {0};

    ends->hub = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(ends->hub >= 0);
    (void)setsockopt(ends->hub, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    assert_int_equal(bind(ends->hub, (const struct sockaddr *)&name, sizeof name), 0);
    assert_int_equal(getsockname(ends->hub, (struct sockaddr *)&name, &length), 0);
    if (mr_udp_link_open(&ends->link, "127.0.0.1", ntohs(name.sin_port), &error)) {
        fail_msg("%s", error.text);
    }
}

static void close_ends(struct ends *ends)
{
    mr_udp_link_close(&ends->link);
    close(ends->hub);
}

/* Sends datagrams of those lengths in batches of `batch` and sees each of them arrive, in order. */
static void send_and_expect(struct ends *ends, const size_t *lengths, unsigned kinds,
                            unsigned batch)
{
    struct iovec parts[MANY];
    uint8_t got[LONG_MAX + 1];

    for (unsigned i = 0; i < MANY; i++) {
        parts[i] = (struct iovec){.iov_base = data[i], .iov_len = lengths[i % kinds]};
        for (size_t k = 0; k < parts[i].iov_len; k++) {
            data[i][k] = (uint8_t)(i * 37 + k * 5 + (k >> 8));
        }
    }
    for (unsigned at = 0; at < MANY;) {
        const unsigned n = MANY - at < batch ? MANY - at : batch;
        mr_udp_link_send(&ends->link, parts + at, n);
        for (const unsigned end = at + n; at < end; at++) {
            assert_int_equal(recv(ends->hub, got, sizeof got, 0), parts[at].iov_len);
            assert_memory_equal(got, data[at], parts[at].iov_len);
        }
    }
    assert_int_equal(recv(ends->hub, got, sizeof got, MSG_DONTWAIT), -1);
}

/* Whole shares (the last chunk is shorter), chunks of a larger size than before, empty ones. */
static void exercise(struct ends *ends)
{
    static const size_t share[] = {1456, 1456, 1456, 1456, 1456, 1456, 112};
    static const size_t equal[] = {1264};
    static const size_t mixed[] = {48, 1456, 0, 1456, 1456, 900, 901, 901, 0, 0, 8944, 8944, 1};

    send_and_expect(ends, share, sizeof share / sizeof *share, 64);
    send_and_expect(ends, equal, 1, 44);
    send_and_expect(ends, equal, 1, MANY);
    send_and_expect(ends, mixed, sizeof mixed / sizeof *mixed, 16);
    send_and_expect(ends, mixed, sizeof mixed / sizeof *mixed, 1);
}

static void test_trains(void **state)
{
    (void)state;
    struct ends ends;
    open_ends(&ends);
    if (ends.link.way != MR_UDP_TRAINS) {
        print_message("no UDP GSO in this kernel\n");
        close_ends(&ends);
        skip();
    }
    exercise(&ends);
    assert_int_equal(ends.link.way, MR_UDP_TRAINS); /* nothing was refused */
    close_ends(&ends);
}

/* A socket without checksums is refused trains by the kernel: nothing is lost on the way down. */
static void test_trains_refused(void **state)
{
    (void)state;
    struct ends ends;
    const int one = 1;
    open_ends(&ends);
    if (ends.link.way != MR_UDP_TRAINS) {
        print_message("no UDP GSO in this kernel\n");
        close_ends(&ends);
        skip();
    }
    assert_int_equal(setsockopt(ends.link.fd, SOL_SOCKET, SO_NO_CHECK, &one, sizeof one), 0);
    exercise(&ends);
    assert_int_equal(ends.link.way, MR_UDP_BATCHES);
    close_ends(&ends);
}

static void test_batches(void **state)
{
    (void)state;
    struct ends ends;
    open_ends(&ends);
    ends.link.way = MR_UDP_BATCHES; /* as the ladder stands on a kernel without GSO */
    exercise(&ends);
    assert_int_equal(ends.link.way, MR_UDP_BATCHES);
    close_ends(&ends);
}

/* Both better ways are truly refused, by the kernel. */
static void test_one_by_one(void **state)
{
    (void)state;
    if (!refuse_call_works()) {
        print_message("an emulator's calls cannot be refused\n");
        skip();
    }
    const pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (child == 0) {
        struct ends ends;
        const int one = 1;
        open_ends(&ends);
        if (setsockopt(ends.link.fd, SOL_SOCKET, SO_NO_CHECK, &one, sizeof one) ||
            refuse_call(SYS_sendmmsg, ENOSYS)) {
            _exit(77);
        }
        exercise(&ends);
        _exit(ends.link.way == MR_UDP_ONE_BY_ONE ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        print_message("no seccomp filter here\n");
        skip();
    }
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Nobody listens: the kernel reports it, the sender goes on. */
static void test_errors_pass(void **state)
{
    (void)state;
    static const size_t lengths[] = {1456};
    struct ends ends;
    uint8_t byte = 0;
    const struct iovec parts[2] = {{&byte, 1}, {&byte, 1}};

    for (int way = MR_UDP_ONE_BY_ONE; way <= MR_UDP_TRAINS; way++) {
        open_ends(&ends);
        if ((int)ends.link.way < way) {
            close_ends(&ends);
            continue;
        }
        ends.link.way = (enum mr_udp_way)way;
        struct sockaddr_in name;
        socklen_t length = sizeof name;
        assert_int_equal(getsockname(ends.hub, (struct sockaddr *)&name, &length), 0);
        close(ends.hub);
        for (unsigned i = 0; i < 20; i++) {
            mr_udp_link_send(&ends.link, parts, 2);
        }
        assert_int_equal(ends.link.way, way);
        ends.hub = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(ends.hub, (const struct sockaddr *)&name, sizeof name), 0);
        mr_udp_link_send(&ends.link, parts, 1); /* takes the last report */
        while (recv(ends.hub, &byte, 1, MSG_DONTWAIT) >= 0) {
            continue;
        }
        send_and_expect(&ends, lengths, 1, 44);
        close_ends(&ends);
    }
}

static void test_receive(void **state)
{
    (void)state;
    struct ends ends;
    struct sockaddr_in name;
    socklen_t length = sizeof name;
    uint8_t out[100];

    open_ends(&ends);
    assert_int_equal(getsockname(ends.link.fd, (struct sockaddr *)&name, &length), 0);
    assert_int_equal(mr_udp_link_receive(&ends.link, out, sizeof out, 0), 0);
    assert_int_equal(mr_udp_link_receive(&ends.link, out, sizeof out, 1000), 0);
    assert_int_equal(sendto(ends.hub, "ack", 3, 0, (const struct sockaddr *)&name, length), 3);
    assert_int_equal(mr_udp_link_receive(&ends.link, out, sizeof out, 60000000), 3);
    assert_memory_equal(out, "ack", 3);
    close_ends(&ends);
}

static void test_unusable_address(void **state)
{
    (void)state;
    struct mr_udp_link link;
    struct mr_error error = {0};

    assert_int_equal(mr_udp_link_open(&link, "hub.example", 9443, &error), -1);
    assert_non_null(strstr(error.text, "hub.example"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trains),           cmocka_unit_test(test_trains_refused),
        cmocka_unit_test(test_batches),          cmocka_unit_test(test_one_by_one),
        cmocka_unit_test(test_errors_pass),      cmocka_unit_test(test_receive),
        cmocka_unit_test(test_unusable_address),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
