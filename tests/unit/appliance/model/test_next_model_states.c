/* test_next_model_states.c - optimisers with a state: it goes on from round to round, another's is
 * refused, and the step stays within its bound. */
#include "tests/unit/appliance/model/next_model_scene.h"

#include "appliance/model/store.h"

static const struct mr_optimiser with_states[] = {
    {.kind = MR_OPTIMISER_FEDAVGM, .learning_rate = 0.5f, .beta1 = 0.9f},
    {.kind = MR_OPTIMISER_FEDADAM,
     .learning_rate = 0.01f,
     .beta1 = 0.9f,
     .beta2 = 0.99f,
     .tau = 1e-3f},
    {.kind = MR_OPTIMISER_FEDYOGI,
     .learning_rate = 0.01f,
     .beta1 = 0.9f,
     .beta2 = 0.99f,
     .tau = 1e-3f},
};

/* The round's model is the next one's parent. The scene's model is the scene's still. */
static void go_on_from(struct scene *scene, struct mr_next_model_answer *answer,
                       const struct mr_kernels *kernels)
{
    struct mr_next_model_answer next;
    struct mr_error error = {.text = ""};
    const struct mr_next_model_question question = {
        .terms = &scene->terms,
        .results = (const uint8_t *const *)scene->results,
        .included_count = COUNT,
        .parent = answer->model ? answer->model : scene->model,
        .parent_bytes = answer->model ? answer->model_bytes : scene->model_bytes,
        .state = answer->state,
        .state_bytes = answer->state_bytes,
        .kernels = kernels,
    };
    if (mr_next_model(&next, &question, &error) != 0) {
        fail_msg("%s", error.text);
    }
    mr_next_model_answer_fini(answer);
    *answer = next;
}

static float value_at(const struct mr_next_model_answer *answer, unsigned i)
{
    float value;
    memcpy(&value, answer->model + answer->model_bytes - 4 * (D - i), 4);
    return value;
}

/* Three rounds of the same sum at every level: one model, which names its state. */
static void test_states_go_on(void **state)
{
    (void)state;
    static const enum mr_cpu_level levels[] = {MR_CPU_SCALAR, MR_CPU_AVX2, MR_CPU_AVX512,
                                               MR_CPU_NEON};
    for (unsigned o = 0; o < 3; o++) {
        uint8_t first[MR_HASH_BYTES] = {0}, named[MR_HASH_BYTES];
        struct scene *scene = make(16, 6);
        scene->terms.announcement.optimiser = with_states[o];
        for (unsigned level = 0; level < 4; level++) {
            const struct mr_kernels *kernels = mr_kernels_at(levels[level]);
            struct mr_next_model_answer answer = {.model = NULL};
            float before = 0.5f / D, step = 0;
            for (unsigned round = 0; kernels && round < 3; round++) {
                go_on_from(scene, &answer, kernels);
                assert_int_equal(mr_store_state_of(answer.model, answer.model_bytes, named), 0);
                assert_memory_equal(named, answer.state_hash, MR_HASH_BYTES);
                const float by = fabsf(value_at(&answer, 500) - (round ? before : 500.0f / D));
                assert_true(by > step); /* momentum: the same way, and further each time */
                step = by;
                before = value_at(&answer, 500);
            }
            if (kernels) {
                assert_true(level == 0 || memcmp(first, answer.model_hash, sizeof first) == 0);
                memcpy(first, answer.model_hash, sizeof first);
            }
            mr_next_model_answer_fini(&answer);
        }
        destroy(scene);
    }
}

/* Another optimiser begins anew; FedAvg's model names no state. */
static void test_states_of_others(void **state)
{
    (void)state;
    uint8_t named[MR_HASH_BYTES], anew[MR_HASH_BYTES];
    struct scene *scene = make(16, 0);
    struct mr_next_model_answer answer = {.model = NULL}, fresh = {.model = NULL};
    scene->terms.announcement.optimiser = with_states[1];
    go_on_from(scene, &fresh, scene->kernels);
    memcpy(anew, fresh.state_hash, sizeof anew);
    scene->terms.announcement.optimiser = with_states[0];
    go_on_from(scene, &answer, scene->kernels);
    scene->terms.announcement.optimiser = with_states[1];
    go_on_from(scene, &answer, scene->kernels);
    assert_memory_equal(answer.state_hash, anew, sizeof anew);
    scene->terms.announcement.optimiser = (struct mr_optimiser){.learning_rate = 0.5f};
    go_on_from(scene, &answer, scene->kernels);
    assert_null(answer.state);
    assert_int_equal(mr_store_state_of(answer.model, answer.model_bytes, named), 1);
    mr_next_model_answer_fini(&answer);
    mr_next_model_answer_fini(&fresh);
    destroy(scene);
}

/* The bound is on what is added to the model: here the optimiser makes it larger than the mean. */
static void test_step_bound_of_states(void **state)
{
    (void)state;
    struct mr_error error;
    for (unsigned o = 0; o < 3; o++) {
        struct scene *scene = make(16, 0);
        struct mr_next_model_answer answer;
        scene->terms.announcement.optimiser = with_states[o];
        assert_int_equal(reveal(scene, COUNT, scene->kernels, &answer, &error), 0);
        double squares = 0;
        for (unsigned i = 0; i < D; i++) {
            const double by = (double)value_at(&answer, i) - (double)((float)i / D);
            squares += by * by;
        }
        assert_true(fabs(sqrt(squares) / answer.metrics.step - 1) < 1e-4);
        scene->terms.announcement.step_max = nextafterf((float)answer.metrics.step, 0) * 0.999f;
        mr_next_model_answer_fini(&answer);
        assert_int_equal(reveal(scene, COUNT, scene->kernels, &answer, &error),
                         MR_NEXT_MODEL_UNSOUND);
        assert_non_null(strstr(error.text, "step: the model would move by"));
        destroy(scene);
    }
}

