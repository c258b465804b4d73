/* test_folder_lock.c - one process owns a folder: the second is refused and hears who has it, and a
 * crash lets go. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "appliance/storage/folder_lock.h"
#include "scratch.h"

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

/* A process that holds the lock until it is killed. */
static pid_t holder(const char *folder)
{
    int ends[2];
    char byte;
    assert_int_equal(pipe(ends), 0);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct mr_folder_lock *lock;
        struct mr_error error;
        if (mr_folder_lock(&lock, folder, &error) != 0 || write(ends[1], "1", 1) != 1) {
            _exit(1);
        }
        while (1) {
            pause();
        }
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    close(ends[0]);
    return pid;
}

static void test_second_process(void **state)
{
    const char *folder = *state;
    char who[40];
    struct mr_folder_lock *lock = NULL;
    struct mr_error error = {.text = ""};
    const pid_t pid = holder(folder);
    snprintf(who, sizeof who, "(pid %d on ", (int)pid);
    for (unsigned i = 0; i < 3; i++) { /* being refused changes nothing */
        assert_int_equal(mr_folder_lock(&lock, folder, &error), 1);
        assert_non_null(strstr(error.text, who));
        assert_non_null(strstr(error.text, folder));
        assert_non_null(strstr(error.text, "stop that one first"));
    }
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(mr_folder_lock(&lock, folder, &error), 0); /* its file is still there */
    mr_folder_unlock(lock);
}

/* One process that opens it twice, and other descriptors of the file that come and go: as the locks
 * that belong to a process and not to an open file would let go of. */
static void test_within_a_process(void **state)
{
    const char *folder = *state;
    char path[4200];
    struct mr_folder_lock *lock, *second = NULL;
    struct mr_error error = {.text = ""};
    snprintf(path, sizeof path, "%s/lock", folder);
    assert_int_equal(mr_folder_lock(&lock, folder, &error), 0);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    fclose(file);
    assert_int_equal(mr_folder_lock(&second, folder, &error), 1);
    mr_folder_unlock(lock);
    assert_int_equal(mr_folder_lock(&second, folder, &error), 0);
    mr_folder_unlock(second);
    mr_folder_unlock(NULL);
}

static void test_what_cannot_be_locked(void **state)
{
    char path[4200];
    struct mr_folder_lock *lock = NULL;
    struct mr_error error = {.text = ""};
    snprintf(path, sizeof path, "%s/none", (const char *)*state);
    assert_int_equal(mr_folder_lock(&lock, path, &error), -1);
    assert_non_null(strstr(error.text, "none/lock"));
    snprintf(path, sizeof path, "%s/lock", (const char *)*state);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(mr_folder_lock(&lock, *state, &error), -1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, open_scratch, close_scratch)
    const struct CMUnitTest tests[] = {
        T(test_second_process),
        T(test_within_a_process),
        T(test_what_cannot_be_locked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
