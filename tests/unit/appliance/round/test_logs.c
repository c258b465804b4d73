/* test_logs.c - the commit log and the journal: written, read back, every cut and every changed bit
 * found, over a disk that fails and over the real one. */
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
#include "parties.h"

static const struct world_options plain = {.ring_bits = 16,
                                           .dimension = 40,
                                           .hubs = 3,
                                           .cohort_min = 4,
                                           .quorum = 6,
                                           .deadline_ms = 10000};

/* A world for its terms and keys, and a folder. */
struct place {
    struct world *world;
    char *dir;
    struct mr_disk_file *file;
    const struct mr_disk *disk;
};

static int open_place(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    struct mr_error error = {.text = ""};
    place->world = world_open(&plain);
    world_begin(place->world, NULL);
    place->dir = scratch_open();
    assert_int_equal(mr_disk_file_open(&place->file, place->dir, &error), 0);
    place->disk = mr_disk_file_ops(place->file);
    *state = place;
    return 0;
}

static int close_place(void **state)
{
    struct place *place = *state;
    mr_disk_file_close(place->file);
    scratch_close(place->dir);
    world_close(place->world);
    free(place);
    return 0;
}

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
    if (mr_commit_log_parse(bytes, length, &generation, &content, &content_length, &error) != 0) {
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

/* --- a disk that fails ----------------------------------------------------------------------- */

struct failing {
    const struct mr_disk *under;
    unsigned good_syncs, good_writes; /* so many succeed */
};

static int failing_read(void *context, const char *name, uint8_t **bytes, size_t *length,
                        struct mr_error *error)
{
    const struct mr_disk *under = ((struct failing *)context)->under;
    return under->read(under->context, name, bytes, length, error);
}

static int failing_write(void *context, const char *name, const uint8_t *bytes, size_t length,
                         struct mr_error *error)
{
    struct failing *failing = context;
    if (failing->good_writes-- == 0) { /* torn: half of it is there */
        failing->under->write(failing->under->context, name, bytes, length / 2, error);
        return mr_error_set(error, "no space");
    }
    return failing->under->write(failing->under->context, name, bytes, length, error);
}

static int failing_append(void *context, const char *name, const uint8_t *bytes, size_t length,
                          struct mr_error *error)
{
    const struct mr_disk *under = ((struct failing *)context)->under;
    return under->append(under->context, name, bytes, length, error);
}

static int failing_sync(void *context, const char *name, struct mr_error *error)
{
    struct failing *failing = context;
    if (failing->good_syncs-- == 0) {
        return mr_error_set(error, "EIO");
    }
    return failing->under->sync(failing->under->context, name, error);
}

static int failing_wipe(void *context, const char *name, struct mr_error *error)
{
    const struct mr_disk *under = ((struct failing *)context)->under;
    return under->wipe(under->context, name, error);
}

static struct mr_disk failing_disk(struct failing *failing)
{
    return (struct mr_disk){.context = failing,
                            .read = failing_read,
                            .write = failing_write,
                            .append = failing_append,
                            .sync = failing_sync,
                            .wipe = failing_wipe};
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

/* --- the journal ----------------------------------------------------------------------------- */

static struct mr_expansion seeds[WORLD_DEVICES];

static uint8_t *snapshot(const struct world *world, enum mr_journal_phase phase, uint32_t count,
                         size_t *length)
{
    struct mr_included sorted[WORLD_DEVICES];
    struct mr_journal_state state = {.phase = phase,
                                     .terms = &world->terms,
                                     .entries = seeds,
                                     .count = count,
                                     .nonce = {1, 2, 3},
                                     .model_hash = {4, 5},
                                     .result = world->packed};
    for (uint32_t i = 0; i < count; i++) {
        memcpy(sorted[i].client_id, world->devices[i].client_id, MR_CLIENT_ID_BYTES);
        sorted[i].attempt = i % 8;
    }
    mr_included_sort(sorted, count);
    for (uint32_t i = 0; i < count; i++) {
        seeds[i].included = sorted[i];
        memset(seeds[i].seed, (int)i + 1, MR_SEED_BYTES);
        memset(seeds[i].serial.bytes, (int)i + 20, MR_SERIAL_BYTES);
    }
    for (unsigned i = 0; i < plain.hubs; i++) {
        state.commitments[i] = (struct mr_commitment){.hub_index = world->hubs[i].index};
        state.commitments[i].value[0] = (uint8_t)i;
    }
    uint8_t *bytes = mr_journal_state_encode(&state, length);
    assert_non_null(bytes);
    return bytes;
}

static void test_snapshots(void **state)
{
    const struct place *place = *state;
    struct mr_journal_read read;
    struct mr_error error;
    for (unsigned phase = MR_JOURNAL_ADMITTING; phase <= MR_JOURNAL_DONE; phase++) {
        size_t length;
        uint8_t *bytes = snapshot(place->world, phase, 5, &length);
        assert_int_equal(mr_journal_state_parse(&read, bytes, length, &error), 0);
        assert_int_equal(read.state.phase, phase);
        assert_int_equal(read.state.count, 5);
        assert_memory_equal(read.terms.hash, place->world->terms.hash, MR_HASH_BYTES);
        for (unsigned i = 0; i < 5; i++) {
            assert_memory_equal(&read.entries[i].included, &seeds[i].included,
                                sizeof seeds[i].included);
            assert_int_equal(read.entries[i].seed[7], phase == MR_JOURNAL_DONE ? 0 : i + 1);
            assert_int_equal(read.entries[i].serial.bytes[MR_SERIAL_BYTES - 1],
                             phase == MR_JOURNAL_DONE ? 0 : i + 20);
        }
        size_t again_bytes;
        uint8_t *again = mr_journal_state_encode(&read.state, &again_bytes);
        assert_int_equal(again_bytes, length);
        assert_memory_equal(again, bytes, length);
        mr_secret_free(again);
        mr_journal_read_fini(&read);
        for (size_t cut = 0; cut < length; cut++) {
            assert_int_equal(mr_journal_state_parse(&read, bytes, cut, &error), -1);
        }
        mr_secret_free(bytes);
    }
}

static const uint8_t salt[MR_JOURNAL_SALT_BYTES] = {7, 7, 7};

/* A journal with a snapshot of two seeds and three units of one each. */
static void write_journal(const struct place *place)
{
    struct mr_journal *journal;
    struct mr_journal_read newest;
    struct mr_error error = {.text = ""};
    size_t length;
    assert_int_equal(mr_helper_journal_open(&journal, place->disk, place->world->private_keys[1],
                                            &newest, &error),
                     1);
    uint8_t *bytes = snapshot(place->world, MR_JOURNAL_ADMITTING, 2, &length);
    assert_int_equal(mr_journal_save(journal, salt, bytes, length, &error), 0);
    mr_secret_free(bytes);
    for (unsigned i = 2; i < 5; i++) {
        uint8_t record[MR_JOURNAL_SEED_BYTES];
        struct mr_expansion entry = {.included = {.client_id = {(uint8_t)i}}, .seed = {9, 9}};
        const size_t bytes_of = mr_journal_seed_encode(record, &entry);
        assert_int_equal(mr_journal_append(journal, record, bytes_of, &error), 0);
    }
    mr_journal_close(journal);
}

static uint8_t *journal_bytes(const struct place *place, size_t *length)
{
    uint8_t *bytes;
    struct mr_error error;
    assert_int_equal(place->disk->read(place->disk->context, "journal-1", &bytes, length, &error),
                     0);
    return bytes;
}

/* How many seeds a file of these bytes gives, or -1. */
static int seeds_in(const struct place *place, const uint8_t *bytes, size_t length)
{
    struct mr_journal_content content;
    struct mr_journal_read read;
    struct mr_error error;
    uint64_t generation;
    uint8_t *copy = malloc(length + 1);
    memcpy(copy, bytes, length);
    int count = -1;
    if (mr_journal_parse(&content, &generation, copy, length, place->world->private_keys[1],
                         &error) == 0 &&
        mr_helper_journal_parse(&read, &content, &error) == 0) {
        count = (int)read.state.count;
        mr_journal_read_fini(&read);
    }
    free(copy);
    return count;
}

static void test_journal_every_cut_and_every_bit(void **state)
{
    const struct place *place = *state;
    size_t length;
    write_journal(place);
    uint8_t *bytes = journal_bytes(place, &length);
    const size_t unit = MR_JOURNAL_SEED_BYTES + 8 + 16;
    const size_t first = length - 3 * unit; /* head and snapshot */
    for (size_t cut = 0; cut < length; cut++) {
        const int expected = cut < first ? -1 : 2 + (int)((cut - first) / unit);
        assert_int_equal(seeds_in(place, bytes, cut), expected);
    }
    assert_int_equal(seeds_in(place, bytes, length), 5);
    for (size_t bit = 0; bit < 8 * length; bit++) {
        /* The bits before are all good, so units before the damaged one still count. */
        const int expected = bit / 8 < first ? -1 : 2 + (int)((bit / 8 - first) / unit);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(seeds_in(place, bytes, length), expected);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    free(bytes);
}

static void test_journal_tells_nothing(void **state)
{
    const struct place *place = *state;
    size_t length;
    struct stat about;
    char path[4096];
    write_journal(place);
    uint8_t *bytes = journal_bytes(place, &length);
    for (unsigned i = 0; i < 2; i++) {
        assert_null(memmem(bytes, length, seeds[i].seed, 8));
        assert_null(memmem(bytes, length, seeds[i].included.client_id, MR_CLIENT_ID_BYTES));
    }
    free(bytes);
    snprintf(path, sizeof path, "%s/journal-1", place->dir);
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600);
    struct mr_journal *journal; /* another hub's key opens nothing */
    struct mr_journal_read newest;
    struct mr_error error = {.text = ""};
    assert_int_equal(mr_helper_journal_open(&journal, place->disk, place->world->private_keys[2],
                                            &newest, &error),
                     1);
    assert_non_null(strstr(error.text, "another key"));
    mr_journal_close(journal);
}

static bool there(const struct place *place, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", place->dir, name);
    return access(path, F_OK) == 0;
}

static void test_journal_leaves_nothing(void **state)
{
    const struct place *place = *state;
    struct mr_journal *journal;
    struct mr_journal_read newest;
    struct mr_error error = {.text = ""};
    size_t length;
    write_journal(place);
    /* A link keeps the bytes of the unlinked file in sight: they are overwritten. */
    char from[4096], to[4096];
    snprintf(from, sizeof from, "%s/journal-1", place->dir);
    snprintf(to, sizeof to, "%s/kept", place->dir);
    assert_int_equal(link(from, to), 0);
    assert_int_equal(mr_helper_journal_open(&journal, place->disk, place->world->private_keys[1],
                                            &newest, &error),
                     0);
    assert_int_equal(newest.state.count, 5);
    mr_journal_read_fini(&newest);
    uint8_t *bytes = snapshot(place->world, MR_JOURNAL_FROZEN, 4, &length);
    assert_int_equal(mr_journal_save(journal, salt, bytes, length, &error), 0);
    mr_secret_free(bytes);
    assert_true(there(place, "journal-0"));
    assert_false(there(place, "journal-1"));
    uint8_t *kept;
    assert_int_equal(place->disk->read(place->disk->context, "kept", &kept, &length, &error), 0);
    assert_true(length > 0);
    for (size_t i = 0; i < length; i++) {
        assert_int_equal(kept[i], 0);
    }
    free(kept);
    assert_int_equal(mr_journal_wipe(journal, &error), 0);
    assert_false(there(place, "journal-0") || there(place, "journal-1"));
    mr_journal_close(journal);
}

/* The next file is torn: the one before it is still there, and is what is read. */
static void test_journal_torn_snapshot(void **state)
{
    const struct place *place = *state;
    struct failing failing = {.under = place->disk, .good_syncs = 9, .good_writes = 0};
    const struct mr_disk disk = failing_disk(&failing);
    struct mr_journal *journal;
    struct mr_journal_read newest;
    struct mr_error error = {.text = ""};
    size_t length;
    write_journal(place);
    for (unsigned life = 0; life < 2; life++) {
        failing.good_writes = 1; /* what is read is settled */
        assert_int_equal(
            mr_helper_journal_open(&journal, &disk, place->world->private_keys[1], &newest, &error),
            0);
        assert_int_equal(newest.state.phase, MR_JOURNAL_ADMITTING);
        assert_int_equal(newest.state.count, 5);
        mr_journal_read_fini(&newest);
        uint8_t *bytes = snapshot(place->world, MR_JOURNAL_FROZEN, 4, &length);
        assert_int_equal(mr_journal_save(journal, salt, bytes, length, &error), -1);
        assert_int_equal(mr_journal_append(journal, bytes, length, &error), -1);
        mr_secret_free(bytes);
        mr_journal_close(journal);
    }
}

/* After a sync that failed the newest may be in memory only; the next write takes the place of the
 * one before it, so nobody goes on from a newest that has not been made to hold. */
static void test_the_newest_has_to_hold(void **state)
{
    struct place *place = *state;
    struct failing failing = {.under = place->disk, .good_syncs = 0, .good_writes = 9};
    const struct mr_disk disk = failing_disk(&failing);
    struct mr_commit_log *log;
    struct mr_commit_read read;
    struct mr_journal *journal;
    struct mr_journal_read newest;
    struct mr_error error = {.text = ""};
    write_states(place, 1, 2);
    write_journal(place);
    assert_int_equal(mr_lead_log_open(&log, &disk, &read, &error), -1);
    failing.good_syncs = 0;
    assert_int_equal(
        mr_helper_journal_open(&journal, &disk, place->world->private_keys[1], &newest, &error),
        -1);
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
        T(test_snapshots),
        T(test_journal_every_cut_and_every_bit),
        T(test_journal_tells_nothing),
        T(test_journal_leaves_nothing),
        T(test_journal_torn_snapshot),
        T(test_the_newest_has_to_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
