/* The upload plane of a hub that leads: from what the configuration says to what the plane takes.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/hub/hub.h"

/* "2,3" as numbers; the loader has checked the form. */
static unsigned parse_cpus(const char *text, int *cpus, unsigned most)
{
    unsigned count = 0;
    for (char *end; text && *text && count < most; text = *end ? end + 1 : end) {
        cpus[count++] = (int)strtol(text, &end, 10);
    }
    return count;
}

/* Devices send datagrams to the address that they reach the control plane at, or to one that all
 * hubs sign as this hub's name, and to no other. Where the control plane has a name, only they know
 * its address. */
static void tell_address(const struct mr_hub *hub)
{
    const struct mr_hub_config *config = hub->config;
    const struct mr_config_hub *own = mr_hub_config_address(config, config->identity.index);
    const char *uploads = config->upload.advertise_host;
    struct in_addr numeric;
    if (own && inet_pton(AF_INET, own->host, &numeric) == 1 && strcmp(own->host, uploads) != 0 &&
        strcmp(own->name, uploads) != 0) {
        mr_log_event(hub->log, MR_LOG_WARN, "upload.address",
                     "advertise_host=%s host=%s name=%s why=devices send datagrams only to this "
                     "hub's host, or to an address that is its name in hubs: they will upload over "
                     "HTTP/2",
                     uploads, own->host, own->name);
    }
}

int mr_hub_open_plane(struct mr_hub *hub, unsigned tasks_led, struct mr_error *error)
{
    const struct mr_config_upload *upload = &hub->config->upload;
    int cpus[MR_WORKERS_MAX];
    const unsigned pinned = parse_cpus(upload->worker_cpus, cpus, MR_WORKERS_MAX);
    struct mr_upload_plane_config config = {
        .workers = upload->workers,
        .worker_cpus = pinned >= upload->workers ? cpus : NULL,
        .slots_per_worker = upload->slots_per_worker,
        .share_bytes_max = upload->share_bytes_max,
        .source = upload->source,
        .listen_host = upload->listen_host,
        .port_base = upload->port_base,
        .advertise_host = upload->advertise_host,
        .receive_buffer_bytes = upload->receive_buffer_bytes,
        .window_max = upload->window_max,
        .window_total = upload->window_total,
        .idle_timeout_ms = upload->idle_timeout_ms,
        .dpdk = {.device = upload->dpdk_device,
                 .eal_options = upload->dpdk_eal,
                 .addresses = *upload->dpdk_addresses != '\0' ? upload->dpdk_addresses
                                                              : upload->advertise_host,
                 .exception = upload->dpdk_exception,
                 .mtu = upload->dpdk_mtu,
                 .nap_after_us = upload->dpdk_nap_after_us},
    };
    config.accumulator_bytes =
        tasks_led * mr_upload_plane_round_bytes(&config, upload->share_bytes_max, UINT32_MAX);
    tell_address(hub);
    return mr_upload_plane_open(&hub->api.plane, hub->loop, &config, hub->kernels, hub->log, error);
}
