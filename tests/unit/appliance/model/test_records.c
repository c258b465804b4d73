/* test_records.c - what the store never writes over: how a round ended, and where a model came from
 * first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/sha.h>

#include "appliance/model/store.h"
#include "appliance/storage/files.h"
#include "base/bytes.h"
#include "tests/unit/appliance/storage/scratch.h"
#include "wire/safetensors.h"

struct place {
    char *dir;
    struct mr_store *store;
    uint8_t *model; /* the initial one */
    size_t model_bytes;
    uint8_t hash[MR_HASH_BYTES];
};

static void open_store(struct place *place)
{
    char initial[4200], data[4200];
    struct mr_error error = {.text = ""};
    snprintf(initial, sizeof initial, "%s/initial.safetensors", place->dir);
    snprintf(data, sizeof data, "%s/data", place->dir);
    if (mr_store_open(&place->store, data, initial, &error) != 0) {
        fail_msg("%s", error.text);
    }
}

static int open_place(void **state)
{
    const struct mr_tensor tensor = {.name = "w", .dims = {4}, .rank = 1, .count = 4};
    struct place *place = calloc(1, sizeof *place);
    char path[4200];
    struct mr_error error;
    size_t header;
    assert_non_null(place);
    place->dir = scratch_open();
    place->model = mr_safetensors_header(&tensor, 1, &header);
    place->model_bytes = header + 16;
    place->model = realloc(place->model, place->model_bytes);
    memset(place->model + header, 0, 16);
    SHA256(place->model, place->model_bytes, place->hash);
    snprintf(path, sizeof path, "%s/initial.safetensors", place->dir);
    assert_int_equal(mr_file_replace(path, place->model, place->model_bytes, &error), 0);
    open_store(place);
    *state = place;
    return 0;
}

static int close_place(void **state)
{
    struct place *place = *state;
    mr_store_close(place->store);
    scratch_close(place->dir);
    free(place->model);
    free(place);
    return 0;
}

static bool has(const struct place *place, const char *name)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/data/%s", place->dir, name);
    return access(path, F_OK) == 0;
}

static void put(const struct place *place, const char *name, const char *text)
{
    char path[4200];
    struct mr_error error;
    snprintf(path, sizeof path, "%s/data/%s", place->dir, name);
    assert_int_equal(mr_file_replace(path, text, strlen(text), &error), 0);
}

static void expect_record(const struct place *place, uint64_t round, const char *json)
{
    struct mr_error error;
    char *text;
    assert_int_equal(mr_store_read_round(place->store, round, &text, &error), 0);
    assert_string_equal(text, json);
    free(text);
}

/* --- records --------------------------------------------------------------------------------- */

#define RECORD(state, rest) "{\"state\": \"" state "\", \"announcement_hash\": \"aa\"" rest "}"
static const char published[] =
    RECORD("published", ", \"set_hash\": \"bb\", \"model_hash\": \"cc\", \"ended_unix_ms\": 1");
static const char revealed[] =
    RECORD("revealed", ", \"set_hash\": \"bb\", \"model_hash\": \"cc\", \"ended_unix_ms\": 1");
static const char voided[] = RECORD("void", ", \"reason\": \"first\"");

/* Every record against every other end: only the same end may come again, and changes nothing. */
static void test_a_round_ends_once(void **state)
{
    struct place *place = *state;
    static const char *const first[] = {published, revealed, voided, "{}", "no JSON at all"};
    static const char *const later[] = {
        RECORD("void", ", \"reason\": \"later\""),
        RECORD("void", ""),
        "{\"state\": \"void\", \"announcement_hash\": \"ee\"}",
        RECORD("published", ", \"set_hash\": \"dd\", \"model_hash\": \"cc\""),
        RECORD("published", ", \"set_hash\": \"bb\", \"model_hash\": \"dd\""),
        RECORD("published", ""),
        RECORD("revealed", ", \"set_hash\": \"bb\", \"model_hash\": \"dd\""),
        "{\"state\": \"revealed\", \"announcement_hash\": \"ee\", \"set_hash\": \"bb\", "
        "\"model_hash\": \"cc\"}",
    };
    const uint8_t sum[] = "the sum", another[] = "another";
    struct mr_error error = {.text = ""};
    for (unsigned i = 0; i < sizeof first / sizeof first[0]; i++) {
        const uint64_t round = i + 1;
        char name[40];
        const bool opened = mr_stored_end_of(first[i]) == MR_STORED_END_OPENED;
        snprintf(name, sizeof name, "rounds/%u.sum", i + 1);
        if (i < 4) {
            assert_int_equal(mr_store_write_round(place->store, round, first[i],
                                                  opened ? sum : NULL, sizeof sum, &error),
                             0);
        } else {
            put(place, "rounds/5.json", first[i]);
        }
        for (unsigned j = 0; j < sizeof later / sizeof later[0]; j++) {
            const bool again = first[i] == voided && j < 2;
            const bool ends_void = mr_stored_end_of(later[j]) == MR_STORED_END_VOID;
            const int result =
                mr_store_write_round(place->store, round, later[j], ends_void ? NULL : another,
                                     ends_void ? 0 : sizeof another, &error);
            assert_int_equal(result, again ? 0 : 1);
            assert_true(again || strstr(error.text, "has a record already"));
            expect_record(place, round, first[i]);
            assert_int_equal(has(place, name), opened);
        }
    }
}

