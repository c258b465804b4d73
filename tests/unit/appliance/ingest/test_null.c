/* test_null.c - a port's set-up and end, and what its workers do while frames come that are not
 * theirs: net_null's queues are always full of frames that are for nobody. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <poll.h>
#include <unistd.h>

#include <rte_mempool.h>

#include "appliance/ingest/dpdk_internal.h"

#define QUEUE_NEEDS 2000 /* a queue's descriptors, both ways, and bursts */

static unsigned naps;

/* In libc's place: how often would a worker nap? */
int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *wait, const sigset_t *mask)
{
    (void)fds, (void)count, (void)wait, (void)mask;
    naps++;
    return 0;
}

static struct mr_dpdk_port *port_open(uint16_t workers, const char *exception, uint32_t nap_after)
{
    struct mr_error error = {""};
    struct mr_dpdk_port *port;
    const struct mr_dpdk_config config = {.device = "net_null0",
                                          .addresses = "192.0.2.1",
                                          .exception = exception,
                                          .nap_after_us = nap_after,
                                          .port_base = 9000,
                                          .workers = workers};

    if (mr_dpdk_port_open(&port, &config, &error) != 0) {
        fail_msg("%s", error.text);
    }
    return port;
}

/* Whatever the threads' caches keep of a pool, its queue has buffers: a cache each of the workers
 * and of the thread that opens the port, each half as much again as its size. */
static void test_caches_never_hold_a_pool(void **state)
{
    static const uint16_t workers[] = {1, 2, 4, 5, 12};

    (void)state;
    for (unsigned i = 0; i < sizeof workers / sizeof workers[0]; i++) {
        struct mr_dpdk_port *port = port_open(workers[i], "", 1000);
        for (unsigned queue = 0; queue < workers[i]; queue++) {
            const struct rte_mempool *pool = port->pools[queue];
            assert_true(pool->cache_size > 0);
            assert_true(pool->size >= (workers[i] + 1) * pool->cache_size * 3 / 2 + QUEUE_NEEDS);
        }
        mr_dpdk_port_close(port);
    }
}

/* The port's queue may hold frames from the kernel until it is closed. */
static void test_kernel_pool_outlives_its_path(void **state)
{
    char name[RTE_MEMPOOL_NAMESIZE];

    (void)state;
    struct mr_dpdk_port *port = port_open(1, "net_null1", 1000);
    snprintf(name, sizeof name, "mr_x%u", port->id);
    mr_dpdk_exception_close(port->exception);
    port->exception = NULL;
    assert_non_null(rte_mempool_lookup(name));
    mr_dpdk_port_close(port);
    assert_null(rte_mempool_lookup(name));
}

/* No worker takes what comes from the kernel: the ring to it is full soon. */
static void test_frames_from_the_kernel_are_counted(void **state)
{
    static const char sample[] = "frame_drops_total{reason=\"unsent\",worker=\"exception\"} ";
    struct mr_metrics metrics;

    (void)state;
    struct mr_dpdk_port *port = port_open(2, "net_null1", 1000);
    for (unsigned i = 0; i < 20000 && port->counters[2].drops[MR_FRAME_DROP_unsent] == 0; i++) {
        usleep(1000);
    }
    mr_metrics_init(&metrics);
    mr_dpdk_port_metrics(port, &metrics);
    const char *found = strstr(metrics.text, sample);
    assert_non_null(found);
    assert_int_not_equal(found[strlen(sample)], '0');
    mr_metrics_fini(&metrics);
    mr_dpdk_port_close(port);
}

/* A worker whose queue is full of frames that bring it nothing has no time to nap. */
static void test_no_nap_while_frames_come(void **state)
{
    struct mr_error error = {""};
    struct mr_packet packets[MR_BURST_MAX];
    uint64_t looks = 0;

    (void)state;
    struct mr_dpdk_port *port = port_open(1, "", 10);
    struct mr_packet_source *source = mr_dpdk_source_open(port, 0, &error);
    assert_non_null(source);
    naps = 0;
    while (looks < 200) {
        assert_int_equal(source->ops->poll(source, packets, MR_BURST_MAX, 20000), 0);
        looks = 0;
        for (int d = 0; d < MR_FRAME_DROPS; d++) {
            looks += port->counters[0].drops[d];
        }
        looks /= MR_BURST_MAX;
    }
    print_message("%u naps in %llu looks\n", naps, (unsigned long long)looks);
    assert_true(naps < looks / 2); /* none, but for a thread that does not get its CPU */
    source->ops->close(source);
    mr_dpdk_port_close(port);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_caches_never_hold_a_pool),
        cmocka_unit_test(test_kernel_pool_outlives_its_path),
        cmocka_unit_test(test_frames_from_the_kernel_are_counted),
        cmocka_unit_test(test_no_nap_while_frames_come),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
