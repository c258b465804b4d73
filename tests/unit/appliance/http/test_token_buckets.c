/* Token buckets against a virtual clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "appliance/http/token_buckets.h"

#define RATE 5u
#define FULL (10 * RATE)

static unsigned take_all(struct mr_buckets *buckets, uint32_t key, uint64_t now_ms)
{
    uint32_t retry_after_ms;
    unsigned taken = 0;
    while (taken < 1000 && mr_buckets_take(buckets, &key, sizeof key, now_ms, &retry_after_ms)) {
        taken++;
    }
    return taken;
}

static void test_burst_and_rate(void **state)
{
    (void)state;
    struct mr_buckets *buckets = mr_buckets_new(RATE, 42);
    uint32_t wait;
    const uint32_t key = 7;
    assert_int_equal(take_all(buckets, key, 1000), FULL);
    assert_false(mr_buckets_take(buckets, &key, sizeof key, 1000, &wait));
    assert_in_range(wait, 200, 201); /* a fifth of a second */
    assert_false(mr_buckets_take(buckets, &key, sizeof key, 1000 + 199, &wait));
    assert_true(mr_buckets_take(buckets, &key, sizeof key, 1000 + 201, &wait));
    assert_int_equal(take_all(buckets, key, 1000 + 201 + 2000), 2 * RATE);
    assert_int_equal(take_all(buckets, key, 1000000), FULL); /* and no more, however long */
    assert_int_equal(take_all(buckets, key, 5), 0); /* a clock that goes back gives nothing */
    mr_buckets_free(buckets);
}

static void test_keys_do_not_share(void **state)
{
    (void)state;
    struct mr_buckets *buckets = mr_buckets_new(RATE, 42);
    for (uint32_t key = 0; key < 1000; key++) {
        assert_int_equal(take_all(buckets, key, 1000), FULL);
    }
    mr_buckets_free(buckets);
}

/* A crowd of newcomers pushes out those that are full, not the one that is empty. */
static void test_a_crowd_forgives_nobody(void **state)
{
    (void)state;
    struct mr_buckets *buckets = mr_buckets_new(RATE, 42);
    uint32_t wait;
    assert_int_equal(take_all(buckets, 1, 1000), FULL);
    for (uint32_t key = 1000; key < 200000; key++) {
        (void)mr_buckets_take(buckets, &key, sizeof key, 1000, &wait);
    }
    assert_int_equal(take_all(buckets, 1, 1000), 0);
    mr_buckets_free(buckets);
}

static void test_no_limit(void **state)
{
    (void)state;
    struct mr_buckets *buckets = mr_buckets_new(0, 42);
    assert_int_equal(take_all(buckets, 1, 1000), 1000);
    mr_buckets_free(buckets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_burst_and_rate),
        cmocka_unit_test(test_keys_do_not_share),
        cmocka_unit_test(test_a_crowd_forgives_nobody),
        cmocka_unit_test(test_no_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
