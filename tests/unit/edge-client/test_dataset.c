/* test_dataset.c - data files: all rows of them, or an error with file and line. The texts stand
 * for what spreadsheets, loggers and failing disks leave; csv_agrees.py makes many more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "edge-client/trainer/dataset.h"
#include "tests/unit/edge-client/comma_locale.h"

static char folder[] = "/tmp/millrace-dataset-XXXXXX";

/* --- a disk with faults ---------------------------------------------------------------------- */

static struct {
    int fail_read; /* this read, counted from 1, fails with `why`; 0: none */
    int why;
    size_t most; /* bytes a read gives; 0: as asked */
    void (*after_first)(void);
    int reads;
} disk;

/* Stands before the C library's, for the reader too. */
ssize_t read(int fd, void *out, size_t capacity)
{
    disk.reads++;
    if (disk.reads == disk.fail_read) {
        errno = disk.why;
        return -1;
    }
    const ssize_t got =
        syscall(SYS_read, fd, out, disk.most && disk.most < capacity ? disk.most : capacity);
    if (disk.reads == 1 && disk.after_first) {
        disk.after_first();
    }
    return got;
}

static const char *path_of(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_bytes(const char *name, const char *bytes, size_t count, const char *mode)
{
    FILE *file = fopen(path_of(name), mode);
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, count, file), count);
    fclose(file);
}

/* --- texts ----------------------------------------------------------------------------------- */

struct text {
    const char *bytes;
    size_t length;
    const char *says; /* NULL: it is taken */
};
#define TEXT(bytes, says)                                                                          \
    {                                                                                              \
        bytes, sizeof(bytes) - 1, says                                                             \
    }

static void check_text(const struct text *text, size_t most)
{
    struct mr_dataset dataset;
    struct mr_error error = {.text = ""};
    disk = (typeof(disk)){.most = most};
    write_bytes("data.csv", text->bytes, text->length, "w");
    const int bad = mr_dataset_read(&dataset, path_of("data.csv"), 2, &error);
    if (text->says) {
        assert_int_equal(bad, -1);
        assert_non_null(strstr(error.text, folder));
        if (!strstr(error.text, text->says)) {
            fail_msg("%s\nsays: %s\nnot: %s", text->bytes, error.text, text->says);
        }
        return;
    }
    if (bad) {
        fail_msg("%s: %s", text->bytes, error.text);
    }
    assert_int_equal(dataset.count, 2);
    assert_int_equal(dataset.columns, 2);
    assert_true(dataset.features[0] == 2 && dataset.features[1] == -5);
    assert_true(dataset.features[2] == 600 && dataset.features[3] == 0);
    assert_true(dataset.labels[0] == 7 && dataset.labels[1] == 0 && dataset.label_max == 7);
    mr_dataset_fini(&dataset);
}

static void check_texts(const struct text *texts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t most = 0; most < 4; most++) {
            check_text(&texts[i], most);
        }
    }
}

/* Always the same two examples. */
static void test_the_same_rows_however_written(void **state)
{
    static const struct text texts[] = {
        TEXT("1,-2.5,7\n300,0,0\n", NULL),
        TEXT("1,-2.5,7\r\n300,0,0\r\n", NULL),
        TEXT("1,-2.5,7\r300,0,0\r", NULL),
        TEXT("1,-2.5,7\n\r300,0,0\n\r", NULL),
        TEXT("1,-2.5,7\r\r\n300,0,0\r\r\n", NULL),
        TEXT("1,-2.5,7\n300,0,0", NULL),
        TEXT("\n\n1,-2.5,7\n\n\r\n300,0,0\n\n", NULL),
        TEXT("\xef\xbb\xbf"
             "1,-2.5,7\n300,0,0\n",
             NULL),
        TEXT("\xef\xbb\xbf\"1\",-2.5,7\n300,0,0\n", NULL),
        TEXT("\"1\",\"-2.5\",\"7\"\r\n\"300\",\"0\",\"0\"\r\n", NULL),
        TEXT(" 1 , -2.5\t,  7\n3e2,-0,\t0 \n", NULL),
        TEXT("+1.,-.25E1,+7\n30000e-2,0.0e9,00\n", NULL),
    };
    (void)state;
    check_texts(texts, sizeof texts / sizeof *texts);
}

