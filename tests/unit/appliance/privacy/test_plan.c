/* test_plan.c - the planner: what it promises of every plan that it makes, and which bound it names
 * where there is none. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "appliance/privacy/plan.h"
#include "appliance/privacy/task_plan.h"
#include "wire/gauss.h"

static const struct mr_plan_question plain = {
    .noise = MR_NOISE_HUB,
    .epsilon = 8,
    .delta = 1e-6,
    .rounds = 100,
    .participation = 0.1,
    .devices = 200,
    .cohort_min = 150,
    .cohort_max = 300,
    .hubs = 2,
    .dimension = 1000000,
    .rotation_log2 = 10,
    .chunk_bytes = 1408,
    .headroom = 4,
    .weight_max = 1,
    .clip_norm = 1,
};

static mr_rho release_cost(const struct mr_plan_question *q, const struct mr_plan_release *release,
                           uint32_t lanes)
{
    return q->noise == MR_NOISE_HUB
               ? mr_rho_of_release(release->sensitivity2, release->sigma2)
               : mr_noise_distributed_rho(release->sensitivity2, release->sigma2,
                                          q->cohort_min - q->colluders, lanes);
}

/* What must hold of every plan, by other arithmetic than the planner's where there is any. */
static void plan_holds(const struct mr_plan *plan, const struct mr_plan_question *q)
{
    static const uint32_t trailer_lanes[MR_NOISE_GROUPS] = {0, 8, 1, 2};
    const struct mr_plan_release *model = &plan->releases[MR_NOISE_MODEL];
    mr_rho sum = 0;
    for (unsigned i = 0; i < MR_NOISE_GROUPS; i++) {
        const struct mr_plan_release *release = &plan->releases[i];
        const uint32_t lanes = i == MR_NOISE_MODEL ? plan->layout.lanes : trailer_lanes[i];
        assert_true(release->sigma2 == 0 || release->sigma2 <= MR_GAUSS_SIGMA2_MAX);
        assert_int_equal(release->rho, release->sigma2 == 0 ? 0 : release_cost(q, release, lanes));
        assert_true(release->sigma2 == 0 || release->sigma2 >= MR_NOISE_SIGMA2_MIN);
        sum += release->rho;
    }
    assert_int_equal(sum, plan->round);
    assert_true(model->sigma2 > 0);
    assert_int_equal(plan->device_rounds, (uint32_t)ceil(q->rounds * q->participation - 1e-6));
    assert_true((double)plan->round * plan->device_rounds <= (double)plan->budget);
    assert_true(plan->epsilon <= q->epsilon);
    assert_true(plan->epsilon > 0.98 * q->epsilon); /* and hardly anything is left unused */
    /* The ring holds, in real arithmetic. */
    const double sigma = sqrt((double)model->sigma2 * plan->adders);
    assert_true(q->headroom * ((double)q->cohort_max * plan->levels + 10 * sigma) <
                ldexp(1, plan->layout.ring_bits - 1));
    /* A vector of norm C reaches the levels at four deviations of a lane. */
    const double lane = (double)plan->scale * (double)q->clip_norm / sqrt(plan->layout.lanes);
    assert_true(fabs(4 * lane / plan->levels - 1) < 1e-6);
    const double clip = (double)plan->scale * (double)q->clip_norm;
    assert_true((double)model->sensitivity2 >= clip * clip);
    assert_true((double)model->sensitivity2 <=
                clip * clip * (1 + 5.0 / (plan->levels * plan->levels)) + 2 * clip +
                    plan->layout.lanes);
    /* z: the standard deviation over the clip is that of a Gaussian of the model's rho. */
    const double z = sqrt(1 / (2 * mr_rho_value(model->rho)));
    assert_true(q->noise == MR_NOISE_DEVICE || fabs(plan->z / z - 1) < 1e-6);
    const uint32_t adders = q->noise == MR_NOISE_HUB ? q->hubs : q->devices;
    const double error =
        sqrt((double)model->sigma2 * adders + q->devices / 4.0) / (double)plan->scale / q->devices;
    assert_true(fabs(plan->error_lane / error - 1) < 1e-9);
    assert_true(fabs(plan->error_update / error / sqrt(q->dimension) - 1) < 1e-9);
    assert_true(plan->tail < 1e-10 && plan->wrap < 1e-10);
}

