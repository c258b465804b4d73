/* test_watermark.c - a mark is found with every part of its key and with nothing less, survives
 * what models go through, and is taken for no other key's. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/appliance/model/watermark_scene.h"

#define WRONG_KEYS 100000u

static int add(struct scene *scene, double strength, struct mr_error *error)
{
    double moved;
    return mr_watermark_add(&moved, &scene->model, (uint8_t *)scene->data, scene->key, strength,
                            error);
}

static void marked_init(struct scene *scene, uint64_t seed, double strength)
{
    struct mr_error error = {""};
    scene_init(scene, seed);
    assert_int_equal(add(scene, strength, &error), 0);
}

/* --- the mark ----------------------------------------------------------------------------------
 */

static void test_strength(void **state)
{
    struct scene scene;
    (void)state;
    for (uint64_t seed = 1; seed < 9; seed++) {
        marked_init(&scene, seed, 16);
        const struct mr_watermark_score score = score_of(&scene, scene.key);
        assert_true(fabs(score.sigma - 16) < 1e-3);
        assert_int_equal(score.values, VALUES);
        assert_true(score.false_positive < score.false_positive_at_most);
        assert_true(score.false_positive_at_most < 1e-54);
    }
}

/* What has no place for a mark stays as it was; a zero tensor is not moved off zero. */
static void test_what_is_marked(void **state)
{
    struct scene before, after;
    struct mr_error error = {""};
    (void)state;
    scene_init(&before, 1);
    memset(before.data + before.tensors[2].offset, 0, CLASSES * COLUMNS * sizeof(float));
    after = before;
    after.model.tensors = after.tensors;
    assert_int_equal(add(&after, 16, &error), 0);
    assert_memory_equal(after.data + ROWS * COLUMNS, before.data + ROWS * COLUMNS,
                        (FLOATS - ROWS * COLUMNS) * sizeof(float));
    assert_int_equal(score_of(&after, after.key).values, ROWS * COLUMNS);
    after.tensors[0].part = MR_PART_PERSONAL;
    assert_int_equal(add(&after, 16, &error), -1);
    assert_non_null(strstr(error.text, "no tensor that could hold a mark"));
}

static void test_refusals(void **state)
{
    struct scene scene;
    struct mr_error error = {""};
    (void)state;
    scene_init(&scene, 1);
    assert_int_equal(add(&scene, 60, &error), -1);
    assert_non_null(strstr(error.text, "mark more weakly"));
    assert_int_equal(add(&scene, 24, &error), 0);
    assert_int_equal(add(&scene, 24, &error), -1);
    assert_non_null(strstr(error.text, "it is marked"));
    assert_int_equal(add(&scene, 30, &error), 0); /* topped up */
    assert_true(fabs(score_of(&scene, scene.key).sigma - 30) < 1e-3);
    scene.data[5] = NAN;
    assert_int_equal(add(&scene, 40, &error), -1);
    assert_non_null(strstr(error.text, "w1 has a value that is not finite"));
}

/* --- keys --------------------------------------------------------------------------------------
 */

static void test_every_part_is_needed(void **state)
{
    uint8_t parts[6][MR_WATERMARK_KEY_BYTES], swapped[3][MR_WATERMARK_KEY_BYTES];
    uint8_t key[MR_WATERMARK_KEY_BYTES];
    struct scene scene;
    struct mr_error error = {""};
    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        key_of(parts[i], 100 + i);
        memcpy(swapped[(i + 1) % 3], parts[i], i < 3 ? sizeof parts[i] : 0);
    }
    scene_init(&scene, 1);
    assert_int_equal(mr_watermark_key_join(scene.key, (const void *)parts, 3, &error), 0);
    assert_int_equal(mr_watermark_key_join(key, (const void *)swapped, 3, &error), 0);
    assert_memory_equal(key, scene.key, sizeof key);
    assert_int_equal(add(&scene, 40, &error), 0);
    /* Two of three; another one in the third's place. */
    for (unsigned i = 0; i < 3; i++) {
        uint8_t some[3][MR_WATERMARK_KEY_BYTES];
        memcpy(some, parts, sizeof some);
        memcpy(some[i], parts[3], sizeof some[i]);
        assert_int_equal(mr_watermark_key_join(key, (const void *)some, 3, &error), 0);
        assert_true(fabs(score_of(&scene, key).sigma) < MR_WATERMARK_SIGMA);
        memcpy(some[i], parts[2], sizeof some[i]);
        assert_int_equal(mr_watermark_key_join(key, (const void *)some, 2, &error), 0);
        assert_true(fabs(score_of(&scene, key).sigma) < MR_WATERMARK_SIGMA);
    }
    assert_int_equal(mr_watermark_key_join(key, (const void *)parts, 1, &error), -1);
    assert_int_equal(mr_watermark_key_join(key, (const void *)parts, 6, &error), -1);
    memcpy(parts[1], parts[0], sizeof parts[1]);
    assert_int_equal(mr_watermark_key_join(key, (const void *)parts, 3, &error), -1);
    assert_non_null(strstr(error.text, "are the same"));
}

