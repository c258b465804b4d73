#include "tests/system/rounding/cohort.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "edge-client/trainer/sgd.h"
#include "wire/safetensors.h"
#include "wire/share.h"

#define WEIGHT_MAX 1000u

/* --- chance ----------------------------------------------------------------------------------- */

static double uniform(struct cohort *cohort)
{
    struct mr_sgd_random random = {.state = cohort->random};
    const uint64_t bits = mr_sgd_random_next(&random);
    cohort->random = random.state;
    return ((double)(bits >> 11) + 0.5) * 0x1p-53;
}

double cohort_normal(struct cohort *cohort)
{
    const double radius = sqrt(-2 * log(uniform(cohort)));
    return radius * cos(2 * M_PI * uniform(cohort));
}

/* --- deltas ----------------------------------------------------------------------------------- */

static float heavy(struct cohort *cohort)
{
    double square = 0;
    for (unsigned i = 0; i < 3; i++) {
        const double part = cohort_normal(cohort);
        square += part * part;
    }
    return (float)(cohort_normal(cohort) / sqrt(square / 3));
}

/* Sizes and magnitudes as of a network: a few large values, many small ones. */
static float layered(struct cohort *cohort, uint32_t i)
{
    static const struct {
        double until, magnitude;
    } layers[] = {{0.02, 1},  {0.07, 0.3},   {0.0705, 10}, {0.7, 0.01},
                  {0.8, 0.1}, {0.95, 0.003}, {1, 1}};
    const double place = (double)i / cohort->plan.dimension;
    unsigned layer = 0;
    while (place >= layers[layer].until) {
        layer++;
    }
    return (float)(layers[layer].magnitude * cohort_normal(cohort));
}

static float value(struct cohort *cohort, uint32_t i)
{
    switch (cohort->plan.deltas) {
    case COHORT_HEAVY:
        return heavy(cohort);
    case COHORT_SPARSE:
        return uniform(cohort) < 0.01 || i == 0 ? (float)cohort_normal(cohort) : 0;
    case COHORT_LAYERS:
        return layered(cohort, i);
    default:
        return (float)cohort_normal(cohort);
    }
}

static void stretch(const struct cohort *cohort, float *x, double norm)
{
    const size_t n = cohort->plan.dimension;
    cohort->kernels->scale(x, (float)(norm / sqrt(cohort->kernels->sum_squares(x, n))), n);
}

static void draw(struct cohort *cohort, float *x, double norm)
{
    for (uint32_t i = 0; i < cohort->plan.dimension; i++) {
        x[i] = value(cohort, i);
    }
    stretch(cohort, x, norm);
}

static void draw_device(struct cohort *cohort, float *x)
{
    const struct cohort_plan *plan = &cohort->plan;
    if (plan->common < 1) {
        draw(cohort, x, sqrt(1 - plan->common));
    } else {
        memset(x, 0, plan->dimension * sizeof *x);
    }
    cohort->kernels->axpy(x, (float)sqrt(plan->common), cohort->base, plan->dimension);
    stretch(cohort, x, plan->norm);
}

/* --- opening ---------------------------------------------------------------------------------- */

static void make_model(struct cohort *cohort)
{
    const struct mr_tensor tensor = {
        .name = "w", .dims = {cohort->plan.dimension}, .rank = 1, .count = cohort->plan.dimension};
    uint8_t *head = mr_safetensors_header(&tensor, 1, &cohort->model_head);
    cohort->model_bytes = cohort->model_head + 4 * (size_t)cohort->plan.dimension;
    cohort->model = realloc(head, cohort->model_bytes);
    MR_ASSERT(cohort->model);
    memset(cohort->model + cohort->model_head, 0, cohort->model_bytes - cohort->model_head);
}

