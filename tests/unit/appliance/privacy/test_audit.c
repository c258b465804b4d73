/* Transcripts that hubs or others have forged: each is found, named, and put down to who signed it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "appliance/storage/append_log.h"
#include "played_rounds.h"

static const uint8_t parent[MR_HASH_BYTES] = {9};

/* --- lies of hubs, told in the second of three rounds ---------------------------------------- */

static void other_terms(struct played *played, struct round *round)
{
    round->views[2].terms.announcement.deadline_unix_ms++;
    view_sign(played, &round->views[2]);
}

static void other_set(struct played *played, struct round *round)
{
    round->views[1].set[5].client_id[1] = 1;
    const struct view before = round->views[1];
    view_sign(played, &round->views[1]);
    memcpy(round->views[1].commitments, before.commitments, sizeof before.commitments);
    round->views[1].openings_known = 0;
    round->views[1].has_model = false;
}

static void small_set(struct played *played, struct round *round)
{
    for (unsigned hub = 0; hub < HUBS; hub++) {
        round->views[hub].set_count = COHORT_MIN - 1;
        view_sign(played, &round->views[hub]);
    }
}

static void more_than_admitted(struct played *played, struct round *round)
{
    (void)played;
    round->views[1].admitted = round->views[1].set_count - 1;
}

static void two_commitments(struct played *played, struct round *round)
{
    round->views[2].seals[0].nonce[0] ^= 1;
    view_sign(played, &round->views[2]);
}

static void unsigned_commitment(struct played *played, struct round *round)
{
    (void)played;
    round->views[1].commitments[2].signature[0] ^= 1;
}

static void wrong_opening(struct played *played, struct round *round)
{
    (void)played;
    round->views[0].seals[2].result_hash[0] ^= 1;
}

static void opens_early(struct played *played, struct round *round)
{
    (void)played;
    round->views[2].commitments_known = 3;
}

static void other_model(struct played *played, struct round *round)
{
    round->views[1].model_hash[0] ^= 1;
    view_sign(played, &round->views[1]);
}

static void unsigned_model(struct played *played, struct round *round)
{
    (void)played;
    round->views[0].model_signatures[1][0] ^= 1;
}

static void unsigned_terms(struct played *played, struct round *round)
{
    (void)played;
    round->views[0].signatures[2].bytes[0] ^= 1;
}

static void model_without_openings(struct played *played, struct round *round)
{
    (void)played;
    round->views[2].openings_known = 4;
}

static void told_void(struct played *played, struct round *round)
{
    struct view *view = &round->views[2];
    view->has_void = view->void_ordered = true;
    assert_int_equal(mr_void_sign(view->void_signature, view->terms.hash, VOID_REASON,
                                  played->keys[0].private_key),
                     0);
}

static void says_it_was_told(struct played *played, struct round *round)
{
    told_void(played, round);
    round->views[2].void_signature[0] ^= 1;
}

static void gives_up_alone(struct played *played, struct round *round)
{
    (void)played;
    round->views[2].has_void = true;
}

static void void_after_all(struct played *played, struct round *round)
{
    (void)played;
    round->views[0].has_void = true;
}

static void says_nothing(struct played *played, struct round *round)
{
    (void)played;
    round->views[2].silent = true;
}

static void no_set(struct played *played, struct round *round)
{
    (void)played;
    round->views[1].skips_set = true;
}

static void two_sets(struct played *played, struct round *round)
{
    struct round again = *round;
    again.views[1].set[0].client_id[2] = 1;
    again.views[1].commitments_known = again.views[1].openings_known = 0;
    again.views[1].has_model = false;
    again.views[0].silent = again.views[2].silent = true;
    round_record(played, &again);
}

static void two_announcements(struct played *played, struct round *round)
{
    struct round again = *round;
    again.views[1].terms.announcement.deadline_unix_ms++;
    view_sign(played, &again.views[1]);
    again.views[0].silent = again.views[2].silent = true;
    round_record(played, &again);
}

static void falling_round(struct played *played, struct round *round)
{
    struct round again;
    (void)round;
    round_make(played, &again, 9, parent, 0, 6);
    again.views[0].silent = again.views[2].silent = true;
    round_record(played, &again);
}

/* The round before, once more on the same model, less one device. */
static void one_device_less(struct played *played, struct round *round)
{
    round_make(played, round, 2, parent, 0, 6);
}

static void the_same_devices(struct played *played, struct round *round)
{
    round_make(played, round, 2, parent, 0, 6);
}

