#include "edge-client/session/metrics.h"

#include <math.h>
#include <string.h>

#include "edge-client/session/outcome.h"

_Static_assert(MRE_METRICS_MAX == MR_METRICS_MAX, "one limit");
_Static_assert((int)MRE_TRAINING == MR_ROUND_TRAINING &&
                   (int)MRE_EVALUATED_TRAINING == MR_ROUND_EVALUATED_TRAINING &&
                   (int)MRE_EVALUATION == MR_ROUND_EVALUATION,
               "one order of kinds");

void mr_metrics_ask(struct mre_metric metrics[MRE_METRICS_MAX], const struct mr_announcement *round)
{
    for (unsigned i = 0; i < round->metric_count; i++) {
        metrics[i] = (struct mre_metric){.name = round->metrics[i].name,
                                         .low = (double)round->metrics[i].low,
                                         .high = (double)round->metrics[i].high};
    }
}

void mr_metrics_none(struct mre_report *report)
{
    for (unsigned i = 0; i < MRE_METRICS_MAX; i++) {
        report->metrics[i] = report->metrics_before[i] = NAN;
    }
}

static enum mre_result take(double *value, double reported,
                            const struct mr_announced_metric *metric, enum mr_metric_stage stage,
                            struct mr_error *note, struct mre_outcome *outcome)
{
    const double low = (double)metric->low, high = (double)metric->high;
    if (isnan(reported)) {
        return mr_outcome_set(
            outcome, MRE_TRAINER_FAILED,
            "the metric %s%s was not reported, or is NaN, and nothing is sent: "
            "the round wants it of every device (tasks.round.metrics at the hubs)",
            metric->name, stage == MR_METRIC_BEFORE ? " before training" : "");
    }
    *value = reported < low ? low : reported > high ? high : reported;
    if (reported < low || reported > high) {
        mr_error_set(note, "the metric %s is %g, outside of %g to %g, and counts as %g",
                     metric->name, reported, low, high, *value);
    }
    return MRE_OK;
}

enum mre_result mr_metrics_take(struct mr_metric_values *values,
                                const struct mr_announcement *round,
                                const struct mre_report *report, struct mr_error *note,
                                struct mre_outcome *outcome)
{
    const bool before = round->kind == MR_ROUND_EVALUATED_TRAINING;
    enum mre_result result = MRE_OK;
    for (unsigned i = 0; !result && i < round->metric_count; i++) {
        const struct mr_announced_metric *metric = &round->metrics[i];
        result = take(&values->of[MR_METRIC_AFTER][i], report->metrics[i], metric, MR_METRIC_AFTER,
                      note, outcome);
        if (!result && before) {
            result = take(&values->of[MR_METRIC_BEFORE][i], report->metrics_before[i], metric,
                          MR_METRIC_BEFORE, note, outcome);
        }
    }
    return result;
}

int mre_metric_report(const struct mre_task *task, double values[MRE_METRICS_MAX], const char *name,
                      double value)
{
    for (unsigned i = 0; i < task->metric_count; i++) {
        if (strcmp(task->metrics[i].name, name) == 0) {
            values[i] = value;
            return 0;
        }
    }
    return -1;
}
