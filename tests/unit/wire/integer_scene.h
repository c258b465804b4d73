/* integer_scene.h - integers to write and what reads them, for the tests of their code. */
#ifndef MR_TESTS_INTEGER_SCENE_H
#define MR_TESTS_INTEGER_SCENE_H

#include <math.h>

#include "wire/integer_code.h"

static uint64_t random_state = 1;

static inline uint32_t next_random(void)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 32);
}

/* About normal, of that deviation. */
static inline int32_t bell(double deviation)
{
    double sum = 0;
    for (unsigned i = 0; i < 12; i++) {
        sum += next_random() / 4294967296.0;
    }
    return (int32_t)lround((sum - 6) * deviation);
}

static struct mr_integer_scratch scratch;
static struct mr_integer_room room;

/* A reader of so many integers. */
static inline struct mr_integer_reader reader_of(const uint8_t *bytes, size_t length, size_t count)
{
    return (struct mr_integer_reader){.bytes = bytes,
                                      .length = length,
                                      .left = count,
                                      .room = &room,
                                      .kernels = mr_kernels_select(UINT32_MAX)};
}

#endif
