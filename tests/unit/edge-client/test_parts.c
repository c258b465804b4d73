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

static void divide(struct fake *fake, const char *frozen, const char *personal, uint32_t trained)
{
    fake_init(fake, 2, 16);
    fake_divide(fake, frozen, personal, trained);
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
    float trained;               /* 0: 1; by so much the rest, times 0.01 and its place */
    enum mre_trained form;
};

/* Moves what is trained by the same in every device, the rest by a number of its own. */
static enum mre_trained move(void *context, const struct mre_task *task, float *vector,
                             struct mre_report *report)
{
    struct watched *watched = context;
    uint8_t *bytes;
    struct mr_safetensors parsed;
    const float most = 0.01f * (watched->trained != 0 ? watched->trained : 1);
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
                tensor->part == MRE_PART_TRAINED ? most * (float)(i + 1) : watched->own;
            vector[i] = watched->form == MRE_TRAINED_DELTA ? by : vector[i] + by;
        }
    }
    memcpy(watched->last, vector, sizeof watched->last);
    report->examples = 10;
    report->loss = 0.5f;
    return watched->form;
}

static enum mre_result take_part(struct fake *fake, mre_train_fn train, void *context,
                                 struct mre_outcome *outcome)
{
    struct mre_client *client = fake_client(fake, MRE_TRANSPORT_UDP, NULL);
    const enum mre_result result = mre_client_round(client, 1000, train, context, outcome);
    mre_client_close(client);
    return result;
}

/* One round of it: what its share and seeds come to. */
static uint8_t *play(struct fake *fake, struct watched *watched)
{
    struct mre_outcome outcome;
    assert_int_equal(take_part(fake, move, watched, &outcome), MRE_COMMITTED);
    assert_int_equal(outcome.share_bytes, fake->terms.layout.share_bytes);
    return fake_open_sum(fake);
}

static void next_round(struct fake *fake, const char *name)
{
    fake->announcement.round++;
    fake_set_text(fake, "round", name); /* another model, the same values */
    fake_announce(fake);
    fake->state = MR_UPLOAD_RECEIVING;
}

/* All that leaves a device in two rounds and by asking how they ended, its head moved by `own`.
 * What is drawn by chance is the same each time: so is what leaves, unless something else differs.
 */
static uint8_t *sent_in_two_rounds(size_t *bytes, float own, float trained,
                                   enum mre_transport transport, enum mre_trained form)
{
    struct fake fake;
    struct mre_outcome outcome;
    divide(&fake, "fc1.bias", "fc2.*", WEIGHT1);
    fake.end = (struct mr_round_end){.state = MR_ROUND_PUBLISHED};
    memset(fake.end.model, 'a', sizeof fake.end.model - 1);
    for (unsigned r = 0; r < 2; r++) {
        struct watched watched = {.own = own, .trained = trained, .form = form};
        struct mre_client *client = fake_client(&fake, transport, NULL);
        assert_int_equal(mre_client_round(client, 1000, move, &watched, &outcome), MRE_COMMITTED);
        assert_int_equal(mre_client_end(client, 1000, &outcome), MRE_PUBLISHED);
        mre_client_close(client);
        next_round(&fake, "two");
    }
    uint8_t *sent = fake.sent;
    *bytes = fake.sent_bytes;
    fake.sent = NULL;
    assert_int_equal(fake.terms.layout.dimension, WEIGHT1);
    assert_true(*bytes > 2 * fake.terms.layout.share_bytes);
    fake_fini(&fake);
    return sent;
}

/* Two devices whose own heads move otherwise send the same bytes: the share, over UDP or HTTP/2,
 * and every question to every hub. That the bytes are all there is shown by what is trained by all
 * together: a little of that, and they differ. */
