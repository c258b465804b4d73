/* metric.h - named metrics of a round: numbers such as an accuracy that devices report beside their
 * update, or instead of it, and of which hubs learn the weighted mean alone.
 *
 * Each has a range that is announced. A device sends ω · (value − low) / (high − low) in units, so
 * that the sum over the set, divided by Σ ω and the unit, is the weighted mean in that range. The
 * lanes are shared like all others; with noise they are a group of their own (noise.h), or empty.
 * Layout: docs/wire-format.md, section 23. Pure, any thread. */
#ifndef MR_WIRE_METRIC_H
#define MR_WIRE_METRIC_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/announcement.h"

/* What a value says: of the model that the round ends with (in an evaluation round: of the model
 * that it is about), or of the one that it begins with, before training. */
enum mr_metric_stage {
    MR_METRIC_AFTER = 0,
    MR_METRIC_BEFORE = 1, /* in rounds of MR_ROUND_EVALUATED_TRAINING only */
    MR_METRIC_STAGES
};

/* Steps in which a metric of weight 1 is told, of its range; >= 1. Without noise at most 2^20, so
 * that no sum of cohort_max devices leaves a lane; with noise ω_max of them are 2^16 at most, and
 * the sum fills half a lane. */
uint32_t mr_metric_unit(const struct mr_announcement *announcement);

/* How many lanes the round's metrics take, all stages together; 0 where it has none. */
uint32_t mr_metric_lanes(const struct mr_announcement *announcement);
/* Whether devices tell their metrics: without noise, or with noise on them. */
bool mr_metric_told(const struct mr_announcement *announcement);

/* The trailer's lane of a metric, by its place in the announcement. */
static inline unsigned mr_metric_lane(const struct mr_announcement *announcement, unsigned place,
                                      enum mr_metric_stage stage)
{
    return MR_TRAILER_METRICS + (unsigned)stage * announcement->metric_count + place;
}

/* The lane of one device: ω · share of the range · unit, what is between two integers by chance
 * (`dice`, uniform). `value` is within the range. At most ω · unit. */
uint32_t mr_metric_encode(const struct mr_announcement *announcement, unsigned place, double value,
                          uint32_t weight, uint16_t dice);
/* The mean of a summed lane (with noise: signed, made of it) over devices of that weight together;
 * kept within the range. */
double mr_metric_mean(const struct mr_announcement *announcement, unsigned place, int64_t lane,
                      uint32_t weight);

/* Every rule of the announced metrics and of the round's kind; the error names the field. */
int mr_metric_check(const struct mr_announcement *announcement, struct mr_error *error);

/* Whether it may be the name of a metric: 1 to MR_METRIC_NAME_MAX of [a-z0-9_], the first a letter;
 * not loss or examples, which every round has. */
bool mr_metric_name_valid(const char *name);
/* "training", "evaluated-training", "evaluation". */
const char *mr_round_kind_name(enum mr_round_kind kind);

#endif
