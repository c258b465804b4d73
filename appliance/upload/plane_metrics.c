/* What the upload plane shows on /metrics: counts of packets, ACKs and folds; nothing of a sum. */
#include <stdio.h>
#include <string.h>

#include "appliance/upload/plane_internal.h"

static void drops(const struct mr_upload_plane *plane, struct mr_metrics *metrics)
{
    static const char name[] = "millrace_upload_drops_total";
    char labels[96];

    mr_metrics_family(
        metrics, name, "counter",
        "Datagrams that were not a new chunk, and ACKs that were not sent, by cause.");
    for (unsigned i = 0; i < plane->config.workers; i++) {
        const struct mr_upload_counters *counters = mr_worker_counters(plane->workers[i]);
        for (int v = MR_UPLOAD_ACCEPTED + 1; v < MR_DROP_REASONS; v++) {
            snprintf(labels, sizeof labels, "reason=\"%s\",worker=\"%u\"",
                     mr_drop_reason_name((enum mr_drop_reason)v), i);
            mr_metrics_sample(metrics, name, labels, (double)mr_counter_get(&counters->reasons[v]));
        }
    }
}

static void counts(const struct mr_upload_plane *plane, struct mr_metrics *metrics)
{
    static const struct {
        const char *name, *help;
    } families[MR_UPLOAD_COUNTS] = {
        [MR_UPLOAD_COUNT_packets] = {"millrace_upload_datagrams_total", "Datagrams received."},
        [MR_UPLOAD_COUNT_bytes] = {"millrace_upload_received_bytes_total",
                                   "UDP payload bytes received."},
        [MR_UPLOAD_COUNT_bursts] = {"millrace_upload_bursts_total",
                                    "Polls that brought datagrams."},
        [MR_UPLOAD_COUNT_acks] = {"millrace_upload_acks_total", "ACKs queued for sending."},
        [MR_UPLOAD_COUNT_rebound] = {"millrace_upload_rebound_total",
                                     "Uploads that went on from another address."},
        [MR_UPLOAD_COUNT_staged] = {"millrace_upload_staged_total",
                                    "Uploads that became complete."},
        [MR_UPLOAD_COUNT_expired] = {"millrace_upload_expired_total",
                                     "Uploads dropped because nothing more arrived."},
        [MR_UPLOAD_COUNT_unsound] = {"millrace_upload_unsound_total",
                                     "Uploads dropped because their count lane does not open to "
                                     "1."},
        [MR_UPLOAD_COUNT_folds] = {"millrace_upload_folds_total",
                                   "Passes over an accumulator shard."},
    };
    char labels[32];

    for (unsigned c = 0; c < MR_UPLOAD_COUNTS; c++) {
        mr_metrics_family(metrics, families[c].name, "counter", families[c].help);
        for (unsigned i = 0; i < plane->config.workers; i++) {
            const struct mr_upload_counters *counters = mr_worker_counters(plane->workers[i]);
            snprintf(labels, sizeof labels, "worker=\"%u\"", i);
            mr_metrics_sample(metrics, families[c].name, labels,
                              (double)mr_counter_get(&counters->counts[c]));
        }
    }
    mr_metrics_family(metrics, "millrace_upload_http2_staged_total", "counter",
                      "Uploads that came whole over HTTP/2.");
    mr_metrics_sample(metrics, "millrace_upload_http2_staged_total", "",
                      (double)plane->lane.staged_total);
    mr_metrics_family(metrics, "millrace_upload_http2_unsound_total", "counter",
                      "Uploads over HTTP/2 whose count lane does not open to 1.");
    mr_metrics_sample(metrics, "millrace_upload_http2_unsound_total", "",
                      (double)plane->lane.unsound_total);
}

/* rate(busy) / (rate(busy) + rate(idle)) is how loaded a worker is, whatever its CPU seems to do.
 */
static void times(const struct mr_upload_plane *plane, struct mr_metrics *metrics)
{
    char labels[32];

    mr_metrics_family(metrics, "millrace_upload_busy_seconds_total", "counter",
                      "Time in which a worker had something to do.");
    for (unsigned i = 0; i < plane->config.workers; i++) {
        snprintf(labels, sizeof labels, "worker=\"%u\"", i);
        mr_metrics_sample(
            metrics, "millrace_upload_busy_seconds_total", labels,
            1e-9 * (double)mr_counter_get(&mr_worker_counters(plane->workers[i])->busy_ns));
    }
    mr_metrics_family(metrics, "millrace_upload_idle_seconds_total", "counter",
                      "Time in which a worker waited for packets, asleep or polling.");
    for (unsigned i = 0; i < plane->config.workers; i++) {
        snprintf(labels, sizeof labels, "worker=\"%u\"", i);
        mr_metrics_sample(
            metrics, "millrace_upload_idle_seconds_total", labels,
            1e-9 * (double)mr_counter_get(&mr_worker_counters(plane->workers[i])->idle_ns));
    }
}

static void gauges(const struct mr_upload_plane *plane, struct mr_metrics *metrics)
{
    char labels[64];

    snprintf(labels, sizeof labels, "name=\"%s\"",
             mr_opener_name(mr_worker_opener(plane->workers[0])));
    mr_metrics_family(metrics, "millrace_upload_opener_info", "gauge",
                      "What opens the seals of uploads, by name.");
    mr_metrics_sample(metrics, "millrace_upload_opener_info", labels, 1);
    mr_metrics_family(metrics, "millrace_upload_source_info", "gauge",
                      "How a worker receives datagrams, by name.");
    for (unsigned i = 0; i < plane->config.workers; i++) {
        snprintf(labels, sizeof labels, "name=\"%s\",worker=\"%u\"",
                 mr_worker_source(plane->workers[i]), i);
        mr_metrics_sample(metrics, "millrace_upload_source_info", labels, 1);
    }
    mr_metrics_family(metrics, "millrace_upload_receiving", "gauge", "Uploads under way.");
    for (unsigned i = 0; i < plane->config.workers; i++) {
        snprintf(labels, sizeof labels, "worker=\"%u\"", i);
        mr_metrics_sample(metrics, "millrace_upload_receiving", labels, plane->views[i].receiving);
    }
    mr_metrics_family(metrics, "millrace_upload_slots_free", "gauge",
                      "Staging slots that no upload holds.");
    for (unsigned i = 0; i < plane->config.workers; i++) {
        snprintf(labels, sizeof labels, "worker=\"%u\"", i);
        mr_metrics_sample(metrics, "millrace_upload_slots_free", labels,
                          plane->views[i].slots_free);
    }
}

const char *mr_upload_plane_source(const struct mr_upload_plane *plane)
{
    const char *first = mr_worker_source(plane->workers[0]);
    for (unsigned i = 1; i < plane->config.workers; i++) {
        if (strcmp(mr_worker_source(plane->workers[i]), first) != 0) {
            return "mixed";
        }
    }
    return first;
}

void mr_upload_plane_metrics(const struct mr_upload_plane *plane, struct mr_metrics *metrics)
{
    drops(plane, metrics);
    counts(plane, metrics);
    times(plane, metrics);
    gauges(plane, metrics);
    if (plane->dpdk) {
        mr_dpdk_port_metrics(plane->dpdk, metrics);
    }
}
