/* test_lineage.c - a device is counted once on one model, whatever its lead says: it takes part
 * again only if every hub has signed that it did not open the round before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/edge-client/scene.h"
#include "wire/exchange.h"
#include "tests/unit/wire/pair.h"

/* Another round on the same model. */
static void announce(struct fake *fake, uint64_t round)
{
    fake->announcement.round = round;
    fake_announce(fake);
}

static void other_model(struct fake *fake, uint64_t round)
{
    fake->model[fake->model_bytes - 1] ^= 0x10;
    announce(fake, round);
}

/* Counted in round 1; round 2 begins with the same model, and nobody says why. */
static void counted(struct scene *s)
{
    assert_int_equal(scene_play(s, MRE_TRANSPORT_AUTO, scene_train), MRE_COMMITTED);
    assert_int_equal(s->trained, 1);
    announce(&s->fake, 2);
}

static void expect_waits(struct scene *s, const char *word)
{
    const unsigned trained = s->trained, grants = s->fake.grants, seeds = s->fake.seeds_posted;
    assert_int_equal(scene_play(s, MRE_TRANSPORT_AUTO, scene_train), MRE_AWAITS_MODEL);
    assert_string_equal(s->outcome.code, "lineage");
    if (!strstr(s->outcome.text, word)) {
        fail_msg("'%s' lacks '%s'", s->outcome.text, word);
    }
    assert_int_equal(s->trained, trained); /* for nothing */
    assert_int_equal(s->fake.grants, grants);
    assert_int_equal(s->fake.seeds_posted, seeds);
}

/* The round is over for this device: the long poll waits for the next one. */
static void test_it_waits_for_the_next_model(void **state)
{
    SCENE(s);
    counted(&s);
    expect_waits(&s, "round 1 of default");
    assert_int_equal(s.outcome.round, 2);
    assert_int_equal(scene_play(&s, MRE_TRANSPORT_AUTO, scene_train), MRE_NO_ROUND);
    announce(&s.fake, 3);
    expect_waits(&s, "round 1 of default");
    other_model(&s.fake, 4);
    assert_int_equal(scene_play(&s, MRE_TRANSPORT_AUTO, scene_train), MRE_COMMITTED);
    /* The model before comes back. */
    other_model(&s.fake, 5);
    expect_waits(&s, "round 1 of default");
    fake_fini(&s.fake);
}

static void test_every_hub_has_to_say_so(void **state)
{
    for (unsigned without = 0; without < 3; without++) {
        SCENE(s);
        char name[32];
        counted(&s);
        s.fake.unopened = FAKE_ALL_HUBS & ~(1u << without);
        s.fake.end = (struct mr_round_end){.state = MR_ROUND_VOID, .reason = "so I say"};
        snprintf(name, sizeof name, "hub %u has not signed", 4 + without);
        expect_waits(&s, name);
        announce(&s.fake, 3);
        s.fake.unopened = FAKE_ALL_HUBS;
        assert_int_equal(scene_play(&s, MRE_TRANSPORT_AUTO, scene_train), MRE_COMMITTED);
        assert_int_equal(s.trained, 2);
        fake_fini(&s.fake);
    }
}

/* Whatever the lead alone says of the upload or of the round. */
static void test_no_word_of_the_lead_clears_it(void **state)
{
    static const struct mr_round_end ends[] = {
        {.state = MR_ROUND_VOID, .reason = "nothing was opened, believe me"},
        {.state = MR_ROUND_UNDER_WAY},
        {.state = MR_ROUND_PUBLISHED,
         .model = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}};
    static const char *const codes[] = {"closed", "void", "superseded", "no_round", "round_lost"};
    for (unsigned i = 0; i < sizeof codes / sizeof *codes; i++) {
        SCENE(s);
        s.fake.refuse_grant = codes[i];
        assert_int_not_equal(scene_play(&s, MRE_TRANSPORT_AUTO, scene_train), MRE_COMMITTED);
        s.fake.refuse_grant = NULL;
        announce(&s.fake, 2);
        s.fake.unopened = FAKE_ALL_HUBS & ~1u;
        s.fake.end = ends[i % 3];
        expect_waits(&s, "hub 4 has not signed");
        fake_fini(&s.fake);
    }
    for (int reason = MR_REASON_CLOSED; reason <= MR_REASON_VOID; reason++) {
        SCENE(s);
        s.fake.refuse_upload = (enum mr_upload_reason)reason;
        assert_int_not_equal(scene_play(&s, MRE_TRANSPORT_AUTO, scene_train), MRE_COMMITTED);
        announce(&s.fake, 2);
        s.fake.refuse_upload = MR_REASON_NONE;
        expect_waits(&s, "round 1 of default");
        fake_fini(&s.fake);
    }
}