/* A hub that was killed between the record and its journal says it again, at a later time. */
static void test_the_same_end_again(void **state)
{
    struct place *place = *state;
    struct mr_error error = {.text = ""};
    const char *again =
        RECORD("revealed", ", \"set_hash\": \"bb\", \"model_hash\": \"cc\", \"ended_unix_ms\": 2");
    const uint8_t sum[] = "the sum";
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(
            mr_store_write_round(place->store, 1, i ? again : revealed, sum, sizeof sum, &error),
            0);
        expect_record(place, 1, revealed);
    }
}

/* A crash came between the sum and a record. */
static void test_a_void_round_has_no_sum(void **state)
{
    struct place *place = *state;
    struct mr_error error = {.text = ""};
    for (unsigned i = 0; i < 2; i++) { /* also where the record is there already */
        put(place, "rounds/1.sum", "the sum");
        put(place, "rounds/1.sum.tmp", "half");
        assert_int_equal(mr_store_write_round(place->store, 1, voided, NULL, 0, &error), 0);
        assert_false(has(place, "rounds/1.sum"));
        assert_false(has(place, "rounds/1.sum.tmp"));
    }
}

/* --- origins --------------------------------------------------------------------------------- */

static char *manifest_of(const struct place *place, const uint8_t hash[MR_HASH_BYTES])
{
    char hex[2 * MR_HASH_BYTES + 1], path[4400];
    uint8_t *bytes;
    size_t length;
    struct mr_error error;
    mr_hex_encode(hex, hash, MR_HASH_BYTES);
    snprintf(path, sizeof path, "%s/data/models/%s.json", place->dir, hex);
    assert_int_equal(mr_file_read(path, &bytes, &length, &error), 0);
    return (char *)bytes;
}

static void expect_origin(const struct place *place, const char *text)
{
    char *manifest = manifest_of(place, place->hash);
    assert_string_equal(manifest, text);
    free(manifest);
}

/* A round whose sum changes nothing leads to its own parent; so does one that undoes another. */
static void test_the_first_origin_stays(void **state)
{
    struct place *place = *state;
    struct mr_error error = {.text = ""};
    static const char *const later[] = {"{\"round\": 1, \"announcement_hash\": \"aa\"}",
                                        "{\"round\": 2, \"announcement_hash\": \"bb\"}", "{}", ""};
    for (unsigned i = 0; i < sizeof later / sizeof later[0]; i++) {
        assert_int_equal(mr_store_write_model(place->store, place->hash, place->model,
                                              place->model_bytes, later[i], &error),
                         1);
        expect_origin(place, "{\"parent\": null}\n");
    }
}

static void test_origins_of_rounds(void **state)
{
    struct place *place = *state;
    struct mr_error error = {.text = ""};
    const char *first = "{\"announcement_hash\": \"aa\", \"signatures\": []}";
    char hex[2 * MR_HASH_BYTES + 1], path[4400];
    mr_hex_encode(hex, place->hash, MR_HASH_BYTES);
    snprintf(path, sizeof path, "%s/data/models/%s.json", place->dir, hex);
    unlink(path); /* a model without an origin, as a crash leaves it */
    assert_int_equal(mr_store_write_model(place->store, place->hash, place->model,
                                          place->model_bytes, first, &error),
                     0);
    /* The same round, after a restart. */
    assert_int_equal(mr_store_write_model(place->store, place->hash, place->model,
                                          place->model_bytes, "{\"announcement_hash\": \"aa\"}",
                                          &error),
                     0);
    expect_origin(place, first);
    /* Imported again into a store that has lost its `current`. */
    mr_store_close(place->store);
    snprintf(path, sizeof path, "%s/data/current", place->dir);
    unlink(path);
    open_store(place);
    assert_memory_equal(mr_store_current(place->store), place->hash, MR_HASH_BYTES);
    expect_origin(place, first);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, open_place, close_place)
    const struct CMUnitTest tests[] = {
        T(test_a_round_ends_once),      T(test_the_same_end_again), T(test_a_void_round_has_no_sum),
        T(test_the_first_origin_stays), T(test_origins_of_rounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
