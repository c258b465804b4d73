/* test_reveal.c - the next model's numbers against plain sums, and sums that must be refused. */
#include <math.h>
#include <stdlib.h>

#include "tests/unit/appliance/round/parties.h"

#include "appliance/model/store.h"
#include "wire/safetensors.h"

#define D     1000u
#define COUNT 5u

struct scene {
    struct mr_round_terms terms;
    float values[COUNT][D]; /* deltas, already times ω/ω_max */
    uint32_t weights[COUNT];
    uint8_t *results[2];
    uint8_t *model;
    size_t model_bytes, header;
    const struct mr_kernels *kernels;
};

static void terms_of(struct mr_round_terms *terms, uint8_t ring_bits, uint8_t rotation_log2)
{
    struct mr_error error;
    uint8_t bytes[MR_ANNOUNCEMENT_MAX];
    struct mr_announcement announcement = {
        .round = 3,
        .task = "default",
        .deadline_unix_ms = 1,
        .dimension = D,
        .ring_bits = ring_bits,
        .rotation_log2 = rotation_log2,
        .levels = 127,
        .chunk_bytes = 1408,
        .cohort_min = 2,
        .headroom = 4,
        .seal = MR_SEAL_HPKE,
        .cohort_max = 60,
        .weight_max = 50,
        .scale = 800.0f,
        .clip_norm = 1.0f,
        .step_max = 1e6f,
        .optimiser = {.learning_rate = 0.5f},
        .hub_count = 2,
        .hubs = {{.index = 0, .public_key = {1}, .name = "a"},
                 {.index = 1, .public_key = {2}, .name = "b"}},
        .rotation_seed = {7},
    };
    const size_t length = mr_announcement_encode(bytes, &announcement);
    assert_int_equal(mr_round_terms_decode(terms, bytes, length, &error), 0);
}

/* What a device does: weigh (done), rotate, scale, round to nearest. */
static void quantise(int8_t *q, const struct scene *scene, unsigned device)
{
    const struct mr_layout *layout = &scene->terms.layout;
    const struct mr_announcement *announcement = &scene->terms.announcement;
    float *x = calloc(layout->lanes, sizeof *x);
    memcpy(x, scene->values[device], sizeof scene->values[device]);
    if (announcement->rotation_log2) {
        struct mr_mask_stream signs;
        uint8_t *bits = malloc(layout->lanes / 8);
        assert_int_equal(
            mr_rotation_derive(&signs, announcement->rotation_seed, announcement->round), 0);
        scene->kernels->mask_expand(bits, &signs, 0, layout->lanes / 8);
        scene->kernels->flip_signs(x, bits, layout->lanes);
        scene->kernels->hadamard(x, layout->lanes, layout->rotation_block);
        free(bits);
    }
    for (uint32_t i = 0; i < layout->lanes; i++) {
        q[i] = (int8_t)lrintf(x[i] * announcement->scale);
    }
    free(x);
}

static void fill_results(struct scene *scene)
{
    const struct mr_layout *layout = &scene->terms.layout;
    struct mr_vector_sum lead = {.lanes = aligned_alloc(64, layout->lanes * 4)};
    struct mr_vector_sum helper = {.lanes = aligned_alloc(64, layout->lanes * 4)};
    uint8_t *share = aligned_alloc(64, layout->share_bytes);
    int8_t *q = malloc(layout->lanes);
    mr_sum_zero(&lead, layout);
    mr_sum_zero(&helper, layout);
    for (unsigned i = 0; i < COUNT; i++) {
        const uint8_t seed[MR_SEED_BYTES] = {(uint8_t)i}, client[16] = {(uint8_t)i};
        const struct mr_key_scope scope = {"default", scene->terms.hash, client, 1, 0};
        const uint32_t trailer[MR_TRAILER_LANES] = {1, scene->weights[i], 10, 2500, 300, i};
        const uint8_t *const shares[1] = {share};
        struct mr_mask_stream mask;
        mr_mask_derive(&mask, seed, &scope);
        quantise(q, scene, i);
        mr_share_lift(share, layout, q, trailer, scene->kernels);
        mr_share_mask(share, layout, &mask, scene->kernels);
        mr_sum_fold(&lead, layout, shares, 1, scene->kernels);
        mr_sum_mask(&helper, layout, &mask, scene->kernels);
    }
    mr_sum_pack(scene->results[0], layout, &lead, scene->kernels);
    mr_sum_pack(scene->results[1], layout, &helper, scene->kernels);
    free(q);
    free(share);
    free(lead.lanes);
    free(helper.lanes);
}

