/* dpdk.h in a build without DPDK. */
#include <stddef.h>

#include "appliance/ingest/dpdk.h"

static int absent(struct mr_error *error)
{
    return mr_error_set(error, "this build has no DPDK: install libdpdk-dev and configure with "
                               "-Ddpdk=enabled, or choose another upload.source");
}

int mr_dpdk_port_open(struct mr_dpdk_port **port, const struct mr_dpdk_config *config,
                      struct mr_error *error)
{
    (void)config;
    *port = NULL;
    return absent(error);
}

void mr_dpdk_port_close(struct mr_dpdk_port *port)
{
    (void)port;
}

const char *mr_dpdk_port_why(const struct mr_dpdk_port *port)
{
    (void)port;
    return "";
}

void mr_dpdk_port_metrics(const struct mr_dpdk_port *port, struct mr_metrics *metrics)
{
    (void)port;
    (void)metrics;
}

struct mr_packet_source *mr_dpdk_source_open(struct mr_dpdk_port *port, unsigned worker,
                                             struct mr_error *error)
{
    (void)port;
    (void)worker;
    absent(error);
    return NULL;
}

int mr_dpdk_probe(const char *device, struct mr_error *error)
{
    (void)device;
    return absent(error);
}
