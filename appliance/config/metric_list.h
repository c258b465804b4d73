/* metric_list.h - the named metrics of a task's rounds as the configuration writes them. Pure. */
#ifndef MR_CONFIG_METRIC_LIST_H
#define MR_CONFIG_METRIC_LIST_H

#include "wire/announcement.h"

/* "accuracy 0..1, eval_loss 0..20": how many there are, or -1 with an error. NULL, as in a config
 * made by hand: none. */
int mr_config_metrics(struct mr_announced_metric list[MR_METRICS_MAX], const char *text,
                      struct mr_error *error);

#endif
