/* test_program.c - the external trainer's handshake, with a real program, good and bad. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/edge-client/fake.h"

static const char *trainer; /* argv[1] */

static enum mre_number_type number_type; /* of the next device */

static int shared[4]; /* as a child of the host has them that was forked with every lock */
static unsigned shared_count;

int flock(int fd, int operation)
{
    const int bad = (int)syscall(SYS_flock, fd, operation);
    if (!bad && (operation & LOCK_EX) && shared_count < 4) {
        shared[shared_count++] = dup(fd);
    }
    return bad;
}

/* The device has given them up, whoever has the open files. */
static void expect_free_locks(const struct fake *fake)
{
    static const char *const names[] = {"lock", "trainer.lock"};
    for (unsigned i = 0; i < 2; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", fake->dir, names[i]);
        const int fd = open(path, O_RDWR);
        assert_true(fd >= 0);
        assert_int_equal(syscall(SYS_flock, fd, LOCK_EX | LOCK_NB), 0);
        close(fd);
    }
    while (shared_count) {
        close(shared[--shared_count]);
    }
}

static enum mre_result play(const char *part, unsigned timeout_ms, struct mre_outcome *outcome,
                            float *first)
{
    struct fake fake;
    char path[128];
    fake_init(&fake, 2, 16);
    fake.number_type = number_type;
    /* The program lives in real time, the federation in virtual time: give both a far deadline. */
    fake.announcement.deadline_unix_ms = UINT64_C(4000000000000);
    fake_announce(&fake);
    snprintf(path, sizeof path, "%s/part.txt", fake.dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "%s\n", part);
    fclose(file);
    struct mre_program program = {.path = trainer, .data_file = path, .timeout_ms = timeout_ms};
    struct mre_client *client = fake_client(&fake, MRE_TRANSPORT_AUTO, fake.dir);
    enum mre_result result = mre_client_round(client, 1000, mre_program_train, &program, outcome);
    if (first && result == MRE_COMMITTED) {
        snprintf(path, sizeof path, "%s/%s-%s-r1-a0.bin", fake.dir, mre_client_id(client),
                 fake.announcement.task);
        file = fopen(path, "rb");
        assert_non_null(file);
        assert_int_equal(fseek(file, 80 + (long)fake.terms.layout.lanes + 64, SEEK_SET), 0);
        assert_int_equal(fread(first, sizeof *first, fake.announcement.dimension, file),
                         fake.announcement.dimension);
        fclose(file);
    }
    snprintf(path, sizeof path, "%s/training", fake.dir);
    assert_int_not_equal(access(path, F_OK), 0); /* nothing is left behind */
    mre_client_close(client);
    expect_free_locks(&fake);
    fake_fini(&fake);
    return result;
}

static void test_good_trainer(void **state)
{
    (void)state;
    struct mre_outcome outcome;
    float delta[64] = {0};
    assert_int_equal(play("good", 0, &outcome, delta), MRE_COMMITTED);
    assert_int_equal(outcome.examples, 6);
    assert_true(outcome.loss == 0.25f);
    for (unsigned i = 0; i < 51; i++) { /* 8-4-3: 51 parameters, each by epochs / 100 */
        assert_true(delta[i] == 0.02f);
    }
}

/* The program gets a file of the device's number type, and writes F32 all the same. */
static void test_number_types(void **state)
{
    for (number_type = MRE_F16; number_type <= MRE_BF16; number_type++) {
        test_good_trainer(state);
    }
    number_type = MRE_F32;
}

static void test_bad_trainers(void **state)
{
    (void)state;
    static const struct {
        const char *part, *says;
        enum mre_result result;
    } cases[] = {
        {"dies", "exit code 3", MRE_TRAINER_FAILED},     {"nan", "NaN", MRE_BAD_DELTA},
        {"misnamed", "no tensor", MRE_TRAINER_FAILED},   {"short", "tensors", MRE_TRAINER_FAILED},
        {"no-delta", "no delta", MRE_TRAINER_FAILED},    {"rubbish", "delta", MRE_TRAINER_FAILED},
        {"no-report", "report", MRE_TRAINER_FAILED},     {"empty", "examples", MRE_TRAINER_FAILED},
        {"pipe", "no regular file", MRE_TRAINER_FAILED},
    };
    struct mre_outcome outcome;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(play(cases[i].part, 0, &outcome, NULL), cases[i].result);
        assert_non_null(strstr(outcome.text, cases[i].says));
    }
}

static void test_slow_trainer_is_killed(void **state)
{
    (void)state;
    struct mre_outcome outcome;
    assert_int_equal(play("slow", 300, &outcome, NULL), MRE_TRAINER_FAILED);
    assert_non_null(strstr(outcome.text, "killed"));
}

static void test_no_such_program(void **state)
{
    (void)state;
    struct mre_outcome outcome;
    const char *kept = trainer;
    trainer = "/nonexistent/trainer";
    assert_int_equal(play("good", 0, &outcome, NULL), MRE_TRAINER_FAILED);
    trainer = kept;
}

int main(int argc, char **argv)
{
    if (argc != 2 || access("/usr/bin/python3", X_OK)) {
        puts(
            "skipped: needs /usr/bin/python3, and a machine on which fork() works (not qemu-user)");
        return 77;
    }
    trainer = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_trainer),    cmocka_unit_test(test_number_types),
        cmocka_unit_test(test_bad_trainers),    cmocka_unit_test(test_slow_trainer_is_killed),
        cmocka_unit_test(test_no_such_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
