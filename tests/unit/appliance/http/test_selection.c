/* test_selection.c - which part of a body an answer has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "appliance/http/selection.h"

#define TAG "\"abc.def\""

static void check(const char *none_match, const char *if_range, const char *range, int status,
                  size_t first, size_t length)
{
    const struct mr_selection_request request = {none_match, if_range, range, false};
    const struct mr_selection selection = mr_select(&request, TAG, 1000);
    if (selection.status != status || selection.first != first || selection.length != length) {
        fail_msg("%s|%s|%s: %d %zu+%zu", none_match, if_range, range, selection.status,
                 selection.first, selection.length);
    }
}

static void test_none_match(void **state)
{
    (void)state;
    check("", "", "", 200, 0, 1000);
    check(TAG, "", "", 304, 0, 0);
    check("W/" TAG, "", "", 304, 0, 0);
    check("\"other\", " TAG, "", "", 304, 0, 0);
    check(TAG ",\"other\"", "", "", 304, 0, 0);
    check("*", "", "", 304, 0, 0);
    check("\"abc\"", "", "", 200, 0, 1000);
    check("\"xabc.def\"", "", "", 200, 0, 1000);
    check("x" TAG, "", "", 200, 0, 1000);
    check(TAG "x", "", "", 200, 0, 1000);
    check(TAG, "", "bytes=0-9", 304, 0, 0); /* before ranges */
}

static void test_ranges(void **state)
{
    (void)state;
    check("", "", "bytes=0-9", 206, 0, 10);
    check("", "", "Bytes=0-9", 206, 0, 10); /* names of units have no case (14.1) */
    check("", "", "bytes=990-", 206, 990, 10);
    check("", "", "bytes=990-5000", 206, 990, 10);
    check("", "", "bytes=-10", 206, 990, 10);
    check("", "", "bytes=-5000", 206, 0, 1000);
    check("", "", "bytes=999-999", 206, 999, 1);
    check("", "", "bytes=1000-", 416, 0, 0);
    check("", "", "bytes=-0", 416, 0, 0);
    check("", "", "bytes=99999999999999999999999-", 416, 0, 0);
    check("", "", "bytes=0-99999999999999999999999", 206, 0, 1000);
    check("", "", "bytes=9-0", 200, 0, 1000);
    check("", "", "bytes=0-1,3-4", 200, 0, 1000);
    check("", "", "bytes=-", 200, 0, 1000);
    check("", "", "bytes=", 200, 0, 1000);
    check("", "", "bytes=a-b", 200, 0, 1000);
    check("", "", "lines=0-9", 200, 0, 1000);
    check("", TAG, "bytes=5-", 206, 5, 995);
    check("", "\"other\"", "bytes=5-", 200, 0, 1000);
    check("", "W/" TAG, "bytes=5-", 200, 0, 1000); /* a weak tag promises no bytes */
    check("", "Mon, 30 Nov 2026 05:00:00 GMT", "bytes=5-", 200, 0, 1000);
}

static void test_head(void **state)
{
    (void)state;
    const struct mr_selection_request request = {"", "", "bytes=0-9", true};
    assert_int_equal(mr_select(&request, TAG, 1000).status, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_none_match),
                                       cmocka_unit_test(test_ranges), cmocka_unit_test(test_head)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
