#include "appliance/observe/histogram.h"

#include <stdio.h>

static const struct {
    uint64_t us;
    const char *le; /* the same in seconds */
} bounds[MR_HISTOGRAM_BUCKETS - 1] = {
    {1000, "0.001"}, {2000, "0.002"}, {5000, "0.005"},  {10000, "0.01"},  {20000, "0.02"},
    {50000, "0.05"}, {100000, "0.1"}, {200000, "0.2"},  {500000, "0.5"},  {1000000, "1"},
    {2000000, "2"},  {5000000, "5"},  {10000000, "10"}, {20000000, "20"}, {60000000, "60"},
};

void mr_histogram_note(struct mr_histogram *histogram, uint64_t us)
{
    unsigned bucket = 0;
    while (bucket < MR_HISTOGRAM_BUCKETS - 1 && us > bounds[bucket].us) {
        bucket++;
    }
    histogram->counts[bucket]++;
    histogram->sum_us += us;
}

void mr_histogram_samples(const struct mr_histogram *histogram, struct mr_metrics *metrics,
                          const char *family, const char *labels)
{
    char name[64], with[128];
    uint64_t count = 0;
    snprintf(name, sizeof name, "%s_bucket", family);
    for (unsigned i = 0; i < MR_HISTOGRAM_BUCKETS; i++) {
        const char *le = i < MR_HISTOGRAM_BUCKETS - 1 ? bounds[i].le : "+Inf";
        count += histogram->counts[i];
        snprintf(with, sizeof with, "%s%sle=\"%s\"", labels, *labels ? "," : "", le);
        mr_metrics_sample(metrics, name, with, (double)count);
    }
    snprintf(name, sizeof name, "%s_sum", family);
    mr_metrics_sample(metrics, name, labels, (double)histogram->sum_us * 1e-6);
    snprintf(name, sizeof name, "%s_count", family);
    mr_metrics_sample(metrics, name, labels, (double)count);
}
