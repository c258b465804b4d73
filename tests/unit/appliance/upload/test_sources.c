/* test_sources.c - the packet sources on loopback: nothing lost, nothing changed, trains split, the
 * sender known. The argument names the source; exits 77 where the machine has no io_uring. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/udp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "appliance/ingest/sources.h"
#include "tests/refuse_call.h"
#include "upload_kit.h"

static const char *kind;

static struct mr_packet_source *open_at(const char *host, uint16_t port, struct mr_error *error)
{
    const struct mr_packet_source_config config = {
        .kind = kind, .listen_host = host, .port = port, .receive_buffer_bytes = 4u << 20};
    char why[160] = "";
    struct mr_packet_source *source = mr_packet_source_open(&config, why, error);

    if (source) {
        assert_true(strlen(why) > 0);
    }
    return source;
}

static struct mr_packet_source *open_source(const char *host)
{
    struct mr_error error = {0};
    struct mr_packet_source *source = open_at(host, 0, &error);

    if (!source) {
        fail_msg("%s", error.text);
    }
    assert_int_not_equal(source->port, 0);
    assert_true(source->receive_buffer_bytes > 0);
    return source;
}

/* Devices were told another address than the source listens at. */
static struct mr_packet_source *open_told(const char *host, const char *told)
{
    const struct mr_packet_source_config config = {
        .kind = kind, .listen_host = host, .advertise_host = told};
    struct mr_error error = {0};
    char why[160] = "";
    struct mr_packet_source *source = mr_packet_source_open(&config, why, &error);

    if (!source) {
        fail_msg("%s", error.text);
    }
    return source;
}

static int open_sender_to(uint32_t host, uint16_t port)
{
    const struct sockaddr_in name = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(host)};
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&name, sizeof name), 0);
    return fd;
}

/* A connected sender; its own address is told. */
static int open_sender(uint16_t port, struct mr_peer_address *self)
{
    struct sockaddr_in name = {0};
    socklen_t length = sizeof name;
    const int fd = open_sender_to(INADDR_LOOPBACK, port);

    assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &length), 0);
    *self = kit_address(INADDR_LOOPBACK, ntohs(name.sin_port));
    return fd;
}

/* Polls until one burst came. */
static unsigned next_burst(struct mr_packet_source *source, struct mr_packet *packets)
{
    unsigned n = 0;

    for (unsigned i = 0; i < 100 && n == 0; i++) {
        n = source->ops->poll(source, packets, MR_BURST_MAX, 100000);
    }
    assert_in_range(n, 1, MR_BURST_MAX);
    return n;
}

/* Datagram i has that length and bytes that depend on i and the position. */
static void make(uint8_t *bytes, uint32_t i, uint32_t length)
{
    for (uint32_t k = 0; k < length; k++) {
        bytes[k] = (uint8_t)(i * 31 + k * 7 + (k >> 8));
    }
}

static void expect(const struct mr_packet *packet, uint32_t i, uint32_t length,
                   const struct mr_peer_address *from)
{
    static uint8_t wanted[65536];

    make(wanted, i, length);
    assert_int_equal(packet->length, length);
    assert_memory_equal(packet->data, wanted, length);
    assert_memory_equal(&packet->from.host, &from->host, sizeof from->host);
    assert_int_equal(packet->from.port, from->port);
}

static void test_single_datagrams(void **state)
{
    (void)state;
    static const uint32_t lengths[] = {1, 0, 48, 1456, 0, 0, 8944, 65507, 2, 30000};
    const uint32_t kinds = sizeof lengths / sizeof *lengths;
    static uint8_t bytes[65536];
    struct mr_packet packets[MR_BURST_MAX];
    struct mr_packet_source *source = open_source("127.0.0.1");
    struct mr_peer_address self;
    const int fd = open_sender(source->port, &self);
    uint32_t sent = 0, got = 0;

    while (got < 600) {
        for (; sent < 600 && sent < got + 20; sent++) {
            const uint32_t length = lengths[sent % kinds];
            make(bytes, sent, length);
            assert_int_equal(send(fd, bytes, length, 0), length);
        }
        const unsigned n = next_burst(source, packets);
        for (unsigned i = 0; i < n; i++, got++) {
            expect(&packets[i], got, lengths[got % kinds], &self);
        }
        source->ops->release(source, packets, n);
    }
    assert_int_equal(source->ops->poll(source, packets, MR_BURST_MAX, 0), 0);
    close(fd);
    source->ops->close(source);
}

