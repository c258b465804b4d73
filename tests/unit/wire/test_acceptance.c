/* test_acceptance.c - what is accepted of announced terms, and what a refusal says. */
#include "wire_test.h"

#include <math.h>

#include "wire/acceptance.h"

static struct mr_error error;

static void test_ranges(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double least, most;
    } good[] = {{"any", 0, INFINITY}, {"5", 5, 5},      {"0..0", 0, 0},     {"2..10", 2, 10},
                {"2..", 2, INFINITY}, {"..10", 0, 10},  {"0.5..2", 0.5, 2}, {"1e3..2e9", 1e3, 2e9},
                {"1e-3", 1e-3, 1e-3}, {"..1.5", 0, 1.5}};
    static const char *const bad[] = {
        "",      "..",    "a",     "2...3",   "3..2", "-1",
        "-1..2", "1..x",  "1 ..2", "inf",     "nan",  "1,5",
        "0x10",  "1e999", "Any",   "1..2..3", "01",   "123456789012345678901234567890123"};
    struct mr_range range;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(mr_range_parse(&range, good[i].text), 0);
        assert_true(range.least == good[i].least && range.most == good[i].most);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (mr_range_parse(&range, bad[i]) == 0) {
            fail_msg("taken for a range: %s", bad[i]);
        }
    }
}

/* The announcement of wire_test.h against one range; `word`: NULL where it is accepted. */
static void judged(enum mr_accepted which, const char *text, const char *word)
{
    uint8_t keys[MR_HUBS_MAX][32];
    struct mr_announcement a;
    struct mr_acceptance acceptance;
    test_announcement(&a, keys, 2);
    mr_acceptance_init(&acceptance);
    assert_int_equal(mr_acceptance_check(&acceptance, &a, 60000, &error), 0);
    assert_int_equal(mr_range_parse(&acceptance.ranges[which], text), 0);
    const int result = mr_acceptance_check(&acceptance, &a, 60000, &error);
    if (result != (word ? -1 : 0) || (word && !strstr(error.text, word))) {
        fail_msg("%s %s: %d \"%s\"", mr_accepted_name(which), text, result, error.text);
    }
}

static void test_numbers(void **state)
{
    (void)state;
    judged(MR_ACCEPTED_COHORT_MIN, "2..", NULL);
    judged(MR_ACCEPTED_COHORT_MIN, "3..",
           "cohort_min 2 is not accepted here: at least 3 is (accept.cohort_min)");
    judged(MR_ACCEPTED_COHORT_MAX, "..64", NULL);
    judged(MR_ACCEPTED_COHORT_MAX, "..63", "cohort_max 64 is not accepted here: 0 to 63 is");
    judged(MR_ACCEPTED_WEIGHT_MAX, "1000", NULL);
    judged(MR_ACCEPTED_WEIGHT_MAX, "999", "weight_max 1000");
    judged(MR_ACCEPTED_RING_BITS, "24..32", "ring_bits 16");
    judged(MR_ACCEPTED_HEADROOM, "5..", "headroom 4");
    judged(MR_ACCEPTED_LEVELS, "..126", "levels 127");
    judged(MR_ACCEPTED_NOISE_KIND, "1..", "noise_kind 0");
    judged(MR_ACCEPTED_SCALE, "64", NULL);
    judged(MR_ACCEPTED_SCALE, "..63.9", "scale 64");
    judged(MR_ACCEPTED_CLIP_NORM, "0.1..1.4", "clip_norm 1.5 is not accepted here: 0.1 to 1.4 is");
    judged(MR_ACCEPTED_STEP_MAX, "..2.9", "step_max 3");
    judged(MR_ACCEPTED_DEADLINE_MS, "65000..", NULL); /* clocks differ */
    judged(MR_ACCEPTED_DEADLINE_MS, "65001..", "deadline_ms 60000");
    judged(MR_ACCEPTED_DEADLINE_MS, "..54999", "deadline_ms 60000");
}

/* 0.1 is not the same number as a float and as a double. */
static void test_floats(void **state)
{
    (void)state;
    uint8_t keys[MR_HUBS_MAX][32];
    struct mr_announcement a;
    struct mr_acceptance acceptance;
    test_announcement(&a, keys, 2);
    mr_acceptance_init(&acceptance);
    for (unsigned i = 0; i < 2; i++) {
        a.clip_norm = i ? 0.7f : 0.1f;
        assert_int_equal(
            mr_range_parse(&acceptance.ranges[MR_ACCEPTED_CLIP_NORM], i ? "0.7" : "0.1"), 0);
        assert_int_equal(mr_acceptance_check(&acceptance, &a, UINT64_MAX, &error), 0);
        a.clip_norm *= 1.0001f;
        assert_int_equal(mr_acceptance_check(&acceptance, &a, UINT64_MAX, &error), -1);
    }
}

static void trained(const char *rule, const char *training, const char *word)
{
    uint8_t keys[MR_HUBS_MAX][32];
    struct mr_announcement a;
    struct mr_acceptance acceptance;
    test_announcement(&a, keys, 2);
    mr_acceptance_init(&acceptance);
    acceptance.training = rule;
    snprintf(a.training, sizeof a.training, "%s", training);
    assert_int_equal(mr_training_rule_check(rule, &error), 0);
    const int result = mr_acceptance_check(&acceptance, &a, UINT64_MAX, &error);
    if (result != (word ? -1 : 0) || (word && !strstr(error.text, word))) {
        fail_msg("%s %s: %d \"%s\"", rule, training, result, error.text);
    }
}

static void test_training(void **state)
{
    (void)state;
    static const char rule[] =
        "{\"epochs\": \"1..10\", \"batch\": [16, 32], \"optimiser\": \"sgd\", "
        "\"learning_rate\": \"..0.1\", \"shuffle\": true}";
    trained("any", "{\"anything\": 1}", NULL);
    trained(NULL, "no JSON", NULL);
    trained(rule, "", NULL);
    trained(rule, "{}", NULL);
    trained(rule, "{\"epochs\": 10, \"batch\": 16.0, \"learning_rate\": 0.1}", NULL);
    trained(rule, "{\"optimiser\": \"sgd\", \"shuffle\": true}", NULL);
    trained(rule, "{\"epochs\": 11}", "epochs 11 is not accepted here: \"1..10\" is");
    trained(rule, "{\"epochs\": \"5\"}", "epochs");
    trained(rule, "{\"batch\": 64}", "batch 64 is not accepted here: [16,32] is");
    trained(rule, "{\"optimiser\": \"adam\"}", "optimiser");
    trained(rule, "{\"shuffle\": 1}", "shuffle");
    trained(rule, "{\"upload_raw_data\": true}", "training has \"upload_raw_data\"");
    trained(rule, "[1]", "no JSON object");
    trained(rule, "{\"epochs\": 1, \"epochs\": 99}", "no JSON object");
    trained("{}", "{\"epochs\": 1}", "\"epochs\"");
    assert_int_equal(mr_training_rule_check("[1]", &error), -1);
    assert_int_equal(mr_training_rule_check("{", &error), -1);
    assert_int_equal(mr_training_rule_check("", &error), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_floats),
        cmocka_unit_test(test_training),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
