/* test_evaluation.c - what a device tells of the round's metrics, and that it evaluates where the
 * hubs have signed an evaluation, and nowhere else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/edge-client/scene.h"
#include "wire/metric.h"

static double told, told_before;
static enum mre_trained answer;
static unsigned missing; /* metrics that the function does not report */

static enum mre_trained measure(void *context, const struct mre_task *task, float *vector,
                                struct mre_report *report)
{
    (void)context;
    assert_int_equal(task->metric_count, 2);
    assert_true(task->metrics[1].low >= -2 && task->metrics[1].high <= 2);
    for (size_t i = 0; i < task->dimension; i++) {
        vector[i] += 0.01f;
    }
    report->examples = 10;
    report->loss = 0.5f;
    assert_int_equal(mre_metric_report(task, report->metrics, "recall", 1), -1);
    assert_int_equal(mre_metric_report(task, report->metrics, "accuracy", told), 0);
    assert_int_equal(mre_metric_report(task, report->metrics_before, "accuracy", told_before), 0);
    if (missing == 0) {
        assert_int_equal(mre_metric_report(task, report->metrics, "gain", -2), 0);
        assert_int_equal(mre_metric_report(task, report->metrics_before, "gain", 2), 0);
    }
    return answer;
}

/* A round with the metrics accuracy 0..1 and gain -2..2. */
static void announce(struct fake *fake, enum mr_round_kind kind)
{
    struct mr_announcement *round = &fake->announcement;
    round->kind = (uint8_t)kind;
    round->metric_count = 2;
    round->metrics[0] = (struct mr_announced_metric){.name = "accuracy", .low = 0, .high = 1};
    round->metrics[1] = (struct mr_announced_metric){.name = "gain", .low = -2, .high = 2};
    fake_announce(fake);
    told = 0.5;
    told_before = 0.25;
    missing = 0;
    answer = kind == MR_ROUND_EVALUATION ? MRE_TRAINED_EVALUATED : MRE_TRAINED_PARAMETERS;
}

/* What the hubs open of this one device. */
static void check_lanes(struct fake *fake, double accuracy)
{
    const struct mr_announcement *round = &fake->announcement;
    const struct mr_layout *layout = &fake->terms.layout;
    const double most = 10.0 * mr_metric_unit(round); /* its weight is 10 */
    uint8_t *opened = fake_open_sum(fake);
    const uint32_t *trailer = (const uint32_t *)(const void *)(opened + layout->main_bytes);
    const bool evaluation = round->kind == MR_ROUND_EVALUATION;
    assert_int_equal(trailer[MR_TRAILER_COUNT], 1);
    assert_int_equal(trailer[MR_TRAILER_WEIGHT], 10);
    assert_int_equal(trailer[MR_TRAILER_LOSS_MILLI], evaluation ? 0 : 500);
    assert_true(fabs(trailer[MR_TRAILER_METRICS] / most - accuracy) < 1e-4);
    assert_int_equal(trailer[MR_TRAILER_METRICS + 1], 0); /* the low end */
    const bool before = round->kind == MR_ROUND_EVALUATED_TRAINING;
    assert_true(fabs(trailer[MR_TRAILER_METRICS + 2] / most - (before ? 0.25 : 0)) < 1e-4);
    assert_int_equal(trailer[MR_TRAILER_METRICS + 3], before ? most : 0);
    if (evaluation) {
        for (unsigned i = MR_TRAILER_EXAMPLES; i < MR_TRAILER_METRICS; i++) {
            assert_int_equal(trailer[i], 0);
        }
        for (size_t i = 0; i < layout->main_bytes; i++) {
            assert_int_equal(opened[i], 0);
        }
    }
    free(opened);
}

static void test_each_kind(void **state)
{
    for (enum mr_round_kind kind = MR_ROUND_TRAINING; kind <= MR_ROUND_EVALUATION; kind++) {
        SCENE(s);
        announce(&s.fake, kind);
        assert_int_equal(scene_play(&s, MRE_TRANSPORT_HTTP2, measure), MRE_COMMITTED);
        assert_int_equal(s.outcome.kind, kind);
        check_lanes(&s.fake, 0.5);
        fake_fini(&s.fake);
    }
}

