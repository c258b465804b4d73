/* round_sample.h - a sample of a metric of a task's rounds. */
#ifndef MR_ROUND_DRIVE_ROUND_SAMPLE_H
#define MR_ROUND_DRIVE_ROUND_SAMPLE_H

#include "appliance/observe/metrics.h"

struct mr_round_label {
    const char *task;
    const char *name, *value; /* of the one label besides; NULL: none */
};

void mr_round_sample(struct mr_metrics *metrics, const char *family,
                     const struct mr_round_label *label, double value);

#endif