static void test_refused_with_file_and_line(void **state)
{
    static const struct text texts[] = {
        TEXT("", "no examples"),
        TEXT("\n\r\n", "no examples"),
        TEXT("\xef\xbb\xbf", "no examples"),
        TEXT("1,2,3\n1,2\n", "line 2: 2 columns, but expected 3"),
        TEXT("1,2,3\n4,5,6,7\n", "line 2: 4 columns, but expected 3"),
        TEXT("1,2,3\r4,5,6\r7,8\r", "line 3: 2 columns"),
        TEXT("1,2,3\n\r4,5,6\n\r7,8\n\r", "line 3: 2 columns"),
        TEXT("1,2,3\r\n\r\n4,5,6\r\n7,8", "line 4: 2 columns"),
        TEXT("5\n", "line 1: 1 columns, but expected at least 2"),
        TEXT("width,height,class\n1,2,3\n",
             "line 1: column 1, \"width\", is not a number. A header"),
        TEXT("1,2,3\n1,x,3\n", "line 2: column 2, \"x\""),
        TEXT("1,2,3\n1,,3\n", "line 2: column 2, \"\", is not a number. Fill the gap"),
        TEXT("1,2,3\n4,5,\n", "line 2: the last column, \"\""),
        TEXT("1,2,3,\n4,5,6,\n", "line 1: the last column, \"\""),
        TEXT("1,2,-3\n", "class"),
        TEXT("1,2,70000\n", "class"),
        TEXT("1,2,3.5\n", "class"),
        TEXT("1,5;2,5;3\n", "line 1: column 2, \"5;2\", is not a number. Columns"),
        TEXT("1.5\t2.5\t3\n", "line 1: 1 columns"),
        TEXT("\"1,5\",2,3\n",
             "line 1: column 1, \"1,5\", is not a number. Numbers have a decimal point"),
        TEXT("1,nan,3\n", "column 2"),
        TEXT("1,inf,3\n", "column 2"),
        TEXT("1,0x1p3,3\n", "column 2"),
        TEXT("1,1_000,3\n", "column 2"),
        TEXT("1,1e39,3\n", "column 2 is beyond the range"),
        TEXT("1,2,3\n1\0,2,3\n", "line 2: a NUL byte"),
        TEXT("1,2,3\n\0\0\0\0", "line 2: a NUL byte"),
        TEXT("\xff\xfe"
             "1\0,\0"
             "2\0",
             "UTF-16"),
        TEXT("1\0,\0"
             "2\0",
             "line 1: a NUL byte"),
        TEXT("1,\"2\n\",3\n", "line 1: a quote is opened"),
        TEXT("1,\"2", "line 1: a quote is opened"),
        TEXT("1,\"2\"5,3\n", "line 1: after a closing quote"),
        TEXT("1,\"2\"\"5\",3\n", "line 1: after a closing quote"),
        TEXT("1,2\"5\",3\n", "line 1: a quote stands inside"),
        TEXT("1,2,3\n4,5,6\n\x1a", "line 3: 1 columns"),
        TEXT("1,2,3\n4,5,6\x1a", "line 2: the last column, \"6?\""),
        TEXT("1,2,3\n4,5,6\n,,\n", "line 3: column 1, \"\""),
    };
    (void)state;
    check_texts(texts, sizeof texts / sizeof *texts);
}

static void test_long_fields_and_lines(void **state)
{
    static char text[3 * 70000];
    struct mr_dataset dataset;
    struct mr_error error;
    size_t length = 0;
    (void)state;
    disk = (typeof(disk)){.most = 0};
    memset(text, '0', MR_CSV_FIELD_MAX);
    memcpy(text + MR_CSV_FIELD_MAX, ",1\n", 3);
    write_bytes("data.csv", text, MR_CSV_FIELD_MAX + 3, "w");
    assert_int_equal(mr_dataset_read(&dataset, path_of("data.csv"), 1, &error), 0);
    mr_dataset_fini(&dataset);
    memset(text, '0', MR_CSV_FIELD_MAX + 1);
    memcpy(text + MR_CSV_FIELD_MAX + 1, ",1\n", 3);
    write_bytes("data.csv", text, MR_CSV_FIELD_MAX + 4, "w");
    assert_int_equal(mr_dataset_read(&dataset, path_of("data.csv"), 1, &error), -1);
    assert_non_null(strstr(error.text, "line 1: a field of more than"));
    for (unsigned columns = MR_SHARD_COLUMNS_MAX; columns < MR_SHARD_COLUMNS_MAX + 2; columns++) {
        for (length = 0; length < 2 * columns;) {
            text[length++] = '1';
            text[length++] = ',';
        }
        text[length++] = '2'; /* without a line's end */
        write_bytes("data.csv", text, length, "w");
        const int bad = mr_dataset_read(&dataset, path_of("data.csv"), 1, &error);
        assert_int_equal(bad, columns > MR_SHARD_COLUMNS_MAX ? -1 : 0);
        if (!bad) {
            assert_int_equal(dataset.columns, columns);
            assert_true(dataset.unended);
            mr_dataset_fini(&dataset);
        }
    }
}

