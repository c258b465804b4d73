#include "appliance/round/drive/step_bound.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "wire/announcement_privacy.h"

#define ROUNDS 8
#define FACTOR 4.0
#define RANGE  4.0 /* of a lane, in standard deviations: wire/quantiser.h */

static float normal(double value)
{
    return value > (double)FLT_MAX ? FLT_MAX : value > (double)FLT_MIN ? (float)value : FLT_MIN;
}

static int by_size(const void *a, const void *b)
{
    const double one = *(const double *)a, other = *(const double *)b;
    return (one > other) - (one < other);
}

/* What such devices make of the smallest set where their updates have nothing in common: the sum of
 * N such grows with sqrt(N), their mean shrinks with it. */
static double in_the_smallest_set(const struct mr_past_step *past, uint32_t cohort_min)
{
    return past->devices > cohort_min ? past->step * sqrt((double)past->devices / cohort_min)
                                      : past->step;
}

/* The upper one of the two in the middle: of two rounds the larger step. */
static double median(double *values, unsigned count)
{
    qsort(values, count, sizeof *values, by_size);
    return values[count / 2];
}

/* What the hubs' noise alone adds to the mean of the smallest set. */
static double noise_norm(const struct mr_step_rule *rule)
{
    const struct mr_announcement *round = rule->announcement;
    if (round->noise_kind == MR_NOISE_NONE) {
        return 0;
    }
    return round->weight_max * mr_announcement_noise_norm(round, rule->lanes) /
           ((double)round->scale * round->cohort_min);
}

/* The step of devices of full weight and of the norm that the announced scale is made for. It
 * follows the norms as the scale does, also where rounds opened nothing. */
static double least(const struct mr_step_rule *rule)
{
    const struct mr_announcement *round = rule->announcement;
    const double clip_norm = (double)round->clip_norm;
    const double reach = round->levels * sqrt(rule->lanes) / (RANGE * (double)round->scale);
    return mr_optimiser_reach(&round->optimiser,
                              (reach < clip_norm ? reach : clip_norm) + noise_norm(rule),
                              round->dimension, true);
}

float mr_step_bound(const struct mr_step_rule *rule)
{
    const struct mr_announcement *round = rule->announcement;
    struct mr_past_step past[ROUNDS];
    double steps[ROUNDS];
    const unsigned count = mr_round_history_steps(rule->history, round->round, past, ROUNDS);
    if (count == 0) {
        const double norm = (double)round->clip_norm + sqrt(rule->lanes) / (double)round->scale;
        return normal(mr_optimiser_reach(&round->optimiser,
                                         round->weight_max * norm + noise_norm(rule),
                                         round->dimension, false));
    }
    for (unsigned i = 0; i < count; i++) {
        steps[i] = in_the_smallest_set(&past[i], round->cohort_min);
    }
    const double usual = FACTOR * median(steps, count);
    return normal(usual > least(rule) ? usual : least(rule));
}
