/* test_released.c - the ledger of released sets: on one model a device is in one set at most,
 * whatever the task, the round, a crash or a file's damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "appliance/storage/chain.h"
#include "appliance/storage/disk.h"
#include "appliance/task/released_record.h"
#include "base/bytes.h"
#include "tests/unit/appliance/task/ledger_place.h"

/* --- the rule -------------------------------------------------------------------------------- */

static const struct set first = {"digits", 7, 1, 100, 10};

/* Also after a restart, and as often as it is asked. */
static void test_a_device_is_in_one_set(void **state)
{
    struct place *place = *state;
    static const struct set others[] = {
        {"digits", 8, 1, 100, 10}, /* the same devices in another round */
        {"digits", 8, 1, 100, 9},  /* … less one */
        {"digits", 8, 1, 100, 11}, /* … and one more */
        {"digits", 8, 1, 109, 50}, /* one of them and many others */
        {"digits", 8, 1, 51, 50},  /* likewise at the other end */
        {"voices", 7, 1, 105, 1},  /* in another task */
        {"digits", 7, 1, 100, 9},  /* another set of that very round */
    };
    static const struct set apart[] = {{"digits", 8, 1, 110, 10}, {"digits", 8, 1, 90, 10}};
    release(place, &first);
    for (unsigned life = 0; life < 2; life++) {
        for (unsigned i = 0; i < sizeof others / sizeof others[0]; i++) {
            assert_int_equal(claim(place, &others[i]), MR_CLAIM_REFUSED);
            assert_string_equal(place->where.task, "digits");
            assert_int_equal(place->where.round, 7);
            assert_true(place->where.released);
        }
        for (unsigned i = 0; i < 2; i++) {
            assert_int_equal(claim(place, &apart[i]), MR_CLAIM_TAKEN);
            mr_released_unclaim(place->ledger, "digits", UINT64_MAX);
        }
        assert_false(may_count(place, &others[0], 100));
        assert_false(may_count(place, &others[5], 109));
        assert_true(may_count(place, &others[0], 99));
        assert_true(may_count(place, &first, 105)); /* its own round */
        restart(place);
    }
}

static void test_another_model(void **state)
{
    struct place *place = *state;
    static const struct set next = {"digits", 8, 2, 100, 9};
    release(place, &first);
    release(place, &next);
    assert_int_equal(mr_released_sets(place->ledger), 2);
    restart(place);
    assert_false(may_count(place, &(struct set){"digits", 9, 2, 0, 0}, 100));
    assert_true(may_count(place, &(struct set){"digits", 9, 2, 0, 0}, 109));
    assert_true(may_count(place, &(struct set){"digits", 9, 3, 0, 0}, 100));
}

/* Updates of a model (1) and its metrics (2) are lines of their own; a set that looks at both
 * shares a device with neither, whether the other is released or under way. */
static void test_two_lines_of_a_model(void **state)
{
    struct place *place = *state;
    static const struct set metrics = {"digits", 8, 2, 100, 10, 1};
    static const struct set both = {"digits", 9, 1, 100, 10, 2}, plain = {"digits", 9, 1, 100, 10};
    static const struct set voices = {"voices", 9, 1, 109, 5, 2},
                            apart = {"voices", 9, 1, 110, 5, 2};
    assert_int_equal(claim(place, &metrics), MR_CLAIM_TAKEN);
    assert_int_equal(claim(place, &voices), MR_CLAIM_REFUSED);
    assert_int_equal(claim(place, &apart), MR_CLAIM_TAKEN);
    mr_released_unclaim(place->ledger, "voices", UINT64_MAX);
    add(place, "digits");
    restart(place);
    assert_int_equal(claim(place, &metrics), MR_CLAIM_RELEASED);
    assert_int_equal(claim(place, &both), MR_CLAIM_REFUSED);
    assert_int_equal(place->where.round, 8);
    assert_int_equal(claim(place, &voices), MR_CLAIM_REFUSED);
    assert_int_equal(claim(place, &apart), MR_CLAIM_TAKEN);
    mr_released_unclaim(place->ledger, "voices", UINT64_MAX);
    assert_int_equal(claim(place, &plain), MR_CLAIM_TAKEN);
    add(place, "digits");
    static const struct set later = {"digits", 10, 2, 90, 11, 1};
    assert_int_equal(claim(place, &later), MR_CLAIM_REFUSED); /* 100 is in 9's set */
}

