/* test_metric.c - named metrics: their lanes, their rules, and the lines of a model. */
#include <math.h>

#include "wire/announcement_privacy.h"
#include "wire/metric.h"
#include "wire/model_line.h"
#include "wire_test.h"

static uint8_t private_keys[MR_HUBS_MAX][32];
static struct mr_error error;

/* A round with the metrics accuracy 0..1 and gain -2..2. */
static void with_metrics(struct mr_announcement *a, enum mr_round_kind kind)
{
    test_announcement(a, private_keys, 2);
    a->kind = (uint8_t)kind;
    a->metric_count = 2;
    a->metrics[0] = (struct mr_announced_metric){.name = "accuracy", .low = 0, .high = 1};
    a->metrics[1] = (struct mr_announced_metric){.name = "gain", .low = -2, .high = 2};
}

static void refused(const struct mr_announcement *a, const char *what)
{
    assert_int_equal(mr_announcement_check(a, &error), -1);
    assert_non_null(strstr(error.text, what));
}

static void test_the_layout_has_room(void **state)
{
    (void)state;
    struct mr_announcement a;
    struct mr_layout plain, layout;
    test_announcement(&a, private_keys, 2);
    assert_int_equal(mr_announcement_layout(&plain, &a), 0);
    assert_int_equal(plain.trailer_lanes, MR_TRAILER_LANES);
    with_metrics(&a, MR_ROUND_EVALUATED_TRAINING);
    assert_int_equal(mr_announcement_layout(&layout, &a), 0);
    assert_int_equal(layout.share_bytes, plain.share_bytes + 64);
    assert_int_equal(layout.lanes, plain.lanes);
    a.kind = MR_ROUND_EVALUATION;
    assert_int_equal(mr_announcement_layout(&layout, &a), 0);
    assert_int_equal(layout.lanes, 64);
    assert_int_equal(layout.rotation_block, 1);
    assert_int_equal(layout.share_bytes, 64 * a.ring_bits / 8 + MR_TRAILER_BYTES_MAX);
}

/* The sum of many devices' lanes is their weighted mean, and no device goes beyond its weight. */
static void test_a_mean_comes_back(void **state)
{
    (void)state;
    struct mr_announcement a;
    with_metrics(&a, MR_ROUND_TRAINING);
    const double values[] = {-2, -1.25, 0.1, 2};
    const uint32_t weights[] = {1, 3, 2, 5};
    int64_t sum = 0;
    uint32_t weight = 0;
    double mean = 0;
    for (unsigned i = 0; i < 4; i++) {
        const uint32_t lane = mr_metric_encode(&a, 1, values[i], weights[i], 40000);
        assert_true(lane <= weights[i] * mr_metric_unit(&a));
        sum += lane;
        weight += weights[i];
        mean += weights[i] * values[i];
    }
    mean /= weight;
    assert_true(fabs(mr_metric_mean(&a, 1, sum, weight) - mean) < 1e-4);
    assert_int_equal(mr_metric_encode(&a, 1, -2, 5, 0), 0);
    assert_int_equal(mr_metric_encode(&a, 1, 2, 5, 65535), 5 * mr_metric_unit(&a));
    assert_true(mr_metric_mean(&a, 1, -1000000, 5) <= -2); /* noise: kept within the range */
    assert_true(mr_metric_mean(&a, 1, INT64_MAX, 5) >= 2);
}

/* Of a value between two steps as many dice go up as it is nearer to the upper one. */
static void test_rounding_has_no_bias(void **state)
{
    (void)state;
    struct mr_announcement a;
    with_metrics(&a, MR_ROUND_TRAINING);
    const double step = 1.0 / mr_metric_unit(&a);
    uint64_t sum = 0;
    for (uint32_t dice = 0; dice < 65536; dice++) {
        sum += mr_metric_encode(&a, 0, 0.25 * step, 1, (uint16_t)dice);
    }
    assert_int_equal(sum, 65536 / 4);
}

static void test_no_sum_leaves_a_lane(void **state)
{
    (void)state;
    struct mr_announcement a;
    with_metrics(&a, MR_ROUND_TRAINING);
    const uint32_t cohorts[] = {2, 64, 4096, 4000000}, weights[] = {1, 1000, UINT32_MAX / 4000000};
    for (unsigned i = 0; i < 4; i++) {
        for (unsigned j = 0; j < 3; j++) {
            a.cohort_max = cohorts[i];
            a.weight_max = weights[j];
            const uint64_t most = (uint64_t)a.cohort_max * a.weight_max * mr_metric_unit(&a);
            assert_true((uint64_t)a.cohort_max * a.weight_max > UINT32_MAX || most <= UINT32_MAX);
        }
    }
}

