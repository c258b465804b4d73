/* test_versions.c - which model is current, over restarts, roll-backs and files that are older. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "appliance/model/catalogue.h"
#include "appliance/model/retention.h"
#include "appliance/model/store.h"
#include "appliance/storage/files.h"
#include "base/bytes.h"
#include "store_scene.h"

struct place {
    char *dir, data[400];
    struct mr_store *store;
    uint8_t hashes[8][MR_HASH_BYTES]; /* of the models that `add` made, 0: the first one */
    struct mr_error error;
};

static void path_of(char path[600], const struct place *place, const char *name)
{
    snprintf(path, 600, "%s/%s", place->data, name);
}

static void start(struct place *place)
{
    char initial[500];
    snprintf(initial, sizeof initial, "%s/initial", place->dir);
    if (mr_store_open(&place->store, place->data, initial, &place->error) != 0) {
        fail_msg("%s", place->error.text);
    }
}

static void stop(struct place *place)
{
    mr_store_close(place->store);
    place->store = NULL;
}

/* The hub does not start, and says so. */
static void starts_not(struct place *place, const char *word)
{
    assert_int_equal(mr_store_open(&place->store, place->data, "", &place->error), -1);
    if (!strstr(place->error.text, word)) {
        fail_msg("\"%s\" is not in: %s", word, place->error.text);
    }
    place->store = NULL;
}

static int open_place(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    char path[500];
    size_t length;
    place->dir = scratch_open();
    snprintf(place->data, sizeof place->data, "%s/data", place->dir);
    snprintf(path, sizeof path, "%s/initial", place->dir);
    uint8_t *bytes = make_model(0, &length, place->hashes[0]);
    assert_int_equal(mr_file_replace(path, bytes, length, &place->error), 0);
    free(bytes);
    start(place);
    *state = place;
    return 0;
}

static int close_place(void **state)
{
    struct place *place = *state;
    if (place->store) {
        stop(place);
    }
    scratch_close(place->dir);
    free(place);
    return 0;
}

/* Round i leads to model i, from model i - 1. */
static void add(struct place *place, unsigned i)
{
    char manifest[300], hex[2 * MR_HASH_BYTES + 1];
    size_t length;
    uint8_t *bytes = make_model((float)i, &length, place->hashes[i]);
    mr_hex_encode(hex, place->hashes[i - 1], MR_HASH_BYTES);
    snprintf(manifest, sizeof manifest,
             "{\"round\": %u, \"included\": 7, \"parent\": \"%s\", \"announcement_hash\": "
             "\"%064u\", \"ended_unix_ms\": %u, \"metrics\": {\"loss_mean\": 0.5}}",
             i, hex, i, 1000 + i);
    assert_int_equal(mr_store_write_model(place->store, place->hashes[i], bytes, length, manifest,
                                          &place->error),
                     0);
    free(bytes);
    assert_int_equal(mr_store_write_current(place->store, place->hashes[i], &place->error), 0);
    mr_store_adopt(place->store, place->hashes[i]);
}

static struct mr_version current(const struct place *place)
{
    struct mr_version version;
    struct mr_error error;
    assert_int_equal(mr_versions_current(mr_store_versions(place->store), &version, &error), 0);
    return version;
}

static void expect_current(struct place *place, unsigned model, uint64_t number)
{
    for (unsigned life = 0; life < 2; life++) { /* and a new process knows it too */
        const struct mr_version version = current(place);
        assert_int_equal(version.number, number);
        assert_memory_equal(version.hash, place->hashes[model], MR_HASH_BYTES);
        assert_memory_equal(mr_store_current(place->store), place->hashes[model], MR_HASH_BYTES);
        stop(place);
        start(place);
    }
}

static void test_numbers_rise(void **state)
{
    struct place *place = *state;
    expect_current(place, 0, 1);
    assert_int_equal(current(place).kind, MR_VERSION_INITIAL);
    add(place, 1);
    add(place, 2);
    expect_current(place, 2, 3);
    const struct mr_version version = current(place);
    assert_int_equal(version.kind, MR_VERSION_ROUND);
    assert_int_equal(version.round, 2);
    assert_int_equal(version.included, 7);
    assert_int_equal(version.made_unix_ms, 1002);
    assert_memory_equal(version.parent, place->hashes[1], MR_HASH_BYTES);
    assert_non_null(strstr(version.metrics, "loss_mean"));
    /* The same end twice, as after a crash, is one version. */
    assert_int_equal(mr_store_write_current(place->store, place->hashes[2], &place->error), 0);
    expect_current(place, 2, 3);
}