static struct scene *make(uint8_t ring_bits, uint8_t rotation_log2)
{
    struct scene *scene = calloc(1, sizeof *scene);
    const struct mr_tensor tensor = {.name = "w", .dims = {D}, .rank = 1, .count = D};
    terms_of(&scene->terms, ring_bits, rotation_log2);
    scene->kernels = mr_kernels_select(UINT32_MAX);
    for (unsigned i = 0; i < COUNT; i++) {
        scene->weights[i] = 10 * (i + 1);
        for (unsigned k = 0; k < D; k++) {
            scene->values[i][k] = 0.03f * sinf((float)(k * (i + 1))) * scene->weights[i] / 50.0f;
        }
    }
    for (unsigned i = 0; i < 2; i++) {
        scene->results[i] = aligned_alloc(64, scene->terms.layout.share_bytes);
    }
    uint8_t *header = mr_safetensors_header(&tensor, 1, &scene->header);
    scene->model_bytes = scene->header + 4 * D;
    scene->model = realloc(header, scene->model_bytes);
    for (unsigned k = 0; k < D; k++) {
        const float value = (float)k / D;
        memcpy(scene->model + scene->header + 4 * k, &value, 4);
    }
    fill_results(scene);
    return scene;
}

static void destroy(struct scene *scene)
{
    free(scene->results[0]);
    free(scene->results[1]);
    free(scene->model);
    free(scene);
}

static int reveal(struct scene *scene, uint32_t count, const struct mr_kernels *kernels,
                  struct mr_next_model_answer *answer, struct mr_error *error)
{
    const struct mr_next_model_question question = {
        .terms = &scene->terms,
        .results = (const uint8_t *const *)scene->results,
        .included_count = count,
        .parent = scene->model,
        .parent_bytes = scene->model_bytes,
        .kernels = kernels,
    };
    return mr_next_model(answer, &question, error);
}

/* Weighted mean of the deltas, within what rounding to int8 allows. */
static void check_numbers(uint8_t ring_bits, uint8_t rotation_log2)
{
    struct scene *scene = make(ring_bits, rotation_log2);
    struct mr_next_model_answer answer;
    struct mr_error error = {.text = ""};
    assert_int_equal(reveal(scene, COUNT, scene->kernels, &answer, &error), 0);
    assert_int_equal(answer.model_bytes, scene->model_bytes);
    assert_memory_equal(answer.model, scene->model, scene->header);
    for (unsigned k = 0; k < D; k++) {
        double sum = 0;
        float value;
        for (unsigned i = 0; i < COUNT; i++) {
            sum += scene->values[i][k];
        }
        /* Each device rounds by at most half a step; rotation spreads that over the block. */
        const double expected = (double)k / D + 0.5 * sum * 50.0 / 150.0;
        const double step = 0.5 * COUNT * 0.5 / 800.0 * 50.0 / 150.0;
        memcpy(&value, answer.model + scene->header + 4 * k, 4);
        assert_true(fabs(value - expected) < step * (rotation_log2 ? 4 : 1) + 1e-6);
    }
    assert_int_equal(answer.metrics.weight, 150);
    assert_true(fabs(answer.metrics.loss_mean - 2.5) < 1e-9);
    assert_true(fabs(answer.metrics.examples_mean - 10) < 1e-9);
    mr_next_model_answer_fini(&answer);
    destroy(scene);
}

