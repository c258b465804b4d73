/* test_record.c - what a hub writes down of a round, and what it takes from it after a restart. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#include "appliance/round/drive/metrics_json.h"
#include "appliance/round/drive/record.h"
#include "base/bytes.h"
#include "parties.h"

static const struct world_options plain = {.ring_bits = 16,
                                           .dimension = 40,
                                           .hubs = 3,
                                           .cohort_min = 3,
                                           .quorum = 4,
                                           .deadline_ms = 10000};

static json_t *parsed(char *text)
{
    json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(object);
    free(text);
    return object;
}

static bool is_text(const json_t *object, const char *key, const char *expected)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text && strcmp(text, expected) == 0;
}

/* Everything of a published round; a mean of nothing is no number in JSON. */
static void test_published(void **state)
{
    (void)state;
    static const uint8_t set_hash[MR_HASH_BYTES] = {0xab}, model_hash[MR_HASH_BYTES] = {0xcd};
    const struct mr_included included[2] = {{.client_id = {1}, .attempt = 3}, {.client_id = {2}}};
    const struct mr_round_metrics metrics = {
        .weight = 20, .examples_mean = 100.5, .loss_mean = NAN, .drift_mean = INFINITY};
    const uint8_t signatures[WORLD_HUBS][MR_SIGNATURE_BYTES] = {{1}, {0}, {3}}; /* one unknown */
    struct world *world = world_open(&plain);
    const struct mr_record record = {
        .terms = &world->terms,
        .state = "published",
        .included = included,
        .included_count = 2,
        .set_hash = set_hash,
        .model_hash = model_hash,
        .metrics = &metrics,
        .signatures = signatures,
    };
    char *text = mr_record_round(&record);
    struct mr_lead_end end;
    assert_int_equal(mr_record_end(&end, text), 0);
    assert_true(end.published && !end.voided);
    assert_memory_equal(end.model_hash, model_hash, MR_HASH_BYTES);
    json_t *object = parsed(text);
    json_t *list = json_object_get(object, "uploads");
    assert_int_equal(json_array_size(list), 2);
    assert_true(is_text(json_array_get(list, 0), "client_id", "01000000000000000000000000000000"));
    assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 0), "attempt")), 3);
    json_t *means = json_object_get(object, "metrics");
    assert_true(json_real_value(json_object_get(means, "examples_mean")) == 100.5);
    assert_true(json_is_null(json_object_get(means, "loss_mean")));
    assert_true(json_is_null(json_object_get(means, "drift_mean")));
    assert_null(json_object_get(object, "reason"));
    json_decref(object);
    object = parsed(mr_record_manifest(&record));
    list = json_object_get(object, "signatures");
    assert_int_equal(json_array_size(list), 2); /* not the one that is not known */
    assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 1), "hub")),
                     world->hubs[2].index);
    json_decref(object);
    world_close(world);
}

static void test_void(void **state)
{
    (void)state;
    struct world *world = world_open(&plain);
    const struct mr_record record = {
        .terms = &world->terms, .state = "void", .reason = "below cohort minimum"};
    char *text = mr_record_round(&record);
    struct mr_lead_end end;
    assert_int_equal(mr_record_end(&end, text), 0);
    assert_true(end.voided && !end.published);
    assert_string_equal(end.reason, "below cohort minimum");
    json_t *object = parsed(text);
    assert_null(json_object_get(object, "set_hash"));
    assert_null(json_object_get(object, "model_hash"));
    assert_null(json_object_get(object, "metrics"));
    assert_int_equal(json_integer_value(json_object_get(object, "included")), 0);
    assert_int_equal(json_array_size(json_object_get(object, "uploads")), 0);
    json_decref(object);
    world_close(world);
}