/* More datagrams than the source has buffers wait in the socket. */
static void test_more_than_buffers(void **state)
{
    (void)state;
    static uint8_t bytes[200];
    struct mr_packet packets[MR_BURST_MAX];
    struct mr_packet_source *source = open_source("127.0.0.1");
    struct mr_peer_address self;
    const int fd = open_sender(source->port, &self);
    const uint32_t many = source->receive_buffer_bytes >= 1u << 20 ? 1000 : 300;

    for (unsigned turn = 0; turn < 3; turn++) {
        for (uint32_t i = 0; i < many; i++) {
            make(bytes, i, sizeof bytes);
            assert_int_equal(send(fd, bytes, sizeof bytes, 0), sizeof bytes);
        }
        for (uint32_t got = 0; got < many;) {
            const unsigned n = next_burst(source, packets);
            for (unsigned i = 0; i < n; i++, got++) {
                expect(&packets[i], got, sizeof bytes, &self);
            }
            source->ops->release(source, packets, n);
        }
    }
    close(fd);
    source->ops->close(source);
}

/* Trains sent in one piece (UDP_SEGMENT) come out as the datagrams they are, the last one short. */
static void test_trains(void **state)
{
    (void)state;
    static uint8_t train[65536];
    struct mr_packet packets[MR_BURST_MAX];
    struct mr_packet_source *source = open_source("127.0.0.1");
    struct mr_peer_address self;
    const int fd = open_sender(source->port, &self);
    const int segment = 1456;
    uint32_t sent = 0, got = 0;

    if (setsockopt(fd, SOL_UDP, UDP_SEGMENT, &segment, sizeof segment) != 0) {
        print_message("no UDP_SEGMENT here\n");
        skip();
    }
    while (got < 1000) {
        while (sent < 1000 && sent < got + 80) {
            uint32_t bytes = 0;
            for (unsigned i = 0; i < 40; i++, sent++, bytes += (uint32_t)segment) {
                make(train + bytes, sent, (uint32_t)segment);
            }
            bytes -= 1000; /* the last of forty has 456 bytes */
            assert_int_equal(send(fd, train, bytes, 0), bytes);
        }
        const unsigned n = next_burst(source, packets);
        for (unsigned i = 0; i < n; i++, got++) {
            expect(&packets[i], got, got % 40 == 39 ? 456 : (uint32_t)segment, &self);
        }
        source->ops->release(source, packets, n);
    }
    close(fd);
    source->ops->close(source);
}

static void test_sends(void **state)
{
    (void)state;
    uint8_t bytes[256], back[512];
    struct mr_packet packets[MR_BURST_MAX];
    struct mr_packet_source *source = open_source("127.0.0.1");
    struct mr_peer_address self;
    const int fd = open_sender(source->port, &self), room = 1 << 20;
    uint32_t queued = 0;

    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room); /* for the whole queue */

    for (;; queued++) {
        make(bytes, queued, sizeof bytes);
        if (source->ops->send(source, &self, bytes, sizeof bytes) != 0) {
            break;
        }
        assert_true(queued < 100000);
    }
    assert_true(queued >= MR_BURST_MAX);
    assert_int_equal(recv(fd, back, sizeof back, MSG_DONTWAIT), -1); /* queued, not sent */
    source->ops->flush(source);
    for (uint32_t i = 0; i < queued; i++) {
        make(bytes, i, sizeof bytes);
        assert_int_equal(recv(fd, back, sizeof back, MSG_DONTWAIT), sizeof bytes);
        assert_memory_equal(back, bytes, sizeof bytes);
    }
    assert_int_equal(source->ops->send(source, &self, bytes, 5), 0);
    assert_int_equal(source->ops->poll(source, packets, MR_BURST_MAX, 0), 0); /* flushes */
    assert_int_equal(recv(fd, back, sizeof back, MSG_DONTWAIT), 5);
    close(fd);
    source->ops->close(source);
}

/* In libc's place: as it is, or with a full socket buffer. */
static bool socket_is_full;

int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
    if (!socket_is_full) {
        return (int)syscall(SYS_sendmmsg, fd, messages, count, flags);
    }
    errno = EAGAIN;
    return -1;
}