static void test_numbers(void **state)
{
    (void)state;
    for (unsigned bits = 16; bits <= 32; bits += 8) {
        check_numbers((uint8_t)bits, 0);
        check_numbers((uint8_t)bits, 6);
        check_numbers((uint8_t)bits, 10);
    }
}

static void test_every_cpu_level_makes_the_same_bytes(void **state)
{
    (void)state;
    static const enum mr_cpu_level levels[] = {MR_CPU_SCALAR, MR_CPU_AVX2, MR_CPU_AVX512,
                                               MR_CPU_NEON};
    for (unsigned rotation = 0; rotation <= 10; rotation += 5) {
        struct scene *scene = make(24, (uint8_t)rotation);
        uint8_t first[MR_HASH_BYTES];
        for (unsigned i = 0; i < 4; i++) {
            const struct mr_kernels *kernels = mr_kernels_at(levels[i]);
            struct mr_next_model_answer answer;
            struct mr_error error;
            if (kernels) {
                assert_int_equal(reveal(scene, COUNT, kernels, &answer, &error), 0);
                if (i == 0) {
                    memcpy(first, answer.model_hash, sizeof first);
                }
                assert_memory_equal(first, answer.model_hash, sizeof first);
                mr_next_model_answer_fini(&answer);
            }
        }
        destroy(scene);
    }
}

/* --- optimisers with a state -------------------------------------------------------------------
 */

static const struct mr_optimiser with_states[] = {
    {.kind = MR_OPTIMISER_FEDAVGM, .learning_rate = 0.5f, .beta1 = 0.9f},
    {.kind = MR_OPTIMISER_FEDADAM,
     .learning_rate = 0.01f,
     .beta1 = 0.9f,
     .beta2 = 0.99f,
     .tau = 1e-3f},
    {.kind = MR_OPTIMISER_FEDYOGI,
     .learning_rate = 0.01f,
     .beta1 = 0.9f,
     .beta2 = 0.99f,
     .tau = 1e-3f},
};

/* The round's model is the next one's parent. The scene's model is the scene's still. */
static void go_on_from(struct scene *scene, struct mr_next_model_answer *answer,
                       const struct mr_kernels *kernels)
{
    struct mr_next_model_answer next;
    struct mr_error error = {.text = ""};
    const struct mr_next_model_question question = {
        .terms = &scene->terms,
        .results = (const uint8_t *const *)scene->results,
        .included_count = COUNT,
        .parent = answer->model ? answer->model : scene->model,
        .parent_bytes = answer->model ? answer->model_bytes : scene->model_bytes,
        .state = answer->state,
        .state_bytes = answer->state_bytes,
        .kernels = kernels,
    };
    if (mr_next_model(&next, &question, &error) != 0) {
        fail_msg("%s", error.text);
    }
    mr_next_model_answer_fini(answer);
    *answer = next;
}

static float value_at(const struct mr_next_model_answer *answer, unsigned i)
{
    float value;
    memcpy(&value, answer->model + answer->model_bytes - 4 * (D - i), 4);
    return value;
}

