/* Setting a DPDK port up, taking it down, and what it counts. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include "appliance/ingest/dpdk_env.h"
#include "appliance/ingest/dpdk_internal.h"

#define DESCRIPTORS  1024
#define POOL_BUFFERS 4095 /* of a queue: descriptors, hand-over ring, bursts and caches */
#define MTU_DEFAULT  1500
#define MTU_MAX      9600

/* --- addresses -------------------------------------------------------------------------------- */

static int parse_address(struct mr_frame_local *local, const char *text, struct mr_error *error)
{
    struct in6_addr *v4 = &local->v4;

    if (inet_pton(AF_INET, text, &v4->s6_addr[12]) == 1) {
        v4->s6_addr[10] = v4->s6_addr[11] = 0xff;
        return 0;
    }
    if (inet_pton(AF_INET6, text, &local->v6) == 1) {
        return 0;
    }
    return mr_error_set(error,
                        "upload.dpdk_addresses: \"%s\" is not a numeric address; write the "
                        "port's own addresses, such as 192.0.2.10,2001:db8::10",
                        text);
}

static int parse_addresses(struct mr_frame_local *local, const char *list, struct mr_error *error)
{
    char text[160], *rest = NULL;

    snprintf(text, sizeof text, "%s", list ? list : "");
    for (char *one = strtok_r(text, ", ", &rest); one; one = strtok_r(NULL, ", ", &rest)) {
        if (parse_address(local, one, error) != 0) {
            return -1;
        }
    }
    if (IN6_IS_ADDR_UNSPECIFIED(&local->v6) &&
        (IN6_IS_ADDR_UNSPECIFIED(&local->v4) || local->v4.s6_addr[12] == 0)) {
        return mr_error_set(error, "a DPDK port must know its own address: set "
                                   "upload.dpdk_addresses");
    }
    return 0;
}

/* --- queues ----------------------------------------------------------------------------------- */

static int configure(struct mr_dpdk_port *port, struct mr_error *error)
{
    struct rte_eth_dev_info info;
    struct rte_eth_conf conf = {.rxmode = {.mtu = port->mtu}};
    const uint16_t queues = port->workers;

    if (rte_eth_dev_info_get(port->id, &info) != 0) {
        return mr_error_set(error, "the DPDK port does not say what it can do");
    }
    if (info.max_rx_queues < queues || info.max_tx_queues < queues) {
        return mr_error_set(error,
                            "the DPDK port has %u queues and upload.workers is %u: lower "
                            "workers, or ask the device for more queues",
                            info.max_rx_queues < info.max_tx_queues ? info.max_rx_queues
                                                                    : info.max_tx_queues,
                            queues);
    }
    if (queues > 1 && (info.flow_type_rss_offloads & (RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP)) != 0) {
        conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
        conf.rx_adv_conf.rss_conf.rss_hf =
            info.flow_type_rss_offloads & (RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP);
    }
    conf.rxmode.offloads =
        info.rx_offload_capa & (RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM);
    port->checks_ip = (conf.rxmode.offloads & RTE_ETH_RX_OFFLOAD_IPV4_CKSUM) != 0;
    const int failed = rte_eth_dev_configure(port->id, queues, queues, &conf);
    if (failed != 0) {
        return mr_error_set(error, "the DPDK port refuses %u queues with an MTU of %u: %s", queues,
                            port->mtu, strerror(-failed));
    }
    return 0;
}

static int open_queue(struct mr_dpdk_port *port, uint16_t queue, uint16_t rx, uint16_t tx,
                      struct mr_error *error)
{
    char name[RTE_MEMPOOL_NAMESIZE];