static void test_wrong_keys(void **state)
{
    struct scene scene;
    double most = 0, sum = 0, squares = 0;
    uint8_t key[MR_WATERMARK_KEY_BYTES];
    (void)state;
    marked_init(&scene, 1, 24);
    for (uint64_t i = 0; i < WRONG_KEYS; i++) {
        key_of(key, i);
        const double sigma = score_of(&scene, key).sigma;
        most = fmax(most, fabs(sigma));
        sum += sigma;
        squares += sigma * sigma;
    }
    print_message("%u wrong keys: mean %.4f, variance %.4f, at most %.3f sigma\n", WRONG_KEYS,
                  sum / WRONG_KEYS, squares / WRONG_KEYS, most);
    assert_true(most < MR_WATERMARK_SIGMA);
    /* What the probability is computed from; five standard errors. */
    assert_true(fabs(sum / WRONG_KEYS) < 5 * sqrt(1.0 / WRONG_KEYS));
    assert_true(fabs(squares / WRONG_KEYS - 1) < 5 * sqrt(2.0 / WRONG_KEYS));
}

/* --- what models go through --------------------------------------------------------------------
 */

static void quantise(struct scene *scene, const struct mr_tensor *tensor)
{
    float *values = scene->data + tensor->offset, largest = 0;
    for (size_t i = 0; i < tensor->count; i++) {
        largest = fmaxf(largest, fabsf(values[i]));
    }
    for (size_t i = 0; i < tensor->count; i++) {
        values[i] = roundf(values[i] * 127 / largest) * largest / 127;
    }
}

static int compare_floats(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* The smallest 30 % of a tensor become zero. */
static void prune(struct scene *scene, const struct mr_tensor *tensor)
{
    float *values = scene->data + tensor->offset, sorted[ROWS * COLUMNS];
    for (size_t i = 0; i < tensor->count; i++) {
        sorted[i] = fabsf(values[i]);
    }
    qsort(sorted, tensor->count, sizeof sorted[0], compare_floats);
    const float least = sorted[tensor->count * 3 / 10];
    for (size_t i = 0; i < tensor->count; i++) {
        values[i] = fabsf(values[i]) < least ? 0 : values[i];
    }
}

static void add_noise(struct scene *scene, const struct mr_tensor *tensor, uint64_t *seed)
{
    float *values = scene->data + tensor->offset;
    double energy = 0;
    for (size_t i = 0; i < tensor->count; i++) {
        energy += (double)values[i] * (double)values[i];
    }
    for (size_t i = 0; i < tensor->count; i++) {
        values[i] += (float)(gaussian(seed) * sqrt(energy / (double)tensor->count));
    }
}

/* One after the other, each on top of what was done before. */
static void test_survives(void **state)
{
    struct scene scene;
    uint64_t seed = 77;
    double least[3] = {INFINITY, INFINITY, INFINITY};
    (void)state;
    for (unsigned turn = 0; turn < 200; turn++) {
        marked_init(&scene, turn + 1, 20);
        for (unsigned what = 0; what < 3; what++) {
            for (unsigned i = 0; i < 3; i += 2) {
                if (what == 0) {
                    quantise(&scene, &scene.tensors[i]);
                } else if (what == 1) {
                    prune(&scene, &scene.tensors[i]);
                } else {
                    add_noise(&scene, &scene.tensors[i], &seed);
                }
            }
            least[what] = fmin(least[what], score_of(&scene, scene.key).sigma);
        }
    }
    print_message(
        "of 20 sigma, the least of 200 models: int8 %.2f, and pruned %.2f, and noise %.2f\n",
        least[0], least[1], least[2]);
    assert_true(least[0] > 19.9);
    assert_true(least[1] > 18);
    assert_true(least[2] > 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strength),
        cmocka_unit_test(test_what_is_marked),
        cmocka_unit_test(test_refusals),

        cmocka_unit_test(test_every_part_is_needed),
        cmocka_unit_test(test_wrong_keys),
        cmocka_unit_test(test_survives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
