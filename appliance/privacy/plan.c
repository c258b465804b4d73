#include "appliance/privacy/plan.h"

#include <math.h>

#include "base/assert.h"
#include "wire/gauss.h"

/* What norms and weights get of a round's rho. */
#define NORMS_PART   64
#define WEIGHT_PART  16
#define METRICS_PART 16
/* Standard deviations of a lane, at clip_norm, that the levels reach. */
#define RANGE 4
/* Bins whose noise is more than this part of the devices tell nothing: they are left out. */
#define NORMS_ERROR_MAX 0.25
/* A sum of weights that is off by more makes the length of a step a matter of chance. */
#define WEIGHT_ERROR_MAX 0.25

/* In parts of its range. */
#define METRIC_ERROR_MAX 0.25

/* A group of lanes with noise. */
struct target {
    uint64_t sensitivity2;
    uint32_t lanes;
    mr_rho rho; /* to be spent at most */
};

/* --- the question -------------------------------------------------------------------------------
 */

static int check_budget(const struct mr_plan_question *q, struct mr_error *error)
{
    if (!(q->epsilon > 0 && q->epsilon <= MR_PLAN_EPSILON_MAX)) {
        return mr_error_set(error, "epsilon: %g is no budget: must be above 0 and at most %d",
                            q->epsilon, MR_PLAN_EPSILON_MAX);
    }
    if (!(q->delta >= MR_PLAN_DELTA_MIN && q->delta < 1)) {
        return mr_error_set(error, "delta: %g must be at least %g and below 1", q->delta,
                            MR_PLAN_DELTA_MIN);
    }
    if (q->delta * q->devices >= 1) {
        return mr_error_set(error,
                            "delta: %g allows one of %u devices to be published in full; choose "
                            "less than 1 / devices, at most %.1g",
                            q->delta, q->devices, 0.1 / q->devices);
    }
    if (q->rounds == 0 || !(q->participation > 0 && q->participation <= 1)) {
        return mr_error_set(error,
                            "rounds: %u rounds of which a device is in %g: there must be at "
                            "least one round, and a participation above 0 and at most 1",
                            q->rounds, q->participation);
    }
    return 0;
}

static int check_cohort(const struct mr_plan_question *q, struct mr_error *error)
{
    if (q->noise != MR_NOISE_HUB && q->noise != MR_NOISE_DEVICE) {
        return mr_error_set(error, "noise: a plan is for hub or device noise");
    }
    if (q->noise == MR_NOISE_HUB && (q->hubs < 2 || q->hubs > MR_HUBS_MAX)) {
        return mr_error_set(error, "hubs: %u must be 2 to %d", q->hubs, MR_HUBS_MAX);
    }
    if (q->noise == MR_NOISE_DEVICE && q->colluders + 2 > q->cohort_min) {
        return mr_error_set(error,
                            "colluders: with %u of cohort_min %u nobody is left whose noise hides "
                            "another's update; choose a larger cohort_min",
                            q->colluders, q->cohort_min);
    }
    if (q->devices == 0 || q->devices > q->cohort_max || q->cohort_min > q->cohort_max) {
        return mr_error_set(error,
                            "devices: %u devices in a round of %u to %u: cohort_max must be at "
                            "least both",
                            q->devices, q->cohort_min, q->cohort_max);
    }
    if (q->ring_bits != 0 && !mr_ring_width_known(q->ring_bits)) {
        return mr_error_set(error, "ring_bits: %u must be one of " MR_RING_WIDTHS_TEXT,
                            q->ring_bits);
    }
    if (!(q->clip_norm > 0 && isfinite(q->clip_norm)) || q->weight_max == 0 || q->headroom == 0) {
        return mr_error_set(error, "clip_norm, weight_max and headroom must be above 0");
    }
    return 0;
}

/* --- variances ----------------------------------------------------------------------------------
 */

static uint32_t honest_devices(const struct mr_plan_question *q)
{
    return q->cohort_min - q->colluders;
}

