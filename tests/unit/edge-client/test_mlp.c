/* test_mlp.c - the built-in trainer: gradients, repeatability, its data and its options. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "edge-client/trainer/real.h"
#include "edge-client/trainer/sgd.h"

#define D (4 * 5 + 4 + 6 * 4 + 6 + 3 * 6 + 3)

static const struct mr_tensor tensors[] = {
    {.name = "a.weight", .rank = 2, .dims = {4, 5}, .offset = 0, .count = 20},
    {.name = "a.bias", .rank = 1, .dims = {4}, .offset = 20, .count = 4},
    {.name = "b.weight", .rank = 2, .dims = {6, 4}, .offset = 24, .count = 24},
    {.name = "b.bias", .rank = 1, .dims = {6}, .offset = 48, .count = 6},
    {.name = "c.weight", .rank = 2, .dims = {3, 6}, .offset = 54, .count = 18},
    {.name = "c.bias", .rank = 1, .dims = {3}, .offset = 72, .count = 3},
};

static void fill(float *x, size_t n, uint64_t seed)
{
    struct mr_sgd_random random = {.state = seed};
    for (size_t i = 0; i < n; i++) {
        x[i] = (float)mr_sgd_random_below(&random, 2001) / 1000 - 1;
    }
}

/* Exponential and logarithm against the C library's in double. */
static void test_real(void **state)
{
    (void)state;
    for (unsigned i = 0; i <= 870000; i++) {
        const float x = -(float)i / 10000;
        const double exact = exp((double)x);
        const float got = mr_exp_nonpositive(x);
        assert_true(fabs(got - exact) <= exact * 0x1p-23);
    }
    assert_true(mr_exp_nonpositive(0) == 1 && mr_exp_nonpositive(-0.0f) == 1);
    assert_true(mr_exp_nonpositive(-88) == 0 && mr_exp_nonpositive(-INFINITY) == 0);
    assert_true(isnan(mr_exp_nonpositive(NAN)) && isnan(mr_log_from_one(NAN)));
    assert_true(mr_log_from_one(1) == 0);
    for (double x = 1; x < 1e300; x *= 1.0009765625) {
        assert_true(fabs(mr_log_from_one(x) - log(x)) <= 1e-14 * log(x) + 1e-15);
    }
}

/* What a step takes away, over its rate, is the gradient: compared with central differences. */
static void test_gradient(void **state)
{
    (void)state;
    enum { N = 7 };
    struct mr_mlp_shape shape;
    float parameters[D], moved[D], features[N * 5];
    const float *examples[N];
    uint16_t labels[N];
    assert_int_equal(mr_mlp_shape_init(&shape, tensors, 6, NULL), 0);
    fill(parameters, D, 3);
    fill(features, N * 5, 4);
    for (unsigned i = 0; i < N; i++) {
        examples[i] = features + (size_t)i * 5;
        labels[i] = (uint16_t)(i % 3);
    }
    struct mr_mlp_scratch *scratch = mr_mlp_scratch_open(&shape, N);
    struct mr_mlp_batch batch = {.examples = examples, .labels = labels, .count = N};
    memcpy(moved, parameters, sizeof moved);
    double loss = mr_mlp_step(&shape, moved, scratch, &batch, 1, mr_kernels_select(UINT32_MAX));
    assert_true(fabs(loss - mr_mlp_evaluate(&shape, parameters, scratch, &batch, NULL)) < 1e-6);
    for (size_t i = 0; i < D; i++) {
        const float h = 1e-3f; /* small against the ReLUs' kinks, large against rounding */
        float kept = parameters[i];
        parameters[i] = kept + h;
        double above = mr_mlp_evaluate(&shape, parameters, scratch, &batch, NULL);
        parameters[i] = kept - h;
        double below = mr_mlp_evaluate(&shape, parameters, scratch, &batch, NULL);
        parameters[i] = kept;
        double expected = (above - below) / (2 * (double)h), got = parameters[i] - moved[i];
        assert_true(fabs(expected - got) < 2e-3);
    }
    mr_mlp_scratch_close(scratch);
}

