#include "appliance/aggregate/opened_sum.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "wire/announcement_privacy.h"

/* Of the norm's bound, relative: a device computes with floats. */
#define NORM_SLACK 0x1p-10

/* The trailer's metrics stay below 2^32 for so many devices at most. */
#define METRICS_COHORT_MAX 4096u

/* Largest |lane| of the centred sum; `shift` bits at the top of an accumulator mean nothing. */
static uint32_t peak_w8(const uint8_t *lanes, size_t count)
{
    uint32_t peak = 0;
    for (size_t i = 0; i < count; i++) {
        const int32_t v = (lanes[i] ^ 0x80) - 0x80; /* as two's complement */
        const uint32_t a = (uint32_t)(v < 0 ? -v : v);
        peak = a > peak ? a : peak;
    }
    return peak;
}

static uint32_t peak_w16(const uint16_t *lanes, size_t count, unsigned shift)
{
    uint32_t peak = 0;
    for (size_t i = 0; i < count; i++) {
        const int32_t v = (int16_t)(lanes[i] << shift) >> shift;
        const uint32_t a = (uint32_t)(v < 0 ? -v : v);
        peak = a > peak ? a : peak;
    }
    return peak;
}

static uint32_t peak_w32(const uint32_t *lanes, size_t count, unsigned shift)
{
    uint32_t peak = 0;
    for (size_t i = 0; i < count; i++) {
        const int64_t v = (int32_t)(lanes[i] << shift) >> shift;
        const uint32_t a = (uint32_t)(v < 0 ? -v : v);
        peak = a > peak ? a : peak;
    }
    return peak;
}

static uint32_t peak_of(const struct mr_vector_sum *sum, const struct mr_layout *layout)
{
    const unsigned bytes = mr_ring_accumulator(layout->ring_bits);
    const unsigned shift = 8 * bytes - layout->ring_bits;
    return bytes == 1   ? peak_w8(sum->lanes, layout->lanes)
           : bytes == 2 ? peak_w16(sum->lanes, layout->lanes, shift)
                        : peak_w32(sum->lanes, layout->lanes, shift);
}

/* A lane of the trailer with noise may have gone below zero. */
static int64_t noised(uint32_t lane, uint64_t tail)
{
    return lane > UINT32_MAX - tail ? (int64_t)lane - ((int64_t)UINT32_MAX + 1) : lane;
}

uint32_t mr_opened_sum_weight(const struct mr_vector_sum *sum, const struct mr_round_terms *terms)
{
    const struct mr_announcement *announcement = &terms->announcement;
    const uint32_t count = sum->trailer[MR_TRAILER_COUNT];
    const uint64_t tail = mr_announcement_tail(announcement, MR_NOISE_WEIGHT);
    const int64_t weight = noised(sum->trailer[MR_TRAILER_WEIGHT], tail);
    const int64_t most = (int64_t)((uint64_t)count * announcement->weight_max);
    return (uint32_t)(weight < count ? count : weight > most ? most : weight);
}

static int check_weight(uint32_t lane, const struct mr_announcement *announcement, uint32_t count,
                        struct mr_error *error)
{
    const uint64_t tail = mr_announcement_tail(announcement, MR_NOISE_WEIGHT);
    const int64_t weight = noised(lane, tail);
    const uint64_t most = (uint64_t)count * announcement->weight_max;
    if (weight < (int64_t)count - (int64_t)tail || weight > (int64_t)(most + tail)) {
        return mr_error_set(error, "weight lane: %lld is no sum of %u weights of 1 to %u%s",
                            (long long)weight, count, announcement->weight_max,
                            tail > 0 ? " with the noise" : "");
    }
    return 0;
}

static int check_range(uint32_t peak, const struct mr_announcement *announcement, uint32_t count,
                       struct mr_error *error)
{
    const uint64_t tail = mr_announcement_tail(announcement, MR_NOISE_MODEL);
    const uint64_t most = (uint64_t)count * announcement->levels + tail;
    if (peak > most) {
        return mr_error_set(error,
                            "range: a lane of %u is beyond the %llu that %u devices of %u levels "
                            "reach%s",
                            peak, (unsigned long long)most, count, announcement->levels,
                            tail > 0 ? " with the noise" : "");
    }
    return 0;
}

