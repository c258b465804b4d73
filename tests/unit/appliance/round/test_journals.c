/* test_journals.c - the journal: written, read back, every cut and every changed bit found, over a
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

/* --- the journal ----------------------------------------------------------------------------- */

static struct mr_expansion seeds[WORLD_DEVICES];
static const struct mr_hpke_pair seal = {.private_key = {11, 12}, .public_key = {13, 14}};

static uint8_t *snapshot(const struct world *world, enum mr_journal_phase phase, uint32_t count,
                         size_t *length)
{
    struct mr_included sorted[WORLD_DEVICES];
    struct mr_journal_state state = {.phase = phase,
                                     .terms = &world->terms,
                                     .seal = &seal,
                                     .draw_value = seal.private_key,
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
        memset(seeds[i].sealed_hash, (int)i + 40, MR_HASH_BYTES);
        memset(seeds[i].serial.bytes, (int)i + 20, MR_SERIAL_BYTES);
    }
    for (unsigned i = 0; i < world->options.hubs; i++) {
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
        assert_memory_equal(read.state.seal->public_key, seal.public_key, MR_HPKE_KEY_BYTES);
        assert_int_equal(read.state.seal->private_key[1], phase == MR_JOURNAL_ADMITTING ? 12 : 0);
        for (unsigned i = 0; i < 5; i++) {
            assert_int_equal(read.entries[i].sealed_hash[MR_HASH_BYTES - 1],
                             phase == MR_JOURNAL_DONE ? 0 : i + 40);
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
    struct mr_error error = {.text = ""};
    struct mr_journal *journal;
    struct mr_journal_read newest;
    write_journal(place);
    assert_int_equal(
        mr_helper_journal_open(&journal, &disk, place->world->private_keys[1], &newest, &error),
        -1);
    assert_string_equal(error.text, "EIO");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, open_place, close_place)
    const struct CMUnitTest tests[] = {
        T(test_snapshots),
        T(test_journal_every_cut_and_every_bit),
        T(test_journal_tells_nothing),
        T(test_journal_leaves_nothing),
        T(test_journal_torn_snapshot),
        T(test_the_newest_has_to_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
