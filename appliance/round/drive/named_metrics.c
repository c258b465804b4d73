#include "appliance/round/drive/named_metrics.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define FAMILY "millrace_metric_mean"

double mr_round_metric_of_model(const struct mr_round_summary *summary, unsigned place)
{
    const enum mr_metric_stage stage =
        summary->kind == MR_ROUND_EVALUATION ? MR_METRIC_AFTER : MR_METRIC_BEFORE;
    return summary->has_metrics && place < summary->metrics.metric_count
               ? summary->metrics.metrics[place].mean[stage]
               : NAN;
}

/* Of what devices have trained, each by itself. */
static double metric_of_trained(const struct mr_round_summary *summary, unsigned place)
{
    return summary->has_metrics && summary->kind != MR_ROUND_EVALUATION &&
                   place < summary->metrics.metric_count
               ? summary->metrics.metrics[place].mean[MR_METRIC_AFTER]
               : NAN;
}

void mr_named_metrics_family(struct mr_metrics *metrics)
{
    mr_metrics_family(metrics, FAMILY, "gauge",
                      "Newest mean of a named metric over the devices of a round: of=\"model\", of "
                      "the model that the round began with; of=\"trained\", of what devices made "
                      "of it.");
}

static unsigned place_of(const struct mr_round_summary *summary, const char *name)
{
    unsigned place = 0;
    while (place < summary->metrics.metric_count &&
           strcmp(summary->metrics.metrics[place].name, name) != 0) {
        place++;
    }
    return place;
}

/* From the newest round back to one that tells it. */
static void sample(const struct mr_round_history *history, const char *task, const char *name,
                   bool trained, struct mr_metrics *metrics)
{
    char labels[160]; /* names of a task and a metric are short */
    const struct mr_round_summary *summary = mr_round_history_opened(history, UINT64_MAX);
    while (summary) {
        const unsigned place = place_of(summary, name);
        const double mean =
            trained ? metric_of_trained(summary, place) : mr_round_metric_of_model(summary, place);
        if (!isnan(mean)) {
            snprintf(labels, sizeof labels, "task=\"%s\",metric=\"%s\",of=\"%s\"", task, name,
                     trained ? "trained" : "model");
            mr_metrics_sample(metrics, FAMILY, labels, mean);
            return;
        }
        summary = mr_round_history_opened(history, summary->round);
    }
}

void mr_named_metrics_samples(const struct mr_round_history *history, const char *task,
                              struct mr_metrics *metrics)
{
    const struct mr_round_summary *newest = mr_round_history_opened(history, UINT64_MAX);
    for (unsigned i = 0; newest && i < newest->metrics.metric_count; i++) {
        const char *name = newest->metrics.metrics[i].name;
        sample(history, task, name, false, metrics);
        sample(history, task, name, true, metrics);
    }
}