/* A metric's lane is at most the unit for each of the weights, which with noise are known up to
 * theirs. */
static int check_metrics(const struct mr_vector_sum *sum, const struct mr_announcement *round,
                         uint32_t count, struct mr_error *error)
{
    const bool told = mr_metric_told(round);
    const uint64_t tail = mr_announcement_tail(round, MR_NOISE_METRICS);
    const uint64_t weight = round->noise_kind == MR_NOISE_NONE
                                ? sum->trailer[MR_TRAILER_WEIGHT]
                                : (uint64_t)count * round->weight_max;
    const int64_t most = told ? (int64_t)(weight * mr_metric_unit(round) + tail) : 0;
    for (unsigned i = 0; i < mr_metric_lanes(round); i++) {
        const int64_t lane = noised(sum->trailer[MR_TRAILER_METRICS + i], tail);
        if (lane > most || lane < -(int64_t)tail) {
            return mr_error_set(error,
                                "metric lane: %s has %lld, beyond the %lld that devices of that "
                                "weight reach",
                                round->metrics[i % round->metric_count].name, (long long)lane,
                                (long long)most);
        }
    }
    return 0;
}

static int check(const struct mr_vector_sum *sum, const struct mr_round_terms *terms,
                 uint32_t count, struct mr_error *error)
{
    const struct mr_announcement *announcement = &terms->announcement;
    if (sum->trailer[MR_TRAILER_COUNT] != count) {
        return mr_error_set(error, "count lane: the sum counts %u uploads, the set has %u",
                            sum->trailer[MR_TRAILER_COUNT], count);
    }
    if (check_weight(sum->trailer[MR_TRAILER_WEIGHT], announcement, count, error) != 0) {
        return -1;
    }
    if (check_metrics(sum, announcement, count, error) != 0) {
        return -1;
    }
    const uint32_t peak = peak_of(sum, &terms->layout);
    if (!mr_announcement_trains(announcement)) {
        return peak == 0 ? 0
                         : mr_error_set(error,
                                        "evaluation: a main lane of %u, where no device "
                                        "sends an update",
                                        peak);
    }
    return check_range(peak, announcement, count, error);
}

int mr_opened_sum_add(struct mr_vector_sum *sum, const struct mr_round_terms *terms,
                      const uint8_t *const *results, uint32_t included_count,
                      const struct mr_kernels *kernels, struct mr_error *error)
{
    mr_sum_zero(sum, &terms->layout);
    mr_sum_fold(sum, &terms->layout, results, terms->announcement.hub_count, kernels);
    return check(sum, terms, included_count, error);
}

double mr_opened_sum_norm_max(const struct mr_round_terms *terms, uint32_t included_count)
{
    const struct mr_announcement *announcement = &terms->announcement;
    const double own =
        (double)announcement->clip_norm * (double)announcement->scale + sqrt(terms->layout.lanes);
    return included_count * own * (1 + NORM_SLACK) +
           mr_announcement_noise_norm(announcement, terms->layout.lanes);
}

/* Written so that a NaN is refused. */
int mr_opened_sum_check_reach(const struct mr_sum_reach *reach, const struct mr_round_terms *terms,
                              uint32_t included_count, struct mr_error *error)
{
    const double norm_max = mr_opened_sum_norm_max(terms, included_count);
    if (!(reach->norm <= norm_max)) {
        return mr_error_set(error,
                            "norm: the sum has %.6g, beyond the %.6g that %u devices of clip_norm "
                            "%.6g reach",
                            reach->norm, norm_max, included_count,
                            (double)terms->announcement.clip_norm);
    }
    if (!(reach->step <= (double)terms->announcement.step_max)) {
        return mr_error_set(error, "step: the model would move by %.6g, step_max is %.6g",
                            reach->step, (double)terms->announcement.step_max);
    }
    return 0;
}

/* A lane's count is itself and the noise: what is below zero is no device. */
static uint32_t noised_count(uint32_t lane)
{
    return (int32_t)lane > 0 ? lane : 0;
}

