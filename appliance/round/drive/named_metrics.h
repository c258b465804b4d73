/* named_metrics.h - the named metrics that a task's rounds have told (wire/metric.h). */
#ifndef MR_ROUND_DRIVE_NAMED_METRICS_H
#define MR_ROUND_DRIVE_NAMED_METRICS_H

#include "appliance/observe/metrics.h"
#include "appliance/round/drive/round_history.h"

/* What that round tells of the model that it began with, by the metric's place: its mean in an
 * evaluation, that before training in a round that trains. NaN: nothing. */
double mr_round_metric_of_model(const struct mr_round_summary *summary, unsigned place);

/* Opens the family; then the newest value of each metric, for one task after the other. */
void mr_named_metrics_family(struct mr_metrics *metrics);
void mr_named_metrics_samples(const struct mr_round_history *history, const char *task,
                              struct mr_metrics *metrics);

#endif