static char *write_csv(const char *text)
{
    static char path[64];
    snprintf(path, sizeof path, "/tmp/millrace-mlp-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    return path;
}

static void test_training_learns_and_repeats(void **state)
{
    (void)state;
    struct mr_mlp_shape shape;
    struct mr_dataset dataset;
    struct mr_sgd_config config;
    float first[D], second[D], other[D], loss = 0, loss_before;
    char *path = write_csv("16,0,0,1,0,0\n0,16,0,0,1,1\n0,0,16,0,0,2\n15,1,0,0,0,0\n"
                           "0,14,1,0,0,1\n1,0,15,0,0,2\n");
    assert_int_equal(mr_mlp_shape_init(&shape, tensors, 6, NULL), 0);
    assert_int_equal(mr_sgd_config_parse(&config, "{\"epochs\":1,\"batch\":4}", NULL), 0);
    assert_int_equal(mr_dataset_read(&dataset, path, config.feature_scale, NULL), 0);
    assert_int_equal(dataset.count, 6);
    assert_true(dataset.features[0] == 1.0f);
    fill(first, D, 8);
    memcpy(second, first, sizeof first);
    memcpy(other, first, sizeof first);
    const struct mr_kernels *kernels = mr_kernels_select(UINT32_MAX);
    assert_int_equal(mr_sgd_train(&shape, first, &dataset, &config, 5, kernels, &loss_before), 0);
    memcpy(first, second, sizeof first);
    config.epochs = 200;
    config.learning_rate = 0.2f;
    assert_int_equal(mr_sgd_train(&shape, first, &dataset, &config, 5, kernels, &loss), 0);
    assert_int_equal(
        mr_sgd_train(&shape, second, &dataset, &config, 5, mr_kernels_at(MR_CPU_SCALAR), &loss), 0);
    assert_int_equal(mr_sgd_train(&shape, other, &dataset, &config, 6, kernels, &loss), 0);
    assert_memory_equal(first, second, sizeof first); /* same seed, any kernels: same bits */
    assert_memory_not_equal(first, other, sizeof first);
    assert_true(loss < loss_before / 4);
    mr_dataset_fini(&dataset);
    unlink(path);
}

static void test_seeds_differ(void **state)
{
    (void)state;
    uint8_t a[16] = {1}, b[16] = {2};
    assert_true(mr_sgd_seed(a, 1, 7) == mr_sgd_seed(a, 1, 7));
    assert_true(mr_sgd_seed(a, 1, 7) != mr_sgd_seed(a, 2, 7));
    assert_true(mr_sgd_seed(a, 1, 7) != mr_sgd_seed(a, 1, 8));
    assert_true(mr_sgd_seed(a, 1, 7) != mr_sgd_seed(b, 1, 7));
}

static void test_bad_options(void **state)
{
    (void)state;
    static const char *const bad[] = {"{\"epochs\": 0}",
                                      "{\"epochs\": 1.5}",
                                      "{\"epochs\": \"5\"}",
                                      "{\"batch\": 5000}",
                                      "{\"epoch\": 3}",
                                      "{\"learning_rate\": -1}",
                                      "[1]",
                                      "{\"epochs\": 3",
                                      "{\"epochs\": 3, \"epochs\": 4}"};
    struct mr_sgd_config config;
    struct mr_error error;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(mr_sgd_config_parse(&config, bad[i], &error), -1);
    }
    assert_int_equal(mr_sgd_config_parse(&config, "", &error), 0);
    assert_int_equal(config.epochs, 5);
}

static void test_models_that_do_not_fit(void **state)
{
    (void)state;
    struct mr_mlp_shape shape;
    struct mr_error error;
    struct mr_tensor list[6];
    memcpy(list, tensors, sizeof list);
    assert_int_equal(mr_mlp_shape_init(&shape, list, 5, &error), -1); /* a bias is missing */
    list[2].dims[1] = 3;                                              /* layers do not meet */
    assert_int_equal(mr_mlp_shape_init(&shape, list, 6, &error), -1);
    assert_non_null(strstr(error.text, "b.weight"));
    memcpy(list, tensors, sizeof list);
    list[4].rank = 3;
    assert_int_equal(mr_mlp_shape_init(&shape, list, 6, &error), -1);
    memcpy(list, tensors, sizeof list);
    list[1].name = "conv.kernel";
    assert_int_equal(mr_mlp_shape_init(&shape, list, 6, &error), -1);

    assert_int_equal(mr_mlp_shape_init(&shape, tensors, 6, &error), 0);
    struct mr_dataset narrow = {.columns = 4, .count = 1};
    assert_int_equal(mr_sgd_check(&shape, &narrow, &error), -1);
    struct mr_dataset classes = {.columns = 5, .count = 1, .label_max = 3};
    assert_int_equal(mr_sgd_check(&shape, &classes, &error), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_real),
        cmocka_unit_test(test_gradient),
        cmocka_unit_test(test_training_learns_and_repeats),
        cmocka_unit_test(test_seeds_differ),
        cmocka_unit_test(test_bad_options),
        cmocka_unit_test(test_models_that_do_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
