#include "wire/metric.h"

#include <math.h>
#include <string.h>

#define UNIT_MAX       (1u << 20)
#define NOISE_STEP_MAX (1u << 16) /* of one device's lane in a round with noise */

static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz0123456789_";

uint32_t mr_metric_unit(const struct mr_announcement *announcement)
{
    const bool noise = announcement->noise_kind != MR_NOISE_NONE;
    const uint64_t weights = (uint64_t)announcement->cohort_max * announcement->weight_max;
    const uint64_t room = noise ? UINT64_C(1) << 31 : UINT32_MAX;
    if (weights == 0) { /* of an announcement that is not checked yet */
        return 1;
    }
    const uint64_t most = noise ? NOISE_STEP_MAX / announcement->weight_max : UNIT_MAX;
    const uint64_t unit = room / weights;
    const uint64_t least = unit < most ? unit : most;
    return least > 1 ? (uint32_t)least : 1;
}

uint32_t mr_metric_lanes(const struct mr_announcement *announcement)
{
    return announcement->metric_count *
           (announcement->kind == MR_ROUND_EVALUATED_TRAINING ? MR_METRIC_STAGES : 1u);
}

bool mr_metric_told(const struct mr_announcement *announcement)
{
    return announcement->metric_count > 0 &&
           (announcement->noise_kind == MR_NOISE_NONE || announcement->privacy.metrics_sigma2 > 0);
}

uint32_t mr_metric_encode(const struct mr_announcement *announcement, unsigned place, double value,
                          uint32_t weight, uint16_t dice)
{
    const struct mr_announced_metric *metric = &announcement->metrics[place];
    const double low = (double)metric->low, high = (double)metric->high;
    const double most = (double)weight * mr_metric_unit(announcement);
    const double exact = most * ((value - low) / (high - low));
    const double down = floor(exact);
    const double lane = down + (exact - down > dice * 0x1p-16 ? 1 : 0);
    return !(lane > 0) ? 0 : (uint32_t)(lane < most ? lane : most);
}

double mr_metric_mean(const struct mr_announcement *announcement, unsigned place, int64_t lane,
                      uint32_t weight)
{
    const struct mr_announced_metric *metric = &announcement->metrics[place];
    const double low = (double)metric->low, high = (double)metric->high;
    const double most = (double)weight * mr_metric_unit(announcement);
    const double share = most > 0 ? (double)lane / most : 0;
    return low + (high - low) * (share < 0 ? 0 : share > 1 ? 1 : share);
}

bool mr_metric_name_valid(const char *name)
{
    const size_t length = strnlen(name, MR_METRIC_NAME_MAX + 1);
    return length >= 1 && length <= MR_METRIC_NAME_MAX && name[0] >= 'a' && name[0] <= 'z' &&
           strspn(name, alphabet) == length && strcmp(name, "loss") != 0 &&
           strcmp(name, "examples") != 0;
}

const char *mr_round_kind_name(enum mr_round_kind kind)
{
    static const char *const names[] = {"training", "evaluated-training", "evaluation"};
    return names[kind];
}

/* --- rules ----------------------------------------------------------------------------------- */

static int check_one(const struct mr_announcement *announcement, unsigned place,
                     struct mr_error *error)
{
    const struct mr_announced_metric *metric = &announcement->metrics[place];
    if (!mr_metric_name_valid(metric->name)) {
        return mr_error_set(error,
                            "metrics[%u]: a name is 1 to %d of [a-z0-9_], begins with a letter, "
                            "and is not loss or examples",
                            place, MR_METRIC_NAME_MAX);
    }
    /* Zero is written in one way. */
    const bool finite = isfinite(metric->low) && isfinite(metric->high);
    if (!finite || !(metric->low < metric->high) || (metric->low == 0 && signbit(metric->low)) ||
        (metric->high == 0 && signbit(metric->high)) || !isfinite(metric->high - metric->low)) {
        return mr_error_set(error, "metrics[%u] (%s): its range must be finite and rise", place,
                            metric->name);
    }
    for (unsigned i = 0; i < place; i++) {
        if (strcmp(announcement->metrics[i].name, metric->name) == 0) {
            return mr_error_set(error, "metrics[%u]: %s stands in the list twice", place,
                                metric->name);
        }
    }
    return 0;
}

int mr_metric_check(const struct mr_announcement *announcement, struct mr_error *error)
{
    if (announcement->kind > MR_ROUND_EVALUATION) {
        return mr_error_set(error, "kind is %u: only 0 to %d are known", announcement->kind,
                            MR_ROUND_EVALUATION);
    }
    if (announcement->metric_count > MR_METRICS_MAX) {
        return mr_error_set(error, "metrics: %u are more than %d", announcement->metric_count,
                            MR_METRICS_MAX);
    }
    if (announcement->kind != MR_ROUND_TRAINING && announcement->metric_count == 0) {
        return mr_error_set(error, "kind is %u: a round that evaluates needs metrics",
                            announcement->kind);
    }
    for (unsigned i = 0; i < announcement->metric_count; i++) {
        if (check_one(announcement, i, error) != 0) {
            return -1;
        }
    }
    return 0;
}
