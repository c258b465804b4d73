/* test_next_model.c - the next model's numbers against plain sums, and sums that must be refused.
 */
#include <endian.h>

#include "tests/unit/appliance/model/next_model_scene.h"

#include "wire/tensor_parts.h"

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
    for (unsigned i = 1; i < MR_RING_WIDTHS; i++) { /* these values are of up to 24 levels */
        const unsigned bits = mr_ring_widths[i];
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

/* --- tensors that rounds do not train ----------------------------------------------------------
 */

#define BEFORE 300u
#define REST   50u

/* The scene's model with REST values in the middle that nobody trains. */
static void divide(struct scene *scene)
{
    const struct mr_tensor tensors[] = {
        {.name = "a", .dims = {BEFORE}, .rank = 1},
        {.name = "rest", .dims = {REST}, .rank = 1},
        {.name = "b", .dims = {D - BEFORE}, .rank = 1},
    };
    size_t header, length;
    struct mr_error error;
    uint8_t *file = mr_safetensors_header(tensors, 3, &header);
    file = realloc(file, header + 4 * (D + REST));
    uint8_t *to = file + header;
    const uint8_t *from = scene->model + scene->header;
    memcpy(to, from, 4 * BEFORE);
    memset(to + 4 * BEFORE, 0x41, 4 * REST);
    memcpy(to + 4 * (BEFORE + REST), from + 4 * BEFORE, 4 * (D - BEFORE));
    free(scene->model);
    scene->model = mr_safetensors_rename(file, header + 4 * (D + REST), MR_FROZEN_MEMBER, "rest",
                                         &length, &error);
    scene->model_bytes = length;
    free(file);
}

/* What is trained moves as in a model without the rest, which stays as it was. */
static void test_frozen(void **state)
{
    (void)state;
    for (unsigned o = 0; o < 2; o++) {
        struct mr_next_model_answer answers[2];
        struct mr_error error = {.text = ""};
        for (unsigned i = 0; i < 2; i++) {
            struct scene *scene = make(16, 6);
            if (o) {
                scene->terms.announcement.optimiser = (struct mr_optimiser){
                    .kind = MR_OPTIMISER_FEDAVGM, .learning_rate = 0.5f, .beta1 = 0.9f};
            }
            if (i) {
                divide(scene);
            }
            assert_int_equal(reveal(scene, COUNT, scene->kernels, &answers[i], &error), 0);
            destroy(scene);
        }
        const uint8_t *plain = answers[0].model + answers[0].model_bytes - 4 * D;
        const uint8_t *divided = answers[1].model + answers[1].model_bytes - 4 * (D + REST);
        assert_memory_equal(divided, plain, 4 * BEFORE);
        assert_memory_equal(divided + 4 * (BEFORE + REST), plain + 4 * BEFORE, 4 * (D - BEFORE));
        for (unsigned i = 0; i < 4 * REST; i++) {
            assert_int_equal(divided[4 * BEFORE + i], 0x41);
        }
        assert_int_equal(answers[0].state_bytes, answers[1].state_bytes);
        mr_next_model_answer_fini(&answers[0]);
        mr_next_model_answer_fini(&answers[1]);
    }
}

/* The scene's model with a header as other programs write it: the values begin on no float's
 * boundary. */
static void shift(struct scene *scene)
{
    uint8_t *file = malloc(scene->model_bytes + 1);
    const uint64_t length = htole64((uint64_t)scene->header - 8 + 1);
    memcpy(file, &length, sizeof length);
    memcpy(file + 8, scene->model + 8, scene->header - 8);
    file[scene->header] = ' ';
    memcpy(file + scene->header + 1, scene->model + scene->header, 4 * D);
    free(scene->model);
    scene->model = file;
    scene->model_bytes++;
    scene->header++;
}

static void test_values_on_no_boundary(void **state)
{
    (void)state;
    struct mr_next_model_answer answers[2];
    struct mr_error error = {.text = ""};
    for (unsigned i = 0; i < 2; i++) {
        struct scene *scene = make(16, 6);
        if (i) {
            shift(scene);
        }
        assert_int_equal(reveal(scene, COUNT, scene->kernels, &answers[i], &error), 0);
        assert_memory_equal(answers[i].model, scene->model, scene->header);
        destroy(scene);
    }
    assert_int_equal(answers[1].model_bytes, answers[0].model_bytes + 1);
    assert_memory_equal(answers[1].model + answers[1].model_bytes - 4 * D,
                        answers[0].model + answers[0].model_bytes - 4 * D, 4 * D);
    mr_next_model_answer_fini(&answers[0]);
    mr_next_model_answer_fini(&answers[1]);
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
    for (unsigned i = 1; i < MR_RING_WIDTHS; i++) { /* these values are of up to 24 levels */
        const unsigned bits = mr_ring_widths[i];
        struct scene *scene = make((uint8_t)bits, 0);
        const size_t main_bytes = (size_t)scene->terms.layout.main_bytes;
        refused(scene, COUNT - 1, "count lane");
        refused(scene, COUNT + 1, "count lane");
        scene->results[0][main_bytes + 4 * MR_TRAILER_WEIGHT + 1] ^= 0x80;
        refused(scene, COUNT, "weight lane");
        scene->results[0][main_bytes + 4 * MR_TRAILER_WEIGHT + 1] ^= 0x80;
        /* The second highest bit of a lane: far beyond what five devices reach. */
        const uint8_t levels = scene->terms.announcement.levels;
        const uint32_t lane = mr_ring_read(scene->results[1], (uint8_t)bits, 0);
        mr_ring_write(scene->results[1], (uint8_t)bits, 0, lane ^ 1u << (bits - 2));
        refused(scene, COUNT, "range");
        mr_ring_write(scene->results[1], (uint8_t)bits, 0, lane);
        /* Fewer levels reach less far. */
        scene->terms.announcement.levels = 5;
        refused(scene, COUNT, "range");
        scene->terms.announcement.levels = levels;
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

/* Onto main lane `lane` of what a device shared. */
static void add_to_main(struct scene *scene, unsigned lane, int value)
{
    const uint8_t bits = scene->terms.layout.ring_bits;
    const uint32_t was = mr_ring_read(scene->results[0], bits, lane);
    mr_ring_write(scene->results[0], bits, lane, was + (uint32_t)value);
}

/* What the hubs' results add up to in a main lane. */
static int main_lane(const struct scene *scene, unsigned lane)
{
    const uint8_t bits = scene->terms.layout.ring_bits;
    const uint32_t sum =
        mr_ring_read(scene->results[0], bits, lane) + mr_ring_read(scene->results[1], bits, lane);
    return (int32_t)(sum << (32 - bits)) >> (32 - bits);
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
static void check_one_lane(uint8_t ring_bits, const char *beyond)
{
    struct scene *scene = make(ring_bits, 0);
    const int rest = main_lane(scene, 7), most = scene->terms.announcement.levels * COUNT;
    const int around = 1 << ring_bits;
    add_to_main(scene, 7, most - rest);
    (void)step_of(scene);
    add_to_main(scene, 7, 1);
    refused(scene, COUNT, beyond);
    for (int turn = most + 1; turn < around - most; turn += 1 + around / 67) { /* three quarters */
        add_to_main(scene, 7, turn - main_lane(scene, 7));
        refused(scene, COUNT, "range: a lane of");
    }
    add_to_main(scene, 7, -most - main_lane(scene, 7));
    (void)step_of(scene);
    add_to_main(scene, 7, -1);
    refused(scene, COUNT, "range: a lane of");
    destroy(scene);
}

static void test_one_lane(void **state)
{
    (void)state;
    check_one_lane(16, "range: a lane of 636 is beyond the 635");
    check_one_lane(12, "range: a lane of 511 is beyond the 510");
    check_one_lane(10, "range: a lane of 126 is beyond the 125");
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
        cmocka_unit_test(test_frozen),
        cmocka_unit_test(test_values_on_no_boundary),
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