/* --- in rounds with noise --- */

static void opens_unpaid(struct played *played, struct round *round)
{
    (void)played;
    round->views[1].pays = false;
}

static void pays_less(struct played *played, struct round *round)
{
    (void)played;
    round->views[2].debit.rho--;
}

static void pays_for_others(struct played *played, struct round *round)
{
    (void)played;
    round->views[1].set_hash[3] ^= 1; /* likewise */
    round->views[1].has_model = false;
}

/* A copy from before the first round was put back. */
static void older_ledger(struct played *played, struct round *round)
{
    (void)played;
    round->views[2].debit.records = 3;
}

/* … after which others' records have come. */
static void far_older_ledger(struct played *played, struct round *round)
{
    (void)played;
    round->views[2].debit.records = 2;
}

/* After a restart. */
static void draws_twice(struct played *played, struct round *round)
{
    struct round again = *round;
    again.views[1].debit.noise_hash[0] ^= 1;
    again.views[1].openings_known = 0;
    again.views[1].has_model = false;
    again.views[0].silent = again.views[2].silent = true;
    round_record(played, &again);
}

static const struct lie {
    const char *name;
    void (*tell)(struct played *played, struct round *round);
    int hub;
    uint64_t round;
    const char *words;
    bool noised;
} lies[] = {
    {"release before debit", opens_unpaid, 1, 2, "hub 1 opened before it had debited", true},
    {"a debit of less", pays_less, 2, 2, "hub 2 debited", true},
    {"a debit of others", pays_for_others, 1, 2, "a debit for another set", true},
    {"an older ledger", older_ledger, 2, 2, "hub 2's ledger had 3 records after round 1, 3", true},
    {"a far older ledger", far_older_ledger, 2, 2, "an older copy was put in its place", true},
    {"noise drawn twice", draws_twice, 1, 2, "hub 1 drew its noise of round 2 twice", true},
    {"other terms", other_terms, 2, 2, "signed different announcements"},
    {"two announcements", two_announcements, 1, 2, "hub 1 signed two announcements of round 2"},
    {"a round number that falls", falling_round, 1, 2, "hub 1 signed round 2 after round 9"},
    {"another's signature of the terms", unsigned_terms, 0, 2, "as hub 2's does not hold"},
    {"another set", other_set, 1, 2, "have different sets"},
    {"two sets", two_sets, 1, 2, "hub 1 took two sets in round 2"},
    {"a set below the minimum", small_set, 0, 2, "the set has 3 devices, 4 to 100"},
    {"more than were admitted", more_than_admitted, 1, 2, "but hub 1 had admitted 5"},
    {"no set", no_set, 1, 2, "a commitment before the set"},
    {"two commitments", two_commitments, 0, 2, "hub 0 signed two commitments in round 2"},
    {"a commitment that is not signed", unsigned_commitment, 1, 2,
     "as hub 2's is not signed by it"},
    {"an opening of something else", wrong_opening, 0, 2, "is not what hub 2 committed to"},
    {"opened before all had committed", opens_early, 2, 2, "before hub 2 had committed"},
    {"another model", other_model, 1, 2, "signed different models"},
    {"a model that is not signed", unsigned_model, 0, 2, "as hub 1's does not hold"},
    {"a model without openings", model_without_openings, 2, 2, "without the opening of hub 0"},
    {"published here, void there", told_void, 0, 2, "and signed for hub 2 that it is void"},
    {"an order that is not signed", says_it_was_told, 2, 2, "as hub 0's, is not signed by it"},
    {"given up after its model", gives_up_alone, 2, 2, "hub 2 gave round 2 up, which hub 0"},
    {"void after it was published", void_after_all, 0, 2, "hub 0 gave round 2 up after"},
    {"a round that one hub has not", says_nothing, 2, 0, "hub 2's own transcript does not"},
    {"one device less", one_device_less, 0, 2, "opened on one model, with 6 devices in both, 1"},
    {"the same devices once more", the_same_devices, 0, 2, "6 devices in both, 0 in the first"},
};

static void expect(const struct played *played, const char *name, int hub, uint64_t round,
                   const char *words)
{
    struct mr_audit_result result;
    played_audit(played, &result);
    if (result.good || result.hub != hub || result.round != round || !strstr(result.what, words)) {
        fail_msg("%s: good %d, hub %d, round %llu: %s", name, result.good, result.hub,
                 (unsigned long long)result.round, result.what);
    }
    print_message("%s: %s\n", name, result.what);
}

