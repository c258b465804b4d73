/* test_crowd.c - two thousand devices that ask and upload at once, each over a socket of its own,
 * share one worker's ingress: all end staged, the sum is right, and little is sent twice; also with
 * a receive buffer as small as an unprivileged process is given, and on a bad network. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "perf/crowd.h"

#define DEVICES 2000u

static const char *source = "auto";

static const struct mr_crowd_config many = {.devices = DEVICES,
                                            .threads = 2,
                                            .dimension = 20032,
                                            .receive_buffer_bytes = 8u << 20,
                                            .window_total = 2048};

static void run(struct mr_crowd_config config, struct mr_crowd_result *result)
{
    config.source = source;
    mr_crowd_run(&config, result);
    print_message("%u staged, %.0f ms, %llu chunks, %llu datagrams, %llu of them again\n",
                  result->staged, 1e3 * result->seconds, (unsigned long long)result->chunks,
                  (unsigned long long)result->datagrams, (unsigned long long)result->retransmitted);
    assert_int_equal(result->staged, config.devices);
    assert_int_equal(result->folded, config.devices); /* and the sum was compared */
    assert_int_equal(result->datagrams - result->retransmitted, result->chunks);
}

static void test_many(void **state)
{
    (void)state;
    struct mr_crowd_result result;

    run(many, &result);
    assert_true(result.retransmitted <= result.chunks / 5);
}

/* Those that have a window of their own from the beginning send once and hear once, but for what a
 * slow machine does to their timeouts; without held grants it is two trains and two ACKs. */
static void test_one_ack_each(void **state)
{
    (void)state;
    struct mr_crowd_config config = many;
    struct mr_crowd_result held, admitted;

    run(config, &held);
    config.all_admitted = true;
    run(config, &admitted);
    print_message("%.2f ACKs a device, %.2f where all are admitted first\n",
                  (double)held.acks / DEVICES, (double)admitted.acks / DEVICES);
    assert_true(held.acks < admitted.acks);
}

/* net.core.rmem_max as Debian has it. */
static void test_small_buffer(void **state)
{
    (void)state;
    struct mr_crowd_config config = many;
    struct mr_crowd_result result;

    config.receive_buffer_bytes = 212992;
    run(config, &result);
    assert_true(result.retransmitted <= result.chunks / 5); /* a third of them without waiting */
}

static void test_bad_network(void **state)
{
    (void)state;
    struct mr_crowd_config config = many;
    struct mr_crowd_result result;

    config.loss_percent = config.twice_percent = config.late_percent = 5;
    run(config, &result);
    assert_true(result.retransmitted >= result.chunks / 40); /* the losses were real */
    assert_true(result.retransmitted <= result.chunks / 2);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_one_ack_each),
        cmocka_unit_test(test_small_buffer),
        cmocka_unit_test(test_bad_network),
    };
    struct rlimit files;

    if (argc > 1) {
        source = argv[1];
    }
    if (getrlimit(RLIMIT_NOFILE, &files) != 0) {
        return 1;
    }
    files.rlim_cur = files.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur < DEVICES + 100) {
        fprintf(stderr, "skipped: needs %u open files (ulimit -n)\n", DEVICES + 100);
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
