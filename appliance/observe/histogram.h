/* histogram.h - how often something took how long, as Prometheus counts it. Owned by one thread. */
#ifndef MR_OBSERVE_HISTOGRAM_H
#define MR_OBSERVE_HISTOGRAM_H

#include <stdint.h>

#include "appliance/observe/metrics.h"

/* A millisecond to a minute, three a decade, and all above. */
#define MR_HISTOGRAM_BUCKETS 16

struct mr_histogram {
    uint64_t counts[MR_HISTOGRAM_BUCKETS]; /* each of its own bucket alone */
    uint64_t sum_us;
};

void mr_histogram_note(struct mr_histogram *histogram, uint64_t us);
/* The samples of one set of labels ("" allowed, at most 96 bytes), of a family of the type
 * "histogram". */
void mr_histogram_samples(const struct mr_histogram *histogram, struct mr_metrics *metrics,
                          const char *family, const char *labels);

#endif
