/* test_budget.c - what devices have spent: durable with the release that they paid for, and never
 * given back but by the horizon. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "tests/unit/appliance/task/ledger_place.h"

#define RHO    1000u
#define DAY_S  86400u
#define DAY_MS (1000 * (uint64_t)DAY_S)
#define BEGIN  UINT64_C(1900000000000)

/* Enough for three releases. */
static const struct mr_budget_debit price = {
    .pool = "ward", .rho = RHO, .budget = 3 * RHO + 999, .unix_ms = BEGIN};

/* Of ten devices, each time on another model. */
static struct set round_of(const char *task, uint64_t round)
{
    return (struct set){task, round, (uint8_t)round, 100, 10};
}

static uint64_t left(struct place *place, const char *task, uint32_t device,
                     const struct mr_budget_debit *debit)
{
    uint8_t client[MR_CLIENT_ID_BYTES];
    uint64_t left = 0;
    client_of(client, device);
    const int may = mr_released_may_spend(place->ledger, debit, task, client, &left, &place->error);
    assert_in_range(may, 0, 1);
    assert_int_equal(may, left >= debit->rho);
    return left;
}

/* --- spending -------------------------------------------------------------------------------- */

/* To the last unit, over restarts; then the device is refused, with what it has left. */
static void test_spent_to_the_end(void **state)
{
    struct place *place = *state;
    for (uint64_t round = 1; round <= 3; round++) {
        const struct set set = round_of("digits", round);
        assert_int_equal(left(place, "digits", 104, &price), price.budget - (round - 1) * RHO);
        release_for(place, &set, &price);
        restart(place);
        assert_int_equal(left(place, "digits", 104, &price), price.budget - round * RHO);
        assert_int_equal(left(place, "digits", 110, &price), price.budget); /* in no set */
    }
    const struct set more = round_of("digits", 4), one = {"digits", 4, 4, 109, 3};
    uint8_t client[MR_CLIENT_ID_BYTES];
    assert_int_equal(claim_for(place, &more, &price), MR_CLAIM_REFUSED);
    assert_true(place->where.broke);
    assert_int_equal(place->where.left, 999);
    assert_int_equal(claim_for(place, &one, &price), MR_CLAIM_REFUSED); /* one of three */
    client_of(client, 109);
    assert_memory_equal(place->where.client_id, client, sizeof client);
    const struct set others = {"digits", 4, 4, 110, 10};
    assert_int_equal(claim_for(place, &others, &price), MR_CLAIM_TAKEN);
}

/* Whatever becomes of the round: a release that is asked for again is paid for once. */
static void test_no_refund_and_no_second_debit(void **state)
{
    struct place *place = *state;
    const struct set set = round_of("digits", 1);
    assert_int_equal(claim_for(place, &set, &price), MR_CLAIM_TAKEN);
    mr_released_unclaim(place->ledger, "digits",
                        UINT64_MAX); /* void before anything was opened: free */
    assert_int_equal(left(place, "digits", 100, &price), price.budget);
    release_for(place, &set, &price);
    for (unsigned i = 0; i < 3; i++) {
        mr_released_unclaim(place->ledger, "digits", UINT64_MAX); /* void after it */
        assert_int_equal(claim_for(place, &set, &price), MR_CLAIM_RELEASED);
        add(place, "digits");
        assert_int_equal(left(place, "digits", 100, &price), price.budget - RHO);
        restart(place);
        assert_int_equal(left(place, "digits", 100, &price), price.budget - RHO);
    }
}

/* What is claimed by a round of another task counts before it is spent: no two rounds under way
 * spend the same. */
