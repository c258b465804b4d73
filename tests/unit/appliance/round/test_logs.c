/* test_logs.c - the commit log: written, read back, every cut and every changed bit found, over a
 * disk that fails and over the real one. */
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

#include "appliance/round/drive/helper_journal.h"
#include "appliance/round/drive/lead_log.h"
#include "appliance/storage/files.h"
#include "base/secret.h"
#include "tests/unit/appliance/storage/scratch.h"
#include "log_place.h"

/* --- the commit log -------------------------------------------------------------------------- */

static struct mr_included entries[WORLD_DEVICES];
static uint64_t ids[WORLD_DEVICES];
static struct mr_serial serials[WORLD_DEVICES];

static struct mr_commit_state make_state(const struct world *world, uint32_t members)
{
    size_t length;
    struct mr_commit_state state = {.phase = MR_COMMIT_OPEN,
                                    .quorum = 6,
                                    .deadline_ms = 10000,
                                    .envelope = mr_lead_envelope(world->lead, &length),
                                    .included = entries,
                                    .upload_ids = ids,
                                    .serials = serials,
                                    .included_count = members,
                                    .sum = world->packed};
    state.envelope_bytes = (uint32_t)length;
    state.share_bytes = members ? world->terms.layout.share_bytes : 0;
    for (uint32_t i = 0; i < members; i++) {
        memcpy(entries[i].client_id, world->devices[i].client_id, MR_CLIENT_ID_BYTES);
        entries[i].attempt = i % 8;
        ids[i] = 77 + i;
        serials[i] = world->devices[i].serial;
    }
    for (size_t i = 0; i < world->terms.layout.share_bytes; i++) {
        world->packed[i] = (uint8_t)(i * 7 + members);
    }
    return state;
}

static void write_states(const struct place *place, uint32_t first, uint32_t last)
{
    struct mr_commit_log *log;
    struct mr_commit_read newest;
    struct mr_error error = {.text = ""};
    assert_true(mr_lead_log_open(&log, place->disk, &newest, &error) >= 0);
    mr_commit_read_fini(&newest);
    for (uint32_t members = first; members <= last; members++) {
        const struct mr_commit_state state = make_state(place->world, members);
        assert_int_equal(mr_lead_log_write(log, &state, &error), 0);
    }
    mr_commit_log_close(log);
}

static void expect_members(const struct place *place, uint32_t members)
{
    struct mr_commit_log *log;
    struct mr_commit_read read;
    struct mr_error error = {.text = ""};
    assert_int_equal(mr_lead_log_open(&log, place->disk, &read, &error), 0);
    const struct mr_commit_state expected = make_state(place->world, members);
    assert_int_equal(read.state.included_count, members);
    assert_int_equal(read.state.phase, MR_COMMIT_OPEN);
    assert_int_equal(read.state.quorum, 6);
    assert_memory_equal(read.terms.hash, place->world->terms.hash, MR_HASH_BYTES);
    assert_int_equal(read.state.share_bytes, expected.share_bytes);
    if (members) {
        assert_memory_equal(read.state.sum, expected.sum, (size_t)expected.share_bytes);
    }
    for (uint32_t i = 0; i < members; i++) {
        assert_memory_equal(read.included[i].client_id, entries[i].client_id, MR_CLIENT_ID_BYTES);
        assert_int_equal(read.included[i].attempt, entries[i].attempt);
        assert_int_equal(read.upload_ids[i], ids[i]);
        assert_memory_equal(&read.serials[i], &serials[i], sizeof serials[i]);
    }
    mr_commit_read_fini(&read);
    mr_commit_log_close(log);
}

static void test_generations(void **state)
{
    const struct place *place = *state;
    struct mr_commit_log *log;
    struct mr_commit_read read;
    struct mr_error error;
    assert_int_equal(mr_lead_log_open(&log, place->disk, &read, &error), 1);
    mr_commit_log_close(log);
    write_states(place, 0, 0);
    expect_members(place, 0);
    write_states(place, 1, 6);
    expect_members(place, 6);
    write_states(place, 3, 3); /* a new process goes on from there: newer wins, not longer */
    expect_members(place, 3);
}

static uint8_t *encoded(const struct mr_commit_state *state, size_t *length)
{
    *length = mr_commit_state_bytes(state);
    uint8_t *bytes = malloc(*length);
    assert_non_null(bytes);
    mr_commit_state_encode(bytes, state);
    return bytes;
}

/* A file's state, as a lead that starts takes it. */
static int parse_file(const uint8_t *bytes, size_t length, struct mr_commit_read *read)
{
    struct mr_error error;
    const uint8_t *content;
    size_t content_length;
    uint64_t generation;
    if (mr_commit_log_parse(bytes, length, &mr_lead_log_form, &generation, &content,
                            &content_length, &error) != 0) {
        return -1;
    }
    return mr_commit_state_parse(read, content, content_length, &error);
}

