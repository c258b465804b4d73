/* metrics.c - the counters as text. */
#include <stdio.h>
#include <time.h>

#include "appliance/http/server_internal.h"

static const char *const limit_names[MR_LIMITS] = {"source_connections", "source_requests",
                                                   "identity_requests"};

static void single(struct mr_metrics *metrics, const char *name, const char *type, const char *help,
                   double value)
{
    mr_metrics_family(metrics, name, type, help);
    mr_metrics_sample(metrics, name, "", value);
}

/* One counter family with one label. */
static void labelled(struct mr_metrics *metrics, const char *name, const char *help,
                     const char *label, const char *const *values, const uint64_t *counts,
                     size_t count)
{
    mr_metrics_family(metrics, name, "counter", help);
    for (size_t i = 0; i < count; i++) {
        char labels[64];
        snprintf(labels, sizeof labels, "%s=\"%s\"", label, values[i]);
        mr_metrics_sample(metrics, name, labels, (double)counts[i]);
    }
}

/* What never runs out has no sample. */
static void terms(const struct mr_server *server, struct mr_metrics *metrics)
{
    static const char name[] = "millrace_certificate_expiry_seconds";
    const int64_t now_s = (int64_t)time(NULL);
    mr_metrics_family(metrics, name, "gauge",
                      "Time until this hub's own certificate, a CA above it or a revocation list "
                      "runs out; below 0: it has.");
    for (int term = 0; term < MR_TLS_TERMS; term++) {
        const int64_t ends = mr_tls_ends(server->tls, (enum mr_tls_term)term);
        char labels[64];
        if (ends != INT64_MAX) {
            snprintf(labels, sizeof labels, "certificate=\"%s\"", mr_tls_term_names[term]);
            mr_metrics_sample(metrics, name, labels, (double)(ends - now_s));
        }
    }
}

void mr_server_metrics(const struct mr_server *server, struct mr_metrics *metrics)
{
    static const char *const classes[] = {"2xx", "3xx", "4xx", "5xx"};
    const struct mr_server_counters *counters = &server->counters;
    single(metrics, "millrace_control_connections", "gauge", "Control connections now.",
           server->connection_count);
    single(metrics, "millrace_control_connections_at_rest", "gauge",
           "Kept connections of devices and readers: open, without a request.",
           server->resting_count);
    single(metrics, "millrace_control_accepted_total", "counter", "TCP connections accepted.",
           (double)counters->accepted);
    single(
        metrics, "millrace_control_over_limit_total", "counter",
        "Connections closed at once because there were connections_max, none of which could give "
        "way.",
        (double)counters->over_limit);
    labelled(metrics, "millrace_control_limited_total",
             "Connections closed and requests refused because there were too many.", "limit",
             limit_names, counters->limited, MR_LIMITS);
    single(metrics, "millrace_control_handshakes_pending", "gauge",
           "Connections that have not come through their TLS handshake.",
           server->unauthenticated_count);
    single(metrics, "millrace_control_revoked_certificates", "gauge",
           "Certificates on the revocation list in use.",
           mr_tls_revocations(server->tls)
               ? (double)mr_revocations_count(mr_tls_revocations(server->tls))
               : 0);
    terms(server, metrics);
    single(metrics, "millrace_control_handshakes_total", "counter",
           "TLS handshakes that succeeded.", (double)counters->handshakes);
    single(metrics, "millrace_control_handshakes_resumed_total", "counter",
           "Those of them that took a former connection's session up, without certificates.",
           (double)counters->resumed);
    single(metrics, "millrace_control_sessions", "gauge",
           "Sessions that devices and readers may take up.",
           server->sessions ? mr_tickets_count(server->sessions) : 0);
    single(metrics, "millrace_control_session_bytes", "gauge", "Memory that they take.",
           server->sessions ? (double)mr_tickets_bytes(server->sessions) : 0);
    labelled(metrics, "millrace_control_handshake_failures_total",
             "TLS handshakes that failed, by reason.", "reason", mr_handshake_names,
             counters->handshake_failures, MR_HANDSHAKE_FAILURES);
    labelled(metrics, "millrace_control_connection_ends_total", "Connections ended, by cause.",
             "cause", mr_end_names, counters->ends, MR_ENDS);
    labelled(metrics, "millrace_control_answers_total", "Requests answered, by class of status.",
             "status", classes, counters->answers + 2, sizeof classes / sizeof *classes);
    single(metrics, "millrace_control_answers_void_total", "counter",
           "Answers whose asker was gone.", (double)counters->answers_void);
    single(metrics, "millrace_control_requests", "gauge", "Requests under way.",
           server->request_count);
    single(metrics, "millrace_control_body_bytes", "gauge", "Request bodies held in memory.",
           (double)server->bodies_bytes + (double)server->trusted_bodies_bytes);
}
