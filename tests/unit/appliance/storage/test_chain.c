/* test_chain.c - an append-only file: what was acknowledged is there, and nothing else passes for
 * it. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "appliance/storage/chain.h"
#include "appliance/storage/commit_log.h"
#include "appliance/storage/files.h"
#include "scratch.h"

#define NAME "sets"

struct seen {
    char text[256]; /* the records, each with a blank behind it */
    uint64_t offsets[16];
    unsigned count;
};

static int see(void *context, uint64_t offset, const uint8_t *record, size_t length,
               struct mr_error *error)
{
    struct seen *seen = context;
    (void)error;
    snprintf(seen->text + strlen(seen->text), sizeof seen->text - strlen(seen->text), "%.*s ",
             (int)length, (const char *)record);
    seen->offsets[seen->count++] = offset;
    return 0;
}

struct place {
    char *dir;
    struct mr_disk_file *file;
    const struct mr_disk *disk;
    struct mr_chain *chain;
    struct seen seen;
    struct mr_error error;
};

static void shut(struct place *place)
{
    mr_chain_close(place->chain);
    mr_disk_file_close(place->file);
    place->chain = NULL;
    place->file = NULL;
}

static int reopen(struct place *place, bool may_be_new)
{
    shut(place);
    assert_int_equal(mr_disk_file_open(&place->file, place->dir, &place->error), 0);
    place->disk = mr_disk_file_ops(place->file);
    place->seen = (struct seen){.count = 0};
    return mr_chain_open(&place->chain, place->disk, NAME, may_be_new, see, &place->seen,
                         &place->error);
}

static int setup(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    place->dir = scratch_open();
    assert_int_equal(reopen(place, true), 0);
    *state = place;
    return 0;
}

static int teardown(void **state)
{
    struct place *place = *state;
    shut(place);
    scratch_close(place->dir);
    free(place);
    return 0;
}

static void add(struct place *place, const char *record)
{
    uint64_t offset;
    assert_int_equal(mr_chain_append(place->chain, (const uint8_t *)record, strlen(record), &offset,
                                     &place->error),
                     0);
}

static void expect(struct place *place, const char *text)
{
    assert_int_equal(reopen(place, false), 0);
    assert_string_equal(place->seen.text, text);
}

static char *path_of(const struct place *place, const char *name)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", place->dir, name);
    return path;
}

/* A file's bytes as they are. */
struct kept {
    uint8_t *bytes;
    size_t length;
};

static struct kept keep(const struct place *place, const char *name)
{
    struct kept kept;
    struct mr_error error;
    assert_int_equal(mr_file_read(path_of(place, name), &kept.bytes, &kept.length, &error), 0);
    return kept;
}