static mr_rho cost(const struct mr_plan_question *q, const struct target *target, uint64_t sigma2)
{
    return q->noise == MR_NOISE_HUB ? mr_rho_of_release(target->sensitivity2, sigma2)
                                    : mr_noise_distributed_rho(target->sensitivity2, sigma2,
                                                               honest_devices(q), target->lanes);
}

/* The least variance of one adder with which the release costs no more than the target's rho; 0
 * where there is none that can be sampled. */
static uint64_t least_sigma2(const struct mr_plan_question *q, const struct target *target)
{
    uint64_t low = 0, high = MR_GAUSS_SIGMA2_MAX;
    if (cost(q, target, high) > target->rho) {
        return 0;
    }
    while (high - low > 1) {
        const uint64_t middle = low + (high - low) / 2;
        if (cost(q, target, middle) <= target->rho) {
            high = middle;
        } else {
            low = middle;
        }
    }
    return high < MR_NOISE_SIGMA2_MIN ? MR_NOISE_SIGMA2_MIN : high;
}

static struct mr_plan_release release_of(const struct mr_plan_question *q,
                                         const struct target *target)
{
    const uint64_t sigma2 = least_sigma2(q, target);
    return (struct mr_plan_release){
        .sensitivity2 = target->sensitivity2, .sigma2 = sigma2, .rho = cost(q, target, sigma2)};
}

/* Norms and weights: their parts are small, and what they do not need is the model's. */
static int plan_trailer(struct mr_plan *plan, const struct mr_plan_question *q, mr_rho round,
                        struct mr_error *error)
{
    const struct target norms = {.sensitivity2 = mr_noise_sensitivity2(MR_NOISE_NORMS, 0, 0, 0, 0),
                                 .lanes = MR_TRAILER_LANES - MR_TRAILER_NORMS,
                                 .rho = round / NORMS_PART};
    const struct target weight = {
        .sensitivity2 = mr_noise_sensitivity2(MR_NOISE_WEIGHT, 0, 0, 0, q->weight_max),
        .lanes = 1,
        .rho = round / WEIGHT_PART};
    const struct mr_plan_release bins = release_of(q, &norms);
    if (bins.sigma2 > 0 && !q->evaluation &&
        sqrt((double)bins.sigma2 * plan->adders) < q->devices * NORMS_ERROR_MAX) {
        plan->releases[MR_NOISE_NORMS] = bins;
    }
    if (weight.sensitivity2 > 0) {
        plan->releases[MR_NOISE_WEIGHT] = release_of(q, &weight);
    }
    const uint64_t sigma2 = plan->releases[MR_NOISE_WEIGHT].sigma2;
    plan->error_weight = sqrt((double)sigma2 * plan->adders) / (q->devices * (q->weight_max / 2.0));
    const uint64_t largest =
        (uint64_t)q->cohort_max * q->weight_max + 2 * mr_noise_tail(sigma2, plan->adders);
    if ((weight.sensitivity2 > 0 && sigma2 == 0) || plan->error_weight > WEIGHT_ERROR_MAX ||
        largest > UINT32_MAX) {
        return mr_error_set(
            error,
            "weight: the sum of %u devices' weights would be off by %.0f %%, and %d "
            "%% is the most; choose weight_max 1, by which all devices count alike "
            "and the sum tells nothing, or more devices",
            q->devices, 100 * plan->error_weight, (int)(100 * WEIGHT_ERROR_MAX));
    }
    return 0;
}

