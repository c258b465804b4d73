/* lead_metrics.c - what the leads of this hub's tasks are doing, as metrics. */
#include <math.h>
#include <stdio.h>

#include "appliance/round/drive/lead_driver_internal.h"
#include "appliance/round/drive/round_sample.h"

typedef double (*value_fn)(const struct mr_lead_driver *run, const struct mr_lead_report *report);

static double round_number(const struct mr_lead_driver *run, const struct mr_lead_report *report)
{
    (void)run;
    return (double)report->round;
}

static double admitted(const struct mr_lead_driver *run, const struct mr_lead_report *report)
{
    (void)run;
    return report->admitted;
}

static double published(const struct mr_lead_driver *run, const struct mr_lead_report *report)
{
    (void)report;
    return (double)run->published;
}

static double committed(const struct mr_lead_driver *run, const struct mr_lead_report *report)
{
    (void)report;
    return (double)run->committed;
}

static double unsound(const struct mr_lead_driver *run, const struct mr_lead_report *report)
{
    (void)report;
    return (double)run->unsound;
}

static double included(const struct mr_lead_driver *run, const struct mr_lead_report *report)
{
    (void)report;
    return (double)run->included;
}

static double publish_last(const struct mr_lead_driver *run, const struct mr_lead_report *report)
{
    (void)report;
    return run->publish_seconds_last;
}

static double publish_sum(const struct mr_lead_driver *run, const struct mr_lead_report *report)
{
    (void)report;
    return run->publish_seconds_sum;
}

static double waiting(const struct mr_lead_driver *run, const struct mr_lead_report *report)
{
    (void)run;
    return mr_lead_driver_waits(report);
}

static double pause_seconds(const struct mr_lead_driver *run, const struct mr_lead_report *report)
{
    (void)report;
    return (double)run->automatic_pause_ms / 1000.0;
}

/* Of the last round that was published, also by an earlier process; NaN: none was, or unknown. */
static struct mr_round_metrics last_metrics(const struct mr_lead_driver *run)
{
    const struct mr_round_summary *last = mr_round_history_trained(&run->history);
    return last ? last->metrics
                : (struct mr_round_metrics){
                      .error = NAN, .saturated = NAN, .resolution = NAN, .step = NAN};
}

static double rounding_error(const struct mr_lead_driver *run, const struct mr_lead_report *report)
{
    (void)report;
    return last_metrics(run).error;
}

static double saturated(const struct mr_lead_driver *run, const struct mr_lead_report *report)
{
    (void)report;
    return last_metrics(run).saturated;
}

static double resolution(const struct mr_lead_driver *run, const struct mr_lead_report *report)
{
    (void)report;
    return last_metrics(run).resolution;
}

static double step(const struct mr_lead_driver *run, const struct mr_lead_report *report)
{
    (void)report;
    return last_metrics(run).step;
}

static double step_max(const struct mr_lead_driver *run, const struct mr_lead_report *report)
{
    (void)report;
    const struct mr_round_summary *last = mr_round_history_trained(&run->history);
    return last ? (double)last->step_max : NAN;
}

/* Families with one sample a task. */
static const struct {
    const char *name, *type, *help;
    value_fn value;
} families[] = {
    {"millrace_round_number", "gauge", "Number of the lead's current or last round.", round_number},
    {"millrace_round_admitted", "gauge",
     "Devices that were granted an upload in the current round.", admitted},
    {"millrace_rounds_published_total", "counter", "Rounds that made a model.", published},
    {"millrace_uploads_committed_total", "counter", "Uploads that were made durable.", committed},
    {"millrace_uploads_unsound_total", "counter",
     "Uploads that were left out because their count lane does not open to 1.", unsound},
    {"millrace_uploads_included_total", "counter", "Uploads in the sums of published rounds.",
     included},
    {"millrace_publish_seconds", "gauge",
     "From quorum or deadline to the published model, last round.", publish_last},
    {"millrace_publish_seconds_total", "counter", "The same, summed over all published rounds.",
     publish_sum},
    {"millrace_round_waiting", "gauge",
     "1 while openings were asked for and another hub's answer is out: no time ends the round.",
     waiting},
    {"millrace_round_pause_seconds", "gauge",
     "Pause before the next automatic round, longer with each that fails; 0: none.", pause_seconds},
    {"millrace_update_rounding_error", "gauge",
     "Relative error of the last published update by rounding, estimated from its sum; above 0.05 "
     "the hub warns.",
     rounding_error},
    {"millrace_update_saturated", "gauge",
     "Share of the values that devices had to cut off in the last published round; above 0.01 the "
     "hub warns.",
     saturated},
    {"millrace_update_resolution", "gauge",
     "Mean magnitude of a device's values in the last published round, in quantisation steps.",
     resolution},
    {"millrace_update_step", "gauge", "L2 norm of the last step from one model to the next.", step},
    {"millrace_update_step_max", "gauge",
     "The largest step that hubs would have taken in that round; one above it voids the round.",
     step_max},
};

