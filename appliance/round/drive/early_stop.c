#include "appliance/round/drive/early_stop.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/round/drive/named_metrics.h"
#include "appliance/storage/files.h"

#define FILE_NAME "stopped-after"

static unsigned place_of(const struct mr_round_summary *summary, const char *name)
{
    unsigned place = 0;
    while (place < summary->metrics.metric_count &&
           strcmp(summary->metrics.metrics[place].name, name) != 0) {
        place++;
    }
    return place;
}

/* Values of the model, the newest first, larger ones better; how many. */
static unsigned collect(double values[MR_ROUND_HISTORY_MAX], const struct mr_round_history *history,
                        const struct mr_config_round *policy, uint64_t after)
{
    const double sign = strcmp(policy->stop_goal, "low") == 0 ? -1 : 1;
    const struct mr_round_summary *summary = mr_round_history_opened(history, UINT64_MAX);
    unsigned count = 0;
    while (summary && summary->round > after && count < MR_ROUND_HISTORY_MAX) {
        const double value =
            mr_round_metric_of_model(summary, place_of(summary, policy->stop_metric));
        if (!isnan(value)) {
            values[count++] = sign * value;
        }
        summary = mr_round_history_opened(history, summary->round);
    }
    return count;
}

static double best_of(const double *values, unsigned count)
{
    double best = values[0];
    for (unsigned i = 1; i < count; i++) {
        best = values[i] > best ? values[i] : best;
    }
    return best;
}

bool mr_early_stop(const struct mr_round_history *history, const struct mr_config_round *policy,
                   uint64_t after, char why[MR_EARLY_STOP_WHY])
{
    double values[MR_ROUND_HISTORY_MAX];
    const unsigned patience = policy->stop_evaluations;
    if (!policy->stop_metric || policy->stop_metric[0] == '\0' || !policy->stop_goal) {
        return false;
    }
    const unsigned count = collect(values, history, policy, after);
    if (patience == 0 || count <= patience) {
        return false;
    }
    const double newest = best_of(values, patience);
    const double before = best_of(values + patience, count - patience);
    if (newest >= before + (double)policy->stop_gain) {
        return false;
    }
    const double sign = strcmp(policy->stop_goal, "low") == 0 ? -1 : 1;
    snprintf(why, MR_EARLY_STOP_WHY,
             "%s of the model was %.6g at best in the last %u evaluations and %.6g before them: "
             "tasks.round.stop_gain asks for %.6g more; millrace task go-on lets rounds open again",
             policy->stop_metric, sign * newest, patience, sign * before,
             (double)policy->stop_gain);
    return true;
}

static int path_of(char *path, size_t bytes, const char *data_dir, struct mr_error *error)
{
    const int length = snprintf(path, bytes, "%s/%s", data_dir, FILE_NAME);
    return length > 0 && (size_t)length < bytes ? 0
                                                : mr_error_set(error, "data_dir: too long a path");
}

int mr_early_stop_read(const char *data_dir, uint64_t *after, struct mr_error *error)
{
    char path[4096];
    uint8_t *bytes = NULL;
    size_t length;
    *after = 0;
    if (path_of(path, sizeof path, data_dir, error) != 0) {
        return -1;
    }
    const int found = mr_file_read(path, &bytes, &length, error);
    if (found != 0) {
        return found < 0 ? -1 : 0;
    }
    char *end;
    const unsigned long long round = strtoull((const char *)bytes, &end, 10);
    const bool good = length > 1 && bytes[0] >= '0' && bytes[0] <= '9' && *end == '\n' &&
                      (size_t)(end + 1 - (char *)bytes) == length && round <= MR_ROUND_MAX;
    free(bytes);
    *after = good ? round : 0;
    return good ? 0
                : mr_error_set(error,
                               "%s is damaged: remove it, and say millrace task go-on again where "
                               "the task is stopped",
                               path);
}

int mr_early_stop_write(const char *data_dir, uint64_t after, struct mr_error *error)
{
    char path[4096], text[32];
    const int length = snprintf(text, sizeof text, "%" PRIu64 "\n", after);
    return path_of(path, sizeof path, data_dir, error) != 0
               ? -1
               : mr_file_replace(path, text, (size_t)length, error);
}