static void test_what_leaves_is_the_same(void **state)
{
    (void)state;
    const enum mre_trained forms[] = {MRE_TRAINED_PARAMETERS, MRE_TRAINED_DELTA};
    const enum mre_transport transports[] = {MRE_TRANSPORT_UDP, MRE_TRANSPORT_HTTP2};
    for (unsigned i = 0; i < 4; i++) {
        const enum mre_trained form = forms[i % 2];
        const enum mre_transport transport = transports[i / 2];
        size_t bytes[3];
        uint8_t *sent[] = {sent_in_two_rounds(&bytes[0], -0.5f, 1, transport, form),
                           sent_in_two_rounds(&bytes[1], 77.0f, 1, transport, form),
                           sent_in_two_rounds(&bytes[2], -0.5f, -1, transport, form)};
        assert_int_equal(bytes[0], bytes[1]);
        assert_memory_equal(sent[0], sent[1], bytes[0]);
        assert_int_equal(bytes[0], bytes[2]);
        assert_memory_not_equal(sent[0], sent[2], bytes[0]);
        for (unsigned j = 0; j < 3; j++) {
            free(sent[j]);
        }
    }
}

#define LARGE 100000 /* values, of which one in ten is trained */

static enum mre_trained nudge(void *context, const struct mre_task *task, float *vector,
                              struct mre_report *report)
{
    (void)context;
    assert_int_equal(task->dimension, LARGE);
    for (size_t i = 0; i < task->dimension; i++) {
        vector[i] += 0.01f;
    }
    report->examples = 10;
    report->loss = 0.5f;
    return MRE_TRAINED_PARAMETERS;
}

/* Nine tenths of a model frozen: 0.11 of the bytes, questions and all. */
static void test_frozen_costs_nothing(void **state)
{
    (void)state;
    const struct mr_tensor tensors[] = {
        {.name = "encoder", .rank = 1, .dims = {LARGE - LARGE / 10}},
        {.name = "body", .rank = 1, .dims = {LARGE / 10}}};
    size_t sent[2];
    for (unsigned frozen = 0; frozen < 2; frozen++) {
        struct fake fake;
        struct mre_outcome outcome;
        const uint32_t trained = frozen ? LARGE / 10 : LARGE;
        fake_init(&fake, 2, 16);
        fake_model(&fake, tensors, 2);
        fake.announcement.chunk_bytes = 1408;
        fake.announcement.scale = 30 * sqrtf((float)trained);
        fake_divide(&fake, frozen ? "encoder" : NULL, NULL, trained);
        assert_int_equal(take_part(&fake, nudge, NULL, &outcome), MRE_COMMITTED);
        sent[frozen] = fake.sent_bytes;
        fake_fini(&fake);
    }
    printf("%zu bytes of all that leaves, %zu with nine tenths frozen\n", sent[0], sent[1]);
    assert_true(sent[0] > 2 * LARGE);
    assert_true(100 * sent[1] <= 11 * sent[0]);
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
            next_round(&fake, r ? "three" : "two");
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
        next_round(&fake, "two");
        assert_int_equal(take_part(&fake, diverge, (void *)what[i], &outcome), MRE_BAD_DELTA);
        next_round(&fake, "three");
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
    next_round(&fake, "two");
    snprintf(path, sizeof path, "%s/personal.safetensors", fake.dir);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fputs("damaged!", file) < 0, 0);
    fclose(file);
    assert_int_equal(take_part(&fake, move, &watched, &outcome), MRE_BAD_CONFIG);
    assert_non_null(strstr(outcome.text, "personal.safetensors: not a safetensors file"));
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
        assert_int_equal(take_part(&fake, move, &watched, &outcome), MRE_BAD_MODEL);
        assert_int_equal(fake.seeds_posted, 0);
        fake_fini(&fake);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_leaves_is_the_same),
        cmocka_unit_test(test_frozen_costs_nothing),
        cmocka_unit_test(test_own_values_come_again),
        cmocka_unit_test(test_diverged),
        cmocka_unit_test(test_a_damaged_file),
        cmocka_unit_test(test_other_parts_than_announced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