static bool read_noised_norms(uint32_t norms[MR_NORM_BINS], const struct mr_vector_sum *sum)
{
    int64_t left = sum->trailer[MR_TRAILER_COUNT];
    for (unsigned i = 0; i < MR_NORM_BINS - 1; i++) {
        norms[i] = noised_count(sum->trailer[MR_TRAILER_NORMS + i]);
        left -= (int32_t)sum->trailer[MR_TRAILER_NORMS + i];
    }
    norms[MR_NORM_BINS - 1] = left > 0 && left <= UINT32_MAX ? (uint32_t)left : 0;
    return true;
}

/* The counts of the devices' norms. False, and zeros, where no devices could have made them. */
static bool read_norms(uint32_t norms[MR_NORM_BINS], const struct mr_vector_sum *sum)
{
    const uint32_t count = sum->trailer[MR_TRAILER_COUNT];
    uint64_t seen = 0;
    for (unsigned i = 0; i < MR_NORM_BINS - 1; i++) {
        norms[i] = sum->trailer[MR_TRAILER_NORMS + i];
        seen += norms[i];
    }
    if (seen > count) {
        memset(norms, 0, MR_NORM_BINS * sizeof *norms);
        return false;
    }
    norms[MR_NORM_BINS - 1] = count - (uint32_t)seen;
    return true;
}

static void read_named(struct mr_round_metrics *metrics, const struct mr_vector_sum *sum,
                       const struct mr_announcement *round)
{
    const bool told = mr_metric_told(round);
    const unsigned lanes = mr_metric_lanes(round);
    const uint64_t tail = mr_announcement_tail(round, MR_NOISE_METRICS);
    metrics->metric_count = round->metric_count;
    for (unsigned i = 0; i < round->metric_count; i++) {
        memcpy(metrics->metrics[i].name, round->metrics[i].name, sizeof metrics->metrics[i].name);
        for (enum mr_metric_stage stage = 0; stage < MR_METRIC_STAGES; stage++) {
            const unsigned lane = stage * round->metric_count + i;
            metrics->metrics[i].mean[stage] =
                told && lane < lanes
                    ? mr_metric_mean(round, i,
                                     noised(sum->trailer[MR_TRAILER_METRICS + lane], tail),
                                     metrics->weight)
                    : NAN;
        }
    }
}

/* What the devices of a round with noise do not tell, nor those that only evaluate. */
static void forget_untold(struct mr_round_metrics *metrics)
{
    metrics->examples_mean = metrics->loss_mean = metrics->drift_mean = NAN;
    metrics->saturated = metrics->resolution = metrics->noise = NAN;
}

void mr_round_metrics_read(struct mr_round_metrics *metrics, const struct mr_vector_sum *sum,
                           const struct mr_round_terms *terms, const struct mr_norm_memory *memory)
{
    const struct mr_announcement *round = &terms->announcement;
    const uint32_t count = sum->trailer[MR_TRAILER_COUNT];
    const double n = count <= METRICS_COHORT_MAX ? count : NAN;
    const double mean_unit = mr_lane_mean_unit(round->cohort_max, round->levels);
    *metrics = (struct mr_round_metrics){
        .weight = mr_opened_sum_weight(sum, terms),
        .examples_mean = sum->trailer[MR_TRAILER_EXAMPLES] / n,
        .loss_mean = sum->trailer[MR_TRAILER_LOSS_MILLI] / 1000.0 / n,
        .drift_mean = sum->trailer[MR_TRAILER_DRIFT_MILLI] / 1000.0 / n,
        .saturated = sum->trailer[MR_TRAILER_SATURATED] /
                     (double)mr_lane_share_unit(round->cohort_max) / count,
        .resolution = sum->trailer[MR_TRAILER_RESOLUTION] / mean_unit / count,
        .noise = sum->trailer[MR_TRAILER_NOISE] / mean_unit,
        .error = NAN,
        .memory = *memory,
    };
    const bool noised = round->noise_kind != MR_NOISE_NONE;
    read_named(metrics, sum, round);
    if (noised || !mr_announcement_trains(round)) {
        forget_untold(metrics);
    }
    if (!mr_announcement_trains(round)) { /* no gap in what rounds told of the norms */
        metrics->memory.round = metrics->memory.devices > 0 ? round->round : 0;
        return;
    }
    if (noised ? round->privacy.norms_sigma2 > 0 && read_noised_norms(metrics->norms, sum)
               : read_norms(metrics->norms, sum)) {
        mr_norm_memory_add(&metrics->memory, metrics->norms, round->clip_norm, round->round);
    }
}
