/* A hub that went back to a copy of its transcript: it can tell what it is shown from what it has,
 * and an audit names it unless it says that it recovered. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/storage/files.h"
#include "base/bytes.h"
#include "played_rounds.h"

static const uint8_t parent[MR_HASH_BYTES] = {9};

/* Hub 1 starts again with its one file. */
static void restart(struct played *played, unsigned newest)
{
    char folder[160];
    struct mr_error error;
    mr_transcript_file_close(played->transcripts[1]);
    mr_disk_file_close(played->disks[1]);
    snprintf(folder, sizeof folder, "%.100s/hub-1", played->dir);
    assert_int_equal(mr_disk_file_open(&played->disks[1], folder, &error), 0);
    const struct mr_transcript_config config = {.disk = mr_disk_file_ops(played->disks[1]),
                                                .newest = newest,
                                                .hub = 1,
                                                .task = "digits",
                                                .private_key = played->keys[1].private_key};
    assert_int_equal(mr_transcript_file_open(&played->transcripts[1], &config, &error), 0);
}

static void play(struct played *played, uint64_t number)
{
    struct round round;
    uint8_t model[MR_HASH_BYTES];
    memset(model, (int)number, sizeof model);
    round_make(played, &round, number, number == 1 ? parent : model, 0, 6);
    round_record(played, &round);
}

static void add(struct played *played, unsigned hub, enum mr_evidence_kind kind,
                const uint8_t *body, size_t length)
{
    struct mr_facts_batch batch = {.bytes = NULL};
    struct mr_error error;
    mr_facts_add(&batch, kind, body, length);
    assert_int_equal(mr_transcript_file_add(played->transcripts[hub], &batch, 1, &error), 0);
    mr_facts_batch_fini(&batch);
}

static struct mr_standing stands(const struct played *played, unsigned hub, uint64_t epoch)
{
    struct mr_transcript_head head;
    mr_transcript_file_head(played->transcripts[hub], &head);
    struct mr_standing standing = {
        .hub = (uint16_t)hub, .epoch = epoch, .sequence = head.sequence, .round = head.round};
    memcpy(standing.head, head.head, MR_HASH_BYTES);
    assert_int_equal(mr_standing_sign(&standing, "digits", &played->keys[hub]), 0);
    return standing;
}

static void hears(struct played *played, unsigned hub, const struct mr_standing *standing)
{
    uint8_t body[MR_STANDING_BYTES];
    mr_standing_encode(body, standing);
    add(played, hub, MR_EVIDENCE_HEARD, body, sizeof body);
}

static void recovers(struct played *played, uint64_t epoch)
{
    uint8_t body[MR_EVIDENCE_RECOVERED_BYTES + 4] = {0};
    mr_be64_put(body, epoch);
    memcpy(body + MR_EVIDENCE_RECOVERED_BYTES, "test", 4);
    add(played, 1, MR_EVIDENCE_RECOVERED, body, sizeof body);
}

static void path_of(char path[160], const struct played *played)
{
    snprintf(path, 160, "%.100s/hub-1/000001.log", played->dir);
}

/* Rounds 1 to 3; after the second, hub 1 goes back to where it was after the first. Returns what it
 * had said of itself before. */
static struct mr_standing go_back(struct played *played)
{
    char path[160];
    uint8_t *bytes;
    size_t length;
    struct mr_error error;
    played_open(played, 0);
    play(played, 1);
    path_of(path, played);
    assert_int_equal(mr_file_read(path, &bytes, &length, &error), 0);
    play(played, 2);
    const struct mr_standing before = stands(played, 1, 0);
    hears(played, 0, &before);
    assert_int_equal(mr_file_replace(path, bytes, length, &error), 0);
    free(bytes);
    restart(played, 1);
    return before;
}

static void expect(struct played *played, int hub, const char *words)
{
    struct mr_audit_result result;
    played_read(played);
    played_audit(played, &result);
    if (result.good != !words || (words && (result.hub != hub || !strstr(result.what, words)))) {
        fail_msg("hub %d: %s", result.hub, result.what);
    }
    played_close(played);
}