static void holds(const struct mr_plan_question *q, struct mr_plan *plan)
{
    struct mr_error error = {""};
    if (mr_plan_make(plan, q, &error) != 0) {
        fail_msg("refused: %s", error.text);
    }
    plan_holds(plan, q);
}

static void test_plain(void **state)
{
    (void)state;
    struct mr_plan plan;
    holds(&plain, &plan);
    assert_int_equal(plan.layout.ring_bits, 24); /* 16 does not hold it, 32 is not needed */
    assert_int_equal(plan.levels, 127);
    assert_int_equal(plan.adders, 2);
    assert_int_equal(plan.device_rounds, 10);
    assert_int_equal(plan.releases[MR_NOISE_WEIGHT].sigma2, 0);
    assert_true(plan.releases[MR_NOISE_NORMS].sigma2 > 0);
    assert_true(plan.error_weight == 0);
    struct mr_plan_question seven = plain; /* 1,000 * 0.07 is 70.00000000000001 in a double */
    struct mr_plan seventy;
    seven.rounds = 1000;
    seven.participation = 0.07;
    holds(&seven, &seventy);
    assert_int_equal(seventy.device_rounds, 70);
    /* Every round a device's: ten times the rho, less of it each. */
    struct mr_plan_question q = plain;
    struct mr_plan every;
    q.participation = 1;
    holds(&q, &every);
    assert_true(every.round < plan.round / 9);
    assert_true(every.z > 3 * plan.z);
}

static void test_many(void **state)
{
    (void)state;
    static const double epsilons[] = {0.5, 2, 8, 30};
    static const uint32_t dimensions[] = {650, 100000, 1310720};
    struct mr_plan plan;
    unsigned made = 0;
    for (unsigned i = 0; i < 4 * 3 * 2 * 4; i++) {
        struct mr_plan_question q = plain;
        q.epsilon = epsilons[i % 4];
        q.dimension = dimensions[i / 4 % 3];
        q.noise = i / 12 % 2 ? MR_NOISE_DEVICE : MR_NOISE_HUB;
        q.ring_bits = (uint8_t[]){0, 16, 24, 32}[i / 24];
        q.colluders = q.noise == MR_NOISE_DEVICE ? 50 : 0;
        struct mr_error error = {""};
        if (mr_plan_make(&plan, &q, &error) == 0) {
            plan_holds(&plan, &q);
            assert_true(q.ring_bits == 0 || q.ring_bits == plan.layout.ring_bits);
            made++;
        } else {
            assert_non_null(strstr(error.text, "ring: "));
        }
    }
    assert_true(made > 60);
}

/* One level more would not fit. */
static void test_levels_are_the_most(void **state)
{
    (void)state;
    struct mr_plan_question q = plain;
    struct mr_plan plan;
    q.epsilon = 2;
    q.dimension = 650;
    q.devices = q.cohort_min = q.cohort_max = 40;
    q.ring_bits = 16;
    holds(&q, &plan);
    assert_true(plan.levels > 4 && plan.levels < 127);
    const double larger = (plan.levels + 1.0) / plan.levels;
    const double sigma = sqrt((double)plan.releases[MR_NOISE_MODEL].sigma2 * 2) * larger;
    assert_true(q.headroom * (40.0 * (plan.levels + 1) + 10 * sigma) > 32768 * 0.98);
}

/* Without sampling's credit or anything else: half the noise is four times the rho. */
static void test_noise_is_of_the_rho(void **state)
{
    (void)state;
    struct mr_plan_question q = plain;
    struct mr_plan one, four;
    q.participation = 1;
    q.rounds = 1;
    holds(&q, &one);
    q.rounds = 4;
    holds(&q, &four);
    assert_true(fabs(four.z / one.z - 2) < 0.02);
    q.hubs = 5; /* every hub adds the whole of it */
    struct mr_plan five;
    holds(&q, &five);
    assert_int_equal(five.releases[MR_NOISE_MODEL].sigma2, four.releases[MR_NOISE_MODEL].sigma2);
    assert_true(fabs(five.error_lane / four.error_lane - sqrt(5.0 / 2)) < 1e-4);
}

