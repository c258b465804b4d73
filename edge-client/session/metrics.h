/* metrics.h - the round's named metrics, between the announcement and the training function (inside
 * session/ only). */
#ifndef MR_SESSION_METRICS_H
#define MR_SESSION_METRICS_H

#include "edge-client/session/client.h"
#include "edge-client/share/prepare.h"

/* What the function is asked for; the names are the announcement's. */
void mr_metrics_ask(struct mre_metric metrics[MRE_METRICS_MAX],
                    const struct mr_announcement *round);
/* Nothing is reported. */
void mr_metrics_none(struct mre_report *report);
/* What it has reported, brought into the ranges; `note` says of which it was not. MRE_OK, or
 * MRE_TRAINER_FAILED: one is missing. */
enum mre_result mr_metrics_take(struct mr_metric_values *values,
                                const struct mr_announcement *round,
                                const struct mre_report *report, struct mr_error *note,
                                struct mre_outcome *outcome);

#endif