struct cohort *cohort_open(const struct cohort_plan *plan, uint64_t seed)
{
    struct cohort *cohort = calloc(1, sizeof *cohort);
    cohort->plan = *plan;
    cohort->random = seed;
    cohort->kernels = mr_kernels_select(UINT32_MAX);
    cohort->examples = calloc(plan->devices, sizeof *cohort->examples);
    cohort->base = calloc(plan->dimension, sizeof *cohort->base);
    cohort->exact = calloc(plan->dimension, sizeof *cohort->exact);
    MR_ASSERT(cohort->examples && cohort->base && cohort->exact);
    for (uint32_t i = 0; i < plan->devices; i++) {
        const double examples = round(100 * exp(plan->spread * cohort_normal(cohort)));
        cohort->examples[i] = examples < 1            ? 1
                              : examples > WEIGHT_MAX ? WEIGHT_MAX
                                                      : (uint32_t)examples;
    }
    draw(cohort, cohort->base, 1);
    make_model(cohort);
    return cohort;
}

void cohort_close(struct cohort *cohort)
{
    free(cohort->examples);
    free(cohort->base);
    free(cohort->exact);
    free(cohort->model);
    free(cohort);
}

/* --- a round -----------------------------------------------------------------------------------
 */

static void announce(struct cohort *cohort, struct mr_round_terms *terms)
{
    const struct cohort_plan *plan = &cohort->plan;
    uint8_t bytes[MR_ANNOUNCEMENT_MAX];
    struct mr_error error = {.text = ""};
    struct mr_announcement a = {
        .round = ++cohort->round,
        .task = "default",
        .deadline_unix_ms = 1,
        .dimension = plan->dimension,
        .ring_bits = plan->ring_bits,
        .rotation_log2 =
            plan->rotated_so ? plan->rotation_log2 : mr_quantiser_rotation_log2(plan->dimension),
        .levels = mr_quantiser_levels_asked(plan->ring_bits, plan->cohort_max, plan->headroom,
                                            plan->levels),
        .headroom = (uint8_t)plan->headroom,
        .seal = MR_SEAL_HPKE,
        .chunk_bytes = 1408,
        .cohort_min = plan->cohort_min ? plan->cohort_min : plan->devices,
        .cohort_max = plan->cohort_max,
        .weight_max = WEIGHT_MAX,
        .scale = 1,
        .clip_norm = plan->clip_norm,
        .step_max = 1e9f,
        .optimiser = {.learning_rate = 1},
        .rotation_seed = {(uint8_t)cohort->round, (uint8_t)plan->deltas},
        .hub_count = 2,
        .hubs = {{.index = 0, .public_key = {1}, .name = "a"},
                 {.index = 1, .public_key = {2}, .name = "b"}},
    };
    MR_ASSERT(mr_layout_init(&terms->layout, a.ring_bits, a.dimension, a.rotation_log2,
                             a.chunk_bytes) == 0);
    const struct mr_quantiser quantiser = {.levels = a.levels,
                                           .lanes = terms->layout.lanes,
                                           .cohort_max = a.cohort_max,
                                           .clip_norm = a.clip_norm,
                                           .round = a.round};
    a.scale =
        plan->fixed_scale > 0 ? plan->fixed_scale : mr_quantiser_scale(&quantiser, &cohort->memory);
    const size_t length = mr_announcement_encode(bytes, &a);
    MR_ASSERT(mr_round_terms_decode(terms, bytes, length, &error) == 0);
}

/* Of the mean that the clipped deltas have. */
static void add_exact(struct cohort *cohort, const float *delta, uint32_t examples)
{
    const struct cohort_plan *plan = &cohort->plan;
    const double norm = plan->norm * examples / WEIGHT_MAX;
    const double clipped = norm > (double)plan->clip_norm ? (double)plan->clip_norm / norm : 1;
    cohort->weights += examples;
    for (uint32_t i = 0; i < plan->dimension; i++) {
        cohort->exact[i] += (double)delta[i] * examples * clipped;
    }
}