/* A device that never asked for an upload was not counted. */
static void test_a_round_that_it_did_not_get_into(void **state)
{
    SCENE(s);
    s.fake.bad_receipts = true;
    assert_int_equal(scene_play(&s, MRE_TRANSPORT_AUTO, scene_train), MRE_REFUSED);
    s.fake.bad_receipts = false;
    announce(&s.fake, 2);
    assert_int_equal(scene_play(&s, MRE_TRANSPORT_AUTO, scene_train), MRE_COMMITTED);
    assert_int_equal(s.fake.statements, 0);
    fake_fini(&s.fake);
}

/* --- forged statements ------------------------------------------------------------------------ */

static void by_another(struct fake *fake, uint64_t round, uint8_t signature[MR_SIGNATURE_BYTES])
{
    assert_int_equal(mr_unopened_sign(signature, fake->hashes[round], fake->private_keys[0]), 0);
}

static void of_another_round(struct fake *fake, uint64_t round,
                             uint8_t signature[MR_SIGNATURE_BYTES])
{
    assert_int_equal(mr_unopened_sign(signature, fake->hashes[round + 1], fake->private_keys[2]),
                     0);
}

static void of_another_kind(struct fake *fake, uint64_t round,
                            uint8_t signature[MR_SIGNATURE_BYTES])
{
    assert_int_equal(
        mr_announcement_sign(signature, fake->hashes[round], NULL, PAIR_OF(fake->private_keys[2])),
        0);
}

static void with_a_wrong_bit(struct fake *fake, uint64_t round,
                             uint8_t signature[MR_SIGNATURE_BYTES])
{
    (void)fake, (void)round;
    signature[40] ^= 4;
}

static void test_forged_statements(void **state)
{
    void (*const forgeries[])(struct fake *, uint64_t, uint8_t *) = {
        by_another, of_another_round, of_another_kind, with_a_wrong_bit};
    for (unsigned i = 0; i < sizeof forgeries / sizeof *forgeries; i++) {
        SCENE(s);
        counted(&s);
        s.fake.unopened = FAKE_ALL_HUBS;
        s.fake.forge_hub = 2;
        s.fake.forge = forgeries[i];
        expect_waits(&s, "hub 6 has not signed that it did not open that round (it was given up, "
                         "and the signature does not hold)");
        fake_fini(&s.fake);
    }
}

/* --- hubs that are away, hubs that know better ------------------------------------------------ */

static void test_hubs_that_are_away_for_a_while(void **state)
{
    SCENE(s);
    counted(&s);
    s.fake.unopened = FAKE_ALL_HUBS;
    s.fake.break_ends = 6;
    assert_int_equal(scene_play(&s, MRE_TRANSPORT_AUTO, scene_train), MRE_COMMITTED);
    fake_fini(&s.fake);
}

static void test_a_hub_says_released(void **state)
{
    SCENE(s);
    s.fake.refuse_grant = "released";
    assert_int_equal(scene_play(&s, MRE_TRANSPORT_AUTO, scene_train), MRE_AWAITS_MODEL);
    assert_string_equal(s.outcome.code, "released");
    s.fake.refuse_grant = NULL;
    announce(&s.fake, 2);
    expect_waits(&s, "round 1 of default");
    fake_fini(&s.fake);
}

/* --- the memory itself ------------------------------------------------------------------------ */

static struct mr_counted entry(unsigned number)
{
    struct mr_counted counted = {.task = "default", .round = number};
    counted.parent[0] = counted.announcement[0] = (uint8_t)number;
    counted.announcement[1] = 1;
    return counted;
}

static int obstacle_of(struct mr_ledger *ledger, unsigned number)
{
    struct mr_counted again = entry(number);
    struct mr_ledger_obstacle obstacle;
    struct mr_error error;
    again.announcement[1] = 2;
    const int found = mr_ledger_obstacle(ledger, &again, &obstacle, &error);
    assert_true(found == 0 || (found == 1 && obstacle.counted.round == number));
    return found;
}