/* The metrics: a part of a round that trains, or all that is left of an evaluation. */
static int plan_metrics(struct mr_plan *plan, const struct mr_plan_question *q, mr_rho round,
                        struct mr_error *error)
{
    const uint64_t step = (uint64_t)q->metric_unit * q->weight_max;
    const uint64_t most = q->cohort_max * step;
    const mr_rho left = round - plan->releases[MR_NOISE_WEIGHT].rho;
    const struct target metrics = {.sensitivity2 = q->metric_lanes * step * step,
                                   .lanes = q->metric_lanes,
                                   .rho = q->evaluation ? left : round / METRICS_PART};
    if (q->metric_lanes == 0) {
        return 0;
    }
    const struct mr_plan_release release = release_of(q, &metrics);
    const double off =
        sqrt((double)release.sigma2 * plan->adders) / ((double)q->devices * ((double)step / 2));
    const uint64_t tail = mr_noise_tail(release.sigma2, plan->adders);
    if (release.sigma2 > 0 && off <= METRIC_ERROR_MAX && most <= UINT32_MAX &&
        tail <= (UINT32_MAX - most) / 2) {
        plan->releases[MR_NOISE_METRICS] = release;
        plan->error_metric = off;
        return 0;
    }
    return q->evaluation
               ? mr_error_set(error,
                              "metrics: the means of %u devices' metrics would be off by %.0f %% "
                              "of their range, and %d %% is the most; choose fewer metrics, more "
                              "devices, fewer rounds or a larger epsilon",
                              q->devices, 100 * off, (int)(100 * METRIC_ERROR_MAX))
               : 0;
}

/* --- the model's lanes --------------------------------------------------------------------------
 */

static uint64_t half_ring(const struct mr_plan *plan)
{
    return UINT64_C(1) << (plan->layout.ring_bits - 1);
}

/* What the ring has to hold of the sum of cohort_max devices and all noise. */
static uint64_t largest_lane(const struct mr_plan *plan, const struct mr_plan_question *q)
{
    return (uint64_t)q->cohort_max * plan->levels +
           mr_noise_tail(plan->releases[MR_NOISE_MODEL].sigma2, plan->adders);
}

/* Fills in what follows from the levels. false: the ring does not hold it. */
static bool plan_levels(struct mr_plan *plan, const struct mr_plan_question *q, mr_rho rho,
                        uint8_t levels)
{
    plan->levels = levels;
    plan->scale = (float)(levels * sqrt(plan->layout.lanes) / (RANGE * (double)q->clip_norm));
    const struct target target = {
        .sensitivity2 = mr_noise_sensitivity2(MR_NOISE_MODEL, plan->scale, q->clip_norm,
                                              plan->layout.lanes, q->weight_max),
        .lanes = plan->layout.lanes,
        .rho = rho};
    plan->releases[MR_NOISE_MODEL] = release_of(q, &target);
    return plan->releases[MR_NOISE_MODEL].sigma2 > 0 &&
           largest_lane(plan, q) < half_ring(plan) / q->headroom;
}

/* The most levels that the ring holds; 0: none. */
static uint8_t most_levels(struct mr_plan *plan, const struct mr_plan_question *q, mr_rho rho)
{
    uint8_t levels = MR_LEVELS_MAX;
    while (levels >= MR_PLAN_LEVELS_MIN && !plan_levels(plan, q, rho, levels)) {
        levels--;
    }
    return levels >= MR_PLAN_LEVELS_MIN ? levels : 0;
}

static int plan_model(struct mr_plan *plan, const struct mr_plan_question *q, mr_rho rho,
                      struct mr_error *error)
{
    uint8_t levels = 0;
    for (unsigned i = 0; i < MR_RING_WIDTHS && levels < MR_PLAN_LEVELS_ENOUGH; i++) {
        const uint8_t bits = mr_ring_widths[i];
        const bool mine = q->ring_bits == 0 || q->ring_bits == bits;
        if (mine && mr_layout_init(&plan->layout, bits, q->dimension, q->rotation_log2,
                                   q->chunk_bytes) != 0) {
            return mr_error_set(error, "dimension: %u values in chunks of %u bytes are no layout",
                                q->dimension, q->chunk_bytes);
        }
        levels = mine ? most_levels(plan, q, rho) : levels;
    }
    if (levels == 0) {
        return mr_error_set(error,
                            "ring: %u bits hold %llu with headroom %u; %u devices of %d levels and "
                            "%u standard deviations of the noise make %llu; choose a wider "
                            "ring_bits, a smaller cohort_max, fewer rounds or a larger epsilon",
                            plan->layout.ring_bits,
                            (unsigned long long)(half_ring(plan) / q->headroom), q->headroom,
                            q->cohort_max, MR_PLAN_LEVELS_MIN, MR_NOISE_TAIL,
                            (unsigned long long)largest_lane(plan, q));
    }
    return 0;
}

