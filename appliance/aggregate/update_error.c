/* update_error.c - what rounding cost an update, as its opened sum tells. */
#include <math.h>

#include "appliance/aggregate/opened_sum.h"

/* What rounding at random takes or gives has a mean square of a sixth of a step's where values fall
 * anywhere between two steps; of less than half a step, less than their mean magnitude. */
#define ROUNDED_MOST (1.0 / 6)

/* Where fewer lanes are cut off, by less than a step on average, it is a few large devices' of
 * many: nothing that all have in common. */
#define CUT_SHARE 0.002

void mr_round_metrics_judge(struct mr_round_metrics *metrics, const struct mr_vector_sum *sum,
                            const struct mr_round_terms *terms, double mean_square)
{
    const struct mr_announcement *round = &terms->announcement;
    /* Each device rounds its lane at random to a whole unit, and is off by half of one at most. */
    const double unsure =
        sqrt(sum->trailer[MR_TRAILER_COUNT]) / mr_lane_mean_unit(round->cohort_max, round->levels);
    /* Rounding to one of two neighbours explains so much of it. The rest was cut off at the levels:
     * that is no chance, and where devices are alike it adds up as their updates do. */
    const double count = sum->trailer[MR_TRAILER_COUNT];
    const double rounded =
        count * (metrics->resolution < ROUNDED_MOST ? metrics->resolution : ROUNDED_MOST);
    double noise = metrics->noise > unsure ? metrics->noise : unsure;
    const double cut = noise > rounded ? noise - rounded : 0;
    if (metrics->saturated > CUT_SHARE || cut > count) {
        noise += (count - 1) * cut;
    }
    const double signal = mean_square - noise, least = noise / 100;
    metrics->error = isnan(metrics->noise) ? NAN
                     : mean_square > 0     ? sqrt(noise / (signal > least ? signal : least))
                                           : 1;
}