static void test_the_oldest_goes(void **state)
{
    SCENE(s);
    struct mr_ledger ledger;
    struct mr_ledger_obstacle obstacle;
    struct mr_error error;
    assert_int_equal(mr_ledger_open(&ledger, s.fake.dir, &error), 0);
    for (unsigned i = 1; i <= MR_LEDGER_COUNTED_MAX + 3; i++) {
        const struct mr_counted wanted = entry(i);
        assert_int_equal(mr_ledger_claim(&ledger, &wanted, &obstacle, &error), 0);
        assert_int_equal(mr_ledger_claim(&ledger, &wanted, &obstacle, &error), 0); /* once */
    }
    assert_int_equal(mr_ledger_open(&ledger, s.fake.dir, &error), 0); /* as the disk has it */
    for (unsigned i = 1; i <= MR_LEDGER_COUNTED_MAX + 3; i++) {
        assert_int_equal(obstacle_of(&ledger, i), i > 3);
    }
    const struct mr_counted gone = entry(9);
    assert_int_equal(mr_ledger_clear(&ledger, &gone, &error), 0);
    assert_int_equal(mr_ledger_open(&ledger, s.fake.dir, &error), 0);
    assert_int_equal(obstacle_of(&ledger, 9), 0);
    assert_int_equal(obstacle_of(&ledger, 10), 1);
    fake_fini(&s.fake);
}

/* Two tasks of one device on one model are one lineage. */
static void test_siblings(void **state)
{
    SCENE(s);
    struct mr_ledger one, two;
    struct mr_ledger_obstacle obstacle;
    struct mr_error error;
    char other[96], *dirs[2] = {s.fake.dir, other};
    const struct mr_counted first = entry(1), second = entry(2);
    snprintf(other, sizeof other, "%s/other", s.fake.dir);
    assert_int_equal(mkdir(other, 0700), 0);
    assert_int_equal(mr_ledger_open(&one, dirs[0], &error), 0);
    assert_int_equal(mr_ledger_open(&two, dirs[1], &error), 0);
    one.siblings = &dirs[1];
    two.siblings = &dirs[0];
    one.sibling_count = two.sibling_count = 1;
    assert_int_equal(mr_ledger_claim(&one, &first, &obstacle, &error), 0);
    struct mr_counted same = entry(1);
    same.announcement[1] = 7;
    assert_int_equal(mr_ledger_claim(&two, &same, &obstacle, &error), 1);
    assert_false(obstacle.own);
    assert_int_equal(mr_ledger_claim(&two, &second, &obstacle, &error), 0);
    assert_int_equal(mr_ledger_clear(&one, &first, &error), 0);
    assert_int_equal(mr_ledger_claim(&two, &same, &obstacle, &error), 0);
    assert_int_equal(mr_ledger_claim(&one, &first, &obstacle, &error), 1);
    fake_fini(&s.fake);
}

static void write_state(const struct fake *fake, const char *text)
{
    char path[96];
    snprintf(path, sizeof path, "%s/state.json", fake->dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0 && fclose(file) == 0);
}

static bool forks;
static int shared = -1; /* a host's child has the newest lock's open file, too */

int flock(int fd, int operation)
{
    const int bad = (int)syscall(SYS_flock, fd, operation);
    if (!bad && forks && operation == LOCK_EX) {
        shared = dup(fd);
    }
    return bad;
}

static void test_the_siblings_lock_in_a_host_that_forks(void **state)
{
    SCENE(s);
    struct mr_ledger ledger;
    struct mr_ledger_obstacle obstacle;
    struct mr_error error;
    char other[96], path[128], *dirs[1] = {other};
    const struct mr_counted wanted = entry(1);
    snprintf(other, sizeof other, "%s/other", s.fake.dir);
    assert_int_equal(mr_ledger_open(&ledger, s.fake.dir, &error), 0);
    ledger.siblings = dirs;
    ledger.sibling_count = 1;
    forks = true;
    assert_int_equal(mr_ledger_claim(&ledger, &wanted, &obstacle, &error), 0);
    forks = false;
    assert_true(shared >= 0);
    snprintf(path, sizeof path, "%s/counted.lock", s.fake.dir);
    const int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
    close(fd);
    close(shared);
    fake_fini(&s.fake);
}