static void test_every_cut_and_every_bit(void **state)
{
    const struct place *place = *state;
    struct mr_commit_read read;
    struct mr_error error;
    char path[4096];
    size_t length;
    uint8_t *bytes;
    write_states(place, 3, 3);
    snprintf(path, sizeof path, "%s/commit-1", place->dir);
    assert_int_equal(mr_file_read(path, &bytes, &length, &error), 0);
    for (size_t cut = 0; cut < length; cut++) {
        assert_int_equal(parse_file(bytes, cut, &read), -1);
    }
    for (size_t bit = 0; bit < 8 * length; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(parse_file(bytes, length, &read), -1);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_int_equal(parse_file(bytes, length, &read), 0);
    mr_commit_read_fini(&read);
    free(bytes);
}

/* A state that was cut off before it came into a log. */
static void test_every_cut_of_a_state(void **state)
{
    const struct place *place = *state;
    const struct mr_commit_state good = make_state(place->world, 3);
    struct mr_commit_read read;
    struct mr_error error;
    size_t length;
    uint8_t *bytes = encoded(&good, &length);
    for (size_t cut = 0; cut < length; cut++) {
        assert_int_equal(mr_commit_state_parse(&read, bytes, cut, &error), -1);
    }
    assert_int_equal(mr_commit_state_parse(&read, bytes, length, &error), 0);
    mr_commit_read_fini(&read);
    free(bytes);
}

/* Sums hold, contents do not: a state that no lead ever wrote. */
static void expect_bad_state(const struct mr_commit_state *bad, const char *word)
{
    struct mr_commit_read read;
    struct mr_error error;
    size_t length;
    uint8_t *bytes = encoded(bad, &length);
    assert_int_equal(mr_commit_state_parse(&read, bytes, length, &error), -1);
    if (!strstr(error.text, word)) {
        fail_msg("\"%s\", expected \"%s\" in it", error.text, word);
    }
    free(bytes);
}

static void test_states_that_make_no_sense(void **state)
{
    const struct place *place = *state;
    struct mr_commit_state bad = make_state(place->world, 3);
    memcpy(entries[2].client_id, entries[0].client_id, MR_CLIENT_ID_BYTES);
    expect_bad_state(&bad, "twice");
    bad = make_state(place->world, 3);
    entries[1].attempt = MR_ATTEMPTS_MAX;
    expect_bad_state(&bad, "attempt");
    bad = make_state(place->world, 3);
    bad.share_bytes -= 64;
    expect_bad_state(&bad, "do not fit");
    bad = make_state(place->world, 3);
    bad.phase = 9;
    expect_bad_state(&bad, "header");
    bad = make_state(place->world, 3);
    bad.phase = MR_COMMIT_PROPOSED;
    expect_bad_state(&bad, "length");
    bad = make_state(place->world, 3);
    bad.envelope_bytes -= MR_SIGNATURE_BYTES;
    expect_bad_state(&bad, "signature");
}

static void damage(const struct place *place, const char *name, long at, bool cut)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", place->dir, name);
    if (cut) {
        assert_int_equal(truncate(path, at), 0);
        return;
    }
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    const int byte = fgetc(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    fputc(byte ^ 0x40, file);
    fclose(file);
}

/* The newest generation is torn or damaged: the one before is taken; both: none. */
static void test_the_generation_before(void **state)
{
    const struct place *place = *state;
    struct mr_commit_log *log;
    struct mr_commit_read read;
    struct mr_error error;
    write_states(place, 4, 5); /* generations 1 (in commit-1) and 2 (in commit-0) */
    damage(place, "commit-0", 100, false);
    expect_members(place, 4);
    write_states(place, 6, 6); /* goes on over the damaged one */
    expect_members(place, 6);
    damage(place, "commit-0", 50, true);
    expect_members(place, 4);
    damage(place, "commit-1", 0, true);
    assert_int_equal(mr_lead_log_open(&log, place->disk, &read, &error), 1);
    mr_commit_log_close(log);
}

static void test_failed_writes_and_syncs(void **state)
{
    struct place *place = *state;
    struct failing failing = {.under = place->disk, .good_syncs = 2, .good_writes = 3};
    const struct mr_disk disk = failing_disk(&failing);
    struct mr_commit_log *log;
    struct mr_commit_read read;
    struct mr_error error = {.text = ""};
    struct mr_commit_state one = make_state(place->world, 1);
    assert_int_equal(mr_lead_log_open(&log, &disk, &read, &error), 1);
    assert_int_equal(mr_lead_log_write(log, &one, &error), 0);
    assert_int_equal(mr_lead_log_write(log, &one, &error), 0);
    assert_int_equal(mr_lead_log_write(log, &one, &error), -1); /* not synced */
    assert_string_equal(error.text, "EIO");
    assert_int_equal(mr_lead_log_write(log, &one, &error), -1); /* torn */
    mr_commit_log_close(log);
    expect_members(place, 1);
}

/* After a sync that failed the newest may be in memory only; the next write takes the place of the
 * one before it, so nobody goes on from a newest that has not been made to hold. */
static void test_the_newest_has_to_hold(void **state)
{
    struct place *place = *state;
    struct failing failing = {.under = place->disk, .good_syncs = 0, .good_writes = 9};
    const struct mr_disk disk = failing_disk(&failing);
    struct mr_error error = {.text = ""};
    struct mr_commit_log *log;
    struct mr_commit_read read;
    write_states(place, 1, 2);
    assert_int_equal(mr_lead_log_open(&log, &disk, &read, &error), -1);
    assert_string_equal(error.text, "EIO");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, open_place, close_place)
    const struct CMUnitTest tests[] = {
        T(test_generations),
        T(test_every_cut_and_every_bit),
        T(test_every_cut_of_a_state),
        T(test_states_that_make_no_sense),
        T(test_the_generation_before),
        T(test_failed_writes_and_syncs),
        T(test_the_newest_has_to_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
