/* test_disk.c - the real disk when the kernel refuses, interrupts or shortens a call: an error that
 * names file and deed, or the whole of the bytes. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "appliance/storage/disk.h"
#include "tests/unit/appliance/storage/scratch.h"

/* --- system calls that do as they are told (the linker puts them in front) ------------------- */

enum call { CALL_NONE, CALL_PWRITE, CALL_FSTAT, CALL_SYNC, CALL_TRUNCATE, CALL_UNLINK, CALL_OPEN };

static struct {
    enum call call; /* this one … */
    unsigned after; /* … after so many went well … */
    int why;        /* … fails with that errno; 0: pwrite writes nothing */
    bool once;
} plan;

static bool refused(enum call call)
{
    if (plan.call != call || plan.after-- != 0) {
        return false;
    }
    plan.after = 0;
    if (plan.once) {
        plan.call = CALL_NONE;
    }
    errno = plan.why;
    return true;
}

ssize_t __real_pwrite64(int fd, const void *bytes, size_t length, off_t at);
ssize_t __wrap_pwrite64(int fd, const void *bytes, size_t length, off_t at);
int __real_fstat64(int fd, struct stat *about);
int __wrap_fstat64(int fd, struct stat *about);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __real_ftruncate64(int fd, off_t length);
int __wrap_ftruncate64(int fd, off_t length);
int __real_unlink(const char *path);
int __wrap_unlink(const char *path);
int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);

/* Never more than 1,000 bytes at a time, as a kernel may. */
ssize_t __wrap_pwrite64(int fd, const void *bytes, size_t length, off_t at)
{
    if (refused(CALL_PWRITE)) {
        return plan.why ? -1 : 0;
    }
    return __real_pwrite64(fd, bytes, length < 1000 ? length : 1000, at);
}

int __wrap_fstat64(int fd, struct stat *about)
{
    return refused(CALL_FSTAT) ? -1 : __real_fstat64(fd, about);
}

int __wrap_fdatasync(int fd)
{
    return refused(CALL_SYNC) ? -1 : __real_fdatasync(fd);
}

int __wrap_ftruncate64(int fd, off_t length)
{
    return refused(CALL_TRUNCATE) ? -1 : __real_ftruncate64(fd, length);
}

int __wrap_unlink(const char *path)
{
    return refused(CALL_UNLINK) ? -1 : __real_unlink(path);
}

int __wrap_open64(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    const mode_t mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return refused(CALL_OPEN) ? -1 : __real_open64(path, flags, mode);
}

/* --- a disk of its own ----------------------------------------------------------------------- */

struct place {
    char *dir;
    struct mr_disk_file *file;
    const struct mr_disk *disk;
};

static int open_place(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    struct mr_error error;
    plan.call = CALL_NONE;
    place->dir = scratch_open();
    assert_int_equal(mr_disk_file_open(&place->file, place->dir, &error), 0);
    place->disk = mr_disk_file_ops(place->file);
    *state = place;
    return 0;
}

static int close_place(void **state)
{
    struct place *place = *state;
    plan.call = CALL_NONE;
    mr_disk_file_close(place->file);
    scratch_close(place->dir);
    free(place);
    return 0;
}

static uint8_t text[3500];

static void expect_content(const struct place *place, size_t length)
{
    uint8_t *bytes;
    size_t found;
    struct mr_error error;
    assert_int_equal(place->disk->read(place->disk->context, "log", &bytes, &found, &error), 0);
    assert_int_equal(found, length);
    for (size_t i = 0; i < length; i++) {
        assert_int_equal(bytes[i], text[i % sizeof text]);
    }
    free(bytes);
}

static int put(const struct place *place, struct mr_error *error)
{
    return place->disk->write(place->disk->context, "log", text, sizeof text, error);
}

static int append(const struct place *place, struct mr_error *error)
{
    return place->disk->append(place->disk->context, "log", text, sizeof text, error);
}