/* What is queued and not taken is counted, and does not keep the rest back. */
static void test_unsent(void **state)
{
    (void)state;
    const uint8_t bytes[2] = {1, 2};
    struct mr_packet packets[MR_BURST_MAX];
    struct mr_packet_source *source = open_source("127.0.0.1");
    struct mr_peer_address self;
    const int fd = open_sender(source->port, &self);
    const struct mr_peer_address nowhere = kit_address(INADDR_LOOPBACK, 0);
    uint8_t back[8];

    assert_int_equal(source->ops->send(source, &self, bytes, 1), 0);
    assert_int_equal(source->ops->send(source, &nowhere, bytes, 1), 0);
    assert_int_equal(source->ops->send(source, &self, bytes, 2), 0);
    source->ops->flush(source);
    assert_int_equal(source->unsent, 1);
    assert_int_equal(recv(fd, back, sizeof back, MSG_DONTWAIT), 1);
    assert_int_equal(recv(fd, back, sizeof back, MSG_DONTWAIT), 2);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(source->ops->send(source, &self, bytes, 1), 0);
    }
    socket_is_full = true;
    assert_int_equal(source->ops->poll(source, packets, MR_BURST_MAX, 0), 0);
    socket_is_full = false;
    assert_int_equal(source->unsent, 4);
    source->ops->flush(source);
    assert_int_equal(recv(fd, back, sizeof back, MSG_DONTWAIT), -1);
    close(fd);
    source->ops->close(source);
}

static void *wake_it(void *context)
{
    struct mr_packet_source *source = context;

    source->ops->wake(source);
    return NULL;
}

/* A sleeping poll comes back when it is woken: without that this takes minutes. */
static void test_wake(void **state)
{
    (void)state;
    struct mr_packet packets[MR_BURST_MAX];
    struct mr_packet_source *source = open_source("127.0.0.1");

    for (unsigned i = 0; i < 20; i++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, wake_it, source), 0);
        assert_int_equal(source->ops->poll(source, packets, MR_BURST_MAX, 30u * 1000 * 1000), 0);
        pthread_join(thread, NULL);
    }
    source->ops->close(source);
}

