/* Frames that are not for the upload plane, to the kernel and back, so that ARP, neighbour
 * discovery, ping and whatever else the host does on this port still work.
 *
 * A thread of its own moves them between two rings and a tap (or virtio-user) device: the workers
 * only ever touch the rings. It takes at most a burst each way a round and then naps, which bounds
 * the rate; what does not fit is dropped and counted, by the workers or here. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include "appliance/ingest/dpdk_env.h"
#include "appliance/ingest/dpdk_internal.h"
#include "appliance/runtime/thread.h"

#define BURST        32u
#define NAP_BUSY_US  500u /* 64,000 frames a second each way, at most */
#define NAP_IDLE_US  4000u
#define DESCRIPTORS  256u
#define POOL_BUFFERS 2047u

struct mr_dpdk_exception {
    struct mr_dpdk_port *port;
    uint16_t id;
    bool started, running;
    atomic_bool stop;
    pthread_t thread;
    struct mr_dpdk_counters *counters;
    char name[32];
};

static unsigned to_kernel(struct mr_dpdk_exception *exception)
{
    struct rte_mbuf *frames[BURST];
    const unsigned n =
        rte_ring_sc_dequeue_burst(exception->port->to_kernel, (void **)frames, BURST, NULL);
    const unsigned sent = n > 0 ? rte_eth_tx_burst(exception->id, 0, frames, (uint16_t)n) : 0;

    /* What the kernel does not take it has no room for; nobody waits for that. */
    mr_dpdk_count(&exception->counters->drops[MR_FRAME_DROP_kernel_full], n - sent);
    rte_pktmbuf_free_bulk(frames + sent, n - sent);
    return n;
}

static unsigned from_kernel(struct mr_dpdk_exception *exception)
{
    struct rte_mbuf *frames[BURST];
    const unsigned n = rte_eth_rx_burst(exception->id, 0, frames, BURST);
    const unsigned put =
        n > 0 ? rte_ring_sp_enqueue_burst(exception->port->from_kernel, (void **)frames, n, NULL)
              : 0;

    mr_dpdk_count(&exception->counters->drops[MR_FRAME_DROP_unsent], n - put);
    rte_pktmbuf_free_bulk(frames + put, n - put);
    return n;
}

static void *run(void *context)
{
    struct mr_dpdk_exception *exception = context;
    unsigned nap_us = NAP_BUSY_US;

    while (!atomic_load_explicit(&exception->stop, memory_order_acquire)) {
        const unsigned moved = to_kernel(exception) + from_kernel(exception);
        nap_us = moved > 0 ? NAP_BUSY_US : nap_us * 2 < NAP_IDLE_US ? nap_us * 2 : NAP_IDLE_US;
        usleep(nap_us);
    }
    return NULL;
}

static int open_rings(struct mr_dpdk_port *port, struct mr_error *error)
{
    char name[RTE_RING_NAMESIZE];

    snprintf(name, sizeof name, "mr_k%u", port->id);
    port->to_kernel = rte_ring_create(name, MR_DPDK_TO_KERNEL, SOCKET_ID_ANY, RING_F_SC_DEQ);
    snprintf(name, sizeof name, "mr_f%u", port->id);
    port->from_kernel =
        rte_ring_create(name, MR_DPDK_TO_KERNEL, SOCKET_ID_ANY, RING_F_SC_DEQ | RING_F_SP_ENQ);
    if (!port->to_kernel || !port->from_kernel) {
        return mr_error_set(error, "no memory for the exception path's rings");
    }
    return 0;
}

static int open_device(struct mr_dpdk_exception *exception, const char *device,
                       struct mr_error *error)
{
    const struct rte_eth_conf conf = {0};
    struct mr_dpdk_port *port = exception->port;
    struct mr_dpdk_ear ear;
    struct rte_ether_addr mac;
    char name[RTE_MEMPOOL_NAMESIZE], why[160];

    if (mr_dpdk_env_attach(device, &exception->id, error) != 0) {
        return mr_error_prefix(error, "upload.dpdk_exception");
    }
    snprintf(name, sizeof name, "mr_x%u", port->id);
    port->kernel_pool = mr_dpdk_pool(port, name, exception->id, POOL_BUFFERS, error);
    if (!port->kernel_pool) {
        return -1;
    }
    memcpy(mac.addr_bytes, port->local.mac, sizeof mac.addr_bytes);
    mr_dpdk_ear_begin(&ear);
    const bool failed =
        rte_eth_dev_configure(exception->id, 1, 1, &conf) != 0 ||
        rte_eth_rx_queue_setup(exception->id, 0, DESCRIPTORS, 0, NULL, port->kernel_pool) != 0 ||
        rte_eth_tx_queue_setup(exception->id, 0, DESCRIPTORS, 0, NULL) != 0 ||
        rte_eth_dev_start(exception->id) != 0;
    exception->started = !failed;
    /* The kernel takes what is addressed to it: its interface has the port's own MAC. */
    const bool named = !failed && rte_eth_dev_default_mac_addr_set(exception->id, &mac) == 0;
    mr_dpdk_ear_end(&ear, why);
    if (named) {
        return 0;
    }
    return mr_error_set(error, "upload.dpdk_exception: %s does not start with the port's MAC: %s",
                        exception->name, why);
}

static int start_thread(struct mr_dpdk_exception *exception, struct mr_error *error)
{
    if (mr_thread_start(&exception->thread, run, exception, error) != 0) {
        return -1;
    }
    exception->running = true;
    pthread_setname_np(exception->thread, "mr-exception");
    return 0;
}

struct mr_dpdk_exception *mr_dpdk_exception_open(struct mr_dpdk_port *port, const char *device,
                                                 struct mr_error *error)
{
    struct mr_dpdk_exception *exception = calloc(1, sizeof *exception);

    if (!exception) {
        mr_error_set(error, "out of memory for the exception path");
        return NULL;
    }
    exception->port = port;
    exception->id = RTE_MAX_ETHPORTS;
    exception->counters = &port->counters[port->workers];
    snprintf(exception->name, sizeof exception->name, "%.*s", (int)strcspn(device, ","), device);
    if (open_device(exception, device, error) != 0 || open_rings(port, error) != 0 ||
        start_thread(exception, error) != 0) {
        mr_dpdk_exception_close(exception);
        return NULL;
    }
    return exception;
}

static void drain(struct rte_ring **ring)
{
    void *frame;

    while (*ring && rte_ring_dequeue(*ring, &frame) == 0) {
        rte_pktmbuf_free(frame);
    }
    rte_ring_free(*ring);
    *ring = NULL;
}

void mr_dpdk_exception_close(struct mr_dpdk_exception *exception)
{
    if (!exception) {
        return;
    }
    if (exception->running) {
        atomic_store_explicit(&exception->stop, true, memory_order_release);
        pthread_join(exception->thread, NULL);
    }
    drain(&exception->port->to_kernel);
    drain(&exception->port->from_kernel);
    if (exception->started) {
        (void)rte_eth_dev_stop(exception->id);
    }
    if (exception->id != RTE_MAX_ETHPORTS) {
        mr_dpdk_env_detach(exception->id);
    }
    free(exception);
}

const char *mr_dpdk_exception_name(const struct mr_dpdk_exception *exception)
{
    return exception->name;
}
