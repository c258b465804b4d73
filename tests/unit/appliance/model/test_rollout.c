/* test_rollout.c - how far a release goes: steps, voices, stops, and what outlives a crash. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "appliance/config/device_tags.h"
#include "appliance/model/rollout_log.h"
#include "appliance/storage/files.h"
#include "base/bytes.h"
#include "tests/unit/appliance/storage/scratch.h"
#include "wire/release_trust.h"

static const struct mr_rollout_policy policy = {.steps = {.percent = {1, 10, 100}, .steps = 3},
                                                .step_s = 100,
                                                .kept_min = 1,
                                                .reports_min = 4,
                                                .failures_percent = 20};
static const struct mr_release_version first = {1, 0}, second = {2, 0};

static void release_hash(uint8_t hash[MR_HASH_BYTES], uint8_t number)
{
    memset(hash, number, MR_HASH_BYTES);
}

static void begin(struct mr_rollout *rollout, uint8_t number,
                  const struct mr_release_version *version, uint64_t now_s)
{
    uint8_t hash[MR_HASH_BYTES];
    release_hash(hash, number);
    mr_rollout_begin(rollout, hash, version, now_s);
    mr_rollout_turn(rollout, &policy, now_s);
}

/* The n-th device whose share is below that. */
static void device(uint8_t id[MR_CLIENT_ID_BYTES], const struct mr_rollout *rollout, unsigned n,
                   uint16_t below)
{
    for (uint32_t i = 0;; i++) {
        memset(id, 0, MR_CLIENT_ID_BYTES);
        mr_be32_put(id, i);
        if (mr_release_share(rollout->release, id) < below && n-- == 0) {
            return;
        }
    }
}

static enum mr_rollout_heard hear(struct mr_rollout *rollout, unsigned n,
                                  enum mr_release_outcome outcome)
{
    uint8_t id[MR_CLIENT_ID_BYTES];
    device(id, rollout, n, rollout->peak);
    return mr_rollout_hear(rollout, id, 0, outcome);
}

static void test_steps(void **state)
{
    struct mr_rollout rollout = {.known = false};
    (void)state;
    begin(&rollout, 1, &first, 1000);
    assert_int_equal(mr_rollout_fraction(&rollout, &policy), 100);
    /* Time alone is not enough, and a voice alone is not. */
    assert_int_equal(mr_rollout_turn(&rollout, &policy, 5000), MR_ROLLOUT_SAME);
    assert_int_equal(hear(&rollout, 0, MR_RELEASE_KEPT), MR_ROLLOUT_HEARD);
    assert_int_equal(mr_rollout_turn(&rollout, &policy, 1099), MR_ROLLOUT_SAME);
    assert_int_equal(mr_rollout_turn(&rollout, &policy, 1100), MR_ROLLOUT_NEXT_STEP);
    assert_int_equal(mr_rollout_fraction(&rollout, &policy), 1000);
    /* A hub that was away for long takes one step, not all. */
    assert_int_equal(mr_rollout_turn(&rollout, &policy, 90000), MR_ROLLOUT_NEXT_STEP);
    assert_int_equal(mr_rollout_fraction(&rollout, &policy), MR_RELEASE_FRACTION_ALL);
    assert_int_equal(mr_rollout_turn(&rollout, &policy, 900000), MR_ROLLOUT_SAME);
    mr_rollout_fini(&rollout);
}

static void test_one_voice(void **state)
{
    struct mr_rollout rollout = {.known = false};
    uint8_t outside[MR_CLIENT_ID_BYTES] = {0};
    (void)state;
    begin(&rollout, 1, &first, 0);
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(hear(&rollout, 0, MR_RELEASE_FAILED),
                         i == 0 ? MR_ROLLOUT_HEARD : MR_ROLLOUT_REPEATED);
    }
    assert_int_equal(rollout.counts[MR_RELEASE_FAILED], 1);
    assert_int_equal(mr_rollout_turn(&rollout, &policy, 1), MR_ROLLOUT_SAME);
    assert_int_equal(hear(&rollout, 0, MR_RELEASE_KEPT), MR_ROLLOUT_HEARD);
    assert_int_equal(rollout.counts[MR_RELEASE_FAILED], 0);
    assert_int_equal(rollout.counts[MR_RELEASE_KEPT], 1);
    /* Who was never let has nothing to say. */
    while (mr_release_share(rollout.release, outside) < 100) {
        outside[0]++;
    }
    assert_int_equal(mr_rollout_hear(&rollout, outside, 0, MR_RELEASE_FAILED), MR_ROLLOUT_NOT_LET);
    mr_rollout_fini(&rollout);
}

