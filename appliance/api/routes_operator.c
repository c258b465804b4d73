/* routes_operator.c - metrics and status. Neither shows a running sum or a single device. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/api/routes.h"
#include "appliance/observe/heap.h"
#include "base/bytes.h"

#ifndef MR_VERSION
#define MR_VERSION "unknown"
#endif

static void build_metrics(const struct mr_hub *hub, struct mr_metrics *metrics)
{
    char labels[128];
    snprintf(labels, sizeof labels, "version=\"%s\",cpu_level=\"%s\",heap=\"%s\"", MR_VERSION,
             hub->kernels->name, mr_heap_name());
    mr_metrics_family(metrics, "millrace_build_info", "gauge",
                      "Always 1: what is running, and with which kernels.");
    mr_metrics_sample(metrics, "millrace_build_info", labels, 1);
    mr_metrics_family(metrics, "millrace_uptime_seconds", "gauge", "Time since the hub started.");
    mr_metrics_sample(metrics, "millrace_uptime_seconds", "",
                      (double)(mr_loop_now_ms(hub->loop) - hub->started_ms) / 1000.0);
}

void mr_route_metrics(void *context, struct mr_request *request)
{
    struct mr_hub *hub = context;
    struct mr_metrics metrics;
    mr_metrics_init(&metrics);
    build_metrics(hub, &metrics);
    mr_heap_metrics(&metrics);
    mr_server_metrics(hub->server, &metrics);
    if (hub->lead) {
        mr_lead_driver_metrics(&hub->lead, 1, &metrics);
        mr_upload_plane_metrics(mr_lead_driver_plane(hub->lead), &metrics);
    }
    if (hub->helper) {
        mr_helper_driver_metrics(&hub->helper, 1, &metrics);
    }
    if (metrics.failed) {
        mr_routes_refuse_as(request, MR_REFUSAL_INTERNAL, "out of memory");
    } else {
        mr_request_answer(request, 200, "text/plain; version=0.0.4", metrics.text, metrics.length);
    }
    mr_metrics_fini(&metrics);
}

static json_t *lead_json(struct mr_hub *hub)
{
    struct mr_lead_report report;
    mr_lead_report(mr_lead_driver_core(hub->lead), &report);
    return json_pack("{s:I, s:s, s:I, s:I, s:I, s:I, s:I}", "round", (json_int_t)report.round,
                     "state", mr_lead_state_name(report.state), "quorum", (json_int_t)report.quorum,
                     "admitted", (json_int_t)report.admitted, "staged", (json_int_t)report.staged,
                     "committed", (json_int_t)report.committed, "included",
                     (json_int_t)report.included);
}

static json_t *helper_json(struct mr_hub *hub)
{
    struct mr_helper_report report;
    mr_helper_report(mr_helper_driver_core(hub->helper), &report);
    return json_pack("{s:I, s:s, s:I, s:I}", "round", (json_int_t)report.round, "state",
                     mr_helper_state_name(report.state), "admitted", (json_int_t)report.admitted,
                     "included", (json_int_t)report.included);
}

void mr_route_status(void *context, struct mr_request *request)
{
    struct mr_hub *hub = context;
    char model[2 * MR_HASH_BYTES + 1];
    mr_hex_encode(model, mr_store_current(hub->store), MR_HASH_BYTES);
    json_t *object = json_pack(
        "{s:i, s:s, s:s, s:s, s:s, s:I, s:s}", "hub", hub->config->identity.index, "role",
        hub->lead ? "lead" : "helper", "version", MR_VERSION, "cpu_level", hub->kernels->name,
        "packet_source", hub->lead ? hub->config->upload.source : "none", "uptime_ms",
        (json_int_t)(mr_loop_now_ms(hub->loop) - hub->started_ms), "model_hash", model);
    if (object && hub->lead) {
        json_object_set_new(object, "lead", lead_json(hub));
    }
    if (object && hub->helper) {
        json_object_set_new(object, "helper", helper_json(hub));
    }
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    mr_routes_answer_text(request, 200, text);
}
