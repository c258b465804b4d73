/* test_trainer_life.c - a trainer, and all that it has started, ends with its device: however that
 * ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/edge-client/fake.h"

#define PATIENCE_MS 60000

static const char *trainer; /* argv[1] */

struct family {
    pid_t watcher, program, daemon;
};

struct life {
    struct fake fake;
    char part[96]; /* the trainer's data */
};

static void write_part(struct life *life, const char *part)
{
    snprintf(life->part, sizeof life->part, "%s/part.txt", life->fake.dir);
    FILE *file = fopen(life->part, "w");
    assert_non_null(file);
    assert_true(fprintf(file, "%s\n", part) > 0 && fclose(file) == 0);
}

static void begin(struct life *life, const char *part)
{
    fake_init(&life->fake, 2, 16);
    life->fake.announcement.deadline_unix_ms = UINT64_C(4000000000000); /* its time is real */
    fake_announce(&life->fake);
    write_part(life, part);
}

static enum mre_result play(struct life *life, unsigned timeout_ms)
{
    struct mre_outcome outcome;
    struct mre_program program = {
        .path = trainer, .data_file = life->part, .timeout_ms = timeout_ms};
    struct mre_client *client = fake_client(&life->fake, MRE_TRANSPORT_AUTO, NULL);
    const enum mre_result result =
        mre_client_round(client, 1000, mre_program_train, &program, &outcome);
    mre_client_close(client);
    return result;
}

static void pause_ms(unsigned ms)
{
    const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&t, NULL);
}

/* Once the trainer has written them down. */
static struct family read_family(const struct life *life)
{
    struct family family = {.watcher = 0};
    char path[128];
    snprintf(path, sizeof path, "%s.pids", life->part);
    for (unsigned waited = 0; waited < PATIENCE_MS; waited += 10) {
        FILE *file = fopen(path, "r");
        if (file) {
            assert_int_equal(
                fscanf(file, "%d %d %d", &family.watcher, &family.program, &family.daemon), 3);
            fclose(file);
            return family;
        }
        pause_ms(10);
    }
    fail_msg("the trainer did not start");
    return family;
}

/* Those that lost their parents are ours to wait for. */
static bool is_gone(pid_t pid)
{
    while (waitpid(-1, NULL, WNOHANG) > 0) {
        ;
    }
    return kill(pid, 0) != 0 && errno == ESRCH;
}

static void expect_gone(pid_t pid)
{
    for (unsigned waited = 0; waited < PATIENCE_MS; waited += 10) {
        if (is_gone(pid)) {
            return;
        }
        pause_ms(10);
    }
    fail_msg("process %d still runs", (int)pid);
}

static void expect_all_gone(const struct family *family)
{
    expect_gone(family->watcher);
    expect_gone(family->program);
    expect_gone(family->daemon);
}

/* A device in a process of its own, whose trainer runs. */
static pid_t start_device(struct life *life, struct family *family)
{
    fflush(NULL);
    const pid_t device = fork();
    assert_true(device >= 0);
    if (device == 0) {
        (void)signal(SIGHUP, SIG_DFL); /* whoever started the tests may have it ignored */
        (void)play(life, 0);
        _exit(1); /* it was to be killed */
    }
    *family = read_family(life);
    return device;
}

static void kill_device(pid_t device, int signal)
{
    assert_int_equal(kill(device, signal), 0);
    assert_int_equal(waitpid(device, NULL, 0), device);
}

static void test_signals_that_end_the_device(void **state)
{
    static const int signals[] = {SIGTERM, SIGHUP, SIGKILL};
    (void)state;
    for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++) {
        struct life life;
        struct family family;
        begin(&life, "family");
        kill_device(start_device(&life, &family), signals[i]);
        expect_all_gone(&family);
        fake_fini(&life.fake);
    }
}

/* The next process of this device trains at once on the same files, and nobody else does. */
static void test_a_restart(void **state)
{
    struct life life;
    struct family family;
    (void)state;
    begin(&life, "family");
    kill_device(start_device(&life, &family), SIGKILL);
    write_part(&life, "good");
    assert_int_equal(play(&life, 0), MRE_COMMITTED);
    assert_true(is_gone(family.program) && is_gone(family.daemon));
    fake_fini(&life.fake);
}

/* Somebody killed the watcher, and then the device: what the trainer had started is left, and has
 * the lock. */
static void test_a_restart_after_the_watcher_was_killed(void **state)
{
    struct life life;
    struct family family;
    (void)state;
    begin(&life, "family");
    const pid_t device = start_device(&life, &family);
    assert_int_equal(kill(device, SIGSTOP), 0);
    assert_int_equal(kill(family.watcher, SIGKILL), 0);
    expect_gone(family.program);
    kill_device(device, SIGKILL);
    assert_false(is_gone(family.daemon));
    write_part(&life, "good");
    assert_int_equal(play(&life, 0), MRE_COMMITTED);
    expect_gone(family.daemon);
    fake_fini(&life.fake);
}

/* However slowly this machine starts the trainer. */
static void test_a_trainer_that_is_late(void **state)
{
    struct life life;
    char path[128];
    (void)state;
    begin(&life, "family");
    snprintf(path, sizeof path, "%s.pids", life.part);
    for (unsigned ms = 500; access(path, F_OK); ms *= 2) {
        assert_int_equal(play(&life, ms), MRE_TRAINER_FAILED);
        life.fake.announcement.round++;
        fake_announce(&life.fake);
    }
    const struct family family = read_family(&life);
    assert_true(is_gone(family.program) && is_gone(family.daemon));
    fake_fini(&life.fake);
}

static void test_a_trainer_that_leaves_somebody_behind(void **state)
{
    struct life life;
    (void)state;
    begin(&life, "leaves");
    assert_int_equal(play(&life, 0), MRE_COMMITTED);
    const struct family family = read_family(&life);
    assert_true(is_gone(family.program) && is_gone(family.daemon));
    fake_fini(&life.fake);
}

int main(int argc, char **argv)
{
    if (argc != 2 || access("/usr/bin/python3", X_OK)) {
        puts(
            "skipped: needs /usr/bin/python3, and a machine on which fork() works (not qemu-user)");
        return 77;
    }
    trainer = argv[1];
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signals_that_end_the_device),
        cmocka_unit_test(test_a_restart),
        cmocka_unit_test(test_a_restart_after_the_watcher_was_killed),
        cmocka_unit_test(test_a_trainer_that_is_late),
        cmocka_unit_test(test_a_trainer_that_leaves_somebody_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
