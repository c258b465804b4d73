/* The packet path over a DPDK port's queue: no system call, lock or allocation while packets come.
 *
 * A frame is parsed where the NIC put it and its payload handed out from there; the buffer is the
 * NIC's again on release. Frames of another worker's UDP port go to that worker's ring, frames for
 * the kernel to the exception path's; a full ring is a counted drop, nothing waits. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_ring.h>
#include <rte_lcore.h>
#include <rte_pause.h>
#include <rte_prefetch.h>

#include "appliance/ingest/dpdk_internal.h"
#include "base/assert.h"

#define SENDS_MAX    64u
#define SEND_MAX     256u
#define KERNEL_BURST 16u
#define AHEAD        8u /* frames parsed later are fetched so far ahead */
#define NAP_FIRST_US 50u
#define NAP_MAX_US   1000u /* a queue of 1,024 frames fills at ten gigabits in about as long */

struct dpdk_source {
    struct mr_packet_source base;
    struct mr_dpdk_port *port;
    uint16_t queue;
    bool registered;
    unsigned sends_count;
    unsigned nap_us;
    unsigned looked;     /* frames of the poll under way, wherever they went */
    uint64_t idle_since; /* TSC since when there was no frame at all; 0: frames flow */
    struct mr_dpdk_counters *counters;
    struct rte_ring *handover;
    int wake_fd;
    atomic_bool woken;
    struct rte_mbuf *sends[SENDS_MAX];
};

static void drop(struct dpdk_source *source, struct rte_mbuf *mbuf, enum mr_frame_drop reason)
{
    mr_dpdk_count(&source->counters->drops[reason], 1);
    rte_pktmbuf_free(mbuf);
}

static void transmit(struct dpdk_source *source, struct rte_mbuf **mbufs, unsigned count)
{
    const unsigned sent = rte_eth_tx_burst(source->port->id, source->queue, mbufs, (uint16_t)count);

    for (unsigned i = sent; i < count; i++) {
        drop(source, mbufs[i], MR_FRAME_DROP_unsent);
    }
}

static void flush(struct dpdk_source *source)
{
    if (source->sends_count == 0) {
        return;
    }
    transmit(source, source->sends, source->sends_count);
    source->sends_count = 0;
}

static void give_kernel(struct dpdk_source *source, struct rte_mbuf *mbuf)
{
    if (!source->port->to_kernel) {
        drop(source, mbuf, MR_FRAME_DROP_no_kernel);
    } else if (rte_ring_mp_enqueue(source->port->to_kernel, mbuf) != 0) {
        drop(source, mbuf, MR_FRAME_DROP_kernel_full);
    } else {
        mr_dpdk_count(&source->counters->to_kernel, 1);
    }
}

static void hand_over(struct dpdk_source *source, struct rte_mbuf *mbuf, unsigned worker)
{
    if (rte_ring_mp_enqueue(source->port->handover[worker], mbuf) != 0) {
        drop(source, mbuf, MR_FRAME_DROP_handover_full);
    } else {
        mr_dpdk_count(&source->counters->handed_over, 1);
    }
}

