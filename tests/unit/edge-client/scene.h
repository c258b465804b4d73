/* scene.h - one round of a device against a fake federation, for the tests of sessions. */
#ifndef MR_TEST_EDGE_SCENE_H
#define MR_TEST_EDGE_SCENE_H

#include "tests/unit/edge-client/fake.h"

struct scene {
    struct fake fake;
    struct mre_outcome outcome;
    unsigned trained;
};

/* A scene with three hubs and a ring of 16 bits, for a test of cmocka. */
#define SCENE(s)                                                                                   \
    struct scene s = {.trained = 0};                                                               \
    (void)state;                                                                                   \
    fake_init(&s.fake, 3, 16)

/* The scene's device asks for a round, trains with `train` (its context is &scene->trained) and
 * goes; whatever the result, it has a text. */
enum mre_result scene_play(struct scene *scene, enum mre_transport transport, mre_train_fn train);

/* A trainer that adds 0.01 everywhere; `context` counts its calls, or is NULL. */
enum mre_trained scene_train(void *context, const struct mre_task *task, float *vector,
                             struct mre_report *report);

/* The opened vector is the one that was dumped before masking, and holds what was trained. */
void scene_check_sum(struct fake *fake, const struct mre_client *client);

#endif
