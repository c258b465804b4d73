/* test_options.c - the table of options is sound; the nearest word is the one meant. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "appliance/config/nearest.h"
#include "appliance/config/options.h"

/* Every default must pass the check that a value in a file must pass. */
static void test_defaults_are_values(void **state)
{
    (void)state;
    size_t count;
    const struct mr_option *rows = mr_options(&count);
    assert_true(count > 40);
    for (size_t i = 0; i < count; i++) {
        struct mr_error error;
        assert_true(strlen(rows[i].text) > 5);
        assert_ptr_equal(mr_option_find(rows[i].section, rows[i].name), &rows[i]);
        if (rows[i].kind != MR_OPTION_RANGE) { /* which may have a word of its own, or not */
            assert_int_equal(rows[i].kind == MR_OPTION_CHOICE,
                             rows[i].choices && !mr_option_takes_auto(&rows[i]));
        }
        if (rows[i].otherwise && mr_option_check(&rows[i], rows[i].otherwise, &error) != 0) {
            fail_msg("default of %s: %s", rows[i].name, error.text);
        }
    }
    assert_null(mr_option_find("tasks.round", "index"));
}

/* No range lets through a number that its member cannot hold. */
static void test_ranges_fit(void **state)
{
    (void)state;
    size_t count;
    const struct mr_option *rows = mr_options(&count);
    for (size_t i = 0; i < count; i++) {
        if (rows[i].kind == MR_OPTION_UINT && rows[i].bytes < 8) {
            assert_true(rows[i].max < (uint64_t)1 << (8 * rows[i].bytes));
        }
    }
}

static void test_nearest(void **state)
{
    (void)state;
    static const char *const words[] = {"quorum", "scale", "index", "role"};
    assert_string_equal(mr_nearest_word("quorom", words, 4), "quorum");
    assert_string_equal(mr_nearest_word("uqorum", words, 4), "quorum");
    assert_string_equal(mr_nearest_word("scal", words, 4), "scale");
    assert_string_equal(mr_nearest_word("indexes", words, 4), "index");
    assert_string_equal(mr_nearest_word("rloe", words, 4), "role");
    assert_null(mr_nearest_word("xyz", words, 4));
    assert_null(mr_nearest_word("", words, 4));
    assert_null(mr_nearest_word("le", words, 4));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_are_values),
        cmocka_unit_test(test_ranges_fit),
        cmocka_unit_test(test_nearest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
