/* test_retention.c - what a pass removes, and what it never does. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/sha.h>

#include "appliance/model/retention.h"
#include "appliance/storage/files.h"
#include "base/bytes.h"
#include "tests/unit/appliance/storage/scratch.h"
#include "wire/safetensors.h"

#define ROUNDS 6 /* each with a model, a sum and a record */
#define DAY_S  86400

struct place {
    char *dir;
    struct mr_store *store;
    uint8_t hashes[ROUNDS + 1][MR_HASH_BYTES]; /* 0: the initial model's */
    int64_t now_s;
};

static void path_of(const struct place *place, char path[4400], const char *name)
{
    snprintf(path, 4400, "%s/data/%s", place->dir, name);
}

static bool has(const struct place *place, const char *name)
{
    char path[4400];
    path_of(place, path, name);
    return access(path, F_OK) == 0;
}

static bool has_model(const struct place *place, unsigned number, const char *suffix)
{
    char hex[2 * MR_HASH_BYTES + 1], name[100];
    mr_hex_encode(hex, place->hashes[number], MR_HASH_BYTES);
    snprintf(name, sizeof name, "models/%s.%s", hex, suffix);
    return has(place, name);
}

static bool has_round(const struct place *place, unsigned round, const char *suffix)
{
    char name[100];
    snprintf(name, sizeof name, "rounds/%u.%s", round, suffix);
    return has(place, name);
}