/* The library lives in programs that have set a locale. */
static void test_a_decimal_comma_in_the_locale(void **state)
{
    static const struct text text = TEXT("1,-2.5,7\n300,0,0\n", NULL);
    (void)state;
    if (!comma_locale_set(folder)) {
        skip(); /* no localedef here */
    }
    check_text(&text, 0);
    setlocale(LC_ALL, "C");
}

/* --- files ----------------------------------------------------------------------------------- */

/* 1,024 lines of 12 bytes: several reads. */
static void write_many(void)
{
    char line[16];
    write_bytes("many.csv", "", 0, "w");
    FILE *file = fopen(path_of("many.csv"), "w");
    assert_non_null(file);
    for (unsigned i = 0; i < 1024; i++) {
        snprintf(line, sizeof line, "%05u,0.5,%u\n", i, i % 3);
        fputs(line, file);
    }
    fclose(file);
}

static void expect_bad(const char *name, const char *says)
{
    struct mr_dataset dataset;
    struct mr_error error = {.text = ""};
    assert_int_equal(mr_dataset_read(&dataset, path_of(name), 1, &error), -1);
    assert_null(dataset.features);
    if (!strstr(error.text, says) || !strstr(error.text, path_of(name))) {
        fail_msg("%s, not: %s", error.text, says);
    }
}

static void test_reads_that_fail(void **state)
{
    struct mr_dataset dataset;
    (void)state;
    write_many();
    disk = (typeof(disk)){.fail_read = 2, .why = EIO};
    expect_bad("many.csv", "line 342: cannot be read on: Input/output error");
    disk = (typeof(disk)){.fail_read = 1, .why = EIO};
    expect_bad("many.csv", "line 1: cannot be read on");
    disk = (typeof(disk)){.fail_read = 4, .why = ESTALE}; /* where the end would be */
    expect_bad("many.csv", "cannot be read on");
    for (int call = 1; call <= 4; call++) {
        disk = (typeof(disk)){.fail_read = call, .why = EINTR, .most = 4000};
        assert_int_equal(mr_dataset_read(&dataset, path_of("many.csv"), 1, NULL), 0);
        assert_int_equal(dataset.count, 1024);
        mr_dataset_fini(&dataset);
    }
}

static void shrink(void)
{
    assert_int_equal(truncate(path_of("many.csv"), 4800), 0); /* at the end of a line */
}

static void grow(void)
{
    write_bytes("many.csv", "1,1,1\n", 6, "a");
}

static void touch(void)
{
    assert_int_equal(utimensat(AT_FDCWD, path_of("many.csv"), NULL, 0), 0);
}

static void test_a_file_that_changes_meanwhile(void **state)
{
    void (*const changes[])(void) = {shrink, grow, touch};
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        write_many();
        disk = (typeof(disk)){.after_first = changes[i]};
        expect_bad("many.csv", "changed while it was read");
    }
}

static void test_what_is_no_file(void **state)
{
    (void)state;
    disk = (typeof(disk)){.most = 0};
    expect_bad("none.csv", "No such file");
    assert_int_equal(mkdir(path_of("folder"), 0700), 0);
    expect_bad("folder", "is a folder");
    assert_int_equal(mkfifo(path_of("pipe"), 0600), 0);
    expect_bad("pipe", "no ordinary file");
    assert_int_equal(symlink("loop", path_of("loop")), 0);
    expect_bad("loop", "symbolic links");
    if (geteuid() != 0) {
        write_bytes("secret.csv", "1,1\n", 4, "w");
        assert_int_equal(chmod(path_of("secret.csv"), 0), 0);
        expect_bad("secret.csv", "Permission denied");
    }
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
        cmocka_unit_test(test_the_same_rows_however_written),
        cmocka_unit_test(test_refused_with_file_and_line),
        cmocka_unit_test(test_long_fields_and_lines),
        cmocka_unit_test(test_a_decimal_comma_in_the_locale),
        cmocka_unit_test(test_reads_that_fail),
        cmocka_unit_test(test_a_file_that_changes_meanwhile),
        cmocka_unit_test(test_what_is_no_file),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