static void play(struct played *played, const struct lie *lie)
{
    struct round round;
    const bool overlaps = lie && lie->tell == one_device_less;
    played_open(played, 0);
    played->noised = lie && lie->noised;
    for (uint64_t number = 1; number <= 3; number++) {
        uint8_t model[MR_HASH_BYTES];
        memset(model, (int)number - 1, sizeof model);
        round_make(played, &round, number, number == 1 ? parent : model, 0,
                   overlaps && number == 1 ? 7 : 6);
        if (lie && number == 2) {
            lie->tell(played, &round);
        }
        round_record(played, &round);
    }
    played_read(played);
}

static void test_lies(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        struct played played;
        play(&played, &lies[i]);
        expect(&played, lies[i].name, lies[i].hub, lies[i].round, lies[i].words);
        played_close(&played);
    }
}

/* Honest rounds with noise hold, told once or again after a restart that found more records. */
static void test_debits(void **state)
{
    struct played played;
    struct round round;
    struct mr_audit_result result;
    (void)state;
    played_open(&played, 0);
    played.noised = true;
    for (uint64_t number = 1; number <= 3; number++) {
        uint8_t model[MR_HASH_BYTES];
        memset(model, (int)number - 1, sizeof model);
        round_make(&played, &round, number, model, 0, 6);
        round_record(&played, &round);
        round.views[0].silent = round.views[2].silent = true;
        round.views[1].debit.records++;
        round_record(&played, &round);
    }
    played_read(&played);
    played_audit(&played, &result);
    if (!result.good) {
        fail_msg("%s", result.what);
    }
    assert_int_equal(result.debits, 9);
    played_close(&played);
}

/* --- files that somebody has worked on ------------------------------------------------------- */

#define ENTRIES_MAX 64

struct entries {
    const uint8_t *at[ENTRIES_MAX];
    size_t bytes[ENTRIES_MAX];
    unsigned count;
};

static struct entries take_apart(const struct mr_audit_file *file)
{
    struct entries entries = {.count = 0};
    size_t at = 0;
    while (mr_append_log_next(file->bytes, file->length, &at, &entries.at[entries.count],
                              &entries.bytes[entries.count]) > 0) {
        entries.count++;
    }
    return entries;
}

/* A file of these entries, with checksums that hold. */
static void put_together(struct played *played, unsigned which, const struct entries *entries)
{
    struct mr_append_log *log;
    struct mr_disk_file *disk;
    struct mr_audit_file *file = &played->files[which];
    uint8_t *bytes;
    struct mr_error error;
    char folder[160];
    snprintf(folder, sizeof folder, "%.100s", played->dir);
    assert_int_equal(mr_disk_file_open(&disk, folder, &error), 0);
    assert_int_equal(
        mr_append_log_open(&log, mr_disk_file_ops(disk), 0, &bytes, &file->length, &error), 0);
    mr_append_log_roll(log);
    for (unsigned i = 0; i < entries->count; i++) {
        assert_int_equal(mr_append_log_add(log, entries->at[i], entries->bytes[i], &error), 0);
    }
    assert_int_equal(mr_append_log_write(log, &error), 0);
    mr_append_log_close(log);
    assert_int_equal(
        mr_append_log_open(&log, mr_disk_file_ops(disk), 1, &bytes, &file->length, &error), 0);
    mr_append_log_close(log);
    mr_disk_file_close(disk);
    free((void *)file->bytes);
    file->bytes = bytes;
}

static void drop(struct entries *entries, unsigned which)
{
    memmove(&entries->at[which], &entries->at[which + 1],
            (entries->count - which - 1) * sizeof entries->at[0]);
    memmove(&entries->bytes[which], &entries->bytes[which + 1],
            (entries->count - which - 1) * sizeof entries->bytes[0]);
    entries->count--;
}

static void swap(struct entries *entries, unsigned a, unsigned b)
{
    const uint8_t *at = entries->at[a];
    const size_t bytes = entries->bytes[a];
    entries->at[a] = entries->at[b];
    entries->bytes[a] = entries->bytes[b];
    entries->at[b] = at;
    entries->bytes[b] = bytes;
}