static void test_stop(void **state)
{
    struct mr_rollout rollout = {.known = false};
    (void)state;
    begin(&rollout, 1, &first, 0);
    hear(&rollout, 0, MR_RELEASE_KEPT);
    hear(&rollout, 1, MR_RELEASE_KEPT);
    hear(&rollout, 2, MR_RELEASE_WENT_BACK);
    assert_int_equal(mr_rollout_turn(&rollout, &policy, 1), MR_ROLLOUT_SAME); /* too few */
    hear(&rollout, 3, MR_RELEASE_KEPT);
    assert_int_equal(mr_rollout_turn(&rollout, &policy, 2), MR_ROLLOUT_STOP);
    assert_int_equal(mr_rollout_fraction(&rollout, &policy), 0);
    /* Nothing but the operator leads out: no time, no voices, no other release. */
    hear(&rollout, 2, MR_RELEASE_KEPT);
    assert_int_equal(mr_rollout_turn(&rollout, &policy, 100000), MR_ROLLOUT_SAME);
    assert_int_equal(mr_rollout_fraction(&rollout, &policy), 0);
    begin(&rollout, 2, &second, 100000);
    assert_int_equal(rollout.state, MR_ROLLOUT_HELD);
    assert_int_equal(mr_rollout_fraction(&rollout, &policy), 0);
    assert_true(mr_rollout_go_on(&rollout, 100001));
    assert_false(mr_rollout_go_on(&rollout, 100001));
    assert_int_equal(mr_rollout_fraction(&rollout, &policy), 100);
    mr_rollout_fini(&rollout);
}

static void test_forgiven(void **state)
{
    struct mr_rollout rollout = {.known = false};
    (void)state;
    begin(&rollout, 1, &first, 0);
    for (unsigned i = 0; i < 4; i++) {
        hear(&rollout, i, MR_RELEASE_FAILED);
    }
    assert_int_equal(mr_rollout_turn(&rollout, &policy, 1), MR_ROLLOUT_STOP);
    assert_true(mr_rollout_go_on(&rollout, 2));
    assert_int_equal(mr_rollout_turn(&rollout, &policy, 3), MR_ROLLOUT_SAME);
    for (unsigned i = 4; i < 8; i++) { /* as many again */
        hear(&rollout, i, MR_RELEASE_WENT_BACK);
    }
    assert_int_equal(mr_rollout_turn(&rollout, &policy, 4), MR_ROLLOUT_STOP);
    mr_rollout_fini(&rollout);
}

static void test_withdrawn(void **state)
{
    struct mr_rollout rollout = {.known = false};
    (void)state;
    begin(&rollout, 1, &first, 0);
    assert_true(mr_rollout_withdraw(&rollout));
    assert_false(mr_rollout_go_on(&rollout, 1));
    assert_false(mr_rollout_hold(&rollout));
    assert_int_equal(mr_rollout_fraction(&rollout, &policy), 0);
    begin(&rollout, 2, &second, 2); /* the next one takes its way */
    assert_int_equal(mr_rollout_fraction(&rollout, &policy), 100);
    mr_rollout_fini(&rollout);
}

/* However many devices there are: the memory is bounded, and failures are heard all the same. */
static void test_bounded(void **state)
{
    struct mr_rollout rollout = {.known = false};
    uint8_t id[MR_CLIENT_ID_BYTES] = {0};
    (void)state;
    begin(&rollout, 1, &first, 0);
    rollout.peak = MR_RELEASE_FRACTION_ALL;
    for (uint32_t i = 0; i < MR_ROLLOUT_VOICES_MAX; i++) {
        mr_be32_put(id + 8, i);
        assert_int_equal(mr_rollout_hear(&rollout, id, 0, MR_RELEASE_KEPT), MR_ROLLOUT_HEARD);
    }
    mr_be32_put(id + 8, MR_ROLLOUT_VOICES_MAX);
    assert_int_equal(mr_rollout_hear(&rollout, id, 0, MR_RELEASE_KEPT), MR_ROLLOUT_NO_ROOM);
    assert_int_equal(mr_rollout_hear(&rollout, id, 0, MR_RELEASE_FAILED), MR_ROLLOUT_HEARD);
    assert_int_equal(mr_rollout_hear(&rollout, id, 0, MR_RELEASE_FAILED), MR_ROLLOUT_REPEATED);
    assert_int_equal(rollout.counts[MR_RELEASE_FAILED], 1);
    assert_int_equal(rollout.counts[MR_RELEASE_KEPT], MR_ROLLOUT_VOICES_MAX - 1);
    assert_true(rollout.room <= 4 * (size_t)MR_ROLLOUT_VOICES_MAX);
    mr_rollout_fini(&rollout);
}