/* A round that is given up: its version is withdrawn, its number is not given again; where the
 * round comes to its end after all, it is that version. */
static void test_given_up(void **state)
{
    struct place *place = *state;
    add(place, 1);
    add(place, 2);
    assert_int_equal(mr_store_write_back(place->store, place->hashes[1], &place->error), 0);
    mr_store_adopt(place->store, place->hashes[1]);
    expect_current(place, 1, 2);
    assert_int_equal(mr_store_write_back(place->store, place->hashes[1], &place->error), 0);
    expect_current(place, 1, 2);
    add(place, 2);
    expect_current(place, 2, 3);
    assert_int_equal(mr_store_write_back(place->store, place->hashes[1], &place->error), 0);
    mr_store_adopt(place->store, place->hashes[1]);
    memcpy(place->hashes[2], place->hashes[1], MR_HASH_BYTES);
    add(place, 3); /* another round's */
    expect_current(place, 3, 4);
}

/* Only what one round made is given up: further back is a version of its own. */
static void test_no_version_is_lost(void **state)
{
    struct place *place = *state;
    struct mr_version version;
    for (unsigned i = 1; i < 4; i++) {
        add(place, i);
    }
    assert_int_equal(mr_store_write_back(place->store, place->hashes[1], &place->error), 0);
    mr_store_adopt(place->store, place->hashes[1]);
    expect_current(place, 1, 5);
    assert_int_equal(current(place).kind, MR_VERSION_RETURNED);
    assert_int_equal(mr_versions_find(mr_store_versions(place->store), 4, &version, &place->error),
                     0);
    assert_false(version.withdrawn);
}

static void roll_back(struct place *place, const char *which)
{
    struct mr_catalogue_wish wish = {.by = "operator a", .note = "why"};
    struct mr_version version;
    assert_int_equal(mr_catalogue_find(place->store, which, &wish.source, &place->error), 0);
    assert_int_equal(mr_catalogue_make(place->store, &wish, &version, &place->error), 0);
    mr_store_adopt(place->store, version.hash);
}

static void test_rollback_is_higher(void **state)
{
    struct place *place = *state;
    struct mr_version version;
    add(place, 1);
    add(place, 2);
    roll_back(place, "2");
    expect_current(place, 1, 4);
    version = current(place);
    assert_int_equal(version.kind, MR_VERSION_ROLLBACK);
    assert_int_equal(version.source, 2);
    assert_string_equal(version.by, "operator a");
    assert_string_equal(version.note, "why");
    assert_int_equal(mr_catalogue_find(place->store, "9", &version, &place->error), 1);
    assert_int_equal(mr_catalogue_find(place->store, "nobody", &version, &place->error), 1);
}

static void alias(struct place *place, const char *name, uint64_t number)
{
    assert_int_equal(mr_versions_set_alias(mr_store_versions(place->store), name, number, "me", 5,
                                           &place->error),
                     0);
}

static uint64_t aliased(struct place *place, const char *name)
{
    uint64_t number;
    (void)mr_versions_alias(mr_store_versions(place->store), name, &number, &place->error);
    return number;
}

static void test_aliases(void **state)
{
    struct place *place = *state;
    for (unsigned i = 1; i < 4; i++) {
        add(place, i);
    }
    alias(place, MR_CHAMPION, 2);
    assert_int_equal(aliased(place, MR_PREVIOUS), 0);
    alias(place, MR_CHAMPION, 3);
    alias(place, MR_CHAMPION, 3); /* nothing changes */
    alias(place, "edge", 1);
    stop(place);
    start(place);
    assert_int_equal(aliased(place, MR_CHAMPION), 3);
    assert_int_equal(aliased(place, MR_PREVIOUS), 2);
    alias(place, "edge", 0);
    assert_int_equal(aliased(place, "edge"), 0);
    json_t *shown = mr_versions_show_json(mr_store_versions(place->store), 3, &place->error);
    assert_int_equal(json_array_size(json_object_get(shown, "alias_history")), 1);
    assert_string_equal(json_string_value(json_object_get(shown, "aliases")), "champion");
    json_decref(shown);
    shown = mr_versions_show_json(mr_store_versions(place->store), 2, &place->error);
    assert_int_equal(json_array_size(json_object_get(shown, "alias_history")), 3);
    json_decref(shown);
    assert_true(mr_alias_valid("a-1") && !mr_alias_valid("1") && !mr_alias_valid("current") &&
                !mr_alias_valid("A") && !mr_alias_valid(""));
}

