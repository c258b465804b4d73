/* test_line.c - what millrace-edge prints with --json: always one whole object a line, whatever its
 * values are, in whatever locale. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/json_text.h"
#include "edge-client/cli/line.h"
#include "tests/unit/edge-client/comma_locale.h"

static char folder[] = "/tmp/millrace-line-XXXXXX";

/* What the call prints, read as one line of JSON. */
static json_t *printed(void (*print)(bool, const char *, const struct mre_outcome *),
                       const struct mre_outcome *outcome)
{
    char path[64], line[4096];
    json_error_t why;
    snprintf(path, sizeof path, "%s/out", folder);
    fflush(stdout);
    const int kept = dup(1);
    assert_true(kept >= 0 && freopen(path, "w", stdout));
    print(true, "digits", outcome);
    fflush(stdout);
    dup2(kept, 1);
    close(kept);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    const size_t length = fread(line, 1, sizeof line, file);
    fclose(file);
    assert_true(length > 1 && memchr(line, '\n', length) == line + length - 1);
    json_t *object = json_loadb(line, length, JSON_REJECT_DUPLICATES, &why);
    assert_non_null(object);
    return object;
}

static const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static void test_numbers(void **state)
{
    static const float losses[] = {NAN, INFINITY, -INFINITY, FLT_MAX, -0.25f, FLT_TRUE_MIN};
    (void)state;
    for (unsigned i = 0; i < sizeof losses / sizeof *losses; i++) {
        struct mre_outcome outcome = {.result = MRE_COMMITTED, .round = 7, .loss = losses[i]};
        json_t *object = printed(mr_edge_print_round, &outcome);
        const json_t *loss = json_object_get(object, "loss");
        assert_int_equal(json_integer_value(json_object_get(object, "round")), 7);
        if (isfinite(losses[i])) {
            assert_true((float)json_real_value(loss) == losses[i]);
        } else {
            assert_true(json_is_null(loss));
        }
        json_decref(object);
    }
}

static void test_texts(void **state)
{
    static const struct {
        const char *text, *told;
    } cases[] = {
        {"caf\xe9.csv", "caf\\xe9.csv"},
        {"caf\xc3\xa9.csv", "caf\xc3\xa9.csv"},
        {"cut \xc3", "cut \\xc3"},
        {"\xed\xa0\x80 \xc0\xaf \xf5 \xf4\x90\x80\x80",
         "\\xed\\xa0\\x80 \\xc0\\xaf \\xf5 \\xf4\\x90\\x80\\x80"},
        {"a \"quote\"\n\x01", "a \"quote\"\n\x01"},
        {"\xf0\x9f\x98\x80\xff", "\xf0\x9f\x98\x80\\xff"},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mre_outcome outcome = {.result = MRE_TRAINER_FAILED, .round = 1, .loss = NAN};
        snprintf(outcome.text, sizeof outcome.text, "%s", cases[i].text);
        json_t *object = printed(mr_edge_print_round, &outcome);
        assert_string_equal(text_of(object, "text"), cases[i].told);
        assert_string_equal(text_of(object, "result"), "trainer-failed");
        json_decref(object);
        outcome.result = MRE_VOID;
        object = printed(mr_edge_print_end, &outcome);
        assert_string_equal(text_of(object, "text"), cases[i].told);
        assert_string_equal(text_of(object, "result"), "void");
        json_decref(object);
    }
}

/* Every string of up to four bytes of these becomes UTF-8, and what is UTF-8 stays. */
static void test_all_short_texts(void **state)
{
    static const char bytes[] = "\x41\x7f\x80\x9f\xa0\xbf\xc1\xc2\xe0\xe1\xed\xef\xf0\xf4\xf5\xff";
    char text[5];
    (void)state;
    for (unsigned n = 0; n < 1 << 16; n++) {
        for (unsigned i = 0; i < 4; i++) {
            text[i] = bytes[n >> 4 * i & 15];
        }
        text[4] = '\0';
        json_t *plain = json_string(text), *made = mr_json_text(text);
        assert_non_null(made);
        assert_int_equal(mr_json_holds(text), plain != NULL);
        assert_true(plain ? json_equal(plain, made)
                          : strchr(json_string_value(made), '\\') != NULL);
        json_decref(plain);
        json_decref(made);
    }
    json_t *with_nul = mr_json_text_n("a\0\xff", 3), *none = mr_json_text(NULL);
    assert_int_equal(json_string_length(with_nul), 6);
    assert_true(json_is_null(none));
    json_decref(with_nul);
    json_decref(none);
}

static void test_a_decimal_comma(void **state)
{
    struct mre_outcome outcome = {.result = MRE_COMMITTED, .round = 1, .loss = 0.25f};
    (void)state;
    if (!comma_locale_set(folder)) {
        skip(); /* no localedef here */
    }
    json_t *object = printed(mr_edge_print_round, &outcome);
    assert_true(json_real_value(json_object_get(object, "loss")) == 0.25);
    json_decref(object);
    setlocale(LC_ALL, "C");
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    char command[64];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_all_short_texts),
        cmocka_unit_test(test_a_decimal_comma),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
