/* test_file_identity.c - what tells a file from its copy: each part by itself, and what is left
 * out. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "appliance/storage/file_identity.h"
#include "scratch.h"

static const struct mr_file_identity known = {
    .inode = 7, .born_s = 1700000000, .born_ns = 5, .filesystem = 0x1234};

static void other(struct mr_file_identity one)
{
    assert_false(mr_file_identity_same(&known, &one));
    assert_false(mr_file_identity_same(&one, &known));
}

static void same(struct mr_file_identity one)
{
    assert_true(mr_file_identity_same(&known, &one));
    assert_true(mr_file_identity_same(&one, &known));
}

/* A number comes back when its file is gone; a file of the same moment may be on another disk. */
static void test_parts(void **state)
{
    (void)state;
    struct mr_file_identity one = known;
    same(one);
    one.inode++;
    other(one);
    one = known;
    one.born_s++;
    other(one);
    one = known;
    one.born_ns++;
    other(one);
    one = known;
    one.filesystem++;
    other(one);
}

static void test_unknown_parts(void **state)
{
    (void)state;
    struct mr_file_identity one = known;
    one.born_s = one.born_ns = 0;
    same(one);
    one.filesystem = 0;
    same(one);
    one.inode++;
    other(one);
}

static struct mr_file_identity of_file(const char *dir, const char *name)
{
    char path[4096];
    struct mr_file_identity identity;
    struct mr_error error;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(mr_file_identity_of(fd, &identity, &error), 0);
    close(fd);
    return identity;
}

/* Two files that stand beside each other, and one that is looked at twice. */
static void test_files(void **state)
{
    (void)state;
    char *dir = scratch_open();
    const struct mr_file_identity a = of_file(dir, "a"), b = of_file(dir, "b");
    const struct mr_file_identity again = of_file(dir, "a");
    assert_true(mr_file_identity_same(&a, &again));
    assert_false(mr_file_identity_same(&a, &b));
    scratch_close(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_unknown_parts),
        cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