/* Three rounds of the same sum at every level: one model, which names its state. */
static void test_states_go_on(void **state)
{
    (void)state;
    static const enum mr_cpu_level levels[] = {MR_CPU_SCALAR, MR_CPU_AVX2, MR_CPU_AVX512,
                                               MR_CPU_NEON};
    for (unsigned o = 0; o < 3; o++) {
        uint8_t first[MR_HASH_BYTES] = {0}, named[MR_HASH_BYTES];
        struct scene *scene = make(16, 6);
        scene->terms.announcement.optimiser = with_states[o];
        for (unsigned level = 0; level < 4; level++) {
            const struct mr_kernels *kernels = mr_kernels_at(levels[level]);
            struct mr_next_model_answer answer = {.model = NULL};
            float before = 0.5f / D, step = 0;
            for (unsigned round = 0; kernels && round < 3; round++) {
                go_on_from(scene, &answer, kernels);
                assert_int_equal(mr_store_state_of(answer.model, answer.model_bytes, named), 0);
                assert_memory_equal(named, answer.state_hash, MR_HASH_BYTES);
                const float by = fabsf(value_at(&answer, 500) - (round ? before : 500.0f / D));
                assert_true(by > step); /* momentum: the same way, and further each time */
                step = by;
                before = value_at(&answer, 500);
            }
            if (kernels) {
                assert_true(level == 0 || memcmp(first, answer.model_hash, sizeof first) == 0);
                memcpy(first, answer.model_hash, sizeof first);
            }
            mr_next_model_answer_fini(&answer);
        }
        destroy(scene);
    }
}

/* Another optimiser begins anew; FedAvg's model names no state. */
static void test_states_of_others(void **state)
{
    (void)state;
    uint8_t named[MR_HASH_BYTES], anew[MR_HASH_BYTES];
    struct scene *scene = make(16, 0);
    struct mr_next_model_answer answer = {.model = NULL}, fresh = {.model = NULL};
    scene->terms.announcement.optimiser = with_states[1];
    go_on_from(scene, &fresh, scene->kernels);
    memcpy(anew, fresh.state_hash, sizeof anew);
    scene->terms.announcement.optimiser = with_states[0];
    go_on_from(scene, &answer, scene->kernels);
    scene->terms.announcement.optimiser = with_states[1];
    go_on_from(scene, &answer, scene->kernels);
    assert_memory_equal(answer.state_hash, anew, sizeof anew);
    scene->terms.announcement.optimiser = (struct mr_optimiser){.learning_rate = 0.5f};
    go_on_from(scene, &answer, scene->kernels);
    assert_null(answer.state);
    assert_int_equal(mr_store_state_of(answer.model, answer.model_bytes, named), 1);
    mr_next_model_answer_fini(&answer);
    mr_next_model_answer_fini(&fresh);
    destroy(scene);
}

/* The bound is on what is added to the model: here the optimiser makes it larger than the mean. */
static void test_step_bound_of_states(void **state)
{
    (void)state;
    struct mr_error error;
    for (unsigned o = 0; o < 3; o++) {
        struct scene *scene = make(16, 0);
        struct mr_next_model_answer answer;
        scene->terms.announcement.optimiser = with_states[o];
        assert_int_equal(reveal(scene, COUNT, scene->kernels, &answer, &error), 0);
        double squares = 0;
        for (unsigned i = 0; i < D; i++) {
            const double by = (double)value_at(&answer, i) - (double)((float)i / D);
            squares += by * by;
        }
        assert_true(fabs(sqrt(squares) / answer.metrics.step - 1) < 1e-4);
        scene->terms.announcement.step_max = nextafterf((float)answer.metrics.step, 0) * 0.999f;
        mr_next_model_answer_fini(&answer);
        assert_int_equal(reveal(scene, COUNT, scene->kernels, &answer, &error),
                         MR_NEXT_MODEL_UNSOUND);
        assert_non_null(strstr(error.text, "step: the model would move by"));
        destroy(scene);
    }
}

static void refused_as(struct scene *scene, uint32_t count, int result, const char *word)
{
    struct mr_next_model_answer answer;
    struct mr_error error = {.text = ""};
    assert_int_equal(reveal(scene, count, scene->kernels, &answer, &error), result);
    if (!strstr(error.text, word)) {
        fail_msg("the error is \"%s\", expected \"%s\" in it", error.text, word);
    }
    assert_null(answer.model);
    assert_null(answer.sum);
}

static void refused(struct scene *scene, uint32_t count, const char *word)
{
    refused_as(scene, count, MR_NEXT_MODEL_UNSOUND, word);
}