/* Before anything is released: two rounds of one hub that are under way at once. */
static void test_sets_under_way(void **state)
{
    struct place *place = *state;
    static const struct set other = {"voices", 3, 1, 109, 5}, apart = {"voices", 3, 1, 110, 5};
    static const struct set again = {"digits", 8, 1, 100, 9};
    assert_int_equal(claim(place, &first), MR_CLAIM_TAKEN);
    assert_int_equal(claim(place, &other), MR_CLAIM_REFUSED);
    assert_string_equal(place->where.task, "digits");
    assert_false(place->where.released);
    assert_false(may_count(place, &other, 109));
    assert_int_equal(claim(place, &apart), MR_CLAIM_TAKEN);
    assert_int_equal(claim(place, &again), MR_CLAIM_TAKEN); /* in place of its own before */
    assert_int_equal(claim(place, &other), MR_CLAIM_TAKEN);
    assert_int_equal(claim(place, &first), MR_CLAIM_REFUSED);
    assert_string_equal(place->where.task, "voices");
    /* A refused claim leaves the one before in place. */
    assert_false(may_count(place, &other, 108));
    mr_released_unclaim(place->ledger, "digits", UINT64_MAX);
    mr_released_unclaim(place->ledger, "digits", UINT64_MAX);
    assert_true(may_count(place, &other, 108));
    assert_int_equal(mr_released_sets(place->ledger), 0);
}

/* What is on its way into the file is no more its task's to take back. */
static void test_adding_is_final(void **state)
{
    struct place *place = *state;
    static const struct set again = {"digits", 8, 1, 100, 9};
    assert_int_equal(claim(place, &first), MR_CLAIM_TAKEN);
    mr_released_add(place->ledger, "digits", on_added, place);
    mr_released_unclaim(place->ledger, "digits", UINT64_MAX);
    assert_int_equal(claim(place, &again), MR_CLAIM_REFUSED);
    mr_released_leave(place->ledger, "digits", place);
    close_ledger(place);
    assert_int_equal(place->answers, 0); /* whoever asked has gone */
    open_ledger(place, false);
    assert_int_equal(claim(place, &again), MR_CLAIM_REFUSED);
    assert_true(place->where.released);
}

/* A hub that comes back asks once more. */
static void test_the_same_set_once_more(void **state)
{
    struct place *place = *state;
    uint8_t hashes[3][MR_HASH_BYTES];
    release(place, &first);
    hashes_of(hashes, &first);
    for (unsigned life = 0; life < 2; life++) {
        assert_int_equal(mr_released_has(place->ledger, hashes[1], &place->error), 1);
        assert_int_equal(mr_released_has(place->ledger, hashes[2], &place->error), 0);
        assert_int_equal(claim(place, &first), MR_CLAIM_RELEASED);
        add(place, "digits");
        assert_int_equal(mr_released_sets(place->ledger), 1);
        assert_int_equal(mr_released_devices(place->ledger, hashes[0]), 10);
        restart(place);
    }
}

/* More models than are kept in memory. */
static void test_many_models(void **state)
{
    struct place *place = *state;
    for (unsigned model = 0; model < 200; model++) {
        const struct set set = {"digits", model + 1, (uint8_t)model, 5 * model, 5};
        release(place, &set);
    }
    for (unsigned model = 0; model < 200; model++) {
        const struct set set = {"voices", 1, (uint8_t)model, 5 * model + 4, 5};
        assert_int_equal(claim(place, &set), MR_CLAIM_REFUSED);
        assert_true(may_count(place, &set, 5 * model + 5));
    }
}

/* --- files ----------------------------------------------------------------------------------- */

static void test_no_ledger_no_hub(void **state)
{
    struct place *place = *state;
    static const char *const names[] = {"released", "released-0", "released-1"};
    char path[4096];
    release(place, &first);
    close_ledger(place);
    for (unsigned i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", place->dir, names[i]);
        assert_int_equal(unlink(path), 0);
        if (i != 1) { /* one of two heads may go */
            assert_int_equal(
                mr_released_open(&place->ledger, place->dir, i < 2, place->loop, &place->error),
                -1);
            assert_non_null(strstr(place->error.text, "Put released"));
            assert_null(place->ledger);
        }
    }
}

static int nothing(void *context, uint64_t offset, const uint8_t *record, size_t length,
                   struct mr_error *error)
{
    (void)context, (void)offset, (void)record, (void)length, (void)error;
    return 0;
}