static void test_changed_files(void **state)
{
    (void)state;
    for (unsigned forgery = 0; forgery < 6; forgery++) {
        struct played played;
        play(&played, NULL);
        const unsigned which = played_file(&played, 1, 1);
        struct entries entries = take_apart(&played.files[which]);
        uint8_t *changed = (uint8_t *)entries.at[4];
        switch (forgery) {
        case 0:
            changed[30] ^= 1;
            break;
        case 1:
            drop(&entries, 4);
            break;
        case 2:
            swap(&entries, 4, 5);
            break;
        case 3:
            entries.count -= 3; /* the end: cut off */
            break;
        case 4:
            entries.at[6] = entries.at[5]; /* doubled */
            entries.bytes[6] = entries.bytes[5];
            break;
        default: /* the last one's body: no later record knows its head */
            ((uint8_t *)entries.at[entries.count - 1])[130] ^= 1;
        }
        put_together(&played, which, &entries);
        static const char *const words[] = {
            "its signature by hub 1 does not hold",   "record 5 stands where record 4 belongs",
            "record 5 stands where record 4 belongs", "hub 1's own transcript does not",
            "record 5 stands where record 6 belongs", "its signature by hub 1 does not hold"};
        static const uint64_t rounds[] = {1, 1, 1, 0, 1, 3};
        expect(&played, words[forgery], 1, rounds[forgery], words[forgery]);
        played_close(&played);
    }
}

/* A hub that is caught makes its chain anew, from some record on: both chains hold by themselves.
 */
static void test_two_chains(void **state)
{
    struct played first, second;
    (void)state;
    play(&first, NULL);
    play(&second, &lies[4]);
    struct entries entries = take_apart(&first.files[played_file(&first, 1, 1)]);
    const struct entries other = take_apart(&second.files[played_file(&second, 1, 1)]);
    entries.at[13] = other.at[13];
    entries.bytes[13] = other.bytes[13];
    put_together(&first, played_file(&first, 1, 1), &entries);
    expect(&first, "two chains", 1, 2, "hub 1 has signed two chains");
    played_close(&first);
    played_close(&second);
}

static void test_another_key(void **state)
{
    struct played played;
    (void)state;
    play(&played, NULL);
    played.keys[2].public_key[0] ^= 1;
    expect(&played, "another key", 2, 0, "made with another key than hub 2's");
    played_close(&played);
}

/* --- files in a row -------------------------------------------------------------------------- */

static void test_missing_file(void **state)
{
    struct played played;
    struct round round;
    struct mr_audit_result result;
    (void)state;
    played_open(&played, 6000);
    for (uint64_t number = 1; number <= 12; number++) {
        uint8_t model[MR_HASH_BYTES];
        memset(model, (int)number - 1, sizeof model);
        round_make(&played, &round, number, model, 0, 6);
        round_record(&played, &round);
    }
    played_read(&played);
    assert_true(played.files_count > 3 * HUBS);
    played_audit(&played, &result);
    if (!result.good) {
        fail_msg("%s: %s", result.file ? result.file : "", result.what);
    }
    assert_int_equal(result.rounds, 12);
    assert_int_equal(result.released, 12);
    const unsigned second = played_file(&played, 1, 2);
    free((void *)played.files[second].bytes);
    played.files[second] = played.files[--played.files_count];
    expect(&played, "a file that is missing", 1, 0, "one in between is missing");
    played_close(&played);
}

static void test_a_hundred_rounds(void **state)
{
    struct played played;
    struct round round;
    struct mr_audit_result result;
    struct timespec from, to;
    (void)state;
    played_open(&played, 0);
    for (uint64_t number = 1; number <= 100; number++) {
        uint8_t model[MR_HASH_BYTES];
        memset(model, (int)number - 1, sizeof model);
        round_make(&played, &round, number, model, 0, DEVICES_MAX);
        round_record(&played, &round);
    }
    played_read(&played);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    played_audit(&played, &result);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    if (!result.good) {
        fail_msg("%s: %s", result.file ? result.file : "", result.what);
    }
    assert_int_equal(result.hubs, HUBS);
    assert_int_equal(result.rounds, 100);
    assert_int_equal(result.released, 100);
    print_message("100 rounds of %d hubs, %llu records: %.0f ms of CPU\n", HUBS,
                  (unsigned long long)result.records,
                  (double)(to.tv_sec - from.tv_sec) * 1e3 +
                      (double)(to.tv_nsec - from.tv_nsec) / 1e6);
    played_close(&played);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lies),
        cmocka_unit_test(test_debits),
        cmocka_unit_test(test_changed_files),
        cmocka_unit_test(test_two_chains),
        cmocka_unit_test(test_another_key),
        cmocka_unit_test(test_missing_file),
        cmocka_unit_test(test_a_hundred_rounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
