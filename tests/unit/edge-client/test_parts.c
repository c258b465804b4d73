/* test_parts.c - tensors that nobody trains, and those that are this device's own: nothing of them
 * is sent, and a device's own come again in its next round. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/edge-client/scene.h"
#include "wire/tensor_parts.h"

/* The fake's model: fc1.weight 32 values, fc1.bias 4, fc2.weight 12, fc2.bias 3. */
#define WEIGHT1 32
#define BIAS1   4
#define ALL     51

static void set_text(struct fake *fake, const char *member, const char *text)
{
    struct mr_error error;
    size_t length;
    uint8_t *renamed =
        mr_safetensors_rename(fake->model, fake->model_bytes, member, text, &length, &error);
    assert_non_null(renamed);
    free(fake->model);
    fake->model = renamed;
    fake->model_bytes = length;
}

static void divide(struct fake *fake, const char *frozen, const char *personal, uint32_t trained)
{
    fake_init(fake, 2, 16);
    set_text(fake, MR_FROZEN_MEMBER, frozen);
    set_text(fake, MR_PERSONAL_MEMBER, personal);
    fake->announcement.dimension = trained;
    fake->announcement.model_values = ALL;
    fake_announce(fake);
}

static const float *values_in(const char *path, uint8_t **bytes, struct mr_safetensors *parsed)
{
    struct mr_error error;
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    *bytes = aligned_alloc(64, 65536);
    const size_t length = fread(*bytes, 1, 65536, file);
    fclose(file);
    assert_int_equal(mr_safetensors_parse(parsed, *bytes, length, &error), 0);
    return (const float *)(const void *)(*bytes + parsed->data_offset);
}

struct watched {
    float first[ALL], last[ALL]; /* what the trainer was given, what it made */
    float own;                   /* by which it moves what is not sent */
    enum mre_trained form;
};

/* Moves what is trained by the same in every device, the rest by a number of its own. */
static enum mre_trained move(void *context, const struct mre_task *task, float *vector,
                             struct mre_report *report)
{
    struct watched *watched = context;
    uint8_t *bytes;
    struct mr_safetensors parsed;
    assert_int_equal(task->dimension, ALL);
    memcpy(watched->first, task->model, sizeof watched->first);
    const float *in_file = values_in(task->model_file, &bytes, &parsed);
    assert_memory_equal(in_file, task->model, sizeof watched->first);
    mr_safetensors_fini(&parsed);
    free(bytes);
    for (unsigned t = 0; t < task->tensor_count; t++) {
        const struct mre_tensor *tensor = &task->tensors[t];
        for (size_t i = tensor->offset; i < tensor->offset + tensor->count; i++) {
            const float by =
                tensor->part == MRE_PART_TRAINED ? 0.01f * (float)(i + 1) : watched->own;
            vector[i] = watched->form == MRE_TRAINED_DELTA ? by : vector[i] + by;
        }
    }
    memcpy(watched->last, vector, sizeof watched->last);
    report->examples = 10;
    report->loss = 0.5f;
    return watched->form;
}

/* What leaves a device in one round: its share and seeds together. */
static uint8_t *play(struct fake *fake, struct watched *watched)
{
    struct mre_outcome outcome;
    struct mre_client *client = fake_client(fake, MRE_TRANSPORT_UDP, NULL);
    assert_int_equal(mre_client_round(client, 1000, move, watched, &outcome), MRE_COMMITTED);
    assert_int_equal(outcome.share_bytes, fake->terms.layout.share_bytes);
    mre_client_close(client);
    return fake_open_sum(fake);
}

/* Two devices whose own heads move otherwise send the same bytes. */
static void test_what_leaves_is_the_same(void **state)
{
    (void)state;
    const enum mre_trained forms[] = {MRE_TRAINED_PARAMETERS, MRE_TRAINED_DELTA};
    for (unsigned f = 0; f < 2; f++) {
        uint8_t *sent[2];
        size_t bytes = 0;
        for (unsigned device = 0; device < 2; device++) {
            struct fake fake;
            struct watched watched = {.own = device ? 77.0f : -0.5f, .form = forms[f]};
            divide(&fake, "fc1.bias", "fc2.*", WEIGHT1);
            sent[device] = play(&fake, &watched);
            bytes = fake.terms.layout.share_bytes;
            assert_int_equal(fake.terms.layout.dimension, WEIGHT1);
            fake_fini(&fake);
        }
        assert_memory_equal(sent[0], sent[1], bytes);
        free(sent[0]);
        free(sent[1]);
    }
}