static void test_shown(void **state)
{
    struct played played;
    (void)state;
    const struct mr_standing before = go_back(&played);
    const struct mr_standing now = stands(&played, 1, 0);
    const struct mr_transcript_past *past = mr_transcript_file_past(played.transcripts[1]);
    assert_int_equal(mr_transcript_past_has(past, before.sequence, before.head), 0);
    assert_int_equal(mr_transcript_past_has(past, now.sequence, now.head), 1);
    assert_int_equal(mr_transcript_past_has(past, now.sequence, before.head), 0);
    for (uint64_t number = 2; number < 12;
         number++) { /* it has gone on: the same place, not that */
        play(&played, number);
    }
    assert_int_equal(mr_transcript_past_has(past, before.sequence, before.head), -1);
    const struct mr_standing later = stands(&played, 1, 0);
    assert_int_equal(mr_transcript_past_has(past, later.sequence, later.head), 1);
    assert_int_equal(mr_transcript_past_has(past, later.sequence - 1, later.head), 0);
    assert_int_equal(mr_transcript_past_has(past, 0, later.head), 0);
    played_close(&played);
}

/* A file that was only begun when the hub was killed: what it said before is not forgotten. */
static void test_begun_file(void **state)
{
    static const uint8_t half[40] = {0, 0, 1, 0, 7};
    struct played played;
    struct mr_error error;
    uint8_t *bytes;
    size_t length;
    char path[160];
    (void)state;
    played_open(&played, 0);
    play(&played, 1);
    const struct mr_standing other = stands(&played, 0, 3);
    hears(&played, 1, &other);
    const struct mr_standing before = stands(&played, 1, 0);
    path_of(path, &played);
    assert_int_equal(mr_file_read(path, &bytes, &length, &error), 0);
    bytes = realloc(bytes, length + sizeof half);
    assert_non_null(bytes);
    memcpy(bytes + length, half, sizeof half);
    assert_int_equal(mr_file_replace(path, bytes, length + sizeof half, &error), 0);
    free(bytes);
    restart(&played, 1);
    play(&played, 1); /* nothing new: a file with a head and no record */
    restart(&played, 2);
    const struct mr_transcript_past *past = mr_transcript_file_past(played.transcripts[1]);
    assert_int_equal(mr_transcript_past_has(past, before.sequence, before.head), 1);
    const struct mr_standing *heard = mr_transcript_file_heard(played.transcripts[1], 0);
    assert_non_null(heard);
    assert_memory_equal(heard, &other, sizeof other);
    assert_null(mr_transcript_file_heard(played.transcripts[1], 2));
    played_close(&played);
}

/* The furthest counts, whatever comes after it; a new epoch is further than all of the old one. */
static void test_furthest(void **state)
{
    struct played played;
    (void)state;
    played_open(&played, 0);
    play(&played, 1);
    struct mr_standing early = stands(&played, 0, 0);
    play(&played, 2);
    struct mr_standing late = stands(&played, 0, 0);
    hears(&played, 1, &late);
    hears(&played, 1, &early);
    restart(&played, 1);
    assert_int_equal(mr_transcript_file_heard(played.transcripts[1], 0)->sequence, late.sequence);
    early = stands(&played, 0, 7);
    early.sequence = 1;
    hears(&played, 1, &early);
    assert_int_equal(mr_transcript_file_heard(played.transcripts[1], 0)->epoch, 7);
    played_close(&played);
}

static void test_audit_names_it(void **state)
{
    struct played played;
    (void)state;
    go_back(&played);
    const struct mr_standing other = stands(&played, 2, 0);
    hears(&played, 1, &other); /* else round 2 would make the same chain once more */
    play(&played, 2);
    play(&played, 3);
    expect(&played, 1, "hub 1 was put back from a copy and does not say that it recovered");
}

static void test_audit_without_a_word(void **state)
{
    struct played played;
    (void)state;
    go_back(&played);
    expect(&played, 1, "it is an older copy");
}

static void test_audit_of_a_recovery(void **state)
{
    struct played played;
    (void)state;
    go_back(&played);
    recovers(&played, 4);
    play(&played, 3);
    expect(&played, 0, NULL);
}

/* What it heard of itself before counts no more, but a recovery excuses only what came before. */
static void test_audit_of_two_lives(void **state)
{
    struct played played;
    (void)state;
    go_back(&played);
    recovers(&played, 4);
    play(&played, 3);
    struct mr_standing false_word = stands(&played, 1, 4);
    false_word.head[0] ^= 1;
    assert_int_equal(mr_standing_sign(&false_word, "digits", &played.keys[1]), 0);
    hears(&played, 2, &false_word);
    expect(&played, 1, "and its own transcript has it not");
    go_back(&played);
    recovers(&played, 4);
    recovers(&played, 4);
    expect(&played, 1, "not a later one");
}

/* --- debits ---------------------------------------------------------------------------------- */

/* A round with a budget of so many, of all hubs or, where it is the first, of hub 1 alone: the
 * others never opened it. */
