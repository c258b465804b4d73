#include "appliance/ingest/packet_source.h"

#include <stdio.h>
#include <string.h>

#include "appliance/ingest/sources.h"

static struct mr_packet_source *open_auto(const struct mr_packet_source_config *config,
                                          char why[160], struct mr_error *error)
{
    struct mr_error refused = {0};
    struct mr_packet_source *source = mr_uring_source_open(config, &refused);

    if (source != NULL) {
        snprintf(why, 160, "io_uring: the best source that works here");
        return source;
    }
    snprintf(why, 160, "recvmmsg, because %.130s", refused.text);
    return mr_recvmmsg_source_open(config, error);
}

struct mr_packet_source *mr_packet_source_open(const struct mr_packet_source_config *config,
                                               char why[160], struct mr_error *error)
{
    if (strcmp(config->kind, "auto") == 0)
        return open_auto(config, why, error);
    snprintf(why, 160, "%s: asked for", config->kind);
    if (strcmp(config->kind, "io_uring") == 0)
        return mr_uring_source_open(config, error);
    if (strcmp(config->kind, "recvmmsg") == 0)
        return mr_recvmmsg_source_open(config, error);
    mr_error_set(error, "packet source \"%s\" is unknown: use auto, io_uring or recvmmsg",
                 config->kind);
    return NULL;
}