/* --- files ------------------------------------------------------------------------------------ */

struct place {
    char *dir;
    char data[4200];
    struct mr_rollout rollout;
    struct mr_rollout_log *log;
};

static void open_log(struct place *place)
{
    struct mr_error error;
    place->rollout = (struct mr_rollout){.known = false};
    if (mr_rollout_log_open(&place->log, place->data, &place->rollout, &error) != 0) {
        fail_msg("%s", error.text);
    }
}

static void close_log(struct place *place)
{
    mr_rollout_log_close(place->log);
    mr_rollout_fini(&place->rollout);
}

static void write_all(struct place *place)
{
    size_t length;
    uint8_t *record = mr_rollout_record_all(&place->rollout, &length);
    assert_int_equal(mr_rollout_log_anew(place->log, record, length, NULL), 0);
    free(record);
}

static void write_one(struct place *place, const uint8_t *record, size_t length)
{
    assert_int_equal(mr_rollout_log_write(place->log, &record, &length, 1, NULL), 0);
}

static int set_up(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    char releases[4300];
    place->dir = scratch_open();
    snprintf(place->data, sizeof place->data, "%s", place->dir);
    snprintf(releases, sizeof releases, "%s/releases", place->data);
    assert_int_equal(mkdir(releases, 0700), 0);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    scratch_close(place->dir);
    free(place);
    return 0;
}

/* One release with three voices of which one was changed, stopped; then held by the next. */
static void test_restart(void **state)
{
    struct place *place = *state;
    uint8_t record[MR_ROLLOUT_RECORD_BYTES], id[MR_CLIENT_ID_BYTES];
    open_log(place);
    begin(&place->rollout, 1, &first, 7);
    write_all(place);
    for (unsigned i = 0; i < 4; i++) {
        device(id, &place->rollout, i % 3, 100);
        assert_int_equal(
            mr_rollout_hear(&place->rollout, id, 0, i < 3 ? MR_RELEASE_KEPT : MR_RELEASE_FAILED),
            MR_ROLLOUT_HEARD);
        write_one(place, record,
                  mr_rollout_record_voice(record, id, i < 3 ? MR_RELEASE_KEPT : MR_RELEASE_FAILED));
    }
    place->rollout.state = MR_ROLLOUT_STOPPED;
    write_one(place, record, mr_rollout_record_state(record, &place->rollout));
    close_log(place);
    open_log(place);
    assert_int_equal(place->rollout.state, MR_ROLLOUT_STOPPED);
    assert_int_equal(place->rollout.counts[MR_RELEASE_KEPT], 2);
    assert_int_equal(place->rollout.counts[MR_RELEASE_FAILED], 1);
    assert_int_equal(place->rollout.since_s, 7);
    assert_int_equal(hear(&place->rollout, 0, MR_RELEASE_FAILED), MR_ROLLOUT_REPEATED);
    begin(&place->rollout, 2, &second, 8);
    assert_int_equal(place->rollout.state, MR_ROLLOUT_HELD);
    write_all(place);
    close_log(place);
    struct mr_rollout read[4];
    assert_int_equal(mr_rollout_log_read(place->data, read, 4), 2);
    assert_int_equal(read[0].version.round, 2);
    assert_int_equal(read[1].state, MR_ROLLOUT_STOPPED);
    mr_rollout_fini(&read[0]);
    mr_rollout_fini(&read[1]);
}

/* A crash may tear the last file anywhere: then the release before says whether it is held. */
static void test_torn(void **state)
{
    struct place *place = *state;
    char path[4400];
    struct stat about;
    open_log(place);
    begin(&place->rollout, 1, &first, 7);
    place->rollout.state = MR_ROLLOUT_HELD;
    write_all(place);
    begin(&place->rollout, 2, &second, 8);
    place->rollout.peak = 100;
    hear(&place->rollout, 0, MR_RELEASE_KEPT);
    write_all(place);
    close_log(place);
    snprintf(path, sizeof path, "%s/releases/rollout/000002.log", place->data);
    assert_int_equal(stat(path, &about), 0);
    for (off_t length = about.st_size - 1; length >= 0; length--) {
        assert_int_equal(truncate(path, length), 0);
        open_log(place);
        assert_int_equal(place->rollout.version.round, 1);
        assert_int_equal(place->rollout.state, MR_ROLLOUT_HELD);
        assert_false(mr_rollout_log_is_whole(place->log));
        close_log(place);
    }
    open_log(place);
    begin(&place->rollout, 2, &second, 9);
    assert_int_equal(place->rollout.state, MR_ROLLOUT_HELD);
    write_all(place);
    assert_true(mr_rollout_log_is_whole(place->log));
    close_log(place);
}