/* Beyond its range a metric counts as the end, and the device says so. */
static void test_out_of_range(void **state)
{
    SCENE(s);
    announce(&s.fake, MR_ROUND_EVALUATION);
    told = 17;
    assert_int_equal(scene_play(&s, MRE_TRANSPORT_HTTP2, measure), MRE_COMMITTED);
    assert_non_null(strstr(s.outcome.warning, "accuracy is 17"));
    check_lanes(&s.fake, 1);
    fake_fini(&s.fake);
}

static void refused(enum mr_round_kind kind, enum mre_trained said, enum mre_result result,
                    const char *word, void **state)
{
    SCENE(s);
    announce(&s.fake, kind);
    answer = said;
    told = word[0] == 't' ? (double)NAN : 0.5;
    missing = strstr(word, "gain") ? 1 : 0;
    assert_int_equal(scene_play(&s, MRE_TRANSPORT_HTTP2, measure), result);
    assert_non_null(strstr(s.outcome.text, word));
    assert_null(s.fake.committed);
    fake_fini(&s.fake);
}

static void test_nothing_is_sent(void **state)
{
    refused(MR_ROUND_TRAINING, MRE_TRAINED_PARAMETERS, MRE_TRAINER_FAILED, "the metric accuracy",
            state);
    refused(MR_ROUND_TRAINING, MRE_TRAINED_PARAMETERS, MRE_TRAINER_FAILED, "gain", state);
    refused(MR_ROUND_EVALUATION, MRE_TRAINED_PARAMETERS, MRE_TRAINER_FAILED, "is an evaluation",
            state);
    refused(MR_ROUND_TRAINING, MRE_TRAINED_EVALUATED, MRE_TRAINER_FAILED, "round trains", state);
    refused(MR_ROUND_EVALUATION, MRE_TRAINED_SKIPS, MRE_NOT_ACCEPTED, "leaves the round out",
            state);
}

/* A lead that passes one kind off as the other has no hub's signature for it. */
static void test_a_kind_that_nobody_signed(void **state)
{
    uint8_t canonical[MR_ANNOUNCEMENT_MAX], sealed[MR_ANNOUNCEMENT_SIGNED_MAX];
    for (enum mr_round_kind kind = MR_ROUND_TRAINING; kind <= MR_ROUND_EVALUATION; kind++) {
        SCENE(s);
        struct mr_round_terms terms;
        struct mr_error error;
        announce(&s.fake, kind);
        assert_int_equal(
            mr_announcement_open(&terms, s.fake.envelope, s.fake.envelope_bytes, &error), 0);
        const size_t length = mr_announcement_encode(canonical, &s.fake.announcement);
        memcpy(sealed, s.fake.envelope, s.fake.envelope_bytes);
        sealed[2 + 153] = (uint8_t)((kind + 1) % 3);
        assert_true(length > 153);
        assert_int_equal(mr_announcement_open(&terms, sealed, s.fake.envelope_bytes, &error), -1);
        fake_fini(&s.fake);
    }
}

/* The next round of that kind on the same model: it is counted there already. */
static enum mre_result again(struct scene *s, enum mr_round_kind kind)
{
    s->fake.announcement.round++;
    announce(&s->fake, kind);
    return scene_play(s, MRE_TRANSPORT_HTTP2, measure);
}

static void test_once_on_each_line(void **state)
{
    SCENE(s);
    announce(&s.fake, MR_ROUND_EVALUATION);
    assert_int_equal(scene_play(&s, MRE_TRANSPORT_HTTP2, measure), MRE_COMMITTED);
    assert_int_equal(again(&s, MR_ROUND_EVALUATION), MRE_AWAITS_MODEL);
    assert_int_equal(again(&s, MR_ROUND_EVALUATED_TRAINING), MRE_AWAITS_MODEL);
    assert_int_equal(again(&s, MR_ROUND_TRAINING), MRE_COMMITTED);
    assert_int_equal(again(&s, MR_ROUND_TRAINING), MRE_AWAITS_MODEL);
    fake_fini(&s.fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_kind),         cmocka_unit_test(test_out_of_range),
        cmocka_unit_test(test_nothing_is_sent),   cmocka_unit_test(test_a_kind_that_nobody_signed),
        cmocka_unit_test(test_once_on_each_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