static void test_tasks_of_one_pool(void **state)
{
    struct place *place = *state;
    struct mr_budget_debit narrow = price;
    narrow.budget = RHO;
    const struct set digits = round_of("digits", 1), voices = round_of("voices", 2);
    assert_int_equal(claim_for(place, &digits, &narrow), MR_CLAIM_TAKEN);
    assert_int_equal(left(place, "digits", 100, &narrow), RHO); /* its own round's */
    assert_int_equal(left(place, "voices", 100, &narrow), 0);
    assert_int_equal(claim_for(place, &voices, &narrow), MR_CLAIM_REFUSED);
    assert_true(place->where.broke);
    struct mr_budget_debit elsewhere = narrow;
    snprintf(elsewhere.pool, sizeof elsewhere.pool, "yard");
    assert_int_equal(claim_for(place, &voices, &elsewhere), MR_CLAIM_TAKEN);
    mr_released_unclaim(place->ledger, "digits", UINT64_MAX);
    assert_int_equal(claim_for(place, &voices, &narrow), MR_CLAIM_TAKEN);
    add(place, "voices");
    assert_int_equal(claim_for(place, &digits, &narrow), MR_CLAIM_REFUSED);
}

static int keep(struct place *place, const char *task, uint64_t round, uint32_t device,
                const struct mr_budget_debit *debit)
{
    uint8_t client[MR_CLIENT_ID_BYTES];
    client_of(client, device);
    return mr_released_keep(place->ledger, task, round, debit, client);
}

/* Who is admitted to a round has its price kept: no round of another task takes it, and that round
 * can pay when it freezes. */
static void test_kept_from_admission(void **state)
{
    struct place *place = *state;
    struct mr_budget_debit narrow = price;
    narrow.budget = RHO;
    const struct set digits = round_of("digits", 4), voices = round_of("voices", 7);
    for (uint32_t device = 109; device >= 100; device--) {
        assert_int_equal(keep(place, "digits", 4, device, &narrow), 0);
        assert_int_equal(keep(place, "digits", 4, device, &narrow), 0); /* asks once more */
    }
    for (uint32_t device = 100; device < 110; device++) {
        assert_int_equal(left(place, "digits", device, &narrow), RHO);
        assert_int_equal(left(place, "voices", device, &narrow), 0);
        assert_int_equal(left(place, "voices", device, &price), price.budget - RHO);
    }
    assert_int_equal(left(place, "voices", 110, &narrow), RHO);
    assert_int_equal(claim_for(place, &voices, &narrow), MR_CLAIM_REFUSED);
    assert_int_equal(claim_for(place, &digits, &narrow), MR_CLAIM_TAKEN);
    assert_int_equal(left(place, "voices", 100, &narrow), 0); /* once, by the claim */
    assert_int_equal(left(place, "voices", 100, &price), price.budget - RHO);
    mr_released_unclaim(place->ledger, "digits", 3); /* another round's end */
    assert_int_equal(left(place, "voices", 100, &narrow), 0);
    mr_released_unclaim(place->ledger, "digits", 4);
    assert_int_equal(left(place, "voices", 100, &narrow), RHO);
}

/* Of a round that is over, or froze without the device, nothing is kept. */
static void test_kept_no_longer(void **state)
{
    struct place *place = *state;
    struct mr_budget_debit narrow = price;
    narrow.budget = RHO;
    assert_int_equal(keep(place, "digits", 4, 100, &narrow), 0);
    assert_int_equal(keep(place, "digits", 4, 200, &narrow), 0); /* never brings its upload */
    mr_released_unclaim(place->ledger, "digits", 3);
    assert_int_equal(left(place, "voices", 200, &narrow), 0);
    const struct set digits = round_of("digits", 4);
    assert_int_equal(claim_for(place, &digits, &narrow), MR_CLAIM_TAKEN);
    assert_int_equal(left(place, "voices", 200, &narrow), RHO);
    assert_int_equal(keep(place, "voices", 5, 200, &narrow), 0);
    assert_int_equal(left(place, "digits", 200, &narrow), 0);
    mr_released_unclaim(place->ledger, "voices", 5);
    assert_int_equal(left(place, "digits", 200, &narrow), RHO);
    assert_int_equal(keep(place, "voices", 6, 200, &narrow), 0);
    mr_released_leave(place->ledger, "voices", place);
    assert_int_equal(left(place, "digits", 200, &narrow), RHO);
}

