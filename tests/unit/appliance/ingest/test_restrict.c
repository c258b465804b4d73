/* A restricted ring: what its owner named works, everything else is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "appliance/ingest/uring_restrict.h"

static void open_ring(struct io_uring *ring)
{
    struct io_uring_params params = {.flags = IORING_SETUP_R_DISABLED};
    const int failed = io_uring_queue_init_params(8, ring, &params);
    if (failed != 0) {
        print_message("io_uring is not to be had here: %s\n", strerror(-failed));
        skip();
    }
}

static int result_of(struct io_uring *ring)
{
    struct io_uring_cqe *cqe;
    assert_true(io_uring_submit(ring) >= 0);
    assert_int_equal(io_uring_wait_cqe(ring, &cqe), 0);
    const int result = cqe->res;
    io_uring_cqe_seen(ring, cqe);
    return result;
}

/* A read of an event, which always has one. */
static int read_event(struct io_uring *ring, unsigned flags)
{
    uint64_t value;
    const int fd = eventfd(1, EFD_CLOEXEC);
    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
    io_uring_prep_read(sqe, fd, &value, sizeof value, 0);
    sqe->flags |= (uint8_t)flags;
    const int result = result_of(ring);
    close(fd);
    return result;
}

static int ask_openat(struct io_uring *ring)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
    io_uring_prep_openat(sqe, AT_FDCWD, "/", O_RDONLY | O_DIRECTORY, 0);
    const int result = result_of(ring);
    if (result >= 0) {
        close(result);
    }
    return result;
}

static int ask_socket(struct io_uring *ring)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
    io_uring_prep_socket(sqe, AF_INET, SOCK_STREAM, 0, 0);
    const int result = result_of(ring);
    if (result >= 0) {
        close(result);
    }
    return result;
}

static void test_only_what_was_named(void **state)
{
    (void)state;
    static const uint8_t opcodes[] = {IORING_OP_READ};
    struct io_uring ring;
    struct mr_error error = {.text = ""};
    open_ring(&ring);
    assert_int_equal(mr_uring_restrict(&ring, opcodes, 1, 0, &error), 0);
    assert_int_equal(read_event(&ring, 0), 8);
    assert_int_equal(read_event(&ring, IOSQE_ASYNC), -EACCES);
    assert_int_equal(ask_openat(&ring), -EACCES);
    assert_int_equal(ask_socket(&ring), -EACCES);
    const int fds[] = {STDERR_FILENO};
    assert_int_equal(io_uring_register_files(&ring, fds, 1), -EACCES);
    assert_int_equal(mr_uring_restrict(&ring, opcodes, 1, 0, &error), -1); /* once and for all */
    io_uring_queue_exit(&ring);
}

static void test_a_ring_that_may(void **state)
{
    (void)state;
    static const uint8_t opcodes[] = {IORING_OP_READ, IORING_OP_OPENAT, IORING_OP_SOCKET};
    struct io_uring ring;
    struct mr_error error = {.text = ""};
    open_ring(&ring);
    assert_int_equal(mr_uring_restrict(&ring, opcodes, 3, IOSQE_ASYNC, &error), 0);
    assert_int_equal(read_event(&ring, IOSQE_ASYNC), 8);
    assert_true(ask_openat(&ring) >= 0);
    assert_true(ask_socket(&ring) >= 0);
    io_uring_queue_exit(&ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_what_was_named),
        cmocka_unit_test(test_a_ring_that_may),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
