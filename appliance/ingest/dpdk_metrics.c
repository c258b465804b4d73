/* What a DPDK port counts. */
#include <stdio.h>

#include <rte_ethdev.h>

#include "appliance/ingest/dpdk_internal.h"

static void show_nic(const struct mr_dpdk_port *port, struct mr_metrics *metrics)
{
    struct rte_eth_stats stats;

    if (rte_eth_stats_get(port->id, &stats) != 0) {
        return;
    }
    mr_metrics_family(metrics, "millrace_upload_nic_missed_total", "counter",
                      "Frames that the DPDK port lost before a worker saw them.");
    mr_metrics_sample(metrics, "millrace_upload_nic_missed_total", "",
                      (double)(stats.imissed + stats.ierrors + stats.rx_nombuf));
}

static void show_drop(struct mr_metrics *metrics, const struct mr_dpdk_counters *counters,
                      enum mr_frame_drop reason, const char *worker)
{
    char labels[96];

    snprintf(labels, sizeof labels, "reason=\"%s\",worker=\"%s\"", mr_frame_drop_name(reason),
             worker);
    mr_metrics_sample(metrics, "millrace_upload_frame_drops_total", labels,
                      (double)counters->drops[reason]);
}

static void show_drops(const struct mr_dpdk_port *port, struct mr_metrics *metrics)
{
    const struct mr_dpdk_counters *exception = &port->counters[port->workers];
    char worker[8];

    mr_metrics_family(metrics, "millrace_upload_frame_drops_total", "counter",
                      "Frames of the DPDK port that brought no datagram, by cause.");
    for (unsigned i = 0; i < port->workers; i++) {
        for (int d = 0; d < MR_FRAME_DROPS; d++) {
            snprintf(worker, sizeof worker, "%u", i);
            show_drop(metrics, &port->counters[i], (enum mr_frame_drop)d, worker);
        }
    }
    if (!port->exception) {
        return;
    }
    show_drop(metrics, exception, MR_FRAME_DROP_kernel_full, "exception");
    show_drop(metrics, exception, MR_FRAME_DROP_unsent, "exception");
}

void mr_dpdk_port_metrics(const struct mr_dpdk_port *port, struct mr_metrics *metrics)
{
    static const char handed[] = "millrace_upload_handed_over_total";
    static const char kernel[] = "millrace_upload_to_kernel_total";
    char labels[96];

    show_drops(port, metrics);
    mr_metrics_family(metrics, handed, "counter",
                      "Frames that came to another worker's queue and were handed over.");
    for (unsigned i = 0; i < port->workers; i++) {
        snprintf(labels, sizeof labels, "worker=\"%u\"", i);
        mr_metrics_sample(metrics, handed, labels, (double)port->counters[i].handed_over);
    }
    mr_metrics_family(metrics, kernel, "counter", "Frames passed to the kernel.");
    for (unsigned i = 0; i < port->workers; i++) {
        snprintf(labels, sizeof labels, "worker=\"%u\"", i);
        mr_metrics_sample(metrics, kernel, labels, (double)port->counters[i].to_kernel);
    }
    show_nic(port, metrics);
}