/* So that the files of round n are (ROUNDS - n) days old. */
static void set_age(const struct place *place, const char *name, unsigned number)
{
    char path[4400];
    const struct timespec when = {.tv_sec = place->now_s - (int64_t)(ROUNDS - number) * DAY_S};
    const struct timespec times[2] = {when, when};
    path_of(place, path, name);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void put(const struct place *place, const char *name, const char *text)
{
    char path[4400];
    struct mr_error error;
    path_of(place, path, name);
    assert_int_equal(mr_file_replace(path, text, strlen(text), &error), 0);
}

/* A model whose values are all `number`; malloc'd. */
static uint8_t *make_model(struct place *place, unsigned number, size_t *length)
{
    const struct mr_tensor tensor = {.name = "w", .dims = {4}, .rank = 1, .count = 4};
    const float value = (float)number;
    size_t header;
    uint8_t *bytes = mr_safetensors_header(&tensor, 1, &header);
    *length = header + 16;
    bytes = realloc(bytes, *length);
    for (unsigned i = 0; i < 4; i++) {
        memcpy(bytes + header + 4 * (size_t)i, &value, 4);
    }
    SHA256(bytes, *length, place->hashes[number]);
    return bytes;
}

static void age_model(const struct place *place, unsigned number)
{
    char hex[2 * MR_HASH_BYTES + 1], name[100];
    mr_hex_encode(hex, place->hashes[number], MR_HASH_BYTES);
    snprintf(name, sizeof name, "models/%s.safetensors", hex);
    set_age(place, name, number);
}

static void play_round(struct place *place, unsigned round)
{
    char hex[2 * MR_HASH_BYTES + 1], text[400], name[100];
    struct mr_error error;
    size_t length;
    uint8_t *bytes = make_model(place, round, &length);
    mr_hex_encode(hex, place->hashes[round], MR_HASH_BYTES);
    snprintf(text, sizeof text,
             "{\"round\": %u, \"state\": \"published\", \"announcement_hash\": \"%u\", "
             "\"model_hash\": \"%s\", \"parent\": \"ff\"}",
             round, round, hex);
    assert_int_equal(
        mr_store_write_model(place->store, place->hashes[round], bytes, length, text, &error), 0);
    assert_int_equal(mr_store_write_round(place->store, round, text, bytes, length, &error), 0);
    assert_int_equal(mr_store_write_signed(place->store, round, place->hashes[round], &error), 0);
    mr_store_adopt_signed(place->store, round, place->hashes[round]);
    assert_int_equal(mr_store_write_current(place->store, place->hashes[round], &error), 0);
    mr_store_adopt(place->store, place->hashes[round]);
    free(bytes);
    age_model(place, round);
    snprintf(name, sizeof name, "rounds/%u.json", round);
    set_age(place, name, round);
    snprintf(name, sizeof name, "rounds/%u.sum", round);
    set_age(place, name, round);
}

static int open_place(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    char path[4400], data[4400];
    struct mr_error error = {.text = ""};
    size_t length;
    assert_non_null(place);
    place->dir = scratch_open();
    place->now_s = (int64_t)time(NULL);
    uint8_t *bytes = make_model(place, 0, &length);
    snprintf(path, sizeof path, "%s/initial.safetensors", place->dir);
    snprintf(data, sizeof data, "%s/data", place->dir);
    assert_int_equal(mr_file_replace(path, bytes, length, &error), 0);
    free(bytes);
    assert_int_equal(mr_store_open(&place->store, data, path, &error), 0);
    age_model(place, 0);
    for (unsigned round = 1; round <= ROUNDS; round++) {
        play_round(place, round);
    }
    *state = place;
    return 0;
}

static int close_place(void **state)
{
    struct place *place = *state;
    mr_store_close(place->store);
    scratch_close(place->dir);
    free(place);
    return 0;
}

/* A whole pass; how many files of each kind it removed. */
static void pass(struct place *place, const struct mr_keep *keep, const struct mr_needed *needed,
                 unsigned removed[MR_STORED_KINDS])
{
    static struct mr_survey survey;
    struct mr_error error = {.text = ""};
    assert_int_equal(mr_store_survey(place->store, keep, place->now_s, &survey, &error), 0);
    mr_store_condemn(place->store, &survey, needed);
    assert_int_equal(mr_store_remove(place->store, &survey, &error), 0);
    mr_store_acquit(place->store);
    memset(removed, 0, MR_STORED_KINDS * sizeof *removed);
    for (unsigned i = 0; i < survey.doomed_count; i++) {
        removed[survey.doomed[i].kind] += survey.doomed[i].removed;
    }
}

static const struct mr_needed nothing = {.from_round = UINT64_MAX};

/* --- by count, by age ------------------------------------------------------------------------ */

static void test_by_count(void **state)
{
    struct place *place = *state;
    unsigned removed[MR_STORED_KINDS];
    const struct mr_keep keep = {.limits = {[MR_STORED_MODELS] = {.count = 3},
                                            [MR_STORED_SUMS] = {.count = 2},
                                            [MR_STORED_ROUNDS] = {.count = 5}}};
    pass(place, &keep, &nothing, removed);
    for (unsigned round = 1; round <= ROUNDS; round++) {
        assert_int_equal(has_model(place, round, "safetensors"), round > ROUNDS - 3);
        assert_int_equal(has_round(place, round, "sum"), round > ROUNDS - 2);
        assert_int_equal(has_round(place, round, "json"), round > ROUNDS - 5);
        /* Where a model came from is known as long as its round is. */
        assert_int_equal(has_model(place, round, "json"), round > ROUNDS - 5);
    }
    assert_true(has_model(place, 0, "safetensors")); /* the first one */
    assert_int_equal(removed[MR_STORED_MODELS], 3);
    assert_int_equal(removed[MR_STORED_SUMS], 4);
    assert_int_equal(removed[MR_STORED_ROUNDS], 1);
    pass(place, &keep, &nothing, removed); /* there is no more to do */
    assert_int_equal(
        removed[MR_STORED_MODELS] + removed[MR_STORED_SUMS] + removed[MR_STORED_ROUNDS], 0);
}

/* Rounds that follow each other within a second are in their order all the same. */
static void test_within_a_second(void **state)
{
    struct place *place = *state;
    unsigned removed[MR_STORED_KINDS];
    const struct mr_keep keep = {.limits = {[MR_STORED_MODELS] = {.count = 2}}};
    for (unsigned round = 1; round <= ROUNDS; round++) {
        char hex[2 * MR_HASH_BYTES + 1], name[100], path[4400];
        const struct timespec when = {.tv_sec = place->now_s, .tv_nsec = (long)round * 1000000};
        const struct timespec times[2] = {when, when};
        mr_hex_encode(hex, place->hashes[round], MR_HASH_BYTES);
        snprintf(name, sizeof name, "models/%s.safetensors", hex);
        path_of(place, path, name);
        assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    }
    pass(place, &keep, &nothing, removed);
    assert_int_equal(removed[MR_STORED_MODELS], ROUNDS - 2);
    for (unsigned round = 1; round <= ROUNDS; round++) {
        assert_int_equal(has_model(place, round, "safetensors"), round > ROUNDS - 2);
    }
}

static void test_by_age(void **state)
{
    struct place *place = *state;
    unsigned removed[MR_STORED_KINDS];
    const struct mr_keep keep = {.limits = {[MR_STORED_MODELS] = {.days = 1},
                                            [MR_STORED_SUMS] = {.days = 2},
                                            [MR_STORED_ROUNDS] = {.days = 3, .count = 100}}};
    place->now_s += 10; /* the files of round n are older than ROUNDS - n days */
    pass(place, &keep, &nothing, removed);
    for (unsigned round = 1; round <= ROUNDS; round++) {
        assert_int_equal(has_model(place, round, "safetensors"), round > ROUNDS - 1);
        assert_int_equal(has_round(place, round, "sum"), round > ROUNDS - 2);
        assert_int_equal(has_round(place, round, "json"), round > ROUNDS - 3);
    }
    /* A clock that went back finds nothing old. */
    place->now_s -= 1000 * (int64_t)DAY_S;
    pass(place, &keep, &nothing, removed);
    assert_int_equal(removed[MR_STORED_ROUNDS], 0);
}

/* No limits: nothing goes, however much and old. */
static void test_without_limits(void **state)
{
    struct place *place = *state;
    unsigned removed[MR_STORED_KINDS];
    const struct mr_keep keep = {.limits = {{0}}};
    place->now_s += 100000 * (int64_t)DAY_S;
    pass(place, &keep, &nothing, removed);
    for (unsigned round = 0; round <= ROUNDS; round++) {
        assert_true(has_model(place, round, "safetensors"));
    }
}

/* --- what stays ------------------------------------------------------------------------------ */

static const struct mr_keep harsh = {.limits = {[MR_STORED_MODELS] = {.count = 1, .days = 1},
                                                [MR_STORED_SUMS] = {.count = 1, .days = 1},
                                                [MR_STORED_ROUNDS] = {.count = 1, .days = 1}}};

static void test_what_is_needed(void **state)
{
    struct place *place = *state;
    unsigned removed[MR_STORED_KINDS];
    struct mr_needed needed = {.models_count = 1, .from_round = ROUNDS - 1};
    memcpy(needed.models[0], place->hashes[2], MR_HASH_BYTES); /* a round goes back to that one */
    place->now_s += 100 * (int64_t)DAY_S;                      /* all of it is old */
    pass(place, &harsh, &needed, removed);
    for (unsigned round = 1; round <= ROUNDS; round++) {
        assert_int_equal(has_model(place, round, "safetensors"), round == 2 || round == ROUNDS);
        assert_int_equal(has_round(place, round, "json"), round >= ROUNDS - 1);
        assert_int_equal(has_round(place, round, "sum"), round >= ROUNDS - 1);
    }
    assert_true(has_model(place, 0, "safetensors"));
    assert_true(has_model(place, ROUNDS, "json"));
    struct mr_error error = {.text = ""};
    struct mr_model *model = mr_store_borrow(place->store, mr_store_current(place->store), &error);
    assert_non_null(model);
    mr_store_return(place->store, model);
}

/* A round ended between the look and the removing, and led back to an old model. */
static void test_current_meanwhile(void **state)
{
    struct place *place = *state;
    static struct mr_survey survey;
    struct mr_error error = {.text = ""};
    assert_int_equal(mr_store_survey(place->store, &harsh, place->now_s, &survey, &error), 0);
    mr_store_condemn(place->store, &survey, &nothing);
    assert_int_equal(mr_store_write_current(place->store, place->hashes[1], &error), 0);
    assert_int_equal(mr_store_remove(place->store, &survey, &error), 0);
    assert_true(has_model(place, 1, "safetensors"));
    assert_false(has_model(place, 2, "safetensors"));
    mr_store_acquit(place->store);
}

/* What is being removed is lent to nobody; the same model comes back where a round makes it again.
 */
static void test_condemned(void **state)
{
    struct place *place = *state;
    static struct mr_survey survey;
    struct mr_error error = {.text = ""};
    size_t length;
    assert_int_equal(mr_store_survey(place->store, &harsh, place->now_s, &survey, &error), 0);
    mr_store_condemn(place->store, &survey, &nothing);
    assert_null(mr_store_borrow(place->store, place->hashes[1], &error));
    assert_non_null(strstr(error.text, "tasks.keep"));
    assert_int_equal(mr_store_remove(place->store, &survey, &error), 0);
    mr_store_acquit(place->store);
    assert_null(mr_store_borrow(place->store, place->hashes[1], &error));
    uint8_t *bytes = make_model(place, 1, &length);
    assert_int_equal(
        mr_store_write_model(place->store, place->hashes[1], bytes, length, "{}", &error), 0);
    free(bytes);
    struct mr_model *model = mr_store_borrow(place->store, place->hashes[1], &error);
    assert_non_null(model);
    mr_store_return(place->store, model);
}

/* --- bounds, crashes ------------------------------------------------------------------------- */

/* A pass removes so many at most, and says that there is more; the next ones do the rest. */
static void test_many(void **state)
{
    struct place *place = *state;
    static struct mr_survey survey;
    struct mr_error error = {.text = ""};
    unsigned passes = 0;
    for (unsigned round = 100; round < 100 + 3 * MR_DOOMED_MAX; round++) {
        char name[40];
        snprintf(name, sizeof name, "rounds/%u.json", round);
        put(place, name, "{\"state\": \"void\"}");
    }
    const struct mr_keep keep = {.limits = {[MR_STORED_ROUNDS] = {.count = 2}}};
    do {
        assert_true(++passes < 10);
        assert_int_equal(mr_store_survey(place->store, &keep, place->now_s, &survey, &error), 0);
        mr_store_condemn(place->store, &survey, &nothing);
        assert_true(survey.doomed_count <= MR_DOOMED_MAX);
        assert_int_equal(mr_store_remove(place->store, &survey, &error), 0);
        mr_store_acquit(place->store);
    } while (survey.more);
    assert_true(passes > 2);
    assert_true(has_round(place, 99 + 3 * MR_DOOMED_MAX, "json"));
    assert_true(has_round(place, 98 + 3 * MR_DOOMED_MAX, "json"));
    assert_false(has_round(place, 97 + 3 * MR_DOOMED_MAX, "json"));
    assert_false(has_round(place, ROUNDS, "sum")); /* none without its record */
}

/* What a crash left half written goes; what is not the store's stays. */
static void test_left_overs(void **state)
{
    struct place *place = *state;
    unsigned removed[MR_STORED_KINDS];
    static const char *const others[] = {"models/README", "models/ab.safetensors", "rounds/x.json",
                                         "rounds/1.json.bak", "rounds/.sum"};
    put(place, "models/one", "x");
    char from[4400], to[4400];
    path_of(place, from, "models/one");
    path_of(place, to, "models/half.safetensors.tmp");
    assert_int_equal(rename(from, to), 0);
    for (unsigned i = 0; i < sizeof others / sizeof others[0]; i++) {
        put(place, others[i], "x");
    }
    pass(place, &harsh, &nothing, removed);
    assert_false(has(place, "models/half.safetensors.tmp"));
    for (unsigned i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_true(has(place, others[i]));
    }
}

/* Killed after any number of removals: the next pass comes to the same end. */
static void test_killed_in_the_middle(void **state)
{
    struct place *place = *state;
    static struct mr_survey survey;
    struct mr_error error = {.text = ""};
    unsigned removed[MR_STORED_KINDS];
    assert_int_equal(mr_store_survey(place->store, &harsh, place->now_s, &survey, &error), 0);
    mr_store_condemn(place->store, &survey, &nothing);
    survey.doomed_count /= 2;
    assert_int_equal(mr_store_remove(place->store, &survey, &error), 0);
    mr_store_acquit(place->store);
    char data[4400];
    snprintf(data, sizeof data, "%s/data", place->dir);
    mr_store_close(place->store);
    assert_int_equal(mr_store_open(&place->store, data, NULL, &error), 0);
    pass(place, &harsh, &nothing, removed);
    for (unsigned round = 1; round < ROUNDS; round++) {
        assert_false(has_model(place, round, "safetensors"));
        assert_false(has_model(place, round, "json"));
        assert_false(has_round(place, round, "json"));
        assert_false(has_round(place, round, "sum"));
    }
    assert_true(has_model(place, ROUNDS, "safetensors"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, open_place, close_place)
    const struct CMUnitTest tests[] = {
        T(test_by_count),       T(test_within_a_second),
        T(test_by_age),         T(test_without_limits),
        T(test_what_is_needed), T(test_current_meanwhile),
        T(test_condemned),      T(test_many),
        T(test_left_overs),     T(test_killed_in_the_middle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
