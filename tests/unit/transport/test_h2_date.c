/* The time in an HTTP answer, as RFC 9110 writes it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "transport/h2_date.h"

static int64_t parse(const char *text)
{
    return mr_h2_date_parse(text, strlen(text));
}

static void dates_as_they_are_written(void **state)
{
    static const struct {
        int64_t unix_s;
        const char *text;
    } rows[] = {
        {784111777, "Sun, 06 Nov 1994 08:49:37 GMT"}, /* the RFC's own */
        {1, "Thu, 01 Jan 1970 00:00:01 GMT"},
        {951782400, "Tue, 29 Feb 2000 00:00:00 GMT"},
        {4102444799, "Thu, 31 Dec 2099 23:59:59 GMT"},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[MR_H2_DATE_BYTES];
        mr_h2_date_format(text, rows[i].unix_s);
        assert_string_equal(text, rows[i].text);
        assert_int_equal(parse(text), rows[i].unix_s);
    }
}

static void what_is_no_date(void **state)
{
    static const char *const texts[] = {
        "",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 0x Nov 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:-9:37 GMT",
        "Sun, 06 Nov 1869 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 CET",
    };
    (void)state;
    for (unsigned i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(parse(texts[i]), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates_as_they_are_written),
        cmocka_unit_test(what_is_no_date),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