/* One lost its memory, and the other waits until the first has settled on a model. */
static void test_a_sibling_that_lost_its_memory(void **state)
{
    SCENE(s);
    struct mr_ledger one, two;
    struct mr_ledger_obstacle obstacle;
    struct mr_error error;
    char other[96], *dirs[2] = {s.fake.dir, other};
    const struct mr_counted all[] = {entry(0), entry(1), entry(2), entry(3), entry(4)};
    snprintf(other, sizeof other, "%s/other", s.fake.dir);
    assert_int_equal(mkdir(other, 0700), 0);
    write_state(&s.fake, "{");
    assert_int_equal(mr_ledger_reset(&one, dirs[0], NULL, &error), 0);
    assert_int_equal(mr_ledger_open(&two, dirs[1], &error), 0);
    two.siblings = &dirs[0];
    two.sibling_count = 1;
    assert_int_equal(mr_ledger_obstacle(&two, &all[1], &obstacle, &error), 1);
    assert_true(!obstacle.own && obstacle.counted.round == 0);
    assert_int_equal(mr_ledger_claim(&two, &all[1], &obstacle, &error), 1);
    assert_int_equal(mr_ledger_claim(&two, &all[2], &obstacle, &error), 1);
    assert_int_equal(mr_ledger_obstacle(&one, &all[4], &obstacle, &error), 1); /* it settles */
    assert_int_equal(mr_ledger_open(&two, dirs[1], &error), 0); /* as the disk has it */
    two.siblings = &dirs[0];
    two.sibling_count = 1;
    assert_int_equal(mr_ledger_claim(&two, &all[1], &obstacle, &error), 1);
    assert_int_equal(mr_ledger_claim(&two, &all[2], &obstacle, &error), 1);
    assert_int_equal(mr_ledger_claim(&two, &all[3], &obstacle, &error), 0);
    assert_int_equal(mr_ledger_claim(&two, &all[4], &obstacle, &error), 1);
    fake_fini(&s.fake);
}

/* A round before the one that attempts were made in: their numbers would be given again. */
static void test_an_older_round(void **state)
{
    SCENE(s);
    struct mr_ledger ledger;
    struct mr_error error;
    struct mre_state now;
    uint32_t attempt;
    const struct mre_options options = {.data_dir = s.fake.dir};
    const uint64_t none = 0, before = 4;
    assert_int_equal(mr_ledger_open(&ledger, s.fake.dir, &error), 0);
    assert_int_equal(mr_ledger_attempt(&ledger, 5, &attempt, &error), 0);
    assert_int_equal(mr_ledger_attempt(&ledger, 4, &attempt, &error), -1);
    announce(&s.fake, 4);
    assert_int_equal(scene_play(&s, MRE_TRANSPORT_AUTO, scene_train), MRE_UNTRUSTED_ANNOUNCEMENT);
    assert_int_equal(s.trained, 0);
    assert_int_equal(mre_state_reset(&options, &before, &now, &s.outcome), MRE_OK);
    announce(&s.fake, 5);
    assert_int_equal(scene_play(&s, MRE_TRANSPORT_AUTO, scene_train), MRE_COMMITTED);
    assert_int_equal(s.outcome.attempt, 1);
    /* The hubs began afresh, and its operator says so. */
    assert_int_equal(mre_state_reset(&options, &none, &now, &s.outcome), MRE_OK);
    other_model(&s.fake, 1);
    assert_int_equal(scene_play(&s, MRE_TRANSPORT_AUTO, scene_train), MRE_COMMITTED);
    fake_fini(&s.fake);
}

/* --- a state that is damaged -------------------------------------------------------------------
 */

/* A number that no round has is refused, and mended: the device goes on, and is not counted on the
 * model that it sees first. */
static void test_a_state_that_was_damaged(void **state)
{
    static const char *const texts[] = {
        "{\"finished\":9007199254740992,\"round\":3,\"attempts\":1,\"unknown\":0,\"counted\":[]}",
        "{\"finished\":3,\"round\":9223372036854775808,\"attempts\":1",
        "{\"finished\": 3, \"round\": 18446744073709551615}"};
    for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++) {
        SCENE(s);
        struct mre_state now;
        struct mre_outcome outcome;
        const struct mre_options options = {.data_dir = s.fake.dir};
        counted(&s);
        write_state(&s.fake, texts[i]);
        assert_int_equal(mre_state_read(&options, &now, &outcome), MRE_BAD_CONFIG);
        assert_non_null(strstr(outcome.text, "state-reset"));
        assert_int_equal(mre_state_reset(&options, NULL, &now, &outcome), MRE_OK);
        assert_int_equal(now.finished, 3);
        assert_true(now.models_lost);
        announce(&s.fake, 4);
        expect_waits(&s, "was lost");
        other_model(&s.fake, 5);
        assert_int_equal(scene_play(&s, MRE_TRANSPORT_AUTO, scene_train), MRE_COMMITTED);
        fake_fini(&s.fake);
    }
}

/* --- a reset that is cut off -------------------------------------------------------------------
 */

static bool no_links; /* as on FAT */