static void test_refusals(void **state)
{
    (void)state;
    for (unsigned bits = 16; bits <= 32; bits += 8) {
        struct scene *scene = make((uint8_t)bits, 0);
        const size_t main_bytes = (size_t)scene->terms.layout.main_bytes;
        refused(scene, COUNT - 1, "count lane");
        refused(scene, COUNT + 1, "count lane");
        scene->results[0][main_bytes + 4 * MR_TRAILER_WEIGHT + 1] ^= 0x80;
        refused(scene, COUNT, "weight lane");
        scene->results[0][main_bytes + 4 * MR_TRAILER_WEIGHT + 1] ^= 0x80;
        /* The high byte of a lane: far beyond 5 · 127. */
        scene->results[1][bits / 8 - 1] ^= 0x40;
        refused(scene, COUNT, "range");
        scene->results[1][bits / 8 - 1] ^= 0x40;
        /* Fewer levels reach less far. */
        scene->terms.announcement.levels = 5;
        refused(scene, COUNT, "range");
        scene->terms.announcement.levels = 127;
        scene->model_bytes -= 4;
        refused_as(scene, COUNT, MR_NEXT_MODEL_FAILED, "parent model");
        destroy(scene);
    }
}

static void add_to_lane(struct scene *scene, unsigned lane, uint32_t value)
{
    uint8_t *at = scene->results[0] + scene->terms.layout.main_bytes + 4 * (size_t)lane;
    uint32_t sum;
    memcpy(&sum, at, sizeof sum);
    sum += value;
    memcpy(at, &sum, sizeof sum);
}

/* Onto main lane `lane` of what a device shared; of w=16. */
static void add_to_main(struct scene *scene, unsigned lane, int value)
{
    uint8_t *at = scene->results[0] + 2 * (size_t)lane;
    uint16_t sum;
    memcpy(&sum, at, sizeof sum);
    sum = (uint16_t)(sum + value);
    memcpy(at, &sum, sizeof sum);
}

/* What the hubs' results add up to in a main lane; of w=16. */
static int main_lane(const struct scene *scene, unsigned lane)
{
    uint16_t a, b;
    memcpy(&a, scene->results[0] + 2 * (size_t)lane, sizeof a);
    memcpy(&b, scene->results[1] + 2 * (size_t)lane, sizeof b);
    return (int16_t)(a + b);
}

static double step_of(struct scene *scene)
{
    struct mr_next_model_answer answer;
    struct mr_error error = {.text = ""};
    if (reveal(scene, COUNT, scene->kernels, &answer, &error) != 0) {
        fail_msg("refused: %s", error.text);
    }
    const double step = answer.metrics.step;
    mr_next_model_answer_fini(&answer);
    return step;
}

/* A device takes the others' weights out of the sum: the step would be thirty times too large. */
static void test_weight_below_zero(void **state)
{
    (void)state;
    for (unsigned rotation = 0; rotation <= 6; rotation += 6) {
        struct scene *scene = make(16, (uint8_t)rotation);
        const double honest = step_of(scene);
        scene->terms.announcement.step_max = (float)(4 * honest);
        add_to_lane(scene, MR_TRAILER_WEIGHT, COUNT - 150u); /* all weights add up to 150 */
        refused(scene, COUNT, "step: the model would move by");
        scene->terms.announcement.step_max = 1e6f; /* no other bound sees it */
        assert_true(fabs(step_of(scene) / honest - 30) < 1e-3);
        add_to_lane(scene, MR_TRAILER_WEIGHT, -1u);
        refused(scene, COUNT, "weight lane");
        destroy(scene);
    }
}

/* The step's bound is met exactly: one float less refuses. */
static void test_step_bound(void **state)
{
    (void)state;
    struct scene *scene = make(16, 6);
    const float step = (float)step_of(scene);
    scene->terms.announcement.step_max = nextafterf(step, INFINITY);
    (void)step_of(scene);
    scene->terms.announcement.step_max = nextafterf(step, 0);
    refused(scene, COUNT, "step_max is");
    destroy(scene);
}

