/* A transcript over restarts and crashes: what was recorded stays, once, and the chain goes on. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "appliance/storage/files.h"
#include "played_rounds.h"

static const uint8_t parent[MR_HASH_BYTES] = {9};

/* Hub 1 starts again with its files; 0 or -1. */
static int restart(struct played *played, unsigned newest, struct mr_error *error)
{
    char folder[160];
    mr_transcript_file_close(played->transcripts[1]);
    mr_disk_file_close(played->disks[1]);
    played->transcripts[1] = NULL;
    snprintf(folder, sizeof folder, "%.100s/hub-1", played->dir);
    assert_int_equal(mr_disk_file_open(&played->disks[1], folder, error), 0);
    const struct mr_transcript_config config = {.disk = mr_disk_file_ops(played->disks[1]),
                                                .newest = newest,
                                                .hub = 1,
                                                .task = "digits",
                                                .private_key = played->keys[1].private_key};
    return mr_transcript_file_open(&played->transcripts[1], &config, error);
}

static void change_file(const struct played *played, unsigned number, off_t at, const void *bytes,
                        size_t length)
{
    char path[160];
    snprintf(path, sizeof path, "%.100s/hub-1/%06u.log", played->dir, number);
    const int fd = open(path, O_RDWR | O_CREAT, 0600);
    const off_t end = lseek(fd, 0, SEEK_END);
    assert_true(fd >= 0 &&
                pwrite(fd, bytes, length, at < 0 ? end + at + 1 : at) == (ssize_t)length);
    close(fd);
}

static void play(struct played *played, uint64_t number)
{
    struct round round;
    uint8_t model[MR_HASH_BYTES];
    memset(model, (int)number, sizeof model);
    round_make(played, &round, number, number == 1 ? parent : model, 0, 6);
    round_record(played, &round);
}

static void expect_good(struct played *played, uint64_t records)
{
    struct mr_audit_result result;
    played_read(played);
    played_audit(played, &result);
    if (!result.good) {
        fail_msg("%s: %s", result.file ? result.file : "", result.what);
    }
    assert_int_equal(result.records, records);
}

#define OF_LEAD   12 /* records of an honest round: with signatures of all */
#define OF_HELPER 10

/* A hub that restarts says again what it said: nothing is recorded twice. */
static void test_once(void **state)
{
    struct played played;
    struct mr_error error;
    struct mr_transcript_head before, after;
    (void)state;
    played_open(&played, 0);
    play(&played, 1);
    mr_transcript_file_head(played.transcripts[1], &before);
    assert_int_equal(restart(&played, 1, &error), 0);
    mr_transcript_file_head(played.transcripts[1], &after);
    assert_memory_equal(&before, &after, sizeof before);
    assert_true(mr_transcript_file_ended(played.transcripts[1], 1));
    play(&played, 1);
    play(&played, 2);
    mr_transcript_file_head(played.transcripts[1], &after);
    assert_int_equal(after.sequence, 2 * before.sequence);
    played_read(&played);
    struct mr_audit_result result;
    played_audit(&played, &result);
    assert_true(result.good);
    assert_int_equal(result.records, 2 * (OF_LEAD - 1) + 4 * OF_HELPER);
    played_close(&played);
}

/* A write that a crash tore: the rest stays where it is, and the chain goes on in the next file. */
static void test_torn(void **state)
{
    static const uint8_t half[40] = {0, 0, 1, 0, 7};
    struct played played;
    struct mr_error error;
    (void)state;
    played_open(&played, 0);
    play(&played, 1);
    change_file(&played, 1, -1, half, sizeof half);
    assert_int_equal(restart(&played, 1, &error), 0);
    play(&played, 2);
    change_file(&played, 3, 0, "MRAPP", 5); /* and a file that was only begun */
    assert_int_equal(restart(&played, 3, &error), 0);
    play(&played, 3);
    expect_good(&played, 3 * (OF_LEAD - 1) + 6 * OF_HELPER);
    assert_int_equal(played_file(&played, 1, 2) - played_file(&played, 1, 1), 1);
    played_close(&played);
}

/* A round whose records lie in three files, since its hub was killed twice in the middle of a
 * write: still nothing is recorded twice. */
static void test_round_over_files(void **state)
{
    static const uint8_t half[40] = {0, 0, 1, 0, 7};
    struct played played;
    struct round round;
    struct mr_error error;
    (void)state;
    played_open(&played, 0);
    play(&played, 1);
    for (unsigned part = 0; part < 4; part++) {
        uint8_t model[MR_HASH_BYTES];
        memset(model, 2, sizeof model);
        round_make(&played, &round, 2, model, 0, 6);
        round.views[0].silent = round.views[2].silent = part < 3;
        round.views[1].has_model = part == 3;
        round.views[1].openings_known = part >= 2 ? 7 : 0;
        round.views[1].commitments_known = part >= 1 ? 7 : 0;
        round_record(&played, &round);
        if (part < 2) {
            change_file(&played, 2 * part + 1, -1, half, sizeof half);
            assert_int_equal(restart(&played, 2 * part + 1, &error), 0);
            round_record(&played, &round); /* nothing new: a file with a head and no record */
            change_file(&played, 2 * part + 2, -1, half, sizeof half);
        }
        assert_int_equal(restart(&played, part < 2 ? 2 * part + 2 : 5, &error), 0);
    }
    expect_good(&played, 2 * (OF_LEAD - 1) + 4 * OF_HELPER);
    played_close(&played);
}

static void test_not_ours(void **state)
{
    struct played played;
    struct mr_error error;
    (void)state;
    played_open(&played, 0);
    play(&played, 1);
    const uint8_t key = played.keys[1].private_key[0];
    played.keys[1].private_key[0] ^= 1;
    assert_int_equal(restart(&played, 1, &error), -1);
    assert_non_null(strstr(error.text, "under another signing key"));
    played.keys[1].private_key[0] = key;
    assert_int_equal(restart(&played, 1, &error), 0);
    played_close(&played);
}

/* A disk that does not take it: nothing of it may be spoken of, and nothing goes on. */
static void test_disk_fails(void **state)
{
    struct played played;
    struct round round;
    struct mr_facts_batch batch = {.bytes = NULL};
    struct mr_facts_noted noted = {.round = 0};
    struct mr_error error = {.text = ""};
    (void)state;
    played_open(&played, 0);
    round_make(&played, &round, 1, parent, 0, 6);
    const struct mr_round_facts facts = {.terms = &round.views[1].terms};
    assert_true(mr_facts_collect(&batch, &noted, &facts));
    assert_false(mr_facts_collect(&batch, &noted, &facts)); /* it is noted */
    char path[160];
    snprintf(path, sizeof path, "%.100s/hub-1", played.dir);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(mr_transcript_file_add(played.transcripts[1], &batch, 1, &error), -1);
    assert_non_null(strstr(error.text, "000001.log"));
    assert_int_equal(mkdir(path, 0700), 0); /* there is room again, and it is too late */
    assert_int_equal(mr_transcript_file_add(played.transcripts[1], &batch, 2, &error), -1);
    assert_non_null(strstr(error.text, "could not be written before"));
    mr_facts_batch_fini(&batch);
    played_close(&played);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_once),
        cmocka_unit_test(test_torn),
        cmocka_unit_test(test_round_over_files),
        cmocka_unit_test(test_not_ours),
        cmocka_unit_test(test_disk_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
