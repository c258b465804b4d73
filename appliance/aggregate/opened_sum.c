#include "appliance/aggregate/opened_sum.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

/* Of the norm's bound, relative: a device computes with floats. */
#define NORM_SLACK 0x1p-10

/* The trailer's metrics stay below 2^32 for so many devices at most. */
#define METRICS_COHORT_MAX 4096u

/* Largest |lane| of the centred sum. */
static uint32_t peak_w16(const uint16_t *lanes, size_t count)
{
    uint32_t peak = 0;
    for (size_t i = 0; i < count; i++) {
        const int32_t v = (int16_t)lanes[i];
        const uint32_t a = (uint32_t)(v < 0 ? -v : v);
        peak = a > peak ? a : peak;
    }
    return peak;
}

/* `shift` is 8 for w=24, whose lanes mean only their low 24 bits, and 0 for w=32. */
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
    return layout->ring_bits == 16
               ? peak_w16(sum->lanes, layout->lanes)
               : peak_w32(sum->lanes, layout->lanes, layout->ring_bits == 24 ? 8 : 0);
}

static int check(const struct mr_vector_sum *sum, const struct mr_round_terms *terms,
                 uint32_t count, struct mr_error *error)
{
    const struct mr_announcement *announcement = &terms->announcement;
    if (sum->trailer[MR_TRAILER_COUNT] != count) {
        return mr_error_set(error, "count lane: the sum counts %u uploads, the set has %u",
                            sum->trailer[MR_TRAILER_COUNT], count);
    }
    const uint32_t weight = sum->trailer[MR_TRAILER_WEIGHT];
    if (weight < count || weight > (uint64_t)count * announcement->weight_max) {
        return mr_error_set(error, "weight lane: %u is no sum of %u weights of 1 to %u", weight,
                            count, announcement->weight_max);
    }
    const uint32_t peak = peak_of(sum, &terms->layout);
    if (peak > (uint64_t)count * announcement->levels) {
        return mr_error_set(error,
                            "range: a lane of %u is beyond the %u that %u devices of %u levels "
                            "reach",
                            peak, count * announcement->levels, count, announcement->levels);
    }
    return 0;
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
    return included_count * own * (1 + NORM_SLACK);
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

void mr_round_metrics_read(struct mr_round_metrics *metrics, const struct mr_vector_sum *sum,
                           const struct mr_round_terms *terms, const struct mr_norm_memory *memory)
{
    const struct mr_announcement *round = &terms->announcement;
    const uint32_t count = sum->trailer[MR_TRAILER_COUNT];
    const double n = count <= METRICS_COHORT_MAX ? count : NAN;
    const double mean_unit = mr_lane_mean_unit(round->cohort_max, round->levels);
    *metrics = (struct mr_round_metrics){
        .weight = sum->trailer[MR_TRAILER_WEIGHT],
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
    if (read_norms(metrics->norms, sum)) {
        mr_norm_memory_add(&metrics->memory, metrics->norms, round->clip_norm, round->round);
    }
}

void mr_round_metrics_judge(struct mr_round_metrics *metrics, double mean_square)
{
    const double signal = mean_square - metrics->noise, least = metrics->noise / 100;
    metrics->error =
        metrics->noise > 0 ? sqrt(metrics->noise / (signal > least ? signal : least)) : 0;
}