/* --- steps of few levels ---------------------------------------------------------------------- */

static struct mr_optimiser rounded(struct mr_optimiser optimiser, uint8_t bits)
{
    optimiser.requantise = bits;
    return optimiser;
}

/* Three rounds of the same sum at every level: one model, which names its state; and what is taken
 * of the steps is what was wanted of them, but for a level's half. */
static void test_rounded(void **state)
{
    (void)state;
    static const enum mr_cpu_level levels[] = {MR_CPU_SCALAR, MR_CPU_AVX2, MR_CPU_AVX512,
                                               MR_CPU_NEON};
    const struct mr_optimiser plain = {.learning_rate = 0.5f};
    const struct mr_optimiser rows[] = {rounded(plain, 8), rounded(plain, 4),
                                        rounded(with_states[0], 4), rounded(with_states[1], 8)};
    for (unsigned o = 0; o < 4; o++) {
        uint8_t first[MR_HASH_BYTES] = {0}, named[MR_HASH_BYTES];
        struct scene *scene = make(16, o == 1 ? 0 : 6);
        struct mr_next_model_answer exact = {.model = NULL};
        for (unsigned round = 0; round < 3; round++) {
            scene->terms.announcement.optimiser = rounded(rows[o], 0);
            go_on_from(scene, &exact, scene->kernels);
        }
        scene->terms.announcement.optimiser = rows[o];
        for (unsigned level = 0; level < 4; level++) {
            const struct mr_kernels *kernels = mr_kernels_at(levels[level]);
            struct mr_next_model_answer answer = {.model = NULL};
            for (unsigned round = 0; kernels && round < 3; round++) {
                go_on_from(scene, &answer, kernels);
                assert_int_equal(mr_store_state_of(answer.model, answer.model_bytes, named), 0);
                assert_memory_equal(named, answer.state_hash, MR_HASH_BYTES);
            }
            if (kernels) {
                double off = 0;
                for (unsigned i = 0; i < D; i++) {
                    const double by = (double)value_at(&answer, i) - (double)value_at(&exact, i);
                    off += by * by;
                }
                assert_true(sqrt(off) < 0.2 * exact.metrics.step || !exact.metrics.step);
                assert_true(off > 0);
                assert_true(level == 0 || memcmp(first, answer.model_hash, sizeof first) == 0);
                memcpy(first, answer.model_hash, sizeof first);
            }
            mr_next_model_answer_fini(&answer);
        }
        mr_next_model_answer_fini(&exact);
        destroy(scene);
    }
}

/* Rounding that begins or ends takes no momentum away; what waited goes with the rounding. */
static void test_rounding_comes_and_goes(void **state)
{
    (void)state;
    struct scene *scene = make(16, 6);
    struct mr_next_model_answer exact = {.model = NULL}, answer = {.model = NULL};
    struct mr_announcement *announcement = &scene->terms.announcement;
    const size_t own = mr_optimiser_state_bytes(MR_OPTIMISER_FEDADAM, D);
    for (unsigned round = 0; round < 3; round++) {
        announcement->optimiser = with_states[1];
        go_on_from(scene, &exact, scene->kernels);
        announcement->optimiser = rounded(with_states[1], round == 1 ? 4 : 0);
        go_on_from(scene, &answer, scene->kernels);
        assert_true(round == 1 ? answer.state_bytes > own : answer.state_bytes == own);
        assert_memory_equal(answer.state, exact.state, own);
    }
    /* From 4 bits to 8 what waits goes on: two rounds of 4 are not one. */
    announcement->optimiser = rounded(with_states[1], 4);
    go_on_from(scene, &answer, scene->kernels);
    announcement->optimiser = rounded(with_states[1], 8);
    const size_t residual = own + 64;
    static const uint8_t zeros[4 * D] = {0};
    assert_memory_not_equal(answer.state + residual, zeros, sizeof zeros);
    struct mr_next_model_answer without = {.model = NULL};
    uint8_t *kept = malloc(answer.state_bytes);
    memcpy(kept, answer.state, answer.state_bytes);
    const struct mr_next_model_question question = {
        .terms = &scene->terms,
        .results = (const uint8_t *const *)scene->results,
        .included_count = COUNT,
        .parent = answer.model,
        .parent_bytes = answer.model_bytes,
        .state = kept,
        .state_bytes = own, /* what waited is taken away */
        .kernels = scene->kernels,
    };
    assert_int_equal(mr_next_model(&without, &question, NULL), 0);
    go_on_from(scene, &answer, scene->kernels);
    assert_memory_not_equal(answer.model_hash, without.model_hash, MR_HASH_BYTES);
    mr_next_model_answer_fini(&without);
    mr_next_model_answer_fini(&exact);
    mr_next_model_answer_fini(&answer);
    free(kept);
    destroy(scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rounded),
        cmocka_unit_test(test_rounding_comes_and_goes),
        cmocka_unit_test(test_states_go_on),
        cmocka_unit_test(test_states_of_others),
        cmocka_unit_test(test_step_bound_of_states),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
