/* dpdk.h - a network port driven from user space by DPDK, shared by the workers: a queue for each.
 *
 * The control thread opens the port before the workers and closes it after them; each worker opens
 * its source on its own thread. EAL is started once per process and stays. Where the build has no
 * DPDK, opening fails and says so. */
#ifndef MR_INGEST_DPDK_H
#define MR_INGEST_DPDK_H

#include "appliance/ingest/packet_source.h"
#include "appliance/observe/metrics.h"

struct mr_dpdk_config {
    const char *device;      /* as DPDK's --vdev or -a take it; NULL or "": no port */
    const char *eal_options; /* more words for rte_eal_init, "" or NULL */
    const char *addresses;   /* an IPv4 and an IPv6 address, comma between; either may be missing */
    const char *exception;   /* device string of the way to the kernel; "" or NULL: none */
    uint32_t mtu;            /* of the port; 0: 1500 */
    uint32_t nap_after_us;   /* a worker that saw no packet for so long naps; 0: it never does */
    uint16_t port_base;      /* > 0 */
    uint16_t workers;
};

struct mr_dpdk_port;

/* 0 or -1. The config is only used during the call. */
int mr_dpdk_port_open(struct mr_dpdk_port **port, const struct mr_dpdk_config *config,
                      struct mr_error *error);
void mr_dpdk_port_close(struct mr_dpdk_port *port); /* after its sources; NULL allowed */

/* One sentence: device, queues, how datagrams come to their worker. */
const char *mr_dpdk_port_why(const struct mr_dpdk_port *port);
void mr_dpdk_port_metrics(const struct mr_dpdk_port *port, struct mr_metrics *metrics);

/* The worker's queue as a packet source. On the worker's thread; NULL on failure. */
struct mr_packet_source *mr_dpdk_source_open(struct mr_dpdk_port *port, unsigned worker,
                                             struct mr_error *error);

/* Does EAL start here, and does it know that device? For doctor; takes the process's EAL. */
int mr_dpdk_probe(const char *device, struct mr_error *error);

#endif