/* What a device sends, added to `sum`; and its part of the exact mean. */
static void add_device(struct cohort *cohort, struct cohort_result *result, uint32_t number,
                       struct mr_vector_sum *sum)
{
    const struct mr_round_terms *terms = &result->terms;
    struct mr_rounding rounding;
    const size_t lanes = terms->layout.lanes;
    float *x = aligned_alloc(64, lanes * sizeof *x);
    int8_t *q = malloc(lanes);
    uint8_t *share = aligned_alloc(64, (terms->layout.share_bytes + 63) & ~(uint64_t)63);
    const uint8_t *const shares[1] = {share};
    uint32_t trailer[MR_TRAILER_LANES];
    uint8_t random[MR_PREPARE_RANDOM_BYTES];
    struct mr_error error;
    const struct mr_training_report report = {.examples = cohort->examples[number], .loss = 1};
    float *delta = malloc(cohort->plan.dimension * sizeof *delta);
    MR_ASSERT(x && q && share && delta);
    draw_device(cohort, x);
    memcpy(delta, x, cohort->plan.dimension * sizeof *delta);
    MR_ASSERT(mr_prepare_delta(x, trailer, terms, &report, cohort->kernels, &error) == 0);
    for (size_t i = 0; i < sizeof random; i += 8) {
        mr_be64_put(random + i, (uint64_t)(uniform(cohort) * 0x1p60));
    }
    mr_prepare_quantise(q, trailer, &rounding, x, terms, random, cohort->kernels);
    const bool refused = mr_rounding_judge(&rounding, terms, &error) != 0;
    result->first = number == 0 ? rounding : result->first;
    if (!refused || !cohort->plan.refusing) {
        result->included++;
        result->warned += error.text[0] != '\0';
        add_exact(cohort, delta, report.examples);
        mr_share_lift(share, &terms->layout, q, trailer, cohort->kernels);
        mr_sum_fold(sum, &terms->layout, shares, 1, cohort->kernels);
    }
    free(delta);
    free(x);
    free(q);
    free(share);
}

static double compare(const struct cohort *cohort, const uint8_t *model)
{
    double wrong = 0, whole = 0;
    for (uint32_t i = 0; i < cohort->plan.dimension; i++) {
        float got;
        memcpy(&got, model + cohort->model_head + 4 * (size_t)i, sizeof got);
        const double exact = cohort->exact[i] / cohort->weights;
        wrong += ((double)got - exact) * ((double)got - exact);
        whole += exact * exact;
    }
    return sqrt(wrong / whole);
}

/* The hubs' part: the next model, and what they say of it. */
static void open_sum(struct cohort *cohort, struct cohort_result *result,
                     const uint8_t *const *results)
{
    struct mr_next_model_answer answer;
    struct mr_error error = {.text = ""};
    const struct mr_next_model_question question = {.terms = &result->terms,
                                                    .results = results,
                                                    .included_count = result->included,
                                                    .parent = cohort->model,
                                                    .parent_bytes = cohort->model_bytes,
                                                    .memory = cohort->memory,
                                                    .kernels = cohort->kernels};
    const int made = mr_next_model(&answer, &question, &error);
    MR_ASSERT(made == 0);
    result->error = compare(cohort, answer.model);
    result->metrics = answer.metrics;
    cohort->memory = answer.metrics.memory;
    mr_next_model_answer_fini(&answer);
}

void cohort_round(struct cohort *cohort, struct cohort_result *result)
{
    struct mr_round_terms *terms = &result->terms;
    announce(cohort, terms);
    result->scale = terms->announcement.scale;
    result->included = result->warned = 0;
    const size_t bytes = (size_t)(terms->layout.share_bytes + 63) & ~(size_t)63;
    struct mr_vector_sum sum = {.lanes =
                                    aligned_alloc(64, mr_layout_accumulator_bytes(&terms->layout))};
    uint8_t *const results[2] = {aligned_alloc(64, bytes), aligned_alloc(64, bytes)};
    MR_ASSERT(sum.lanes && results[0] && results[1]);
    mr_sum_zero(&sum, &terms->layout);
    memset(cohort->exact, 0, cohort->plan.dimension * sizeof *cohort->exact);
    cohort->weights = 0;
    for (uint32_t i = 0; i < cohort->plan.devices; i++) {
        add_device(cohort, result, i, &sum);
    }
    mr_sum_pack(results[0], &terms->layout, &sum, cohort->kernels);
    memset(results[1], 0, bytes);
    if (result->included >= terms->announcement.cohort_min) {
        open_sum(cohort, result, (const uint8_t *const *)results);
    }
    free(sum.lanes);
    free(results[0]);
    free(results[1]);
}
