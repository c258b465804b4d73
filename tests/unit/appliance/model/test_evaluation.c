/* test_evaluation.c - named metrics in an opened sum, and rounds that make no model. */
#include "tests/unit/appliance/model/next_model_scene.h"

#include "wire/metric.h"

/* A round of that kind with one metric, 0..10, whose five devices reported `share` of the range. */
static struct scene *with_metric(enum mr_round_kind kind, double share)
{
    struct scene *scene = make(16, 0);
    struct mr_announcement announcement = scene->terms.announcement;
    struct mr_error error;
    uint8_t bytes[MR_ANNOUNCEMENT_MAX];
    announcement.kind = (uint8_t)kind;
    announcement.metric_count = 1;
    announcement.metrics[0] = (struct mr_announced_metric){.name = "score", .low = 0, .high = 10};
    memset(announcement.model_hash, 0x5a, MR_HASH_BYTES);
    const size_t length = mr_announcement_encode(bytes, &announcement);
    assert_int_equal(mr_round_terms_decode(&scene->terms, bytes, length, &error), 0);
    const struct mr_layout *layout = &scene->terms.layout;
    uint32_t weight = 0;
    for (unsigned i = 0; i < COUNT; i++) {
        weight += scene->weights[i];
    }
    for (unsigned hub = 0; hub < 2; hub++) {
        free(scene->results[hub]);
        scene->results[hub] = aligned_alloc(64, layout->share_bytes);
        memset(scene->results[hub], 0, layout->share_bytes);
    }
    uint32_t *trailer = (uint32_t *)(void *)(scene->results[0] + layout->main_bytes);
    trailer[MR_TRAILER_COUNT] = COUNT;
    trailer[MR_TRAILER_WEIGHT] = weight;
    trailer[MR_TRAILER_METRICS] = (uint32_t)(share * weight * mr_metric_unit(&announcement));
    return scene;
}

static void refused(struct scene *scene, const char *what)
{
    struct mr_next_model_answer answer;
    struct mr_error error = {.text = ""};
    assert_int_equal(reveal(scene, COUNT, scene->kernels, &answer, &error), MR_NEXT_MODEL_UNSOUND);
    assert_non_null(strstr(error.text, what));
    destroy(scene);
}

static uint32_t *lane(struct scene *scene, unsigned which)
{
    return (uint32_t *)(void *)(scene->results[0] + scene->terms.layout.main_bytes) + which;
}

static void test_the_model_stays(void **state)
{
    (void)state;
    struct scene *scene = with_metric(MR_ROUND_EVALUATION, 0.25);
    struct mr_next_model_answer answer;
    struct mr_error error = {.text = ""};
    assert_int_equal(reveal(scene, COUNT, scene->kernels, &answer, &error), 0);
    assert_memory_equal(answer.model_hash, scene->terms.announcement.model_hash, MR_HASH_BYTES);
    assert_int_equal(answer.model_bytes, scene->model_bytes);
    assert_memory_equal(answer.model, scene->model, scene->model_bytes);
    assert_null(answer.state);
    assert_int_equal(answer.metrics.metric_count, 1);
    assert_true(fabs(answer.metrics.metrics[0].mean[MR_METRIC_AFTER] - 2.5) < 1e-3);
    assert_true(isnan(answer.metrics.metrics[0].mean[MR_METRIC_BEFORE]));
    assert_true(isnan(answer.metrics.loss_mean));
    mr_next_model_answer_fini(&answer);
    destroy(scene);
}

/* What rounds before told of the norms is kept over an evaluation, which is no gap in it. */
static void test_the_norms_are_remembered(void **state)
{
    (void)state;
    struct scene *scene = with_metric(MR_ROUND_EVALUATION, 0);
    const struct mr_norm_memory memory = {
        .counts = {1, 2}, .clip_norm = 1, .devices = 3, .round = 2};
    struct mr_vector_sum sum = {.lanes = aligned_alloc(64, 256)};
    struct mr_round_metrics metrics;
    struct mr_error error;
    assert_int_equal(mr_opened_sum_add(&sum, &scene->terms, (const uint8_t *const *)scene->results,
                                       COUNT, scene->kernels, &error),
                     0);
    mr_round_metrics_read(&metrics, &sum, &scene->terms, &memory);
    assert_int_equal(metrics.memory.devices, 3);
    assert_int_equal(metrics.memory.round, scene->terms.announcement.round);
    free(sum.lanes);
    destroy(scene);
}

/* A device that lies about a metric moves the mean within the range, and no further. */
static void test_a_metric_out_of_range(void **state)
{
    (void)state;
    struct scene *scene = with_metric(MR_ROUND_TRAINING, 1);
    struct mr_next_model_answer answer;
    struct mr_error error = {.text = ""};
    *lane(scene, MR_TRAILER_METRICS) += 1;
    refused(scene, "metric lane: score");
    scene = with_metric(MR_ROUND_TRAINING, 0);
    *lane(scene, MR_TRAILER_METRICS) -= 1; /* below the range is far above it */
    refused(scene, "metric lane: score");
    scene = with_metric(MR_ROUND_TRAINING, 1);
    scene->terms.announcement.step_max = 1e30f;
    assert_int_equal(reveal(scene, COUNT, scene->kernels, &answer, &error), 0);
    assert_true(answer.metrics.metrics[0].mean[MR_METRIC_AFTER] >= 9.999);
    mr_next_model_answer_fini(&answer);
    destroy(scene);
}

/* Whoever takes an evaluation for training sends what no hub takes. */
static void test_an_update_in_an_evaluation(void **state)
{
    (void)state;
    struct scene *scene = with_metric(MR_ROUND_EVALUATION, 0.5);
    *(uint16_t *)(void *)scene->results[1] += 1;
    refused(scene, "evaluation: a main lane of 1");
}

/* Devices leave the lanes empty where no noise would hide them. */
static void test_untold_with_noise(void **state)
{
    (void)state;
    struct scene *scene = with_metric(MR_ROUND_TRAINING, 0.5);
    scene->terms.announcement.noise_kind = MR_NOISE_HUB;
    scene->terms.announcement.privacy =
        (struct mr_privacy_terms){.model_sigma2 = 10000, .weight_sigma2 = 400};
    refused(scene, "metric lane: score");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_model_stays),
        cmocka_unit_test(test_the_norms_are_remembered),
        cmocka_unit_test(test_a_metric_out_of_range),
        cmocka_unit_test(test_an_update_in_an_evaluation),
        cmocka_unit_test(test_untold_with_noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
