/* next_model_scene.h - a small round whose results are opened: what the tests of the next model
 * begin with. Five devices, two hubs, known deltas. */
#ifndef MR_TESTS_NEXT_MODEL_SCENE_H
#define MR_TESTS_NEXT_MODEL_SCENE_H

#include <math.h>
#include <stdlib.h>

#include "tests/unit/appliance/round/parties.h"

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

struct scene *make(uint8_t ring_bits, uint8_t rotation_log2);
void destroy(struct scene *scene);
/* mr_next_model of the scene's results. */
int reveal(struct scene *scene, uint32_t count, const struct mr_kernels *kernels,
           struct mr_next_model_answer *answer, struct mr_error *error);

#endif
