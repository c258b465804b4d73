/* test_age.c - a folder that is a copy is found, one that lived an ordinary life is not, and what
 * was found stays until it is recovered from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "appliance/storage/files.h"
#include "appliance/task/age.h"
#include "tests/unit/appliance/storage/scratch.h"

static int open_scratch(void **state)
{
    *state = scratch_open();
    return 0;
}

static int close_scratch(void **state)
{
    scratch_close(*state);
    return 0;
}

/* In the scratch folder. */
static void shell(const char *folder, const char *command)
{
    char line[4400];
    snprintf(line, sizeof line, "cd '%s' && %s", folder, command);
    assert_int_equal(system(line), 0);
}

static void place_of(struct mr_age_place *place, const char *folder)
{
    struct mr_error error;
    char path[4200];
    snprintf(path, sizeof path, "%s/generation", folder);
    if (mr_age_place_read(place, access(path, F_OK) == 0 ? path : "", &error) != 0) {
        fail_msg("%s", error.text);
    }
}

/* A task's folder "t" of the scratch folder, as at a start. */
static void start(struct mr_task_age *age, const char *folder, bool is_new, const char *copied)
{
    static struct mr_age_place place;
    struct mr_error error = {.text = ""};
    char path[4200];
    place_of(&place, folder);
    snprintf(path, sizeof path, "%s/t", folder);
    const struct mr_age_above above = {.copied = copied};
    if (mr_task_age_open(age, path, &place, is_new, &above, &error) != 0) {
        fail_msg("%s", error.text);
    }
}

static void expect(const char *folder, const char *why)
{
    struct mr_task_age age;
    start(&age, folder, false, NULL);
    assert_int_equal(age.is_older, why != NULL);
    if (why && !strstr(age.older.why, why)) {
        fail_msg("%s", age.older.why);
    }
}

static void test_ordinary_life(void **state)
{
    const char *folder = *state;
    struct mr_task_age age;
    struct mr_error error;
    shell(folder, "mkdir t && echo 1 >generation");
    start(&age, folder, true, NULL);
    assert_false(age.is_older);
    start(&age, folder, true, NULL); /* killed before it had an owner */
    assert_int_equal(mr_task_age_move(&age, &error), 0);
    expect(folder, NULL);
    shell(folder, "chmod 0750 t && chmod 0640 t/identity && mv t u && touch u/identity && mv u t");
    expect(folder, NULL);
    shell(folder, "rm generation"); /* a witness less says nothing */
    expect(folder, NULL);
}

/* Each time the newest is kept, and put back after one more promise. */
static void test_copies(void **state)
{
    static const char *const ways[] = {
        "rm -r t && cp -a copy t",
        "cp -a copy/. t",
        "cp -a --remove-destination copy/. t",
        "cat copy/identity >t/identity",
        "rm -r t && mv copy t",
    };
    const char *folder = *state;
    struct mr_task_age age;
    struct mr_error error;
    for (unsigned i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        shell(folder, "rm -rf t copy && mkdir t");
        start(&age, folder, true, NULL);
        shell(folder, "cp -a t copy");
        assert_int_equal(mr_task_age_move(&age, &error), 0);
        shell(folder, ways[i]);
        expect(folder, "was copied");
        expect(folder, "was copied"); /* the folder is bound again, and that stays */
    }
}

static void test_missing_and_damaged(void **state)
{
    const char *folder = *state;
    struct mr_task_age age;
    shell(folder, "mkdir t");
    expect(folder, "its file identity is missing");
    shell(folder, "rm -r t && mkdir t");
    start(&age, folder, true, NULL);
    shell(folder, "printf '{}' >t/identity");
    expect(folder, "its file identity is damaged");
    shell(folder, "printf '{}' >t/older");
    expect(folder, "");
}

static void test_witnesses(void **state)
{
    const char *folder = *state;
    struct mr_task_age age;
    shell(folder, "mkdir t && echo 1 >generation");
    start(&age, folder, true, NULL);
    expect(folder, NULL);
    shell(folder, "echo 2 >generation");
    expect(folder, "what identity.generation_file says is not what it said");
}

/* A task that a copy of data_dir does not have may have promises all the same. */
static void test_new_in_a_copy(void **state)
{
    const char *folder = *state;
    struct mr_task_age age;
    shell(folder, "mkdir t");
    start(&age, folder, true, "it was copied");
    assert_true(age.is_older);
    assert_non_null(strstr(age.older.why, "without a folder of this task: it was copied"));
    expect(folder, "without a folder");
}