    snprintf(name, sizeof name, "mr_p%u_q%u", port->id, queue);
    port->pools[queue] = mr_dpdk_pool(port, name, port->id, POOL_BUFFERS, error);
    if (!port->pools[queue]) {
        return -1;
    }
    const unsigned node = (unsigned)rte_eth_dev_socket_id(port->id);
    if (rte_eth_rx_queue_setup(port->id, queue, rx, node, NULL, port->pools[queue]) != 0 ||
        rte_eth_tx_queue_setup(port->id, queue, tx, node, NULL) != 0) {
        return mr_error_set(error, "the DPDK port refuses queue %u", queue);
    }
    if (port->workers == 1) {
        return 0;
    }
    snprintf(name, sizeof name, "mr_h%u_q%u", port->id, queue);
    port->handover[queue] = rte_ring_create(name, MR_DPDK_HANDOVER, SOCKET_ID_ANY, RING_F_SC_DEQ);
    return port->handover[queue] ? 0 : mr_error_set(error, "no memory for a ring");
}

static int open_queues(struct mr_dpdk_port *port, struct mr_error *error)
{
    uint16_t rx = DESCRIPTORS, tx = DESCRIPTORS / 2;

    if (configure(port, error) != 0) {
        return -1;
    }
    (void)rte_eth_dev_adjust_nb_rx_tx_desc(port->id, &rx, &tx);
    for (uint16_t queue = 0; queue < port->workers; queue++) {
        if (open_queue(port, queue, rx, tx, error) != 0) {
            return -1;
        }
    }
    return 0;
}

/* --- the port --------------------------------------------------------------------------------- */

static void describe(struct mr_dpdk_port *port, const char *device)
{
    char name[64], kernel[48] = "";
    const char *spread = port->workers == 1    ? ""
                         : mr_dpdk_steer(port) ? ", steered by UDP port"
                                               : ", spread, then handed to the owner";

    snprintf(name, sizeof name, "%s", device);
    name[strcspn(name, ",")] = '\0';
    if (port->exception) {
        snprintf(kernel, sizeof kernel, ", the kernel by %s",
                 mr_dpdk_exception_name(port->exception));
    }
    snprintf(port->why, sizeof port->why, "%.30s is configured: %u queues%s%.40s", name,
             port->workers, spread, kernel);
}

static int start(struct mr_dpdk_port *port, const struct mr_dpdk_config *config,
                 struct mr_error *error)
{
    struct mr_dpdk_ear ear;
    struct rte_ether_addr mac;
    char why[160];

    if (open_queues(port, error) != 0) {
        return -1;
    }
    if (rte_eth_macaddr_get(port->id, &mac) != 0) {
        return mr_error_set(error, "the DPDK port has no MAC address");
    }
    memcpy(port->local.mac, mac.addr_bytes, sizeof port->local.mac);
    mr_dpdk_ear_begin(&ear);
    const int failed = rte_eth_dev_start(port->id);
    mr_dpdk_ear_end(&ear, why);
    if (failed != 0) {
        return mr_error_set(error, "the DPDK port does not start: %s", why);
    }
    port->started = true;
    if (port->gate && mr_dpdk_gate_start(port->gate, error) != 0) {
        return -1;
    }
    /* Neighbour discovery comes by multicast. Not every device can tell it apart; then all comes.
     */
    (void)rte_eth_allmulticast_enable(port->id);
    if (config->exception && *config->exception != '\0') {
        port->exception = mr_dpdk_exception_open(port, config->exception, error);
        if (!port->exception) {
            return -1;
        }
    }
    describe(port, config->device);
    return 0;
}

static int check(const struct mr_dpdk_config *config, struct mr_error *error)
{
    if (!config->device || *config->device == '\0') {
        return mr_error_set(error, "upload.source is dpdk: name the port in upload.dpdk_device, "
                                   "such as net_af_xdp0,iface=eth1 or 0000:03:00.0");
    }
    if (config->workers < 1 || config->workers > MR_DPDK_WORKERS_MAX) {
        return mr_error_set(error, "a DPDK port serves 1 to %u workers", MR_DPDK_WORKERS_MAX);
    }
    if (config->port_base == 0) {
        return mr_error_set(error, "a DPDK port cannot pick free UDP ports: set upload.port_base");
    }
    if (config->mtu > MTU_MAX) {
        return mr_error_set(error, "upload.dpdk_mtu is %u: use at most %u", config->mtu, MTU_MAX);
    }
    return 0;
}

