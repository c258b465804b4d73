/* Steering by UDP port in the NIC (rte_flow): each upload port to its worker's queue. Where a NIC
 * cannot, its hash spreads the frames and the workers hand them over. */
#include <rte_byteorder.h>
#include <rte_ethdev.h>
#include <rte_flow.h>

#include "appliance/ingest/dpdk_internal.h"

static bool add_rule(const struct mr_dpdk_port *port, enum rte_flow_item_type ip, uint16_t worker)
{
    const struct rte_flow_attr attributes = {.ingress = 1};
    const struct rte_flow_item_udp udp = {
        .hdr.dst_port = rte_cpu_to_be_16((uint16_t)(port->local.port_base + worker))};
    const struct rte_flow_item_udp mask = {.hdr.dst_port = UINT16_MAX};
    const struct rte_flow_item pattern[] = {
        {.type = RTE_FLOW_ITEM_TYPE_ETH},
        {.type = ip},
        {.type = RTE_FLOW_ITEM_TYPE_UDP, .spec = &udp, .mask = &mask},
        {.type = RTE_FLOW_ITEM_TYPE_END},
    };
    const struct rte_flow_action_queue queue = {.index = worker};
    const struct rte_flow_action actions[] = {
        {.type = RTE_FLOW_ACTION_TYPE_QUEUE, .conf = &queue},
        {.type = RTE_FLOW_ACTION_TYPE_END},
    };
    struct rte_flow_error error;

    return rte_flow_create(port->id, &attributes, pattern, actions, &error);
}

bool mr_dpdk_steer(const struct mr_dpdk_port *port)
{
    struct rte_flow_error error;

    for (uint16_t worker = 0; worker < port->workers; worker++) {
        if (!add_rule(port, RTE_FLOW_ITEM_TYPE_IPV4, worker) ||
            !add_rule(port, RTE_FLOW_ITEM_TYPE_IPV6, worker)) {
            (void)rte_flow_flush(port->id, &error);
            return false;
        }
    }
    return true;
}