static void add_noised(struct played *played, uint64_t number, uint64_t records, uint64_t rounds,
                       bool only_one)
{
    struct round round;
    uint8_t model[MR_HASH_BYTES];
    memset(model, (int)number, sizeof model);
    played->noised = true;
    round_make(played, &round, number, model, 0, 6);
    for (unsigned hub = 0; hub < HUBS; hub++) {
        struct view *view = &round.views[hub];
        view->terms.announcement.privacy.budget = rounds * view->debit.rho;
        view_sign(played, view);
        view->debit.records = hub == 1 ? records : 10 * number;
        if (number == 1 && only_one) {
            view->openings_known = hub == 1 ? 1u << hub : 0;
            view->pays = hub == 1;
            view->has_model = false;
        }
    }
    round_record(played, &round);
}

/* Hub 1 debits rounds 1 and 2, goes back to where it was after the first, and takes part in
 * round 3 when its ledger has one record again. */
static void ledger_falls(struct played *played, bool says_so, uint64_t rounds, bool only_one)
{
    char path[160];
    uint8_t *bytes;
    size_t length;
    struct mr_error error;
    played_open(played, 0);
    add_noised(played, 1, 5, rounds, only_one);
    path_of(path, played);
    assert_int_equal(mr_file_read(path, &bytes, &length, &error), 0);
    add_noised(played, 2, 6, rounds, only_one);
    if (says_so) {
        assert_int_equal(mr_file_replace(path, bytes, length, &error), 0);
        restart(played, 1);
        recovers(played, 4);
    }
    free(bytes);
    add_noised(played, 3, says_so ? 4 : 6, rounds, only_one);
}

static void test_fallen_ledger(void **state)
{
    struct played played;
    (void)state;
    ledger_falls(&played, true, 3, false); /* told: 5 records, then 4 */
    expect(&played, 0, NULL);
    ledger_falls(&played, false, 3, false);
    expect(&played, 1, "an older copy was put in its place, and the hub does not say");
}

/* A recovery excuses the fall before it and none that comes later. */
static void test_fallen_again(void **state)
{
    struct played played;
    (void)state;
    ledger_falls(&played, true, 4, false);
    add_noised(&played, 4, 4, 4, false);
    expect(&played, 1, "hub 1's ledger had 4 records after round 3, 4 after round 4");
}

/* Hub 1 debited three rounds, one of which only the others have on record. */
static void test_debits_are_not_forgotten(void **state)
{
    struct played played;
    (void)state;
    ledger_falls(&played, true, 3, true);
    expect(&played, 0, NULL);
    ledger_falls(&played, true, 2, true);
    expect(&played, 1, "the rounds included that it forgot by going back to a copy");
}

/* Every round costs the whole budget, which returns after a day. */
static void pay_daily(struct played *played, uint64_t between_ms)
{
    uint8_t model[MR_HASH_BYTES];
    struct round round;
    played_open(played, 0);
    played->noised = true;
    for (uint64_t number = 1; number <= 3; number++) {
        memset(model, (int)number, sizeof model);
        round_make(played, &round, number, model, 0, 6);
        for (unsigned hub = 0; hub < HUBS; hub++) {
            struct mr_privacy_terms *privacy = &round.views[hub].terms.announcement.privacy;
            privacy->budget = privacy->rho;
            privacy->horizon_s = 86400;
            view_sign(played, &round.views[hub]);
        }
        round_record(played, &round);
        played->unix_ms += between_ms;
    }
}

static void test_debits_return(void **state)
{
    struct played played;
    (void)state;
    pay_daily(&played, 86400000);
    expect(&played, 0, NULL);
    pay_daily(&played, 86399999);
    expect(&played, 0, "hub 0 opened round 2 of task digits");
}

static void test_audit_of_a_forged_word(void **state)
{
    struct played played;
    (void)state;
    played_open(&played, 0);
    play(&played, 1);
    struct mr_standing standing = stands(&played, 1, 0);
    standing.round++;
    hears(&played, 0, &standing);
    expect(&played, 0, "is not signed by it");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shown),
        cmocka_unit_test(test_begun_file),
        cmocka_unit_test(test_furthest),
        cmocka_unit_test(test_audit_names_it),
        cmocka_unit_test(test_audit_without_a_word),
        cmocka_unit_test(test_audit_of_a_recovery),
        cmocka_unit_test(test_audit_of_two_lives),
        cmocka_unit_test(test_fallen_ledger),
        cmocka_unit_test(test_fallen_again),
        cmocka_unit_test(test_debits_are_not_forgotten),
        cmocka_unit_test(test_debits_return),
        cmocka_unit_test(test_audit_of_a_forged_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