/* A release without a price is none of the pool's. */
static void test_free_rounds(void **state)
{
    struct place *place = *state;
    const struct mr_budget_pool *pools;
    const struct set set = round_of("digits", 1);
    release(place, &set);
    assert_int_equal(mr_released_pools(place->ledger, BEGIN, &pools, &place->error), 0);
    restart(place);
    assert_int_equal(mr_released_pools(place->ledger, BEGIN, &pools, &place->error), 0);
}

/* --- horizon --------------------------------------------------------------------------------- */

static void test_budget_comes_back_after_the_horizon(void **state)
{
    struct place *place = *state;
    struct mr_budget_debit debit = price;
    debit.horizon_s = DAY_S;
    for (uint64_t round = 1; round <= 3; round++) {
        const struct set set = round_of("digits", round);
        release_for(place, &set, &debit);
        debit.unix_ms += 1000;
    }
    restart(place);
    struct mr_budget_debit later = debit;
    later.unix_ms = BEGIN + DAY_MS - 1;
    assert_int_equal(left(place, "digits", 100, &later), 999);
    later.unix_ms = BEGIN + DAY_MS;
    assert_int_equal(left(place, "digits", 100, &later), RHO + 999);
    restart(place);
    assert_int_equal(left(place, "digits", 100, &later), RHO + 999);
    later.unix_ms = BEGIN + DAY_MS + 2000;
    assert_int_equal(left(place, "digits", 100, &later), price.budget);
    const struct set set = round_of("digits", 4);
    release_for(place, &set, &price); /* whose announcement has no horizon: for ever */
    later.unix_ms = BEGIN + 1000 * DAY_MS;
    assert_int_equal(left(place, "digits", 100, &later), price.budget - RHO);
}

/* --- what is shown --------------------------------------------------------------------------- */

static void test_pools(void **state)
{
    struct place *place = *state;
    const struct mr_budget_pool *pools;
    const struct set sets[] = {{"digits", 1, 1, 100, 10}, {"digits", 2, 2, 105, 10}};
    struct mr_released_head before, after;
    mr_released_head(place->ledger, &before);
    release_for(place, &sets[0], &price);
    release_for(place, &sets[1], &price);
    mr_released_head(place->ledger, &after);
    assert_int_equal(after.records, before.records + 2);
    assert_memory_not_equal(after.hash, before.hash, sizeof after.hash);
    restart(place);
    mr_released_head(place->ledger, &before);
    assert_int_equal(after.records, before.records);
    assert_memory_equal(after.hash, before.hash, sizeof after.hash);
    assert_int_equal(mr_released_pools(place->ledger, BEGIN, &pools, &place->error), 1);
    assert_string_equal(pools[0].name, "ward");
    assert_int_equal(pools[0].count, 15);
    assert_int_equal(pools[0].budget, price.budget);
    assert_int_equal(mr_budget_most(&pools[0]), 2 * RHO);
}

/* --- sums ------------------------------------------------------------------------------------ */

/* In whatever order devices come, each has its own sum; full is full. */
static void test_sums(void **state)
{
    (void)state;
    struct mr_budget budget = {.count = 0};
    uint64_t expected[64] = {0};
    unsigned random = 1;
    for (unsigned i = 0; i < 500; i++) {
        uint8_t clients[64 * MR_CLIENT_ID_BYTES];
        uint32_t count = 0;
        for (uint32_t device = 0; device < 64; device++) {
            random = random * 1103515245 + 12345;
            if (random >> 16 & 1) {
                client_of(clients + (size_t)count++ * MR_CLIENT_ID_BYTES, device);
                expected[device] += i;
            }
        }
        assert_int_equal(mr_budget_add(&budget, "ward", clients, count, i), 0);
    }
    for (uint32_t device = 0; device < 64; device++) {
        uint8_t client[MR_CLIENT_ID_BYTES];
        client_of(client, device);
        assert_int_equal(mr_budget_spent(&budget, "ward", client), expected[device]);
        assert_int_equal(mr_budget_spent(&budget, "yard", client), 0);
        assert_int_equal(mr_budget_add(&budget, "ward", client, 1, UINT64_MAX), 0);
        assert_int_equal(mr_budget_spent(&budget, "ward", client), UINT64_MAX);
        mr_budget_return(&budget, "ward", client, 1, 5); /* nobody knows what it was */
        assert_int_equal(mr_budget_spent(&budget, "ward", client), UINT64_MAX);
    }
    mr_budget_fini(&budget);
}

