/* early_stop.h - a task's rule on a metric: where the model has not become better for so many
 * evaluations, no round opens by itself any more until the operator says so.
 *
 * What counts is the metric of the model (mr_round_metric_of_model), in the rounds that this hub
 * remembers. The operator's word is a file of the task's folder, `stopped-after`: rounds up to that
 * one do not count. docs/decisions/0063-early-stopping.md. Loop's thread. */
#ifndef MR_ROUND_DRIVE_EARLY_STOP_H
#define MR_ROUND_DRIVE_EARLY_STOP_H

#include "appliance/config/hub_config.h"
#include "appliance/round/drive/round_history.h"

#define MR_EARLY_STOP_WHY 240

/* Whether the rule stops the task, with the reason. `after`: rounds up to that one do not count. */
bool mr_early_stop(const struct mr_round_history *history, const struct mr_config_round *policy,
                   uint64_t after, char why[MR_EARLY_STOP_WHY]);

/* The operator's word: 0 where there is none. 0 or -1. */
int mr_early_stop_read(const char *data_dir, uint64_t *after, struct mr_error *error);
/* Durable on return. 0 or -1. */
int mr_early_stop_write(const char *data_dir, uint64_t after, struct mr_error *error);

#endif
