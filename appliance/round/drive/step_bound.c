#include "appliance/round/drive/step_bound.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#define ROUNDS 8
#define FACTOR 4.0
#define LEAST  0x1p-10 /* of rate * C: where the steps before were none */

static float normal(double value)
{
    return value > (double)FLT_MAX ? FLT_MAX : value > (double)FLT_MIN ? (float)value : FLT_MIN;
}

static int by_size(const void *a, const void *b)
{
    const double one = *(const double *)a, other = *(const double *)b;
    return (one > other) - (one < other);
}

/* The upper one of the two in the middle: of two rounds the larger step. */
static double median(double *values, unsigned count)
{
    qsort(values, count, sizeof *values, by_size);
    return values[count / 2];
}

float mr_step_bound(const struct mr_step_rule *rule)
{
    const struct mr_announcement *round = rule->announcement;
    const double rate = (double)rule->server_learning_rate, clip_norm = (double)round->clip_norm;
    const struct mr_round_summary *opened = mr_round_history_opened(rule->history, round->round);
    double steps[ROUNDS];
    const unsigned count = mr_round_history_steps(rule->history, round->round, steps, ROUNDS);
    if (count == 0) {
        const double norm = clip_norm + sqrt(rule->lanes) / (double)round->scale;
        return normal(rate * round->weight_max * norm);
    }
    double most = FACTOR * median(steps, count);
    most = most > LEAST * rate * clip_norm ? most : LEAST * rate * clip_norm;
    for (uint64_t i = opened->round + 1; i < round->round && most < rate * clip_norm; i++) {
        most = 2 * most < rate * clip_norm ? 2 * most : rate * clip_norm;
    }
    return normal(most);
}
