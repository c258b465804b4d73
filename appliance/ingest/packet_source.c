#include "appliance/ingest/packet_source.h"

#include <stdio.h>
#include <string.h>

#include "appliance/ingest/dpdk.h"
#include "appliance/ingest/sources.h"

static struct mr_packet_source *open_dpdk(const struct mr_packet_source_config *config,
                                          char why[160], struct mr_error *error)
{
    if (!config->dpdk) {
        mr_error_set(error, "upload.source is dpdk and no port is open: set upload.dpdk_device");
        return NULL;
    }
    snprintf(why, 160, "%s", mr_dpdk_port_why(config->dpdk));
    return mr_dpdk_source_open(config->dpdk, config->worker, error);
}

static struct mr_packet_source *open_auto(const struct mr_packet_source_config *config,
                                          char why[160], struct mr_error *error)
{
    struct mr_error refused = {0};

    if (config->dpdk) {
        return open_dpdk(config, why, error);
    }
    struct mr_packet_source *source = mr_uring_source_open(config, &refused);

    if (source) {
        snprintf(why, 160, "io_uring: the best source that works here");
        return source;
    }
    snprintf(why, 160, "recvmmsg, because %.130s", refused.text);
    return mr_recvmmsg_source_open(config, error);
}

struct mr_packet_source *mr_packet_source_open(const struct mr_packet_source_config *config,
                                               char why[160], struct mr_error *error)
{
    if (strcmp(config->kind, "auto") == 0) {
        return open_auto(config, why, error);
    }
    if (strcmp(config->kind, "dpdk") == 0) {
        return open_dpdk(config, why, error);
    }
    snprintf(why, 160, "%s: asked for", config->kind);
    if (strcmp(config->kind, "io_uring") == 0) {
        return mr_uring_source_open(config, error);
    }
    if (strcmp(config->kind, "recvmmsg") == 0) {
        return mr_recvmmsg_source_open(config, error);
    }
    mr_error_set(error, "packet source \"%s\" is unknown: use auto, dpdk, io_uring or recvmmsg",
                 config->kind);
    return NULL;
}