/* What is left out or told by colluders is made up for by the others. */
static void test_colluders(void **state)
{
    (void)state;
    struct mr_plan_question q = plain;
    struct mr_plan none, some;
    q.noise = MR_NOISE_DEVICE;
    q.ring_bits = 32;
    holds(&q, &none);
    q.colluders = 75; /* half of cohort_min */
    holds(&q, &some);
    const double ratio =
        (double)some.releases[MR_NOISE_MODEL].sigma2 / (double)none.releases[MR_NOISE_MODEL].sigma2;
    assert_true(fabs(ratio - 2) < 0.01);
    assert_int_equal(some.adders, q.cohort_max);
}

static void test_weights(void **state)
{
    (void)state;
    struct mr_plan_question q = plain;
    struct mr_plan plan;
    q.weight_max = 1000;
    q.devices = q.cohort_min = q.cohort_max = 5000;
    q.ring_bits = 32;
    holds(&q, &plan);
    assert_int_equal(plan.releases[MR_NOISE_WEIGHT].sensitivity2, 1000000);
    assert_true(plan.releases[MR_NOISE_WEIGHT].sigma2 > 0);
    assert_true(plan.error_weight > 0 && plan.error_weight < 0.25);
}

static void test_norms_are_left_out(void **state)
{
    (void)state;
    struct mr_plan_question q = plain;
    struct mr_plan plan;
    q.devices = q.cohort_min = 20;
    holds(&q, &plan);
    assert_int_equal(plan.releases[MR_NOISE_NORMS].sigma2, 0);
    assert_int_equal(plan.releases[MR_NOISE_NORMS].rho, 0);
    assert_int_equal(plan.round, plan.releases[MR_NOISE_MODEL].rho);
}

/* Metrics get a part of a round that trains, and are left out where they would tell nothing; an
 * evaluation is paid as a round is, and they get all that the weights leave of it. */
static void test_metrics(void **state)
{
    (void)state;
    struct mr_plan_question q = plain;
    struct mr_plan plan;
    struct mr_error error = {""};
    q.metric_lanes = 2;
    q.metric_unit = 1 << 16;
    holds(&q, &plan);
    const struct mr_plan_release *metrics = &plan.releases[MR_NOISE_METRICS];
    const double all = sqrt((double)metrics->sigma2 * 2) / (200.0 * (1 << 15));
    assert_true(metrics->sigma2 > 0 && fabs(plan.error_metric - all) < 1e-9 && all < 0.25);
    assert_true(metrics->rho > 0 && metrics->rho <= plan.round / 15);
    q.devices = q.cohort_min = 20;
    holds(&q, &plan);
    assert_int_equal(plan.releases[MR_NOISE_METRICS].sigma2, 0);

    q = plain;
    q.metric_lanes = 2;
    q.metric_unit = 1 << 16;
    q.evaluation = true;
    assert_int_equal(mr_plan_make(&plan, &q, &error), 0);
    assert_int_equal(plan.releases[MR_NOISE_MODEL].sigma2, 0);
    assert_int_equal(plan.releases[MR_NOISE_NORMS].sigma2, 0);
    assert_int_equal(plan.releases[MR_NOISE_METRICS].rho, plan.round);
    assert_true(plan.round <= plan.budget / plan.device_rounds);
    assert_true(plan.error_metric < all / 3.5);
}

/* --- what cannot hold ---------------------------------------------------------------------------
 */

static void refused(const struct mr_plan_question *q, const char *bound)
{
    struct mr_plan plan;
    struct mr_error error = {""};
    if (mr_plan_make(&plan, q, &error) != -1) {
        fail_msg("made, not refused by '%s'", bound);
    }
    if (strncmp(error.text, bound, strlen(bound)) != 0) {
        fail_msg("not '%s…': %s", bound, error.text);
    }
}

#define REFUSED(change, bound)                                                                     \
    do {                                                                                           \
        struct mr_plan_question q = plain;                                                         \
        change;                                                                                    \
        refused(&q, bound);                                                                        \
    } while (0)

