/* test_owner.c - a folder knows whose it is, and another hub or task is refused with the remedy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "appliance/storage/files.h"
#include "appliance/task/owner.h"
#include "tests/unit/appliance/storage/scratch.h"

static const uint8_t key[32] = {1, 2, 3}, other_key[32] = {9};

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

static void put(const char *folder, const char *text)
{
    char path[4200];
    struct mr_error error;
    snprintf(path, sizeof path, "%s/owner.json", folder);
    assert_int_equal(mr_file_replace(path, text, strlen(text), &error), 0);
}

static void expect_refused(const char *folder, const struct mr_owner *owner, const char *why)
{
    struct mr_error error = {.text = ""};
    assert_int_equal(mr_owner_check(folder, owner, &error), -1);
    assert_non_null(strstr(error.text, why));
    assert_int_equal(mr_owner_claim(folder, owner, &error), -1);
    assert_non_null(strstr(error.text, why));
}

static void test_a_hub(void **state)
{
    const char *folder = *state;
    char path[4200];
    struct mr_error error = {.text = ""};
    const struct mr_owner owner = {.hub = 3, .public_key = key};
    const struct mr_owner without_key = {.hub = 3};
    snprintf(path, sizeof path, "%s/owner.json", folder);
    assert_int_equal(mr_owner_check(folder, &owner, &error), 0);
    assert_int_equal(access(path, F_OK), -1); /* looking writes nothing */
    for (unsigned starts = 0; starts < 2; starts++) {
        assert_int_equal(mr_owner_claim(folder, &owner, &error), 0);
        assert_int_equal(access(path, F_OK), 0);
    }
    assert_int_equal(mr_owner_check(folder, &without_key, &error), 0);
    expect_refused(folder, &(struct mr_owner){.hub = 4, .public_key = key},
                   "is the folder of hub 3, and this is hub 4");
    expect_refused(folder, &(struct mr_owner){.hub = 3, .public_key = other_key},
                   "another signing key (public key 01020300…)");
    expect_refused(folder, &(struct mr_owner){.hub = 3, .public_key = other_key},
                   "was given a new key on purpose, remove ");
    assert_int_equal(mr_owner_claim(folder, &owner, &error), 0);
}

static void test_a_damaged_file(void **state)
{
    const struct mr_owner owner = {.hub = 3, .public_key = key};
    static const char *const bad[] = {"",
                                      "{",
                                      "[]",
                                      "{}",
                                      "{\"hub\": 3}",
                                      "{\"hub\": 3, \"public_key\": \"01\"}",
                                      "{\"hub\": \"3\", \"public_key\": 1}"};
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        put(*state, bad[i]);
        expect_refused(*state, &owner, "restore it from a backup");
    }
}

static void test_a_task(void **state)
{
    const char *folder = *state;
    char before[MR_OWNER_HUBS_TEXT];
    struct mr_error error = {.text = ""};
    const uint16_t hubs[] = {0, 1}, others[] = {0, 7, 9};
    struct mr_task_owner owner = {.task = "digits", .hubs = hubs, .hubs_count = 2};
    assert_int_equal(mr_owner_check_task(folder, &owner, &error), 0);
    for (unsigned starts = 0; starts < 2; starts++) {
        assert_int_equal(mr_owner_claim_task(folder, &owner, before, &error), 0);
        assert_string_equal(before, "");
    }
    owner.hubs = others;
    owner.hubs_count = 3;
    assert_int_equal(mr_owner_claim_task(folder, &owner, before, &error), 0);
    assert_string_equal(before, "0, 1");
    assert_int_equal(mr_owner_claim_task(folder, &owner, before, &error), 0);
    assert_string_equal(before, ""); /* said once */
    owner.task = "speech";
    assert_int_equal(mr_owner_claim_task(folder, &owner, before, &error), -1);
    assert_non_null(strstr(error.text, "is the folder of task digits, and not of speech"));
    assert_int_equal(mr_owner_check_task(folder, &owner, &error), -1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, open_scratch, close_scratch)
    const struct CMUnitTest tests[] = {
        T(test_a_hub),
        T(test_a_damaged_file),
        T(test_a_task),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