int link(const char *from, const char *to)
{
    if (no_links) {
        errno = EPERM;
        return -1;
    }
    return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

static void expect_text(const struct fake *fake, const char *name, const char *text)
{
    char path[128], got[256] = "";
    snprintf(path, sizeof path, "%s/%s", fake->dir, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_true(fread(got, 1, sizeof got - 1, file) > 0);
    fclose(file);
    assert_string_equal(got, text);
}

/* The new state cannot be written: the damaged one stays where it was, and stops the device. */
static void test_a_reset_that_fails_half_way(void **state)
{
    static const char damaged[] = "{\"finished\": 3, \"round\": 7";
    for (int links = 0; links < 2; links++) {
        SCENE(s);
        struct mre_state now;
        struct mre_outcome outcome;
        char blocked[96];
        const struct mre_options options = {.data_dir = s.fake.dir};
        no_links = !links;
        write_state(&s.fake, damaged);
        snprintf(blocked, sizeof blocked, "%s/state.json.new", s.fake.dir);
        assert_int_equal(mkdir(blocked, 0700), 0); /* in the new file's place */
        assert_int_equal(mre_state_reset(&options, NULL, &now, &outcome), MRE_BAD_CONFIG);
        expect_text(&s.fake, "state.json", damaged);
        assert_int_equal(mre_state_read(&options, &now, &outcome), MRE_BAD_CONFIG);
        assert_int_equal(rmdir(blocked), 0);
        assert_int_equal(mre_state_reset(&options, NULL, &now, &outcome), MRE_OK);
        expect_text(&s.fake, "state.json.damaged", damaged);
        assert_int_equal(now.finished, 7);
        assert_true(now.models_lost);
        no_links = false;
        fake_fini(&s.fake);
    }
}

/* Only the damaged one is there: no new device. */
static void test_a_state_that_went_missing(void **state)
{
    SCENE(s);
    struct mre_state now;
    struct mre_outcome outcome;
    char from[96], to[112];
    const struct mre_options options = {.data_dir = s.fake.dir};
    counted(&s);
    write_state(&s.fake, "{\"finished\": 3, \"round\": 3");
    snprintf(from, sizeof from, "%s/state.json", s.fake.dir);
    snprintf(to, sizeof to, "%s.damaged", from);
    assert_int_equal(rename(from, to), 0);
    assert_int_equal(mre_state_read(&options, &now, &outcome), MRE_OK);
    assert_int_equal(now.finished, 3);
    assert_true(now.models_lost);
    announce(&s.fake, 4);
    expect_waits(&s, "was lost");
    fake_fini(&s.fake);
}

static void test_a_state_that_is_whole(void **state)
{
    SCENE(s);
    struct mre_state now;
    struct mre_outcome outcome;
    const struct mre_options options = {.data_dir = s.fake.dir};
    const uint64_t none = 0, beyond = UINT64_C(1) << 53;
    counted(&s);
    assert_int_equal(mre_state_reset(&options, NULL, &now, &outcome), MRE_OK);
    assert_int_equal(now.finished, 1);
    assert_int_equal(now.counted_count, 1);
    assert_int_equal(mre_state_reset(&options, &beyond, &now, &outcome), MRE_BAD_CONFIG);
    assert_int_equal(mre_state_reset(&options, &none, &now, &outcome), MRE_OK);
    assert_int_equal(now.finished, 0);
    assert_int_equal(now.counted_count, 1); /* what it was counted on stays */
    expect_waits(&s, "round 1 of default");
    fake_fini(&s.fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_waits_for_the_next_model),
        cmocka_unit_test(test_every_hub_has_to_say_so),
        cmocka_unit_test(test_no_word_of_the_lead_clears_it),
        cmocka_unit_test(test_a_round_that_it_did_not_get_into),
        cmocka_unit_test(test_forged_statements),
        cmocka_unit_test(test_hubs_that_are_away_for_a_while),
        cmocka_unit_test(test_a_hub_says_released),
        cmocka_unit_test(test_the_oldest_goes),
        cmocka_unit_test(test_siblings),
        cmocka_unit_test(test_the_siblings_lock_in_a_host_that_forks),
        cmocka_unit_test(test_a_sibling_that_lost_its_memory),
        cmocka_unit_test(test_an_older_round),
        cmocka_unit_test(test_a_state_that_was_damaged),
        cmocka_unit_test(test_a_reset_that_fails_half_way),
        cmocka_unit_test(test_a_state_that_went_missing),
        cmocka_unit_test(test_a_state_that_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
