/* watermark_scene.h - a small model with values to mark, for the tests of marks. */
#ifndef MR_TEST_WATERMARK_SCENE_H
#define MR_TEST_WATERMARK_SCENE_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "appliance/model/watermark.h"

#define ROWS    64u
#define COLUMNS 64u
#define CLASSES 10u
#define VALUES  (ROWS * COLUMNS + COLUMNS * CLASSES) /* that can be marked */
#define FLOATS  (VALUES + COLUMNS)

/* The demo's model: 64 inputs, 64 hidden, 10 classes; its values are Gaussian, of two sizes. */
struct scene {
    struct mr_tensor tensors[3];
    struct mr_safetensors model;
    float data[FLOATS];
    uint8_t key[MR_WATERMARK_KEY_BYTES];
};

static inline double uniform(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return ((double)(*seed >> 11) + 0.5) * 0x1p-53;
}

static inline double gaussian(uint64_t *seed)
{
    const double radius = sqrt(-2 * log(uniform(seed)));
    return radius * cos(2 * M_PI * uniform(seed));
}

static inline void key_of(uint8_t key[MR_WATERMARK_KEY_BYTES], uint64_t number)
{
    memset(key, 0xa5, MR_WATERMARK_KEY_BYTES);
    memcpy(key, &number, sizeof number);
}

static inline void scene_init(struct scene *scene, uint64_t seed)
{
    *scene = (struct scene){
        .tensors = {{.name = "w1", .rank = 2, .count = (size_t)ROWS * COLUMNS},
                    {.name = "b1", .rank = 1, .offset = ROWS * COLUMNS, .count = COLUMNS},
                    {.name = "w2",
                     .rank = 2,
                     .offset = ROWS * COLUMNS + COLUMNS,
                     .count = (size_t)COLUMNS * CLASSES}},
        .model = {.count = FLOATS, .tensor_count = 3}};
    scene->model.tensors = scene->tensors;
    for (size_t i = 0; i < FLOATS; i++) {
        scene->data[i] = (float)(gaussian(&seed) * (i < scene->tensors[2].offset ? 0.2 : 0.5));
    }
    key_of(scene->key, UINT64_MAX);
}

static inline struct mr_watermark_score score_of(const struct scene *scene,
                                                 const uint8_t key[MR_WATERMARK_KEY_BYTES])
{
    struct mr_watermark_score score;
    struct mr_error error = {""};
    assert_int_equal(
        mr_watermark_score(&score, &scene->model, (const uint8_t *)scene->data, key, &error), 0);
    return score;
}

#endif