static void test_rules(void **state)
{
    (void)state;
    struct mr_announcement a;
    with_metrics(&a, MR_ROUND_EVALUATION);
    assert_int_equal(mr_announcement_check(&a, &error), 0);
    a.kind = 3;
    refused(&a, "kind");
    with_metrics(&a, MR_ROUND_EVALUATION);
    a.metric_count = 0;
    refused(&a, "needs metrics");
    with_metrics(&a, MR_ROUND_EVALUATION);
    a.weight_max = 0; /* no unit follows from it */
    refused(&a, "weight_max");
    with_metrics(&a, MR_ROUND_TRAINING);
    a.metrics[1] = a.metrics[0];
    refused(&a, "twice");
    with_metrics(&a, MR_ROUND_TRAINING);
    a.metrics[0].high = a.metrics[0].low;
    refused(&a, "range");
    with_metrics(&a, MR_ROUND_TRAINING);
    a.metrics[0].low = -0.0f;
    refused(&a, "range");
    with_metrics(&a, MR_ROUND_TRAINING);
    a.metrics[0].high = INFINITY;
    refused(&a, "range");
    with_metrics(&a, MR_ROUND_TRAINING);
    strcpy(a.metrics[0].name, "loss");
    refused(&a, "a name is");
    strcpy(a.metrics[0].name, "Accuracy");
    refused(&a, "a name is");
}

/* With noise an evaluation has noise on its metrics, and on nothing that is not there. */
static void test_noise(void **state)
{
    (void)state;
    struct mr_announcement a;
    struct mr_layout layout;
    with_metrics(&a, MR_ROUND_EVALUATION);
    a.noise_kind = MR_NOISE_HUB;
    a.weight_max = 1;
    a.privacy = (struct mr_privacy_terms){
        .metrics_sigma2 = UINT64_C(1) << 34, .budget = MR_PRIVACY_RHO_MAX, .delta = 1e-6f};
    strcpy(a.privacy.pool, "pool");
    assert_int_equal(mr_announcement_layout(&layout, &a), 0);
    a.privacy.rho = mr_announcement_rho(&a, layout.lanes);
    /* Two metrics of 2^16 steps each: 2 * 2^32 / (2 * 2^34) = 1/4. */
    assert_int_equal(a.privacy.rho, MR_RHO_ONE / 4);
    assert_int_equal(mr_announcement_check(&a, &error), 0);
    assert_true(mr_metric_told(&a));
    a.privacy.metrics_sigma2 = 0;
    a.privacy.rho = 0;
    refused(&a, "metrics_sigma2");
    a.privacy.metrics_sigma2 = UINT64_C(1) << 34;
    a.privacy.model_sigma2 = 1000;
    refused(&a, "model_sigma2");
    a.privacy.model_sigma2 = 0;
    a.privacy.rho = MR_RHO_ONE / 8;
    refused(&a, "rho");
    a.weight_max = 0;
    assert_int_equal(mr_announcement_check(&a, &error), -1);
}

/* Updates of a model are one line, metrics of it another; a round with both looks at both. */
static void test_lines(void **state)
{
    (void)state;
    struct mr_announcement a;
    struct mr_model_line training, both, evaluation;
    with_metrics(&a, MR_ROUND_TRAINING);
    assert_int_equal(mr_model_line(&training, &a), 0);
    assert_memory_equal(training.own, a.model_hash, MR_HASH_BYTES);
    assert_false(training.looks);
    a.kind = MR_ROUND_EVALUATION;
    assert_int_equal(mr_model_line(&evaluation, &a), 0);
    assert_memory_not_equal(evaluation.own, training.own, MR_HASH_BYTES);
    assert_memory_equal(evaluation.also, training.own, MR_HASH_BYTES);
    assert_true(evaluation.looks);
    a.kind = MR_ROUND_EVALUATED_TRAINING;
    assert_int_equal(mr_model_line(&both, &a), 0);
    assert_memory_equal(both.own, training.own, MR_HASH_BYTES);
    assert_memory_equal(both.also, evaluation.own, MR_HASH_BYTES);
    assert_true(both.looks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_layout_has_room),
        cmocka_unit_test(test_a_mean_comes_back),
        cmocka_unit_test(test_rounding_has_no_bias),
        cmocka_unit_test(test_no_sum_leaves_a_lane),
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_noise),
        cmocka_unit_test(test_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
