#include "tests/unit/edge-client/scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum mre_trained scene_train(void *context, const struct mre_task *task, float *vector,
                             struct mre_report *report)
{
    unsigned *calls = context;
    assert_memory_equal(vector, task->model, task->dimension * sizeof *vector);
    assert_string_equal(task->training, "{\"epochs\": 2, \"batch\": 3}");
    assert_int_equal(task->tensor_count, 4);
    if (calls) {
        ++*calls;
    }
    for (size_t i = 0; i < task->dimension; i++) {
        vector[i] += 0.01f;
    }
    report->examples = 10;
    report->loss = 0.5f;
    return MRE_TRAINED_PARAMETERS;
}

void scene_check_sum(struct fake *fake, const struct mre_client *client)
{
    char path[256];
    uint8_t header[80];
    size_t lanes = fake->terms.layout.lanes, bytes = fake->terms.layout.share_bytes;
    int8_t *q = malloc(lanes);
    uint32_t trailer[MR_TRAILER_LANES];
    snprintf(path, sizeof path, "%s/%s-%s-r1-a%u.bin", fake->dir, mre_client_id(client),
             fake->announcement.task, fake->committed_attempt);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fread(header, 1, 80, file), 80);
    assert_memory_equal(header, "MRDUMP01", 8);
    assert_int_equal(fread(q, 1, lanes, file), lanes);
    assert_int_equal(fread(trailer, 4, MR_TRAILER_LANES, file), MR_TRAILER_LANES);
    fclose(file);
    uint8_t *expected = aligned_alloc(64, (bytes + 63) / 64 * 64);
    mr_share_lift(expected, &fake->terms.layout, q, trailer, mr_kernels_select(UINT32_MAX));
    uint8_t *opened = fake_open_sum(fake);
    assert_memory_equal(opened, expected, bytes);
    assert_int_equal(trailer[MR_TRAILER_COUNT], 1);
    assert_int_equal(trailer[MR_TRAILER_EXAMPLES], 10);
    free(expected);
    free(opened);
    free(q);
}

enum mre_result scene_play(struct scene *scene, enum mre_transport transport, mre_train_fn train)
{
    struct mre_client *client = fake_client(&scene->fake, transport, NULL);
    enum mre_result result =
        mre_client_round(client, 1000, train, &scene->trained, &scene->outcome);
    assert_int_equal(result, scene->outcome.result);
    assert_true(scene->outcome.text[0]);
    mre_client_close(client);
    return result;
}