/* A disk that is full takes nothing; with room again the next write has all of it. */
static void test_full(void **state)
{
    struct place *place = *state;
    uint8_t record[MR_ROLLOUT_RECORD_BYTES], id[MR_CLIENT_ID_BYTES];
    const uint8_t *records = record;
    size_t length;
    struct rlimit before, limit;
    struct mr_error error;
    open_log(place);
    begin(&place->rollout, 1, &first, 7);
    write_all(place);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = 100;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    device(id, &place->rollout, 0, 100);
    assert_int_equal(mr_rollout_hear(&place->rollout, id, 0, MR_RELEASE_FAILED), MR_ROLLOUT_HEARD);
    length = mr_rollout_record_voice(record, id, MR_RELEASE_FAILED);
    const int written = mr_rollout_log_write(place->log, &records, &length, 1, &error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(written, -1);
    assert_false(mr_rollout_log_is_whole(place->log));
    write_all(place);
    assert_true(mr_rollout_log_is_whole(place->log));
    close_log(place);
    open_log(place);
    assert_int_equal(place->rollout.version.round, 1);
    assert_int_equal(place->rollout.counts[MR_RELEASE_FAILED], 1);
    close_log(place);
}

static void test_files_bounded(void **state)
{
    struct place *place = *state;
    char path[4400];
    open_log(place);
    for (unsigned i = 1; i <= MR_ROLLOUT_FILES_KEPT + 3; i++) {
        const struct mr_release_version version = {i, 0};
        begin(&place->rollout, (uint8_t)i, &version, i);
        write_all(place);
    }
    close_log(place);
    for (unsigned i = 1; i <= MR_ROLLOUT_FILES_KEPT + 3; i++) {
        snprintf(path, sizeof path, "%s/releases/rollout/%06u.log", place->data, i);
        assert_int_equal(access(path, F_OK) == 0, i > 3);
    }
}

/* --- tags ------------------------------------------------------------------------------------- */

/* A tag comes before any share; who was not let by tag or share has nothing to say. */
static void test_tag_first(void **state)
{
    const struct mr_rollout_policy tagged = {
        .steps = {.percent = {0, 0, 100}, .steps = 3, .tag = {"lab", "pilot"}, .tags = 2},
        .step_s = 100,
        .kept_min = 1,
        .reports_min = 4,
        .failures_percent = 20};
    const uint8_t id[MR_CLIENT_ID_BYTES] = {1}, other[MR_CLIENT_ID_BYTES] = {2};
    struct mr_rollout rollout = {.known = false};
    uint8_t record[MR_ROLLOUT_RECORD_BYTES], hash[MR_HASH_BYTES];
    (void)state;
    release_hash(hash, 1);
    mr_rollout_begin(&rollout, hash, &first, 0);
    mr_rollout_turn(&rollout, &tagged, 0);
    assert_int_equal(mr_rollout_fraction(&rollout, &tagged), 0);
    assert_int_equal(mr_rollout_tags(&rollout, &tagged), 1);
    assert_int_equal(mr_rollout_hear(&rollout, other, 0, MR_RELEASE_FAILED), MR_ROLLOUT_NOT_LET);
    assert_int_equal(mr_rollout_hear(&rollout, other, 2, MR_RELEASE_FAILED), MR_ROLLOUT_NOT_LET);
    assert_int_equal(mr_rollout_turn(&rollout, &tagged, 100), MR_ROLLOUT_SAME);
    assert_int_equal(mr_rollout_hear(&rollout, id, 1, MR_RELEASE_KEPT), MR_ROLLOUT_HEARD);
    assert_int_equal(mr_rollout_turn(&rollout, &tagged, 100), MR_ROLLOUT_NEXT_STEP);
    assert_int_equal(mr_rollout_tags(&rollout, &tagged), 3);
    /* A hold is for tags too; what they have to say is still heard, also after a restart. */
    assert_true(mr_rollout_hold(&rollout));
    assert_int_equal(mr_rollout_tags(&rollout, &tagged), 0);
    const size_t length = mr_rollout_record_state(record, &rollout);
    rollout.tags = 0;
    assert_int_equal(mr_rollout_replay(&rollout, record, length), 0);
    assert_int_equal(mr_rollout_hear(&rollout, other, 2, MR_RELEASE_KEPT), MR_ROLLOUT_HEARD);
    assert_true(mr_rollout_go_on(&rollout, 100));
    assert_int_equal(mr_rollout_turn(&rollout, &tagged, 200), MR_ROLLOUT_NEXT_STEP);
    assert_int_equal(mr_rollout_fraction(&rollout, &tagged), MR_RELEASE_FRACTION_ALL);
    assert_int_equal(mr_rollout_tags(&rollout, &tagged), 3);
    mr_rollout_fini(&rollout);
}

static int read_tags(struct mr_device_tags *tags, const char *rollout_text, const char *text,
                     struct mr_error *error)
{
    struct mr_config_rollout rollout;
    char *dir = scratch_open(), path[4200];
    assert_int_equal(mr_config_rollout(&rollout, rollout_text, NULL), 0);
    snprintf(path, sizeof path, "%s/tags", dir);
    assert_int_equal(mr_file_replace(path, text, strlen(text), NULL), 0);
    const int bad = mr_device_tags_read(tags, path, &rollout, error);
    scratch_close(dir);
    return bad;
}

#define ID_A "0a000000000000000000000000000000"
#define ID_B "0b000000000000000000000000000000"

static void test_tags_file(void **state)
{
    const uint8_t a[MR_CLIENT_ID_BYTES] = {10}, b[MR_CLIENT_ID_BYTES] = {11},
                  c[MR_CLIENT_ID_BYTES] = {12};
    struct mr_device_tags tags;
    struct mr_error error = {.text = ""};
    (void)state;
    assert_int_equal(read_tags(&tags, "lab,pilot,100",
                               "# who comes first\n\npilot " ID_B "\nlab\t" ID_A
                               " # on the desk\nother " ID_B "\r\npilot " ID_A,
                               &error),
                     0);
    assert_int_equal(mr_device_tags_of(&tags, a), 3);
    assert_int_equal(mr_device_tags_of(&tags, b), 2);
    assert_int_equal(mr_device_tags_of(&tags, c), 0);
    mr_device_tags_fini(&tags);
    assert_int_equal(mr_device_tags_of(&tags, a), 0);
    static const struct {
        const char *text, *why;
    } wrong[] = {
        {"", "no device has the tag 'lab'"},
        {"pilot " ID_A "\n", "no device has the tag 'lab'"},
        {"lab " ID_A "\nlab 0a\n", "tags:2: must be a tag"},
        {"lab\n", "tags:1: must be"},
        {"lab " ID_A " " ID_B "\n", "tags:1: must be"},
        {"Lab " ID_A "\n", "tags:1: must be"},
    };
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(read_tags(&tags, "lab,100", wrong[i].text, &error), -1);
        if (!strstr(error.text, wrong[i].why)) {
            fail_msg("'%s' is not in: %s", wrong[i].why, error.text);
        }
    }
}