static void test_refusals(void **state)
{
    (void)state;
    REFUSED(q.epsilon = 0, "epsilon: ");
    REFUSED(q.epsilon = NAN, "epsilon: ");
    REFUSED(q.epsilon = 65, "epsilon: ");
    REFUSED(q.delta = 0, "delta: ");
    REFUSED(q.delta = 1, "delta: ");
    REFUSED(q.delta = 0.005, "delta: 0.005 allows one of 200 devices");
    REFUSED(q.rounds = 0, "rounds: ");
    REFUSED((q.evaluation = true, q.metric_lanes = 8, q.metric_unit = 1 << 16, q.rounds = 1000,
             q.devices = q.cohort_min = 20),
            "metrics: ");
    REFUSED(q.participation = 0, "rounds: ");
    REFUSED(q.participation = 1.1, "rounds: ");
    REFUSED(q.hubs = 1, "hubs: ");
    REFUSED(q.hubs = MR_HUBS_MAX + 1, "hubs: ");
    REFUSED((q.noise = MR_NOISE_DEVICE, q.colluders = 149), "colluders: ");
    REFUSED(q.devices = 0, "devices: ");
    REFUSED(q.devices = 301, "devices: ");
    REFUSED(q.cohort_min = 301, "devices: ");
    REFUSED(q.noise = MR_NOISE_NONE, "noise: ");
    REFUSED(q.clip_norm = 0, "clip_norm");
    REFUSED(q.clip_norm = INFINITY, "clip_norm");
    REFUSED(q.weight_max = 0, "clip_norm, weight_max");
    REFUSED(q.dimension = 0, "dimension: ");
    REFUSED(q.ring_bits = 16, "ring: 16 bits");
    REFUSED(q.ring_bits = 20, "ring_bits: ");
    REFUSED((q.weight_max = 1000, q.devices = q.cohort_min = 40), "weight: ");
    REFUSED(q.weight_max = UINT32_MAX, "weight: ");
    REFUSED((q.epsilon = 0.001, q.rounds = 1000000, q.participation = 1), "budget: ");
}

/* --- a task's own -------------------------------------------------------------------------------
 */

static void test_task(void **state)
{
    (void)state;
    char hub[] = "hub";
    struct mr_config_task task = {
        .hubs_count = 3,
        .round = {.cohort_min = 20,
                  .colluders = 4,
                  .cohort_max = 64,
                  .quorum = 30,
                  .ring_bits = 16,
                  .headroom = 5,
                  .rotation_log2 = MR_ROTATION_AUTO,
                  .chunk_bytes = 1216,
                  .weight_max = 7,
                  .clip_norm = 2},
        .privacy = {.noise = hub, .epsilon = 3, .delta = 1e-7, .rounds = 50, .participation = 0.5},
    };
    const struct mr_plan_question q = mr_task_plan_question(&task, 1000);
    assert_int_equal(q.noise, MR_NOISE_HUB);
    assert_true(q.epsilon == 3 && q.delta == 1e-7 && q.participation == 0.5 && q.clip_norm == 2);
    assert_int_equal(q.rounds, 50);
    assert_int_equal(q.devices, 30);
    assert_int_equal(q.cohort_min, 24); /* of these 20 are honest */
    assert_int_equal(q.cohort_max, 64);
    assert_int_equal(q.colluders, 4);
    assert_int_equal(q.hubs, 3);
    assert_int_equal(q.dimension, 1000);
    assert_int_equal(q.ring_bits, 16);
    assert_int_equal(q.rotation_log2, 10);
    assert_int_equal(q.chunk_bytes, 1216);
    assert_int_equal(q.headroom, 5);
    assert_int_equal(q.weight_max, 7);
    task.round.rotation_log2 = 8;
    assert_int_equal(mr_task_plan_question(&task, 1000).rotation_log2, 8);
    task.privacy.noise = NULL;
    assert_int_equal(mr_task_plan_question(&task, 1000).noise, MR_NOISE_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_levels_are_the_most),
        cmocka_unit_test(test_noise_is_of_the_rho),
        cmocka_unit_test(test_colluders),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_norms_are_left_out),
        cmocka_unit_test(test_metrics),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_task),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