/* Frozen values are the model's in every round; a device's own are as it left them. */
static void test_own_values_come_again(void **state)
{
    (void)state;
    const enum mre_trained forms[] = {MRE_TRAINED_PARAMETERS, MRE_TRAINED_DELTA};
    for (unsigned f = 0; f < 2; f++) {
        struct fake fake;
        struct watched rounds[2] = {{.own = 3.0f, .form = forms[f]},
                                    {.own = 1.0f, .form = forms[f]}};
        divide(&fake, "fc1.bias", "fc2.*", WEIGHT1);
        for (unsigned r = 0; r < 2; r++) {
            free(play(&fake, &rounds[r]));
            fake.announcement.round++;
            set_text(&fake, "round", r ? "three" : "two"); /* another model, the same values */
            fake_announce(&fake);
            fake.state = MR_UPLOAD_RECEIVING;
        }
        for (unsigned i = 0; i < ALL; i++) {
            const float by = i < WEIGHT1 + BIAS1 ? 0 : 3.0f;
            assert_true(rounds[1].first[i] == rounds[0].first[i] + by);
        }
        fake_fini(&fake);
    }
}

static enum mre_trained diverge(void *context, const struct mre_task *task, float *vector,
                                struct mre_report *report)
{
    const float *what = context; /* the loss, then the last value, which is personal */
    (void)move(&(struct watched){.own = 9.0f}, task, vector, report);
    report->loss = what[0];
    vector[task->dimension - 1] += what[1];
    return MRE_TRAINED_PARAMETERS;
}

/* A training that diverged leaves this device's own values as they were. */
static void test_diverged(void **state)
{
    (void)state;
    const float what[2][2] = {{NAN, 0}, {1, NAN}};
    for (unsigned i = 0; i < 2; i++) {
        struct fake fake;
        struct mre_outcome outcome;
        struct watched before = {.own = 3.0f}, after = {.own = 0};
        divide(&fake, NULL, "fc2.*", WEIGHT1 + BIAS1);
        free(play(&fake, &before));
        for (unsigned r = 0; r < 2; r++) {
            fake.announcement.round++;
            set_text(&fake, "round", r ? "three" : "two");
            fake_announce(&fake);
            fake.state = MR_UPLOAD_RECEIVING;
            if (r == 0) {
                struct mre_client *client = fake_client(&fake, MRE_TRANSPORT_UDP, NULL);
                assert_int_equal(mre_client_round(client, 1000, diverge, (void *)what[i], &outcome),
                                 MRE_BAD_DELTA);
                mre_client_close(client);
            }
        }
        free(play(&fake, &after));
        assert_memory_equal(after.first + WEIGHT1 + BIAS1, before.last + WEIGHT1 + BIAS1,
                            (ALL - WEIGHT1 - BIAS1) * sizeof(float));
        fake_fini(&fake);
    }
}

/* A kept file that is damaged is said, not trained over. */
static void test_a_damaged_file(void **state)
{
    (void)state;
    struct fake fake;
    struct mre_outcome outcome;
    struct watched watched = {.own = 3.0f};
    char path[4096];
    divide(&fake, NULL, "fc2.*", WEIGHT1 + BIAS1);
    free(play(&fake, &watched));
    fake.announcement.round++;
    set_text(&fake, "round", "two");
    fake_announce(&fake);
    snprintf(path, sizeof path, "%s/personal.safetensors", fake.dir);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fputs("damaged!", file) < 0, 0);
    fclose(file);
    struct mre_client *client = fake_client(&fake, MRE_TRANSPORT_UDP, NULL);
    assert_int_equal(mre_client_round(client, 1000, move, &watched, &outcome), MRE_BAD_CONFIG);
    assert_non_null(strstr(outcome.text, "personal.safetensors: not a safetensors file"));
    mre_client_close(client);
    fake_fini(&fake);
}

/* The lead's model has another number of trained values than was announced. */
static void test_other_parts_than_announced(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct fake fake;
        struct mre_outcome outcome;
        struct watched watched = {.own = 3.0f};
        divide(&fake, "fc1.bias", NULL, ALL - BIAS1);
        fake.announcement.dimension = i ? ALL - BIAS1 : ALL - BIAS1 - 1;
        fake.announcement.model_values = i ? ALL + 1 : ALL;
        fake_announce(&fake);
        struct mre_client *client = fake_client(&fake, MRE_TRANSPORT_UDP, NULL);
        assert_int_equal(mre_client_round(client, 1000, move, &watched, &outcome), MRE_BAD_MODEL);
        assert_int_equal(fake.seeds_posted, 0);
        mre_client_close(client);
        fake_fini(&fake);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_leaves_is_the_same),
        cmocka_unit_test(test_own_values_come_again),
        cmocka_unit_test(test_diverged),
        cmocka_unit_test(test_a_damaged_file),
        cmocka_unit_test(test_other_parts_than_announced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