static void test_config(void **state)
{
    struct mr_config_rollout rollout;
    (void)state;
    assert_int_equal(mr_config_rollout(&rollout, "1,10, 100", NULL), 0);
    assert_int_equal(rollout.steps, 3);
    assert_int_equal(rollout.percent[1], 10);
    assert_int_equal(mr_config_rollout(&rollout, "", NULL), 0);
    assert_int_equal(rollout.steps, 1);
    assert_int_equal(mr_config_rollout(&rollout, "lab, pilot-2,100", NULL), 0);
    assert_int_equal(rollout.steps, 3);
    assert_int_equal(rollout.tags, 2);
    assert_string_equal(rollout.tag[1], "pilot-2");
    static const char *const wrong[] = {"0,100",
                                        "1,10",
                                        "10,1,100",
                                        "1,,100",
                                        "100,100",
                                        "101",
                                        "1;100",
                                        "1,100,",
                                        "x",
                                        "-1,100",
                                        "1 100",
                                        "0100",
                                        "1,lab,100",
                                        "lab,lab,100",
                                        "Lab,100",
                                        "lab,",
                                        "a,b,c,d,e,100",
                                        "lab 2,100",
                                        "a-name-of-thirty-three-characters,100"};
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct mr_error error;
        assert_int_equal(mr_config_rollout(&rollout, wrong[i], &error), -1);
        assert_non_null(strstr(error.text, "must be"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_one_voice),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_forgiven),
        cmocka_unit_test(test_withdrawn),
        cmocka_unit_test(test_bounded),
        cmocka_unit_test(test_config),
        cmocka_unit_test(test_tag_first),
        cmocka_unit_test(test_tags_file),
        cmocka_unit_test_setup_teardown(test_restart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_torn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_full, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_files_bounded, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