/* A device fills every lane to what the range allows: far more than clip_norm lets five have. */
static void test_norm_bound(void **state)
{
    (void)state;
    struct scene *scene = make(16, 6);
    const uint32_t lanes = scene->terms.layout.lanes;
    const double most = mr_opened_sum_norm_max(&scene->terms, COUNT);
    assert_true(fabs(most / (COUNT * (1.0 * 800 + sqrt(lanes))) - 1) < 0.001);
    const int each = (int)(most / sqrt(lanes)); /* as many in every lane are just within it */
    for (uint32_t i = 0; i < lanes; i++) {
        add_to_main(scene, i, (i % 2 ? each : -each) - main_lane(scene, i));
    }
    (void)step_of(scene);
    for (uint32_t i = 0; i < lanes; i++) {
        add_to_main(scene, i, i % 2 ? 1 : -1);
    }
    refused(scene, COUNT, "norm: the sum has");
    destroy(scene);
}

/* One lane: to what five devices' levels reach and no further, whichever way round the ring. */
static void test_one_lane(void **state)
{
    (void)state;
    struct scene *scene = make(16, 0);
    const int rest = main_lane(scene, 7), most = 127 * COUNT;
    add_to_main(scene, 7, most - rest);
    (void)step_of(scene);
    add_to_main(scene, 7, 1);
    refused(scene, COUNT, "range: a lane of 636 is beyond the 635");
    for (int turn = 2 * most; turn < 65536 - 2 * most; turn += 997) { /* three quarters and more */
        add_to_main(scene, 7, turn - main_lane(scene, 7));
        refused(scene, COUNT, "range: a lane of");
    }
    add_to_main(scene, 7, -most - main_lane(scene, 7));
    (void)step_of(scene);
    add_to_main(scene, 7, -1);
    refused(scene, COUNT, "range: a lane of");
    destroy(scene);
}

/* Two hubs' noise: a lane reaches as far beyond as ten of its standard deviations, and no further;
 * the sum of weights goes into the step within what its devices can have. */
static void test_noise(void **state)
{
    (void)state;
    struct scene *scene = make(16, 0);
    struct mr_announcement *round = &scene->terms.announcement;
    const double honest = step_of(scene), without = mr_opened_sum_norm_max(&scene->terms, COUNT);
    round->noise_kind = MR_NOISE_HUB;
    round->privacy =
        (struct mr_privacy_terms){.model_sigma2 = 10000, .norms_sigma2 = 100, .weight_sigma2 = 400};
    const double sigmas = sqrt(2 * 10000.0), lanes = scene->terms.layout.lanes;
    assert_true(fabs(mr_opened_sum_norm_max(&scene->terms, COUNT) - without -
                     sigmas * (sqrt(lanes) + 10)) < 1e-6);
    const int most = 127 * COUNT + (int)ceil(10 * sigmas);
    add_to_main(scene, 7, -most - main_lane(scene, 7));
    (void)step_of(scene);
    add_to_main(scene, 7, -1);
    refused(scene, COUNT, "with the noise");
    destroy(scene);

    scene = make(16, 0);
    scene->terms.announcement.noise_kind = MR_NOISE_HUB;
    scene->terms.announcement.privacy =
        (struct mr_privacy_terms){.model_sigma2 = 10000, .norms_sigma2 = 100, .weight_sigma2 = 400};
    const uint32_t tail = 283; /* ten times the root of 800, rounded up; all weights are 150 */
    add_to_lane(scene, MR_TRAILER_WEIGHT, COUNT - tail - 150u);
    assert_true(fabs(step_of(scene) / honest - 30) < 1e-3); /* as if all were 1 */
    add_to_lane(scene, MR_TRAILER_WEIGHT, -1u);
    refused(scene, COUNT, "weight lane: -279 is no sum of");
    add_to_lane(scene, MR_TRAILER_WEIGHT, 1 + tail - COUNT + COUNT * 50 + tail);
    assert_true(fabs(step_of(scene) / honest - 0.6) < 1e-3); /* as if all were 50 */
    add_to_lane(scene, MR_TRAILER_WEIGHT, 1);
    refused(scene, COUNT, "weight lane: 534 is no sum of");
    destroy(scene);
}