/* As after a clock that was set back: the oldest model that may go looks like the newest. */
static void disorder_times(const struct place *place)
{
    for (unsigned i = 0; i < 5; i++) {
        const time_t second = i == 1 ? 4000 : 3000;
        const struct timespec times[2] = {{.tv_sec = second}, {.tv_sec = second}};
        char name[90 + 2 * MR_HASH_BYTES], hex[2 * MR_HASH_BYTES + 1], path[600];
        mr_hex_encode(hex, place->hashes[i], MR_HASH_BYTES);
        snprintf(name, sizeof name, "models/%s.safetensors", hex);
        path_of(path, place, name);
        assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    }
}

/* What bears an alias is not removed; the newest is what has the highest number. */
static void test_aliased_models_stay(void **state)
{
    struct place *place = *state;
    struct mr_survey survey;
    const struct mr_keep keep = {.limits = {[MR_STORED_MODELS] = {.count = 1}}};
    const struct mr_needed needed = {.models_count = 0};
    for (unsigned i = 1; i < 5; i++) {
        add(place, i);
    }
    disorder_times(place);
    alias(place, "kept", 3);
    assert_int_equal(mr_store_survey(place->store, &keep, 5000, &survey, &place->error), 0);
    mr_store_condemn(place->store, &survey, &needed);
    assert_int_equal(mr_store_remove(place->store, &survey, &place->error), 0);
    mr_store_acquit(place->store);
    for (unsigned i = 0; i < 5; i++) {
        struct mr_model *model = mr_store_borrow(place->store, place->hashes[i], &place->error);
        assert_int_equal(!!model, i == 0 || i == 2 || i == 4);
        if (model) {
            mr_store_return(place->store, model);
        }
    }
}

/* --- files that do not fit ---------------------------------------------------------------------
 */

static void copy(const char *from, const char *to)
{
    uint8_t *bytes;
    size_t length;
    struct mr_error error;
    assert_int_equal(mr_file_read(from, &bytes, &length, &error), 0);
    assert_int_equal(mr_file_replace(to, bytes, length, &error), 0);
    free(bytes);
}

/* Somebody puts an older copy back: versions would be given twice. */
static void test_older_database(void **state)
{
    struct place *place = *state;
    char database[600], older[600];
    path_of(database, place, "versions.db");
    path_of(older, place, "older");
    add(place, 1);
    stop(place);
    copy(database, older);
    start(place);
    add(place, 2);
    stop(place);
    copy(older, database);
    starts_not(place, "ends with version 2, but `current` knows 3");
}

static void test_lost_database(void **state)
{
    struct place *place = *state;
    char database[600], witness[600];
    uint64_t made;
    path_of(database, place, "versions.db");
    path_of(witness, place, "current");
    add(place, 1);
    add(place, 2);
    roll_back(place, "2");
    stop(place);
    assert_int_equal(mr_catalogue_rebuild(place->data, &made, &place->error), -1);
    assert_non_null(strstr(place->error.text, "move it away"));
    assert_int_equal(unlink(database), 0);
    starts_not(place, "is not there");
    assert_int_equal(mr_catalogue_rebuild(place->data, &made, &place->error), 0);
    assert_int_equal(made, 3);
    start(place);
    expect_current(place, 1, 7); /* behind the four that were */
    assert_int_equal(current(place).kind, MR_VERSION_REBUILT);
    stop(place);
    /* `current` alone is a copy. */
    assert_int_equal(unlink(witness), 0);
    start(place);
    expect_current(place, 1, 7);
}

static void test_damaged_database(void **state)
{
    struct place *place = *state;
    char database[600];
    uint8_t *bytes;
    size_t length;
    path_of(database, place, "versions.db");
    add(place, 1);
    stop(place);
    assert_int_equal(mr_file_read(database, &bytes, &length, &place->error), 0);
    memset(bytes, 'x', 100);
    assert_int_equal(mr_file_replace(database, bytes, length, &place->error), 0);
    free(bytes);
    starts_not(place, "--rebuild-versions");
}

/* No damage: what is in it would be lost by making a new one. */
static void test_database_of_another_form(void **state)
{
    struct place *place = *state;
    char database[600];
    uint8_t *bytes;
    size_t length;
    path_of(database, place, "versions.db");
    add(place, 1);
    stop(place);
    assert_int_equal(mr_file_read(database, &bytes, &length, &place->error), 0);
    bytes[63] = 2; /* SQLite's user_version: 60 to 63, big-endian */
    assert_int_equal(mr_file_replace(database, bytes, length, &place->error), 0);
    starts_not(place, "is of form 2, and this program reads form 1");
    assert_null(strstr(place->error.text, "--rebuild-versions"));
    bytes[63] = 1;
    assert_int_equal(mr_file_replace(database, bytes, length, &place->error), 0);
    free(bytes);
    start(place);
    expect_current(place, 1, 2);
}