/* data_dir, bound to a count of `said`, where the TPM's is `is`. */
static enum mr_age_look look_at_count(const char *folder, uint64_t said, uint64_t is,
                                      char why[MR_AGE_WHY_BYTES])
{
    struct mr_age_place place;
    struct mr_error error = {.text = ""};
    place_of(&place, folder);
    place.counted = said != 0;
    place.count = said;
    assert_int_equal(mr_age_bind(folder, &place, &error), 0);
    place.counted = is != 0;
    place.count = is;
    return (enum mr_age_look)mr_age_look(folder, &place, false, why, &error);
}

static void test_counters(void **state)
{
    const char *folder = *state;
    const uint64_t far = UINT64_MAX - 1;
    char why[MR_AGE_WHY_BYTES];
    assert_int_equal(look_at_count(folder, 7, 7, why), MR_AGE_OWN);
    assert_int_equal(look_at_count(folder, 8, 7, why), MR_AGE_OWN); /* killed before it counted */
    assert_int_equal(look_at_count(folder, 7, 0, why), MR_AGE_OWN); /* there is none any more */
    assert_int_equal(look_at_count(folder, far, far, why), MR_AGE_OWN);
    assert_int_equal(look_at_count(folder, 7, 8, why), MR_AGE_BEHIND);
    assert_non_null(strstr(why, "counted on since"));
    assert_int_equal(look_at_count(folder, 1, far, why), MR_AGE_BEHIND);
    assert_int_equal(look_at_count(folder, 9, 7, why), MR_AGE_BEHIND);
    assert_non_null(strstr(why, "not counted so far"));
    assert_int_equal(look_at_count(folder, 0, 7, why), MR_AGE_BEHIND);
    assert_non_null(strstr(why, "knows nothing of it"));
}

/* Its own identity fits: all the same it is as old as the folder that it is in. */
static void test_in_a_folder_that_is_behind(void **state)
{
    const char *folder = *state;
    struct mr_task_age age;
    struct mr_age_place place;
    struct mr_error error;
    char path[4200];
    shell(folder, "mkdir t");
    start(&age, folder, true, NULL);
    place_of(&place, folder);
    snprintf(path, sizeof path, "%s/t", folder);
    const struct mr_age_above above = {.copied = "the TPM says so", .behind = true};
    assert_int_equal(mr_task_age_open(&age, path, &place, false, &above, &error), 0);
    assert_true(age.is_older);
    assert_string_equal(age.older.why, "the TPM says so");
    expect(folder, "the TPM says so"); /* and stays so */
}

static void test_recovered(void **state)
{
    const char *folder = *state;
    struct mr_task_age age;
    struct mr_error error;
    const struct mr_older older = {
        .why = "shown", .unix_ms = 5, .epoch = 6, .sequence = 7, .round = 8};
    const struct mr_recovered recovered = {.epoch = 9, .round = 10, .code = "0123456789abcdef"};
    uint8_t fresh[MR_HASH_BYTES] = {11};
    shell(folder, "mkdir t");
    start(&age, folder, true, NULL);
    assert_int_equal(mr_task_age_write_older(&age, &older, &error), 0);
    start(&age, folder, false, NULL);
    assert_true(age.is_older);
    assert_memory_equal(&age.older, &older, sizeof older);
    assert_int_equal(mr_task_age_write_recovered(&age, &recovered, &error), 0);
    start(&age, folder, false, NULL);
    assert_false(age.is_older);
    assert_string_equal(age.recovered.code, recovered.code);
    assert_true(age.recovered.epoch == 9 && age.recovered.round == 10 && !age.recovered.has_fresh);
    assert_int_equal(mr_task_age_write_fresh(&age, fresh, &error), 0);
    start(&age, folder, false, NULL);
    assert_true(age.recovered.epoch == 9 && age.recovered.has_fresh);
    assert_memory_equal(age.recovered.fresh, fresh, sizeof fresh);
    shell(folder, "cp -a t copy && rm -r t && mv copy t");
    expect(folder, "was copied"); /* also of what was recovered */
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, open_scratch, close_scratch)
    const struct CMUnitTest tests[] = {
        T(test_ordinary_life),
        T(test_copies),
        T(test_missing_and_damaged),
        T(test_witnesses),
        T(test_new_in_a_copy),
        T(test_counters),
        T(test_in_a_folder_that_is_behind),
        T(test_recovered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