/* --- what to expect -----------------------------------------------------------------------------
 */

static double chance_beyond(double deviations, uint32_t lanes)
{
    const double chance = 2.0 * lanes * exp(-deviations * deviations / 2);
    return chance < 1 ? chance : 1;
}

static void expect(struct mr_plan *plan, const struct mr_plan_question *q)
{
    const struct mr_plan_release *model = &plan->releases[MR_NOISE_MODEL];
    const uint32_t adders = q->noise == MR_NOISE_HUB ? q->hubs : q->devices;
    const double rounding = q->devices / 4.0;
    const double sum = sqrt((double)model->sigma2 * adders + rounding);
    const double most = sqrt((double)model->sigma2 * plan->adders);
    const uint32_t counted = q->noise == MR_NOISE_HUB ? 1 : honest_devices(q);
    plan->error_lane = sum / ((double)plan->scale * q->devices);
    plan->error_update = plan->error_lane * sqrt(q->dimension);
    plan->z = sqrt((double)model->sigma2 * counted / (double)model->sensitivity2);
    plan->tail = chance_beyond(MR_NOISE_TAIL, plan->layout.lanes);
    plan->wrap =
        chance_beyond(((double)half_ring(plan) - (double)q->cohort_max * plan->levels) / most,
                      plan->layout.lanes);
}

/* A product that is a whole number but for its last bits is that number. */
static uint32_t device_rounds(const struct mr_plan_question *q)
{
    const double product = ceil(q->rounds * q->participation - 0x1p-20);
    return product < 1 ? 1 : (uint32_t)product;
}

int mr_plan_make(struct mr_plan *plan, const struct mr_plan_question *question,
                 struct mr_error *error)
{
    *plan = (struct mr_plan){.budget = 0};
    if (check_budget(question, error) != 0 || check_cohort(question, error) != 0) {
        return -1;
    }
    plan->adders = question->noise == MR_NOISE_HUB ? question->hubs : question->cohort_max;
    plan->device_rounds = device_rounds(question);
    plan->budget = mr_epsilon_budget(question->epsilon, question->delta, question->noise);
    const mr_rho round = plan->budget / plan->device_rounds;
    if (round < MR_PLAN_ROUND_MIN) {
        return mr_error_set(error,
                            "budget: epsilon %g at delta %g is a rho of %.3g, and %u rounds leave "
                            "less than 2^-24 for each; choose fewer rounds or a larger epsilon",
                            question->epsilon, question->delta, mr_rho_value(plan->budget),
                            plan->device_rounds);
    }
    if (plan_trailer(plan, question, round, error) != 0 ||
        plan_metrics(plan, question, round, error) != 0) {
        return -1;
    }
    const mr_rho rest = round - plan->releases[MR_NOISE_NORMS].rho -
                        plan->releases[MR_NOISE_WEIGHT].rho - plan->releases[MR_NOISE_METRICS].rho;
    if (!question->evaluation && plan_model(plan, question, rest, error) != 0) {
        return -1;
    }
    for (unsigned i = 0; i < MR_NOISE_GROUPS; i++) {
        plan->round = mr_rho_add(plan->round, plan->releases[i].rho);
    }
    MR_ASSERT(plan->round <= round);
    plan->epsilon = mr_epsilon_of(mr_rho_times(plan->round, plan->device_rounds), question->delta,
                                  question->noise);
    if (!question->evaluation) {
        expect(plan, question);
    }
    return 0;
}