static void test_verify(void **state)
{
    struct place *place = *state;
    char path[600], hex[2 * MR_HASH_BYTES + 1], name[120];
    uint8_t *bytes;
    size_t length;
    add(place, 1);
    add(place, 2);
    json_t *report = mr_catalogue_verify(place->store, &place->error);
    assert_int_equal(json_array_size(json_object_get(report, "faults")), 0);
    assert_int_equal(json_integer_value(json_object_get(report, "models")), 3);
    json_decref(report);
    mr_hex_encode(hex, place->hashes[1], MR_HASH_BYTES);
    snprintf(name, sizeof name, "models/%s.safetensors", hex);
    path_of(path, place, name);
    assert_int_equal(mr_file_read(path, &bytes, &length, &place->error), 0);
    bytes[length - 1] ^= 1;
    assert_int_equal(mr_file_replace(path, bytes, length, &place->error), 0);
    free(bytes);
    report = mr_catalogue_verify(place->store, &place->error);
    const json_t *faults = json_object_get(report, "faults");
    assert_int_equal(json_array_size(faults), 1);
    assert_non_null(strstr(json_string_value(json_array_get(faults, 0)), "is damaged"));
    json_decref(report);
}

/* --- where a chosen model stands ---------------------------------------------------------------
 */

static void choose(struct place *place, unsigned model, bool imported)
{
    size_t length = 0;
    uint8_t hash[MR_HASH_BYTES];
    uint8_t *bytes = imported ? make_model((float)model, &length, hash) : NULL;
    struct mr_catalogue_wish wish = {
        .by = "operator", .note = "", .bytes = bytes, .length = length};
    struct mr_version version;
    struct mr_version_place at;
    if (imported) {
        memcpy(place->hashes[model], hash, MR_HASH_BYTES);
    } else {
        assert_int_equal(mr_versions_of(mr_store_versions(place->store), place->hashes[model],
                                        &wish.source, &place->error),
                         0);
    }
    assert_int_equal(mr_catalogue_make(place->store, &wish, &version, &place->error), 0);
    assert_int_equal(
        mr_versions_place(mr_store_versions(place->store), &version, &at, &place->error), 0);
    mr_store_adopt(place->store, version.hash);
    mr_store_set_place(place->store, &at);
    free(bytes);
}

static void expect_place(struct place *place, unsigned round, unsigned step, unsigned before)
{
    for (unsigned life = 0; life < 2; life++) {
        const struct mr_version_place *at = mr_store_place(place->store);
        assert_true(at->is_chosen);
        assert_int_equal(at->round, round);
        assert_int_equal(at->step, step);
        assert_memory_equal(at->round_model, place->hashes[round], MR_HASH_BYTES);
        assert_memory_equal(at->before, place->hashes[before], MR_HASH_BYTES);
        stop(place);
        start(place);
    }
}

static void test_places(void **state)
{
    struct place *place = *state;
    choose(place, 6, true); /* no round came before: there is nothing to count from */
    assert_false(mr_store_place(place->store)->is_chosen);
    memcpy(place->hashes[0], place->hashes[6], MR_HASH_BYTES);
    add(place, 1);
    add(place, 2);
    assert_false(mr_store_place(place->store)->is_chosen);
    choose(place, 1, false);
    expect_place(place, 2, 1, 2);
    choose(place, 7, true);
    expect_place(place, 2, 2, 1);
    memcpy(place->hashes[2], place->hashes[7], MR_HASH_BYTES);
    add(place, 3);
    assert_false(mr_store_place(place->store)->is_chosen);
    assert_int_equal(mr_store_write_back(place->store, place->hashes[7], &place->error), 0);
    mr_store_adopt(place->store, place->hashes[7]);
    choose(place, 1, false); /* what was given up does not count */
    assert_int_equal(mr_store_place(place->store)->round, 2);
    assert_int_equal(mr_store_place(place->store)->step, 3);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, open_place, close_place)
    const struct CMUnitTest tests[] = {
        T(test_numbers_rise),
        T(test_given_up),
        T(test_no_version_is_lost),
        T(test_rollback_is_higher),
        T(test_aliases),
        T(test_aliased_models_stay),
        T(test_older_database),
        T(test_lost_database),
        T(test_damaged_database),
        T(test_database_of_another_form),
        T(test_verify),
        T(test_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
