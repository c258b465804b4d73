/* test_watermark_kept.c - a mark that rounds keep up: as much as is missing, and only in what they
 * train. */
#include "tests/unit/appliance/model/watermark_scene.h"

static struct mr_watermark_kept keep(struct scene *scene, double strength)
{
    struct mr_watermark_kept kept;
    struct mr_error error = {""};
    assert_int_equal(mr_watermark_keep(&kept, &scene->model, (uint8_t *)scene->data, scene->key,
                                       strength, &error),
                     0);
    return kept;
}

static void add(struct scene *scene, double strength)
{
    double moved;
    struct mr_error error = {""};
    assert_int_equal(mr_watermark_add(&moved, &scene->model, (uint8_t *)scene->data, scene->key,
                                      strength, &error),
                     0);
}

static void test_kept(void **state)
{
    struct scene scene, added;
    uint64_t seed = 9;
    (void)state;
    scene_init(&added, 1);
    add(&added, 20);
    scene_init(&scene, 1);
    assert_true(keep(&scene, 20).moved > 0.2); /* of a model without a mark: the same bytes */
    assert_memory_equal(scene.data, added.data, sizeof added.data);
    assert_false(keep(&scene, 20).moved > 0);
    assert_false(keep(&scene, 24.9).moved > 0); /* it has not faded so far */
    assert_memory_equal(scene.data, added.data, sizeof added.data);
    for (unsigned turn = 0; turn < 10; turn++) {
        scene_init(&scene, turn + 2);
        add(&scene, 20);
        for (size_t i = 0; i < FLOATS; i++) { /* larger than the values themselves */
            scene.data[i] += (float)(gaussian(&seed) * (i < ROWS * COLUMNS ? 0.26 : 0.65));
        }
        added = scene;
        added.model.tensors = added.tensors;
        const struct mr_watermark_kept kept = keep(&scene, 20);
        assert_true(kept.sigma > 8 && kept.sigma < 16 && kept.moved > 0 && kept.moved < 0.2);
        assert_true(fabs(score_of(&scene, scene.key).sigma - 20) < 1e-3);
        add(&added, 20);
        assert_memory_equal(scene.data, added.data, sizeof added.data);
    }
}

/* What rounds leave alone counts, and stays; where the rest cannot hold the mark, all of it stays.
 */
static void test_kept_around_what_stays(void **state)
{
    struct scene before, scene;
    (void)state;
    scene_init(&before, 1);
    before.tensors[2].part = MR_PART_FROZEN;
    scene = before;
    scene.model.tensors = scene.tensors;
    assert_true(keep(&scene, 20).moved > 0);
    assert_memory_equal(scene.data + ROWS * COLUMNS, before.data + ROWS * COLUMNS,
                        (FLOATS - ROWS * COLUMNS) * sizeof(float));
    assert_true(fabs(score_of(&scene, scene.key).sigma - 20) < 1e-3);
    before.tensors[0].part = MR_PART_FROZEN;
    before.tensors[2].part = MR_PART_TRAINED;
    scene = before;
    scene.model.tensors = scene.tensors;
    assert_false(keep(&scene, 20).moved > 0);
    assert_memory_equal(scene.data, before.data, sizeof before.data);
    memset(scene.data, 0, sizeof scene.data); /* nothing that could be marked is no failure */
    assert_false(keep(&scene, 20).moved > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kept),
        cmocka_unit_test(test_kept_around_what_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