static int sync_it(const struct place *place, struct mr_error *error)
{
    return place->disk->sync(place->disk->context, "log", error);
}

static int wipe(const struct place *place, struct mr_error *error)
{
    return place->disk->wipe(place->disk->context, "log", error);
}

/* --- refusals -------------------------------------------------------------------------------- */

static void test_every_refusal_is_told(void **state)
{
    static const struct {
        int (*deed)(const struct place *place, struct mr_error *error);
        enum call call;
        unsigned after;
        int why;
        const char *words;
    } cases[] = {
        {put, CALL_PWRITE, 0, EIO, "log in data_dir: cannot write: Input/output error"},
        {put, CALL_PWRITE, 2, ENOSPC, "No space left on device (is the disk full?)"},
        {put, CALL_PWRITE, 1, 0, "(is the disk full?)"},
        {put, CALL_FSTAT, 0, EIO, "cannot write"},
        {append, CALL_FSTAT, 0, EIO, "log in data_dir: cannot append: Input/output error"},
        {append, CALL_PWRITE, 0, EFBIG, "cannot append: File too large (is the disk full?)"},
        {sync_it, CALL_SYNC, 0, EIO, "log in data_dir: cannot sync: Input/output error"},
        {wipe, CALL_FSTAT, 0, EIO, "log in data_dir: cannot wipe: Input/output error"},
        {wipe, CALL_PWRITE, 1, EIO, "cannot wipe"},
        {wipe, CALL_SYNC, 0, EIO, "cannot wipe"},
        {wipe, CALL_UNLINK, 0, EPERM, "cannot wipe: Operation not permitted"},
    };
    struct place *place = *state;
    struct mr_error error = {.text = ""};
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(put(place, &error), 0);
        assert_int_equal(sync_it(place, &error), 0);
        plan.call = cases[i].call;
        plan.after = cases[i].after;
        plan.why = cases[i].why;
        assert_int_equal(cases[i].deed(place, &error), -1);
        plan.call = CALL_NONE;
        if (!strstr(error.text, cases[i].words)) {
            fail_msg("case %u: '%s' lacks '%s'", i, error.text, cases[i].words);
        }
    }
    assert_int_equal(put(place, &error), 0); /* what it was opened for still works */
    expect_content(place, sizeof text);
}

/* The file is shorter than what it held: cut off, and that can fail too. */
static void test_shorter_than_before(void **state)
{
    struct place *place = *state;
    struct mr_error error;
    assert_int_equal(put(place, &error), 0);
    plan.call = CALL_TRUNCATE;
    plan.why = EIO;
    assert_int_equal(place->disk->write(place->disk->context, "log", text, 10, &error), -1);
    assert_non_null(strstr(error.text, "cannot write"));
    plan.call = CALL_NONE;
    assert_int_equal(place->disk->write(place->disk->context, "log", text, 10, &error), 0);
    expect_content(place, 10);
}

static void test_files_that_do_not_open(void **state)
{
    int (*const deeds[])(const struct place *, struct mr_error *) = {put, append, sync_it, wipe};
    struct place *place = *state;
    struct mr_error error;
    assert_int_equal(put(place, &error), 0);
    mr_disk_file_close(place->file); /* a new process has nothing open yet */
    assert_int_equal(mr_disk_file_open(&place->file, place->dir, &error), 0);
    place->disk = mr_disk_file_ops(place->file);
    for (unsigned i = 0; i < 4; i++) {
        plan.call = CALL_OPEN;
        plan.why = EMFILE;
        assert_int_equal(deeds[i](place, &error), -1);
        assert_non_null(strstr(error.text, "log in data_dir: cannot open: Too many open files"));
    }
    plan.call = CALL_NONE;
    expect_content(place, sizeof text); /* as it was */
}

