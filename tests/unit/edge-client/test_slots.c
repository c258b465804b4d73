/* test_slots.c - the folder of an installed model as others find it: of another version, damaged,
 * in use. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/sha.h>

#include "base/bytes.h"
#include "edge-client/files/files.h"
#include "edge-client/include/millrace_edge.h"
#include "edge-client/release/slots.h"

#define RECORD_BYTES 4096
#define CHECK_AT     (RECORD_BYTES - 65)

struct place {
    char dir[40], file[60], folder[70], state[80];
};

static int setup(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    snprintf(place->dir, sizeof place->dir, "/tmp/millrace-slots-XXXXXX");
    assert_non_null(mkdtemp(place->dir));
    snprintf(place->file, sizeof place->file, "%s/model", place->dir);
    snprintf(place->folder, sizeof place->folder, "%s.millrace", place->file);
    snprintf(place->state, sizeof place->state, "%s/state", place->folder);
    *state = place;
    return 0;
}

static int teardown(void **state)
{
    struct place *place = *state;
    mr_folder_remove(place->dir);
    free(place);
    return 0;
}

/* A release that was seen, and nothing of it fetched yet. */
static void see(const struct place *place, uint64_t round)
{
    struct mr_slots slots;
    struct mr_error error;
    const struct mr_release_version version = {.round = round};
    const uint8_t manifest[MR_HASH_BYTES] = {(uint8_t)round};
    assert_int_equal(mr_slots_open(&slots, place->file, &error), 0);
    mr_slots_raise(&slots, &version, manifest);
    assert_int_equal(mr_slots_settle(&slots, &error), 0);
    mr_slots_close(&slots);
}

/* Both records say that they are of that version, and hold. */
static void age(const struct place *place, char version)
{
    static char bytes[2 * RECORD_BYTES + 1];
    uint8_t hash[SHA256_DIGEST_LENGTH];
    FILE *file = fopen(place->state, "r+b");
    assert_non_null(file);
    assert_int_equal(fread(bytes, 1, 2 * RECORD_BYTES, file), 2 * RECORD_BYTES);
    for (char *record = bytes; record < bytes + 2 * RECORD_BYTES; record += RECORD_BYTES) {
        char *at = strstr(record, "\"version\":3");
        char check[2 * SHA256_DIGEST_LENGTH + 1];
        assert_non_null(at);
        at[strlen("\"version\":")] = version;
        SHA256((const uint8_t *)record, CHECK_AT, hash);
        mr_hex_encode(check, hash, sizeof hash);
        memcpy(record + CHECK_AT, check, sizeof check - 1);
    }
    rewind(file);
    assert_int_equal(fwrite(bytes, 1, 2 * RECORD_BYTES, file), 2 * RECORD_BYTES);
    fclose(file);
}

static void expect_refused(const struct place *place, const char *words)
{
    struct mr_slots slots;
    struct mr_error error = {.text = ""};
    struct mre_outcome outcome;
    assert_int_equal(mr_slots_open(&slots, place->file, &error), -1);
    if (!strstr(error.text, words)) {
        fail_msg("'%s' lacks '%s'", error.text, words);
    }
    assert_int_equal(mre_release_install(place->file, NULL, NULL, &outcome), MRE_BAD_CONFIG);
    assert_non_null(strstr(outcome.text, words));
}

/* Neither read nor taken for none: what was seen must not be forgotten by itself. */
static void test_of_another_version(void **state)
{
    const struct place *place = *state;
    struct mr_slots slots;
    struct mr_error error;
    see(place, 7);
    for (const char *version = "249"; *version; version++) {
        char words[60];
        see(place, 7);
        age(place, *version);
        snprintf(words, sizeof words, "is of version %c, and this millrace-edge reads version 3",
                 *version);
        expect_refused(place, words);
        expect_refused(place, "the one that wrote it still does");
        assert_int_equal(unlink(place->state), 0);
    }
    see(place, 7);
    assert_int_equal(mr_slots_open(&slots, place->file, &error), 0);
    assert_int_equal(slots.floor.round, 7);
    mr_slots_close(&slots);
}

/* The first version had a file of another name. */
static void test_of_the_first_version(void **state)
{
    const struct place *place = *state;
    char path[90];
    assert_int_equal(mkdir(place->folder, 0700), 0);
    snprintf(path, sizeof path, "%s/state.json", place->folder);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_true(fputs("{\"version\": 1}\n", file) >= 0);
    fclose(file);
    expect_refused(place, "is of version 1, and this millrace-edge reads version 3");
}

static void test_damaged(void **state)
{
    const struct place *place = *state;
    see(place, 7);
    assert_int_equal(truncate(place->state, 100), 0);
    expect_refused(place, "is damaged, and with it which versions were seen");
}

/* While another process waits for a release, which may take its time, and after it. */
static void test_looked_at(void **state)
{
    const struct place *place = *state;
    struct mr_slots slots, second;
    struct mr_error error;
    struct mre_release_state about;
    struct mre_release_copy opened;
    struct mre_outcome outcome;
    assert_int_equal(mre_release_status(place->file, &about, &outcome), MRE_OK);
    assert_int_equal(about.seen.round, 0);
    assert_int_equal(access(place->folder, F_OK), -1); /* looking makes nothing */
    see(place, 7);
    assert_int_equal(mr_slots_open(&slots, place->file, &error), 0);
    assert_int_equal(mr_slots_open(&second, place->file, &error), -1);
    assert_non_null(strstr(error.text, "another process pulls or installs here"));
    assert_int_equal(mre_release_status(place->file, &about, &outcome), MRE_OK);
    assert_int_equal(about.seen.round, 7);
    assert_int_equal(mre_release_opened(place->file, &opened, &outcome), MRE_OK);
    assert_string_equal(opened.sha256, "");
    assert_int_equal(mr_slots_open(&second, place->file, &error), -1); /* it has its lock still */
    mr_slots_close(&slots);
    assert_int_equal(mre_release_status(place->file, &about, &outcome), MRE_OK);
    assert_int_equal(about.seen.round, 7);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_of_another_version),
        T(test_of_the_first_version),
        T(test_damaged),
        T(test_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