/* True if the frame became `packet`; else it is somewhere else or dropped. */
static bool judge(struct dpdk_source *source, struct rte_mbuf *mbuf, struct mr_packet *packet)
{
    const struct mr_dpdk_port *port = source->port;
    const uint64_t bad = RTE_MBUF_F_RX_IP_CKSUM_BAD, l4 = RTE_MBUF_F_RX_L4_CKSUM_MASK;
    struct mr_frame frame;

    if (mbuf->nb_segs != 1) {
        drop(source, mbuf, MR_FRAME_DROP_split);
        return false;
    }
    const bool checked = port->checks_ip && (mbuf->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) ==
                                                RTE_MBUF_F_RX_IP_CKSUM_GOOD;
    const enum mr_frame_kind kind =
        mr_frame_parse(&frame, &port->local, rte_pktmbuf_mtod(mbuf, uint8_t *),
                       rte_pktmbuf_data_len(mbuf), checked);
    if (kind == MR_FRAME_KERNEL) {
        give_kernel(source, mbuf);
    } else if (kind == MR_FRAME_BAD) {
        drop(source, mbuf, frame.drop);
    } else if ((mbuf->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == bad ||
               (mbuf->ol_flags & l4) == RTE_MBUF_F_RX_L4_CKSUM_BAD) {
        drop(source, mbuf, MR_FRAME_DROP_bad_checksum);
    } else if (frame.port_index != source->queue) {
        hand_over(source, mbuf, frame.port_index);
    } else {
        packet->data = frame.payload;
        packet->length = frame.length;
        packet->from = frame.from;
        packet->token = mbuf;
        return true;
    }
    return false;
}

static unsigned judge_all(struct dpdk_source *source, struct rte_mbuf **mbufs, unsigned count,
                          struct mr_packet *packets)
{
    unsigned n = 0;

    for (unsigned i = 0; i < count && i < AHEAD; i++) {
        rte_prefetch0(rte_pktmbuf_mtod(mbufs[i], void *));
    }
    for (unsigned i = 0; i < count; i++) {
        if (i + AHEAD < count) {
            rte_prefetch0(rte_pktmbuf_mtod(mbufs[i + AHEAD], void *));
        }
        n += judge(source, mbufs[i], &packets[n]);
    }
    return n;
}

static void send_for_kernel(struct dpdk_source *source)
{
    struct rte_mbuf *frames[KERNEL_BURST];
    struct rte_ring *ring = source->port->from_kernel;

    if (!ring || source->queue != 0 || rte_ring_empty(ring)) {
        return;
    }
    const unsigned n = rte_ring_sc_dequeue_burst(ring, (void **)frames, KERNEL_BURST, NULL);
    source->looked += n;
    transmit(source, frames, n);
}

/* What is there now. Handed-over frames first, in half of the room, so that neither starves. */
static unsigned take(struct dpdk_source *source, struct mr_packet *packets, unsigned max)
{
    struct rte_mbuf *mbufs[MR_BURST_MAX];
    unsigned n = 0;

    if (source->handover && !rte_ring_empty(source->handover)) {
        const unsigned got = rte_ring_sc_dequeue_burst(source->handover, (void **)mbufs,
                                                       max > 1 ? max / 2 : 1, NULL);
        source->looked += got;
        n = judge_all(source, mbufs, got, packets);
    }
    if (n == max) {
        return n;
    }
    const unsigned got =
        rte_eth_rx_burst(source->port->id, source->queue, mbufs, (uint16_t)(max - n));
    source->looked += got;
    return n + judge_all(source, mbufs, got, packets + n);
}

/* Says that it keeps off the queues, as long as it is asked to. */
static bool is_pausing(struct dpdk_source *source)
{
    struct mr_dpdk_port *port = source->port;

    if (!atomic_load_explicit(&port->pausing, memory_order_acquire)) {
        return false;
    }
    for (unsigned i = 0; i < source->sends_count; i++) {
        drop(source, source->sends[i], MR_FRAME_DROP_unsent);
    }
    source->sends_count = 0;
    atomic_store(&port->parked[source->queue], true);
    return true;
}

static void nap(struct dpdk_source *source, uint64_t left_us)
{
    const unsigned us = left_us < source->nap_us ? (unsigned)left_us : source->nap_us;
    const struct timespec wait = {.tv_nsec = (long)us * 1000};
    struct pollfd fd = {.fd = source->wake_fd, .events = POLLIN};
    uint64_t woken;

    if (ppoll(&fd, 1, &wait, NULL) > 0 && read(source->wake_fd, &woken, sizeof woken) < 0) {
        /* Nobody else reads it; empty is as good as read. */
    }
    source->nap_us = source->nap_us * 2 < NAP_MAX_US ? source->nap_us * 2 : NAP_MAX_US;
}

static void begin_idling(struct dpdk_source *source)
{
    source->idle_since = rte_rdtsc();
    source->nap_us = NAP_FIRST_US;
}

/* Looks again and again until packets come, somebody wakes it, or wait_us are over. */
static unsigned wait_for_packets(struct dpdk_source *source, struct mr_packet *packets,
                                 unsigned max, unsigned wait_us)
{
    const uint64_t per_us = rte_get_tsc_hz() / 1000000;
    const uint64_t end = rte_rdtsc() + wait_us * per_us;

    for (;;) {
        if (atomic_load_explicit(&source->woken, memory_order_relaxed)) {
            return 0;
        }
        const uint64_t now = rte_rdtsc();
        if (now >= end) {
            return 0;
        }
        if (now - source->idle_since >= source->port->nap_after_tsc) {
            nap(source, (end - now) / per_us);
        } else {
            rte_pause();
        }
        if (is_pausing(source)) {
            return 0;
        }
        source->looked = 0;
        send_for_kernel(source);
        const unsigned n = take(source, packets, max);
        if (n > 0) {
            return n;
        }
        /* Frames of other workers or for the kernel: the queue is not empty, no time to nap. */
        if (source->looked > 0) {
            begin_idling(source);
        }
    }
}

static unsigned source_poll(struct mr_packet_source *base, struct mr_packet *packets, unsigned max,
                            unsigned wait_us)
{
    struct dpdk_source *source = (struct dpdk_source *)base;

    if (is_pausing(source)) {
        usleep(NAP_FIRST_US);
        return 0;
    }
    flush(source);
    source->looked = 0;
    send_for_kernel(source);
    unsigned n = take(source, packets, max);
    if (n == 0) {
        if (source->idle_since == 0 || source->looked > 0) {
            begin_idling(source);
        }
        if (wait_us > 0) {
            n = wait_for_packets(source, packets, max, wait_us);
        }
        /* Orders sent before the wake are seen by whoever looks after this. */
        (void)atomic_exchange(&source->woken, false);
    }
    if (n > 0) {
        source->idle_since = 0;
    }
    return n;
}

static void source_release(struct mr_packet_source *base, struct mr_packet *packets, unsigned count)
{
    struct rte_mbuf *mbufs[MR_BURST_MAX];

    (void)base;
    MR_ASSERT(count <= MR_BURST_MAX);
    for (unsigned i = 0; i < count; i++) {
        mbufs[i] = packets[i].token;
    }
    rte_pktmbuf_free_bulk(mbufs, count);
}

static int source_send(struct mr_packet_source *base, const struct mr_peer_address *to,
                       const uint8_t *data, uint32_t length)
{
    struct dpdk_source *source = (struct dpdk_source *)base;

    MR_ASSERT(length <= SEND_MAX);
    if (source->sends_count == SENDS_MAX) {
        return -1;
    }
    struct rte_mbuf *mbuf = rte_pktmbuf_alloc(source->port->pools[source->queue]);
    if (!mbuf) {
        return -1;
    }
    const uint32_t bytes = mr_frame_build(rte_pktmbuf_mtod(mbuf, uint8_t *), &source->port->local,
                                          source->base.port, to, data, length);
    mbuf->data_len = (uint16_t)bytes;
    mbuf->pkt_len = bytes;
    source->sends[source->sends_count++] = mbuf;
    return 0;
}

static void source_flush(struct mr_packet_source *base)
{
    struct dpdk_source *source = (struct dpdk_source *)base;

    if (!is_pausing(source)) {
        flush(source);
    }
}

static void source_wake(struct mr_packet_source *base)
{
    struct dpdk_source *source = (struct dpdk_source *)base;
    const uint64_t one = 1;

    atomic_store(&source->woken, true);
    if (write(source->wake_fd, &one, sizeof one) < 0) {
        return; /* the counter is full: it wakes as well */
    }
}

static void source_close(struct mr_packet_source *base)
{
    struct dpdk_source *source = (struct dpdk_source *)base;

    rte_pktmbuf_free_bulk(source->sends, source->sends_count);
    atomic_store(&source->port->open[source->queue], false);
    if (source->registered) {
        rte_thread_unregister();
    }
    if (source->wake_fd >= 0) {
        close(source->wake_fd);
    }
    free(source);
}

static const struct mr_packet_source_ops dpdk_ops = MR_PACKET_SOURCE_OPS("dpdk");

struct mr_packet_source *mr_dpdk_source_open(struct mr_dpdk_port *port, unsigned worker,
                                             struct mr_error *error)
{
    struct dpdk_source *source = calloc(1, sizeof *source);

    MR_ASSERT(worker < port->workers);
    if (!source) {
        mr_error_set(error, "out of memory for a packet source");
        return NULL;
    }
    source->base.ops = &dpdk_ops;
    source->base.port = (uint16_t)(port->local.port_base + worker);
    source->port = port;
    source->queue = (uint16_t)worker;
    source->counters = &port->counters[worker];
    source->handover = port->handover[worker];
    source->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    /* As a thread of EAL's it has caches of packet buffers. */
    source->registered = rte_lcore_id() == LCORE_ID_ANY && rte_thread_register() == 0;
    if (source->wake_fd < 0 || rte_lcore_id() == LCORE_ID_ANY) {
        mr_error_set(error, "DPDK takes no more threads, or no more files may be opened");
        source_close(&source->base);
        return NULL;
    }
    atomic_store(&port->open[worker], true);
    return &source->base;
}