/* The folder's entry of a new file is synced with the file. */
static void test_folder_that_does_not_sync(void **state)
{
    struct place *place = *state;
    struct mr_error error;
    assert_int_equal(put(place, &error), 0);
    plan.call = CALL_OPEN; /* the folder's */
    plan.why = EACCES;
    assert_int_equal(sync_it(place, &error), -1);
    plan.call = CALL_NONE;
    assert_int_equal(sync_it(place, &error), 0);
    plan.call = CALL_OPEN; /* not needed any more */
    assert_int_equal(sync_it(place, &error), 0);
    plan.call = CALL_NONE;
}

/* A file that is there may have been made by a process that was killed before that sync. */
static void test_folder_of_a_file_that_was_there(void **state)
{
    struct place *place = *state;
    struct mr_error error;
    assert_int_equal(put(place, &error), 0); /* and never synced */
    mr_disk_file_close(place->file);
    assert_int_equal(mr_disk_file_open(&place->file, place->dir, &error), 0);
    place->disk = mr_disk_file_ops(place->file);
    assert_int_equal(put(place, &error), 0);
    plan.call = CALL_OPEN; /* the folder's */
    plan.why = EACCES;
    assert_int_equal(sync_it(place, &error), -1);
    plan.call = CALL_NONE;
    assert_int_equal(sync_it(place, &error), 0);
}

/* --- not refusals ---------------------------------------------------------------------------- */

static void test_interrupted(void **state)
{
    struct place *place = *state;
    struct mr_error error;
    plan.call = CALL_PWRITE;
    plan.why = EINTR;
    plan.once = true;
    plan.after = 1;
    assert_int_equal(put(place, &error), 0);
    expect_content(place, sizeof text);
    plan.call = CALL_PWRITE;
    plan.after = 2;
    assert_int_equal(append(place, &error), 0);
    plan.once = false;
    expect_content(place, 2 * sizeof text);
}

/* Longer than one stretch of zeros; and one that is not there is fine. */
static void test_wipe(void **state)
{
    struct place *place = *state;
    struct mr_error error;
    struct stat about;
    char path[4096];
    for (unsigned i = 0; i < 40; i++) {
        assert_int_equal((i ? append : put)(place, &error), 0);
    }
    snprintf(path, sizeof path, "%s/log", place->dir);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(wipe(place, &error), 0);
    assert_int_equal(access(path, F_OK), -1);
    uint8_t byte = 1;
    assert_int_equal(fstat(fd, &about), 0);
    assert_int_equal(about.st_size, 40 * sizeof text);
    for (off_t at = 0; at < about.st_size; at++) { /* what the blocks hold now */
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        assert_int_equal(byte, 0);
    }
    close(fd);
    assert_int_equal(wipe(place, &error), 0);
}

/* --- what is written again ------------------------------------------------------------------- */

static void test_settle(void **state)
{
    struct place *place = *state;
    struct mr_error error;
    assert_int_equal(mr_disk_settle(place->disk, "log", &error), -1);
    assert_non_null(strstr(error.text, "log in data_dir has gone"));
    assert_int_equal(put(place, &error), 0);
    assert_int_equal(mr_disk_settle(place->disk, "log", &error), 0);
    plan.call = CALL_SYNC;
    plan.why = EIO;
    assert_int_equal(mr_disk_settle(place->disk, "log", &error), -1);
    assert_non_null(strstr(error.text, "cannot sync"));
    plan.call = CALL_NONE;
    char path[4096];
    snprintf(path, sizeof path, "%s/dir", place->dir);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(mr_disk_settle(place->disk, "dir", &error), -1); /* no file to read */
    assert_int_equal(mr_disk_settle(place->disk, "log", &error), 0);
    expect_content(place, sizeof text);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, open_place, close_place)
    const struct CMUnitTest tests[] = {
        T(test_every_refusal_is_told),
        T(test_shorter_than_before),
        T(test_files_that_do_not_open),
        T(test_folder_that_does_not_sync),
        T(test_folder_of_a_file_that_was_there),
        T(test_interrupted),
        T(test_wipe),
        T(test_settle),
    };
    for (size_t i = 0; i < sizeof text; i++) {
        text[i] = (uint8_t)(i * 7 + 1);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
