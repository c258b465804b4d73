#include "appliance/model/release_times.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

const char *const mr_release_stage_names[MR_RELEASE_STAGES] = {"make", "sign", "delta"};

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void mr_release_times_begin(struct mr_release_times *times)
{
    times->version = (struct mr_release_version){0};
    memset(times->us, 0, sizeof times->us);
    times->kept_us = 0;
    times->began_us = times->since_us = now_us();
}

void mr_release_times_end(struct mr_release_times *times, enum mr_release_stage stage)
{
    const uint64_t now = now_us(), us = now - times->since_us;
    times->us[stage] = us == 0 ? 1 : us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
    times->since_us = now;
    mr_histogram_note(&times->histograms[stage], us);
}

void mr_release_times_kept(struct mr_release_times *times, const struct mr_release_version *version)
{
    if (times->version.round == 0 || mr_release_version_compare(&times->version, version) != 0) {
        return;
    }
    times->kept_us = now_us() - times->began_us;
    mr_histogram_note(&times->kept, times->kept_us);
}

void mr_release_times_kept_metrics(const struct mr_release_times *times, const char *task,
                                   struct mr_metrics *metrics)
{
    char labels[80];
    snprintf(labels, sizeof labels, "task=\"%s\"", task);
    mr_histogram_samples(&times->kept, metrics, "millrace_release_kept_seconds", labels);
}

void mr_release_times_metrics(const struct mr_release_times *times, const char *task,
                              struct mr_metrics *metrics)
{
    for (unsigned i = 0; i < MR_RELEASE_STAGES; i++) {
        char labels[96]; /* a task's name is short, and so are ours */
        snprintf(labels, sizeof labels, "task=\"%s\",stage=\"%s\"", task,
                 mr_release_stage_names[i]);
        mr_histogram_samples(&times->histograms[i], metrics, "millrace_release_stage_seconds",
                             labels);
    }
}
