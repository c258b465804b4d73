/* Packet buffers. */
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "appliance/ingest/dpdk_internal.h"

#define POOL_CACHE_MAX 256
/* Of a pool, in the caches of all threads together. Frames that are handed over are given back by
 * their new owner, whose cache of the pool keeps some for good: with so many workers that the
 * caches hold the pool, its queue would never get a buffer again. */
#define POOL_CACHED 1024

/* A cache holds half as much again as its size, before it gives any back. */
static unsigned cache_size(const struct mr_dpdk_port *port)
{
    const unsigned each = POOL_CACHED / port->workers;

    return each < POOL_CACHE_MAX ? each : POOL_CACHE_MAX;
}

struct rte_mempool *mr_dpdk_pool(const struct mr_dpdk_port *port, const char *name,
                                 uint16_t port_id, unsigned count, struct mr_error *error)
{
    /* A frame is never split: its payload is handed out as one piece. */
    const unsigned frame = port->mtu + RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN + 8;
    const unsigned room = frame > 2048 ? (frame + 63) / 64 * 64 : 2048;
    const int node = rte_eth_dev_socket_id(port_id);
    struct rte_mempool *pool = rte_pktmbuf_pool_create(name, count, cache_size(port), 0,
                                                       (uint16_t)(RTE_PKTMBUF_HEADROOM + room),
                                                       node >= 0 ? node : SOCKET_ID_ANY);

    if (!pool) {
        mr_error_set(error,
                     "no memory for %u packet buffers of %u bytes: %s; reserve hugepages, "
                     "or give EAL more with upload.dpdk_eal: \"-m 512\"",
                     count, room, rte_strerror(rte_errno));
    }
    return pool;
}