static void put(const struct place *place, const char *name, const uint8_t *bytes, size_t length)
{
    FILE *file = fopen(path_of(place, name), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    fclose(file);
}

/* --- what holds ------------------------------------------------------------------------------ */

static void test_records_stay(void **state)
{
    struct place *place = *state;
    uint64_t records;
    uint8_t heads[2][MR_CHAIN_HASH_BYTES];
    uint8_t record[3];
    expect(place, "");
    add(place, "one");
    memcpy(heads[0], mr_chain_head(place->chain, &records), sizeof heads[0]);
    add(place, "");
    add(place, "two");
    memcpy(heads[1], mr_chain_head(place->chain, &records), sizeof heads[1]);
    assert_int_equal(records, 3);
    assert_memory_not_equal(heads[0], heads[1], sizeof heads[0]);
    expect(place, "one  two ");
    assert_memory_equal(mr_chain_head(place->chain, &records), heads[1], sizeof heads[1]);
    for (unsigned i = 0; i < 3; i += 2) {
        assert_int_equal(mr_chain_read(place->disk, NAME, place->seen.offsets[i], record,
                                       sizeof record, &place->error),
                         0);
        assert_memory_equal(record, i ? "two" : "one", 3);
    }
    /* Another length, or another place, is no record. */
    assert_int_equal(
        mr_chain_read(place->disk, NAME, place->seen.offsets[0], record, 2, &place->error), -1);
    assert_int_equal(
        mr_chain_read(place->disk, NAME, place->seen.offsets[0] + 1, record, 3, &place->error), -1);
}

/* A crash at any byte of an append: what was acknowledged before is there, and the next one too. */
static void test_a_torn_append(void **state)
{
    struct place *place = *state;
    add(place, "one");
    struct kept before = keep(place, NAME);
    struct kept heads[2] = {keep(place, NAME "-0"), keep(place, NAME "-1")};
    add(place, "a longer one that was torn");
    struct kept after = keep(place, NAME);
    for (size_t length = before.length; length < after.length; length++) {
        for (unsigned zeros = 0; zeros < 2; zeros++) {
            uint8_t *torn = calloc(1, after.length);
            memcpy(torn, after.bytes, length);
            shut(place);
            put(place, NAME, torn, zeros ? after.length : length);
            put(place, NAME "-0", heads[0].bytes, heads[0].length);
            put(place, NAME "-1", heads[1].bytes, heads[1].length);
            expect(place, "one ");
            add(place, "two");
            expect(place, "one two ");
            free(torn);
        }
    }
    /* All of it was there, the head was not: it is kept, since the newest head may be what is lost.
     */
    shut(place);
    put(place, NAME, after.bytes, after.length);
    put(place, NAME "-0", heads[0].bytes, heads[0].length);
    put(place, NAME "-1", heads[1].bytes, heads[1].length);
    expect(place, "one a longer one that was torn ");
    expect(place, "one a longer one that was torn ");
    free(before.bytes);
    free(after.bytes);
    free(heads[0].bytes);
    free(heads[1].bytes);
}

/* --- what does not --------------------------------------------------------------------------- */

static void expect_damaged(struct place *place, const char *word)
{
    assert_int_equal(reopen(place, true), -1);
    if (!strstr(place->error.text, word)) {
        fail_msg("%s", place->error.text);
    }
}

static void test_every_changed_byte(void **state)
{
    struct place *place = *state;
    add(place, "one");
    add(place, "two");
    struct kept whole = keep(place, NAME);
    for (size_t at = 0; at < whole.length; at++) {
        shut(place);
        whole.bytes[at] ^= 1;
        put(place, NAME, whole.bytes, whole.length);
        whole.bytes[at] ^= 1;
        expect_damaged(place, "damaged at byte");
    }
    for (size_t length = 0; length < whole.length; length++) { /* an older or shorter one */
        shut(place);
        put(place, NAME, whole.bytes, length);
        expect_damaged(place, "damaged at byte");
    }
    shut(place);
    put(place, NAME, whole.bytes, whole.length);
    expect(place, "one two ");
    free(whole.bytes);
}

/* One head of the two may be lost, not both; the last record not either way. */
static void test_heads(void **state)
{
    struct place *place = *state;
    add(place, "one");
    add(place, "two");
    for (unsigned lost = 0; lost < 2; lost++) {
        static const char *const names[] = {NAME "-0", NAME "-1"};
        shut(place);
        assert_int_equal(unlink(path_of(place, names[lost])), 0);
        expect(place, "one two ");
        add(place, "three");
        expect(place, "one two three ");
        shut(place);
        struct kept whole = keep(place, NAME);
        put(place, NAME, whole.bytes, whole.length - 4 - 5 - MR_CHAIN_HASH_BYTES);
        expect_damaged(place, "damaged at byte");
        put(place, NAME, whole.bytes, whole.length);
        free(whole.bytes);
        teardown(state);
        setup(state);
        place = *state;
        add(place, "one");
        add(place, "two");
    }
    shut(place);
    assert_int_equal(unlink(path_of(place, NAME "-0")), 0);
    assert_int_equal(unlink(path_of(place, NAME "-1")), 0);
    expect_damaged(place, "missing its head");
}

/* Both heads as a program wrote them whose commit logs were of that version. */
static void age_heads(struct place *place, char version)
{
    const struct mr_commit_log_form form = {.version = version, .reads_versions = true};
    struct mr_commit_log *log;
    uint8_t *content;
    size_t length;
    assert_int_equal(
        mr_commit_log_open(&log, place->disk, NAME, &form, &content, &length, &place->error), 0);
    for (unsigned i = 0; i < 2; i++) {
        uint8_t *at = mr_commit_log_reserve(log, length, &place->error);
        assert_non_null(at);
        memcpy(at, content, length);
        assert_int_equal(mr_commit_log_write(log, &place->error), 0);
    }
    free(content);
    mr_commit_log_close(log);
}

/* A new layout of rounds' commit logs is none of heads: an update keeps what was appended. */
static void test_heads_of_other_versions(void **state)
{
    struct place *place = *state;
    add(place, "one");
    for (const char *version = "457"; *version; version++) {
        age_heads(place, *version);
        expect(place, "one ");
    }
    add(place, "two");
    expect(place, "one two ");
}

static void test_a_missing_file(void **state)
{
    struct place *place = *state;
    add(place, "one");
    shut(place);
    assert_int_equal(unlink(path_of(place, NAME)), 0);
    expect_damaged(place, "damaged at byte 0");
    shut(place);
    assert_int_equal(unlink(path_of(place, NAME "-0")), 0);
    assert_int_equal(unlink(path_of(place, NAME "-1")), 0);
    assert_int_equal(reopen(place, false), -1);
    assert_non_null(strstr(place->error.text, NAME " in data_dir is missing"));
    /* As a new one, when its owner says so; also where a crash has left its beginning. */
    shut(place);
    put(place, NAME, (const uint8_t *)"MRCH", 4);
    assert_int_equal(reopen(place, true), 0);
    expect(place, "");
}

/* --- a disk that fails ----------------------------------------------------------------------- */

static bool broken;

static int failing_sync(void *context, const char *name, struct mr_error *error)
{
    const struct place *place = context;
    return broken ? mr_error_set(error, "EIO")
                  : place->disk->sync(place->disk->context, name, error);
}

static int passed_put_at(void *context, const char *name, uint64_t offset, const uint8_t *bytes,
                         size_t length, struct mr_error *error)
{
    const struct place *place = context;
    return place->disk->put_at(place->disk->context, name, offset, bytes, length, error);
}

static int passed_write(void *context, const char *name, const uint8_t *bytes, size_t length,
                        struct mr_error *error)
{
    const struct place *place = context;
    return place->disk->write(place->disk->context, name, bytes, length, error);
}

static int passed_read(void *context, const char *name, uint8_t **bytes, size_t *length,
                       struct mr_error *error)
{
    const struct place *place = context;
    return place->disk->read(place->disk->context, name, bytes, length, error);
}

static int passed_read_at(void *context, const char *name, uint64_t offset, uint8_t *bytes,
                          size_t *length, struct mr_error *error)
{
    const struct place *place = context;
    return place->disk->read_at(place->disk->context, name, offset, bytes, length, error);
}

static void test_no_append_after_a_failure(void **state)
{
    struct place *place = *state;
    const struct mr_disk disk = {.context = place,
                                 .read = passed_read,
                                 .write = passed_write,
                                 .read_at = passed_read_at,
                                 .put_at = passed_put_at,
                                 .sync = failing_sync};
    struct seen seen = {.count = 0};
    uint64_t offset;
    mr_chain_close(place->chain);
    assert_int_equal(mr_chain_open(&place->chain, &disk, NAME, false, see, &seen, &place->error),
                     0);
    broken = true;
    assert_int_equal(
        mr_chain_append(place->chain, (const uint8_t *)"one", 3, &offset, &place->error), -1);
    broken = false;
    assert_int_equal(
        mr_chain_append(place->chain, (const uint8_t *)"two", 3, &offset, &place->error), -1);
    expect(place, "one "); /* it is whole: it counts */
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_records_stay),
        T(test_a_torn_append),
        T(test_every_changed_byte),
        T(test_heads),
        T(test_heads_of_other_versions),
        T(test_a_missing_file),
        T(test_no_append_after_a_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
