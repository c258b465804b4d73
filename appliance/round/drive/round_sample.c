#include "appliance/round/drive/round_sample.h"

#include <stdio.h>

void mr_round_sample(struct mr_metrics *metrics, const char *family,
                     const struct mr_round_label *label, double value)
{
    char labels[96]; /* a task's name is short, and so are ours */
    if (label->name) {
        snprintf(labels, sizeof labels, "task=\"%s\",%s=\"%s\"", label->task, label->name,
                 label->value);
    } else {
        snprintf(labels, sizeof labels, "task=\"%s\"", label->task);
    }
    mr_metrics_sample(metrics, family, labels, value);
}