static int attach(struct mr_dpdk_port *port, const struct mr_dpdk_config *config,
                  struct mr_error *error)
{
    char inner[512];
    const char *device = config->device;

    if (mr_dpdk_env_start(device, config->eal_options, error) != 0) {
        return -1;
    }
    port->nap_after_tsc =
        config->nap_after_us == 0 ? UINT64_MAX : rte_get_tsc_hz() / 1000000 * config->nap_after_us;
    if (strncmp(device, "net_memif", 9) == 0) {
        port->gate = mr_dpdk_gate_open(port, device, inner, error);
        if (!port->gate) {
            return -1;
        }
        device = inner;
    }
    if (mr_dpdk_env_attach(device, &port->id, error) != 0) {
        return -1;
    }
    return start(port, config, error);
}

int mr_dpdk_port_open(struct mr_dpdk_port **opened, const struct mr_dpdk_config *config,
                      struct mr_error *error)
{
    *opened = NULL;
    if (check(config, error) != 0) {
        return -1;
    }
    struct mr_dpdk_port *port = aligned_alloc(128, (sizeof *port + 127) / 128 * 128);
    struct mr_dpdk_counters *counters =
        aligned_alloc(128, (config->workers + 1u) * sizeof(struct mr_dpdk_counters));
    if (!port || !counters) {
        free(port);
        free(counters);
        return mr_error_set(error, "out of memory for a DPDK port");
    }
    memset(port, 0, sizeof *port);
    memset(counters, 0, (config->workers + 1u) * sizeof *counters);
    port->id = RTE_MAX_ETHPORTS;
    port->counters = counters;
    port->workers = config->workers;
    port->mtu = (uint16_t)(config->mtu == 0 ? MTU_DEFAULT : config->mtu);
    port->local.port_base = config->port_base;
    port->local.ports = config->workers;
    if (parse_addresses(&port->local, config->addresses, error) != 0 ||
        attach(port, config, error) != 0) {
        mr_dpdk_port_close(port);
        return -1;
    }
    *opened = port;
    return 0;
}

static void drain(struct rte_ring *ring)
{
    void *frame;

    if (!ring) {
        return;
    }
    while (rte_ring_dequeue(ring, &frame) == 0) {
        rte_pktmbuf_free(frame);
    }
    rte_ring_free(ring);
}

void mr_dpdk_port_close(struct mr_dpdk_port *port)
{
    if (!port) {
        return;
    }
    mr_dpdk_exception_close(port->exception);
    /* The PMD must not hear of a closed socket while it is being stopped. */
    mr_dpdk_gate_stop(port->gate);
    if (port->started && port->gate) {
        (void)mr_dpdk_env_call(rte_eth_dev_stop, port->id); /* as for a peer that goes */
    } else if (port->started) {
        (void)rte_eth_dev_stop(port->id);
    }
    for (unsigned i = 0; i < port->workers; i++) {
        drain(port->handover[i]);
    }
    if (port->id != RTE_MAX_ETHPORTS) {
        mr_dpdk_env_detach(port->id);
    }
    mr_dpdk_gate_close(port->gate);
    for (unsigned i = 0; i < port->workers; i++) {
        rte_mempool_free(port->pools[i]);
    }
    rte_mempool_free(port->kernel_pool);
    free(port->counters);
    free(port);
}

const char *mr_dpdk_port_why(const struct mr_dpdk_port *port)
{
    return port->why;
}

int mr_dpdk_probe(const char *device, struct mr_error *error)
{
    uint16_t port_id;

    if (mr_dpdk_env_start(device, NULL, error) != 0 ||
        mr_dpdk_env_attach(device, &port_id, error) != 0) {
        return -1;
    }
    mr_dpdk_env_detach(port_id);
    return 0;
}
