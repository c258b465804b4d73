/* test_training_seed.c - the trainer's seed comes from a secret of the device, and stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "edge-client/session/training_seed.h"
#include "tests/unit/edge-client/fake.h"
#include "wire/training.h"

/* As a new process of the device gets it. */
static uint64_t seed_of(struct fake *fake, uint64_t round, uint64_t fixed)
{
    struct mre_client *client = fake_client(fake, MRE_TRANSPORT_AUTO, NULL);
    struct mr_announcement announcement = fake->announcement;
    struct mr_error error;
    uint64_t seed;
    announcement.round = round;
    client->training_seed = fixed;
    assert_int_equal(mr_training_seed(client, &announcement, &seed, &error), 0);
    mre_client_close(client);
    return seed;
}

static const char *secret_path(const struct fake *fake)
{
    static char path[96];
    snprintf(path, sizeof path, "%s/training-secret", fake->dir);
    return path;
}

static void test_it_stays(void **state)
{
    struct fake fake, other;
    struct stat about;
    (void)state;
    fake_init(&fake, 2, 16);
    const uint64_t first = seed_of(&fake, 1, 0);
    assert_int_equal(stat(secret_path(&fake), &about), 0);
    assert_int_equal(about.st_mode & 07777, 0600);
    assert_int_equal(about.st_size, MR_TRAINING_SECRET_BYTES);
    assert_true(seed_of(&fake, 1, 0) == first);
    assert_true(seed_of(&fake, 2, 0) != first);
    snprintf(fake.announcement.task, sizeof fake.announcement.task, "defaul");
    assert_true(seed_of(&fake, 1, 0) != first);
    fake_init(&other, 2, 16); /* the same certificate: what is public is the same */
    other.random.state = 99;
    assert_true(seed_of(&other, 1, 0) != first);
    fake_fini(&fake);
    fake_fini(&other);
}

/* One that is cut short serves nobody: another is made. */
static void test_a_secret_that_is_damaged(void **state)
{
    struct fake fake;
    struct stat about;
    (void)state;
    fake_init(&fake, 2, 16);
    const uint64_t first = seed_of(&fake, 1, 0);
    FILE *file = fopen(secret_path(&fake), "w");
    assert_true(file && fputs("short", file) >= 0 && fclose(file) == 0);
    const uint64_t second = seed_of(&fake, 1, 0);
    assert_true(second != first && seed_of(&fake, 1, 0) == second);
    assert_int_equal(stat(secret_path(&fake), &about), 0);
    assert_int_equal(about.st_size, MR_TRAINING_SECRET_BYTES);
    fake_fini(&fake);
}

static void test_an_experiment(void **state)
{
    static const uint8_t id[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    struct fake fake;
    struct stat about;
    (void)state;
    fake_init(&fake, 2, 16);
    assert_true(seed_of(&fake, 3, 7) == mr_sgd_seed(id, 3, 7));
    assert_int_not_equal(stat(secret_path(&fake), &about), 0); /* not needed */
    assert_true(seed_of(&fake, 3, 0) != mr_sgd_seed(id, 3, 0));
    fake_fini(&fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_stays),
        cmocka_unit_test(test_a_secret_that_is_damaged),
        cmocka_unit_test(test_an_experiment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