static void states(const struct mr_lead_driver *run, struct mr_metrics *metrics)
{
    struct mr_lead_report report;
    mr_lead_report(run->core, &report);
    for (unsigned state = 0; state <= MR_LEAD_VOID; state++) {
        const struct mr_round_label label = {run->context.task, "state", mr_lead_state_name(state)};
        mr_round_sample(metrics, "millrace_round_state", &label, report.state == state);
    }
}

static void voids(const struct mr_lead_driver *run, struct mr_metrics *metrics)
{
    for (unsigned kind = 0; kind < MR_VOID_KINDS; kind++) {
        const struct mr_round_label label = {run->context.task, "reason", mr_void_kind_name(kind)};
        mr_round_sample(metrics, "millrace_rounds_void_total", &label, (double)run->voids[kind]);
    }
}

static void stages(const struct mr_lead_driver *run, struct mr_metrics *metrics)
{
    for (unsigned i = 0; i < MR_ROUND_STAGES; i++) {
        char labels[96]; /* a task's name is short, and so are ours */
        snprintf(labels, sizeof labels, "task=\"%s\",stage=\"%s\"", run->context.task,
                 mr_round_stage_names[i]);
        mr_histogram_samples(&run->stages[i], metrics, "millrace_round_stage_seconds", labels);
    }
}

static void clocks(const struct mr_lead_driver *run, struct mr_metrics *metrics)
{
    char hub[8];
    int64_t ahead_ms;
    for (unsigned peer = 1; peer < run->context.hubs_count; peer++) {
        if (mr_peer_link_clock(run->links[peer], &ahead_ms)) {
            snprintf(hub, sizeof hub, "%u", run->context.hubs[peer].index);
            const struct mr_round_label label = {run->context.task, "hub", hub};
            mr_round_sample(metrics, "millrace_peer_clock_ahead_seconds", &label,
                            (double)ahead_ms / 1000.0);
        }
    }
}

void mr_lead_driver_metrics(struct mr_lead_driver *const *runs, unsigned count,
                            struct mr_metrics *metrics)
{
    struct mr_lead_report report;
    mr_metrics_family(metrics, "millrace_round_state", "gauge",
                      "State of the lead's current round: 1 for the state it is in.");
    for (unsigned i = 0; i < count; i++) {
        states(runs[i], metrics);
    }
    mr_metrics_family(metrics, "millrace_rounds_void_total", "counter",
                      "Rounds that were given up, by reason.");
    for (unsigned i = 0; i < count; i++) {
        voids(runs[i], metrics);
    }
    mr_metrics_family(metrics, "millrace_round_stage_seconds", "histogram",
                      "From quorum or deadline to the published model, by stage.");
    for (unsigned i = 0; i < count; i++) {
        stages(runs[i], metrics);
    }
    mr_metrics_family(
        metrics, "millrace_peer_clock_ahead_seconds", "gauge",
        "How far another hub's clock is ahead of this hub's, below 0 behind; 0 within "
        "what its answers tell.");
    for (unsigned i = 0; i < count; i++) {
        clocks(runs[i], metrics);
    }
    for (unsigned family = 0; family < sizeof families / sizeof families[0]; family++) {
        mr_metrics_family(metrics, families[family].name, families[family].type,
                          families[family].help);
        for (unsigned i = 0; i < count; i++) {
            mr_lead_report(runs[i]->core, &report);
            const struct mr_round_label label = {.task = runs[i]->context.task};
            mr_round_sample(metrics, families[family].name, &label,
                            families[family].value(runs[i], &report));
        }
    }
}