/* An operator's answer and the store's record have one schema: what the one says the other says. */
static void test_one_schema(void **state)
{
    (void)state;
    static const uint8_t hash[MR_HASH_BYTES] = {1};
    struct mr_round_summary summary = {.round = 7,
                                       .lead = true,
                                       .state = "published",
                                       .opened_unix_ms = 1000,
                                       .closed_unix_ms = 3000,
                                       .ended_unix_ms = 3500,
                                       .quorum = 2,
                                       .cohort_min = 2,
                                       .cohort_max = 9,
                                       .admitted = 5,
                                       .staged = 4,
                                       .committed = 3,
                                       .included = 2,
                                       .set_hash = {1},
                                       .model_hash = {1},
                                       .has_metrics = true,
                                       .metrics = {.weight = 20, .loss_mean = 0.5}};
    const struct mr_included included[2] = {{.attempt = 0}, {.attempt = 3}};
    struct world *world = world_open(&plain);
    const struct mr_record record = {.task = "digits",
                                     .summary = &summary,
                                     .terms = &world->terms,
                                     .state = "published",
                                     .included = included,
                                     .included_count = 2,
                                     .set_hash = hash,
                                     .model_hash = hash,
                                     .metrics = &summary.metrics};
    summary.round = world->announcement.round;
    summary.levels = world->announcement.levels;
    summary.scale = world->announcement.scale;
    summary.clip_norm = world->announcement.clip_norm;
    summary.step_max = world->announcement.step_max;
    memcpy(summary.announcement_hash, world->terms.hash, MR_HASH_BYTES);
    memcpy(summary.parent_hash, world->announcement.model_hash, MR_HASH_BYTES);
    json_t *answer = mr_round_summary_json(&summary, "digits", true);
    json_t *stored = parsed(mr_record_round(&record)), *value;
    const char *name;
    json_object_foreach(answer, name, value) {
        if (!json_equal(value, json_object_get(stored, name))) {
            fail_msg("member %s", name);
        }
    }
    assert_int_equal(json_integer_value(json_object_get(stored, "publish_ms")), 500);
    assert_int_equal(json_integer_value(json_object_get(stored, "committed")), 3);
    json_decref(answer);
    json_decref(stored);
    world_close(world);
}

/* Of whom a helper admitted, how many the set leaves out; a lead knows no such thing. */
static void test_left_out(void **state)
{
    (void)state;
    struct mr_round_summary summary = {
        .round = 7, .state = "revealed", .admitted = 5, .included = 3, .left_out = 2};
    json_t *object = mr_round_summary_json(&summary, NULL, false);
    assert_int_equal(json_integer_value(json_object_get(object, "left_out")), 2);
    json_decref(object);
    summary.included = 0; /* no set yet */
    object = mr_round_summary_json(&summary, NULL, false);
    assert_null(json_object_get(object, "left_out"));
    json_decref(object);
    summary.lead = true;
    summary.included = 3;
    object = mr_round_summary_json(&summary, NULL, false);
    assert_null(json_object_get(object, "left_out"));
    json_decref(object);
}

/* The next round's step rests on it: a hub that starts anew has it from its newest record. */
static void test_norms_are_kept(void **state)
{
    (void)state;
    struct mr_round_metrics metrics = {.saturated = 0.001,
                                       .resolution = 24.5,
                                       .noise = 0.7,
                                       .error = 0.007,
                                       .step = 0.25,
                                       .norms = {0, 3, 0, 1}};
    struct mr_round_metrics read;
    metrics.memory = (struct mr_norm_memory){
        .counts = {0, 3.7, 0, 1.49}, .clip_norm = 0.3f, .devices = 4, .round = 9};
    json_t *object = mr_round_metrics_json(&metrics);
    char *text = json_dumps(object, JSON_REAL_PRECISION(9)); /* as a record has it */
    json_decref(object);
    object = json_loads(text, 0, NULL);
    mr_round_metrics_from_json(&read, object);
    assert_memory_equal(read.norms, metrics.norms, sizeof read.norms);
    assert_memory_equal(&read.memory, &metrics.memory, sizeof read.memory);
    assert_true(read.step == 0.25);
    assert_true(read.error == 0.007 && read.saturated == 0.001 && read.resolution == 24.5);
    json_decref(object);
    free(text);
    /* A record of an older hub tells of no norms. */
    mr_round_metrics_from_json(&read, NULL);
    assert_int_equal(read.memory.devices, 0);
    assert_true(read.step == 0);
    assert_true(isnan(read.error));
}

/* Only what says how the round ended ends it: a restarted lead goes on with it otherwise. */
static void test_what_ends_nothing(void **state)
{
    static const char *const texts[] = {
        "",
        "[1, 2]",
        "{\"state\": 7}",
        "{\"model_hash\": \"00\"}",
        "{\"state\": \"published\"}",
        "{\"state\": \"published\", \"model_hash\": \"0011\"}",
        "{\"state\": \"published\", \"model_hash\": 5}",
        "{\"state\": \"revealed\", \"reason\": \"a helper's\"}",
        "{\"state\": \"void\", \"state\": \"void\"}",
    };
    (void)state;
    for (unsigned i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct mr_lead_end end;
        assert_int_equal(mr_record_end(&end, texts[i]), -1);
        assert_false(end.published || end.voided);
    }
    struct mr_lead_end end;
    assert_int_equal(mr_record_end(&end, "{\"state\": \"void\"}"), 0);
    assert_true(end.voided);
    assert_string_equal(end.reason, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published),  cmocka_unit_test(test_void),
        cmocka_unit_test(test_one_schema), cmocka_unit_test(test_norms_are_kept),
        cmocka_unit_test(test_left_out),   cmocka_unit_test(test_what_ends_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