/* Ids that lie together, far apart, or differ in their last byte alone: each is found. */
static void test_uneven_ids(void **state)
{
    (void)state;
    enum { DEVICES = 300 };
    struct mr_budget budget = {.count = 0};
    uint8_t clients[DEVICES * MR_CLIENT_ID_BYTES] = {0}, some[DEVICES * MR_CLIENT_ID_BYTES];
    uint64_t expected[DEVICES] = {0}, id = 0;
    unsigned random = 1;
    for (unsigned i = 0; i < DEVICES; i++) {
        uint8_t *client = clients + (size_t)i * MR_CLIENT_ID_BYTES;
        id += i % 3 == 0 ? 0 : UINT64_C(1) << (i % 56);
        mr_be64_put(client, i + 1 == DEVICES ? UINT64_MAX : id);
        client[MR_CLIENT_ID_BYTES - 1] = (uint8_t)(i % 3 == 0);
    }
    for (unsigned i = 1; i <= 200; i++) {
        uint32_t count = 0;
        for (unsigned device = 0; device < DEVICES; device++) {
            random = random * 1103515245 + 12345;
            if ((random >> 16) % (1 + i % 40) == 0) {
                memcpy(some + (size_t)count++ * MR_CLIENT_ID_BYTES,
                       clients + (size_t)device * MR_CLIENT_ID_BYTES, MR_CLIENT_ID_BYTES);
                expected[device] += i;
            }
        }
        assert_int_equal(mr_budget_add(&budget, "ward", some, count, i), 0);
    }
    for (unsigned device = 0; device < DEVICES; device++) {
        const uint8_t *client = clients + (size_t)device * MR_CLIENT_ID_BYTES;
        assert_int_equal(mr_budget_spent(&budget, "ward", client), expected[device]);
    }
    mr_budget_fini(&budget);
}

/* Memory a device, and how long a cohort takes in a pool of a million. Prints what
 * docs/performance.md states. */
static void test_a_million_devices(void **state)
{
    (void)state;
    enum { DEVICES = 1000000, COHORT = 10000 };
    struct mr_budget budget = {.count = 0};
    struct timespec begin, end;
    uint8_t *clients = malloc((size_t)DEVICES * MR_CLIENT_ID_BYTES);
    for (uint32_t i = 0; i < DEVICES; i++) {
        client_of(clients + (size_t)i * MR_CLIENT_ID_BYTES, i);
    }
    assert_int_equal(mr_budget_add(&budget, "ward", clients, DEVICES, RHO), 0);
    const struct mr_budget_pool *pool = mr_budget_find(&budget, "ward");
    assert_true(pool->capacity * sizeof *pool->entries <= (size_t)DEVICES * 32);
    for (uint32_t i = 0; i < COHORT; i++) {
        client_of(clients + (size_t)i * MR_CLIENT_ID_BYTES, i * (DEVICES / COHORT));
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
    assert_int_equal(mr_budget_add(&budget, "ward", clients, COHORT, RHO), 0);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    print_message("%zu bytes a device; a cohort of %d of %d: %.2f ms of CPU\n",
                  pool->capacity * sizeof *pool->entries / DEVICES, COHORT, DEVICES,
                  (double)(end.tv_sec - begin.tv_sec) * 1e3 +
                      (double)(end.tv_nsec - begin.tv_nsec) / 1e6);
    mr_budget_fini(&budget);
    free(clients);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_spent_to_the_end),
        T(test_no_refund_and_no_second_debit),
        T(test_tasks_of_one_pool),
        T(test_kept_from_admission),
        T(test_kept_no_longer),
        T(test_free_rounds),
        T(test_budget_comes_back_after_the_horizon),
        T(test_pools),
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_uneven_ids),
        cmocka_unit_test(test_a_million_devices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