static void test_both_families(void **state)
{
    (void)state;
    struct mr_error error = {0};
    struct mr_packet packets[MR_BURST_MAX];
    struct mr_packet_source *source = open_at("::", 0, &error);
    struct mr_peer_address self;
    uint8_t bytes[100], back[200];

    if (!source) {
        print_message("no IPv6 here\n");
        skip();
    }
    const int four = open_sender(source->port, &self);
    make(bytes, 1, sizeof bytes);
    assert_int_equal(send(four, bytes, sizeof bytes, 0), sizeof bytes);
    assert_int_equal(next_burst(source, packets), 1);
    expect(&packets[0], 1, sizeof bytes, &self); /* v4-mapped */
    assert_int_equal(source->ops->send(source, &packets[0].from, bytes, 50), 0);
    source->ops->release(source, packets, 1);
    source->ops->flush(source);
    assert_int_equal(recv(four, back, sizeof back, 0), 50);

    const struct sockaddr_in6 name = {.sin6_family = AF_INET6,
                                      .sin6_port = htons(source->port),
                                      .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    const int six = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (connect(six, (const struct sockaddr *)&name, sizeof name) == 0) {
        assert_int_equal(send(six, bytes, sizeof bytes, 0), sizeof bytes);
        assert_int_equal(next_burst(source, packets), 1);
        assert_memory_equal(&packets[0].from.host, &name.sin6_addr, sizeof name.sin6_addr);
        assert_int_equal(source->ops->send(source, &packets[0].from, bytes, 60), 0);
        source->ops->release(source, packets, 1);
        source->ops->flush(source);
        assert_int_equal(recv(six, back, sizeof back, 0), 60);
    }
    close(four);
    close(six);
    source->ops->close(source);
}

/* Everywhere is where devices were told, on a machine that has that address: another one is
 * answered from by default. */
static void test_answers_from_the_address_told(void **state)
{
    (void)state;
    static const char *const everywhere[] = {"0.0.0.0", "::"};
    const uint8_t byte = 7;
    uint8_t back[8];
    struct mr_packet packets[MR_BURST_MAX];

    for (unsigned i = 0; i < 2; i++) {
        struct mr_packet_source *source = open_told(everywhere[i], "127.0.0.2");
        const int fd = open_sender_to(INADDR_LOOPBACK + 1, source->port);
        assert_int_equal(send(fd, &byte, 1, 0), 1);
        assert_int_equal(next_burst(source, packets), 1);
        assert_int_equal(source->ops->send(source, &packets[0].from, &byte, 1), 0);
        source->ops->release(source, packets, 1);
        source->ops->flush(source);
        assert_int_equal(recv(fd, back, sizeof back, MSG_DONTWAIT), 1);
        close(fd);
        source->ops->close(source);
    }
}

/* Behind a NAT, or where one address is listened at, that stays so. */
static void test_listens_where_it_was_asked_to(void **state)
{
    (void)state;
    static const char *const asked[][2] = {{"0.0.0.0", "203.0.113.7"}, {"127.0.0.1", "127.0.0.2"}};
    const uint8_t byte = 7;
    struct mr_packet packets[MR_BURST_MAX];

    for (unsigned i = 0; i < 2; i++) {
        struct mr_packet_source *source = open_told(asked[i][0], asked[i][1]);
        const int fd = open_sender_to(INADDR_LOOPBACK, source->port);
        assert_int_equal(send(fd, &byte, 1, 0), 1);
        assert_int_equal(next_burst(source, packets), 1);
        source->ops->release(source, packets, 1);
        close(fd);
        source->ops->close(source);
    }
}

/* Set-up failures name what to change; a port is free again after close. */
static void test_refusals(void **state)
{
    (void)state;
    struct mr_error error = {0};
    struct mr_packet_source *source = open_source("127.0.0.1");
    const uint16_t port = source->port;

    assert_null(open_at("127.0.0.1", port, &error));
    assert_non_null(strstr(error.text, "port_base"));
    assert_null(open_at("localhost", 0, &error));
    assert_non_null(strstr(error.text, "listen_host"));
    assert_null(open_at("203.0.113.7", 0, &error));
    assert_non_null(strstr(error.text, "203.0.113.7"));
    source->ops->close(source);
    source = open_at("127.0.0.1", port, &error);
    assert_non_null(source);
    source->ops->close(source);
    const char *kept = kind;
    kind = "carrier-pigeon";
    assert_null(open_at("127.0.0.1", 0, &error));
    assert_non_null(strstr(error.text, "recvmmsg"));
    kind = kept;
}

/* Whatever `auto` takes, it receives. */
static void test_auto(void **state)
{
    (void)state;
    const char *kept = kind;

    kind = "auto";
    struct mr_packet_source *source = open_source("127.0.0.1");
    assert_true(strcmp(source->ops->name, "io_uring") == 0 ||
                strcmp(source->ops->name, "recvmmsg") == 0);
    source->ops->close(source);
    kind = kept;
}

/* Where a policy refuses io_uring, truly and in the kernel, auto falls back and says why. */
static void test_io_uring_refused(void **state)
{
    (void)state;
    static const struct {
        int why;
        const char *said;
    } refusals[] = {{EPERM, "io_uring is forbidden here"}, {ENOSYS, "no io_uring"}};

    for (unsigned i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        const pid_t child = fork();
        int status;
        assert_true(child >= 0);
        if (child == 0) {
            const struct mr_packet_source_config config = {
                .kind = "auto", .listen_host = "127.0.0.1", .receive_buffer_bytes = 1u << 20};
            struct mr_error error = {0};
            char why[160] = "";
            if (refuse_call(SYS_io_uring_setup, refusals[i].why) != 0) {
                _exit(77);
            }
            struct mr_packet_source *source = mr_packet_source_open(&config, why, &error);
            const bool good = source && strcmp(source->ops->name, "recvmmsg") == 0 &&
                              strstr(why, refusals[i].said);
            if (!good) {
                fprintf(stderr, "why=%s error=%s\n", why, error.text);
            }
            _exit(good ? 0 : 1);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
            print_message("no seccomp filter here\n");
            skip();
        }
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_single_datagrams),
        cmocka_unit_test(test_more_than_buffers),
        cmocka_unit_test(test_trains),
        cmocka_unit_test(test_sends),
        cmocka_unit_test(test_unsent),
        cmocka_unit_test(test_wake),
        cmocka_unit_test(test_both_families),
        cmocka_unit_test(test_answers_from_the_address_told),
        cmocka_unit_test(test_listens_where_it_was_asked_to),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_auto),
        cmocka_unit_test(test_io_uring_refused),
    };

    kind = argc > 1 ? argv[1] : "recvmmsg";
    if (kit_lacks_source(kind)) {
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