/* What devices do not tell is unknown; a bin that the noise took below zero has nobody in it. */
static void test_metrics_with_noise(void **state)
{
    (void)state;
    struct scene *scene = make(16, 0);
    struct mr_next_model_answer answer;
    struct mr_error error = {.text = ""};
    scene->terms.announcement.noise_kind = MR_NOISE_HUB;
    scene->terms.announcement.privacy =
        (struct mr_privacy_terms){.model_sigma2 = 10000, .norms_sigma2 = 100, .weight_sigma2 = 400};
    add_to_lane(scene, MR_TRAILER_NORMS + 2, -7u);
    add_to_lane(scene, MR_TRAILER_NORMS + 4, 9);
    assert_int_equal(reveal(scene, COUNT, scene->kernels, &answer, &error), 0);
    const struct mr_round_metrics *metrics = &answer.metrics;
    assert_true(isnan(metrics->loss_mean) && isnan(metrics->examples_mean));
    assert_true(isnan(metrics->saturated) && isnan(metrics->error));
    assert_int_equal(metrics->norms[2], 0);
    assert_int_equal(metrics->norms[4], 9);
    assert_int_equal(metrics->norms[MR_NORM_BINS - 1], COUNT + 7 - 9);
    mr_next_model_answer_fini(&answer);
    destroy(scene);
}

/* The counts of the norms, and what becomes of the memory: a liar's make no sense, and are no news.
 */
static void test_norms(void **state)
{
    (void)state;
    struct scene *scene = make(16, 6);
    struct mr_next_model_answer answer;
    struct mr_error error = {.text = ""};
    add_to_lane(scene, MR_TRAILER_NORMS + 3, 3);
    add_to_lane(scene, MR_TRAILER_NOISE, 4096);
    add_to_lane(scene, MR_TRAILER_RESOLUTION, 5 * 4096);
    assert_int_equal(reveal(scene, COUNT, scene->kernels, &answer, &error), 0);
    assert_int_equal(answer.metrics.norms[3], 3);
    assert_int_equal(answer.metrics.norms[8], COUNT - 3);
    assert_true(answer.metrics.memory.counts[3] == 3);
    assert_int_equal(answer.metrics.memory.devices, COUNT);
    assert_int_equal(answer.metrics.memory.round, 3);
    assert_true(answer.metrics.noise == 1 && answer.metrics.resolution == 1);
    assert_true(answer.metrics.error > 0 && answer.metrics.error < 10);
    mr_next_model_answer_fini(&answer);
    add_to_lane(scene, MR_TRAILER_NORMS + 4, 3); /* six norms of five devices */
    assert_int_equal(reveal(scene, COUNT, scene->kernels, &answer, &error), 0);
    assert_int_equal(answer.metrics.norms[3] + answer.metrics.norms[8], 0);
    assert_int_equal(answer.metrics.memory.devices, 0);
    mr_next_model_answer_fini(&answer);
    destroy(scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_every_cpu_level_makes_the_same_bytes),
        cmocka_unit_test(test_states_go_on),
        cmocka_unit_test(test_states_of_others),
        cmocka_unit_test(test_step_bound_of_states),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_weight_below_zero),
        cmocka_unit_test(test_step_bound),
        cmocka_unit_test(test_norm_bound),
        cmocka_unit_test(test_one_lane),
        cmocka_unit_test(test_noise),
        cmocka_unit_test(test_metrics_with_noise),
        cmocka_unit_test(test_norms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
