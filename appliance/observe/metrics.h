/* metrics.h - writing Prometheus text exposition (version 0.0.4).
 *
 * Each room offers `void mr_<room>_metrics(const struct mr_<room> *, struct mr_metrics *)`; the
 * control plane calls them on GET /metrics. Names start with "millrace_", base units, counters end
 * in "_total". No metric may show a running sum or anything of a single device. */
#ifndef MR_OBSERVE_METRICS_H
#define MR_OBSERVE_METRICS_H

#include <stddef.h>

struct mr_metrics {
    char *text; /* malloc'd, NUL-terminated; owned by this struct */
    size_t length;
    size_t capacity;
    int failed; /* out of memory */
};

void mr_metrics_init(struct mr_metrics *metrics);
void mr_metrics_fini(struct mr_metrics *metrics);

/* Starts a family: # HELP and # TYPE ("counter", "gauge", "histogram"). */
void mr_metrics_family(struct mr_metrics *metrics, const char *name, const char *type,
                       const char *help);
/* One sample; `labels` is "" or like `reason="bad_tag",worker="0"` (already escaped). */
void mr_metrics_sample(struct mr_metrics *metrics, const char *name, const char *labels,
                       double value);

#endif