/* Whole by its hash, and no set: of another version, say. */
static void test_records_that_are_none(void **state)
{
    struct place *place = *state;
    struct mr_disk_file *file;
    struct mr_chain *chain;
    uint64_t offset;
    close_ledger(place);
    assert_int_equal(mr_disk_file_open(&file, place->dir, &place->error), 0);
    assert_int_equal(mr_chain_open(&chain, mr_disk_file_ops(file), "released", false, nothing, NULL,
                                   &place->error),
                     0);
    assert_int_equal(mr_chain_append(chain, (const uint8_t *)"a set", 5, &offset, &place->error),
                     0);
    mr_chain_close(chain);
    mr_disk_file_close(file);
    assert_int_equal(
        mr_released_open(&place->ledger, place->dir, false, place->loop, &place->error), -1);
    assert_non_null(strstr(place->error.text, "no released set of this version"));
    place->ledger = NULL;
}

/* --- how long a check takes ------------------------------------------------------------------ */

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int no_sync(void *context, const char *name, struct mr_error *error)
{
    (void)context, (void)name, (void)error;
    return 0;
}

#define EACH 20u
#define MANY 10000u

/* As a hub writes it in years, without waiting for the disk. */
static void write_many(struct place *place)
{
    static uint8_t clients[EACH * MR_CLIENT_ID_BYTES], bytes[1024];
    uint8_t hashes[3][MR_HASH_BYTES];
    struct mr_disk_file *file;
    struct mr_chain *chain;
    uint64_t offset;
    assert_int_equal(mr_disk_file_open(&file, place->dir, &place->error), 0);
    struct mr_disk disk = *mr_disk_file_ops(file);
    disk.sync = no_sync;
    assert_int_equal(mr_chain_open(&chain, &disk, "released", false, nothing, NULL, &place->error),
                     0);
    for (uint32_t i = 0; i < MANY; i++) {
        const struct set set = {"digits", i + 1, (uint8_t)(i % 2), EACH * i, EACH};
        for (uint32_t d = 0; d < EACH; d++) {
            client_of(clients + (size_t)d * MR_CLIENT_ID_BYTES, set.first + d);
        }
        hashes_of(hashes, &set);
        const struct mr_released_record record = {.task = "digits",
                                                  .round = set.round,
                                                  .parent = hashes[0],
                                                  .announcement_hash = hashes[1],
                                                  .set_hash = hashes[2],
                                                  .clients = clients,
                                                  .count = EACH};
        mr_released_record_encode(bytes, &record);
        assert_int_equal(mr_chain_append(chain, bytes, mr_released_record_bytes("digits", "", EACH),
                                         &offset, &place->error),
                         0);
    }
    mr_chain_close(chain);
    mr_disk_file_close(file);
}

/* Prints what docs/performance.md states; the limit itself is not the machine's to break here. */
static void test_ten_thousand_sets(void **state)
{
    struct place *place = *state;
    const struct set fresh = {"voices", 1, 0, EACH * MANY, 1000}, other = {"voices", 1, 9, 0, 1000};
    close_ledger(place);
    write_many(place);
    double begin = now_ms();
    open_ledger(place, false);
    print_message("start with %u sets of %u: %.1f ms\n", MANY, EACH, now_ms() - begin);
    begin = now_ms();
    assert_int_equal(claim(place, &other), MR_CLAIM_TAKEN);
    print_message("1,000 devices, none of the sets on their model: %.3f ms\n", now_ms() - begin);
    begin = now_ms();
    assert_int_equal(claim(place, &fresh), MR_CLAIM_TAKEN);
    print_message(
        "half of the sets on their model, asked for the first time after a start: %.2f ms\n",
        now_ms() - begin);
    begin = now_ms();
    assert_int_equal(claim(place, &fresh), MR_CLAIM_TAKEN);
    print_message("every later time: %.3f ms\n", now_ms() - begin);
    const struct set conflict = {"voices", 1, 0, EACH * (MANY - 2), 1};
    assert_int_equal(claim(place, &conflict), MR_CLAIM_REFUSED);
    assert_int_equal(place->where.round, MANY - 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_a_device_is_in_one_set),
        T(test_another_model),
        T(test_two_lines_of_a_model),
        T(test_sets_under_way),
        T(test_adding_is_final),
        T(test_the_same_set_once_more),
        T(test_many_models),
        T(test_no_ledger_no_hub),
        T(test_records_that_are_none),
        T(test_ten_thousand_sets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
