/* dpdk_internal.h - the inside of dpdk.h. From below: dpdk_pause.c, dpdk_pool.c and dpdk_steer.c;
 * dpdk_exception.c (the way to the kernel) and dpdk_gate.c (memif peers that go); dpdk_port.c
 * (set-up); beside it dpdk_source.c (the packet path) and dpdk_metrics.c. */
#ifndef MR_INGEST_DPDK_INTERNAL_H
#define MR_INGEST_DPDK_INTERNAL_H

#include <stdatomic.h>

#include "appliance/config/limits.h"
#include "appliance/ingest/dpdk.h"
#include "appliance/ingest/dpdk_frame.h"

#define MR_DPDK_WORKERS_MAX MR_WORKERS_MAX
#define MR_DPDK_HANDOVER    1024u /* frames on their way to another worker */
#define MR_DPDK_TO_KERNEL   256u

/* One writer, the worker or the exception path's thread; any readers. Lines are pulled in pairs. */
struct mr_dpdk_counters {
    _Alignas(128) _Atomic uint64_t drops[MR_FRAME_DROPS];
    _Atomic uint64_t handed_over; /* to another worker */
    _Atomic uint64_t to_kernel;
};

struct mr_dpdk_exception;
struct mr_dpdk_gate;
struct rte_mempool;
struct rte_ring;

struct mr_dpdk_port {
    /* Read by every poll, written rarely. */
    _Alignas(128) uint16_t id;
    uint16_t workers;
    bool checks_ip;         /* the NIC tells good IPv4 header checksums from bad ones */
    uint64_t nap_after_tsc; /* UINT64_MAX: never */
    struct mr_frame_local local;
    struct rte_ring *handover[MR_DPDK_WORKERS_MAX]; /* NULL with one worker */
    struct rte_ring *to_kernel, *from_kernel;       /* NULL without exception path */
    struct mr_dpdk_counters *counters;              /* one a worker, then the exception path's */
    /* While set, workers leave the queues alone: each says so in `parked`. */
    atomic_bool pausing;

    /* Set-up and control. */
    _Alignas(128) uint16_t mtu;
    bool started;
    struct rte_mempool *pools[MR_DPDK_WORKERS_MAX];
    struct rte_mempool *kernel_pool;       /* of frames that come from the kernel */
    atomic_bool open[MR_DPDK_WORKERS_MAX]; /* the worker polls */
    atomic_bool parked[MR_DPDK_WORKERS_MAX];
    struct mr_dpdk_exception *exception;
    struct mr_dpdk_gate *gate; /* NULL unless the device is a memif */
    char why[160];
};

/* dpdk_pause.c: stops the workers' polling and starts it again, so that the port may be taken from
 * under them. Any thread but a worker's; one at a time. */
void mr_dpdk_port_pause(struct mr_dpdk_port *port);
void mr_dpdk_port_resume(struct mr_dpdk_port *port);

/* dpdk_pool.c: packet buffers for frames of the port, near the device `port_id`. */
struct rte_mempool *mr_dpdk_pool(const struct mr_dpdk_port *port, const char *name,
                                 uint16_t port_id, unsigned count, struct mr_error *error);

/* dpdk_steer.c: rules that bring each upload port to its worker's queue. True if the NIC took
 * all. */
bool mr_dpdk_steer(const struct mr_dpdk_port *port);

/* dpdk_exception.c: the tap's thread. NULL with an error on failure. */
struct mr_dpdk_exception *mr_dpdk_exception_open(struct mr_dpdk_port *port, const char *device,
                                                 struct mr_error *error);
/* Before the port stops. The pool stays: frames from the kernel may be in the port's queue. */
void mr_dpdk_exception_close(struct mr_dpdk_exception *exception);
const char *mr_dpdk_exception_name(const struct mr_dpdk_exception *exception);

/* dpdk_gate.c: a memif's control channel, led past us. `device` is rewritten into `inner`. */
struct mr_dpdk_gate *mr_dpdk_gate_open(struct mr_dpdk_port *port, const char *device,
                                       char inner[512], struct mr_error *error);
int mr_dpdk_gate_start(struct mr_dpdk_gate *gate,
                       struct mr_error *error);    /* the port has started */
void mr_dpdk_gate_stop(struct mr_dpdk_gate *gate); /* carries no more; the sockets stay open */
void mr_dpdk_gate_close(struct mr_dpdk_gate *gate);

static inline void mr_dpdk_count(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

#endif
