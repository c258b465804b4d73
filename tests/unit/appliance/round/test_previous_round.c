/* test_previous_round.c - what a lead that has restarted says of uploads of rounds that have ended.
 */
#include <stdlib.h>

#include "appliance/round/drive/record.h"
#include "parties.h"

static const struct world_options plain = {.ring_bits = 16,
                                           .dimension = 100,
                                           .hubs = 2,
                                           .cohort_min = 4,
                                           .quorum = 4,
                                           .deadline_ms = 600000};

/* --- the round's record ---------------------------------------------------------------------- */

static const uint64_t ids[2] = {UINT64_C(0xfedcba9876543210), 7};

static char *record_of(const struct world *world, const char *state, const uint64_t *upload_ids)
{
    static const uint8_t hash[MR_HASH_BYTES] = {1};
    struct mr_included included[2] = {{.attempt = 0}, {.attempt = 3}};
    memcpy(included[0].client_id, world->devices[0].client_id, MR_CLIENT_ID_BYTES);
    memcpy(included[1].client_id, world->devices[1].client_id, MR_CLIENT_ID_BYTES);
    const bool published = strcmp(state, "published") == 0;
    const struct mr_record record = {.terms = &world->terms,
                                     .state = state,
                                     .included = included,
                                     .upload_ids = upload_ids,
                                     .included_count = 2,
                                     .set_hash = published ? hash : NULL,
                                     .model_hash = published ? hash : NULL};
    char *text = mr_record_round(&record);
    assert_non_null(text);
    return text;
}

static void test_a_record_says_whose(void **state)
{
    const struct world *world = *state;
    static const char *const states[] = {"published", "void"};
    for (unsigned i = 0; i < 2; i++) {
        struct mr_record_uploads uploads;
        struct mr_lead_end end;
        char *text = record_of(world, states[i], ids);
        assert_int_equal(mr_record_end(&end, text), 0);
        assert_int_equal(end.published, i == 0);
        assert_int_equal(mr_record_uploads(&uploads, text), 0);
        assert_int_equal(uploads.count, 2);
        assert_memory_equal(uploads.upload_ids, ids, sizeof ids);
        assert_int_equal(uploads.included[1].attempt, 3);
        for (unsigned d = 0; d < 2; d++) {
            assert_memory_equal(uploads.included[d].client_id, world->devices[d].client_id,
                                MR_CLIENT_ID_BYTES);
        }
        mr_record_uploads_fini(&uploads);
        /* A name that is not there, or not what it was: nothing is made of the rest. */
        static const char *const names[] = {"upload_id", "client_id", "attempt"};
        for (unsigned name = 0; name < 3; name++) {
            char *again = record_of(world, states[i], ids);
            strstr(again, names[name])[0] = '_';
            assert_int_equal(mr_record_uploads(&uploads, again), -1);
            mr_record_uploads_fini(&uploads);
            free(again);
        }
        free(text);
    }
}

static void test_a_record_without_ids(void **state)
{
    static const char *const bad[] = {"", "{}", "{\"state\": \"void\"}",
                                      "{\"state\": \"void\", \"uploads\": 3}",
                                      "{\"state\": \"void\", \"uploads\": [3]}"};
    struct mr_record_uploads uploads;
    char *text = record_of(*state, "published", NULL); /* as a helper writes it */
    assert_int_equal(mr_record_uploads(&uploads, text), -1);
    mr_record_uploads_fini(&uploads);
    free(text);
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(mr_record_uploads(&uploads, bad[i]), -1);
        mr_record_uploads_fini(&uploads);
    }
}

/* --- the lead -------------------------------------------------------------------------------- */

static void expect(const struct world *world, unsigned device, uint64_t round, uint64_t upload_id,
                   enum mr_upload_state state, enum mr_upload_reason reason)
{
    struct mr_upload_status status = {0};
    struct mr_refusal refusal;
    assert_int_equal(mr_lead_upload_status(world->lead, round, world->devices[device].client_id,
                                           upload_id, &status, &refusal),
                     MR_REFUSAL_NONE);
    assert_int_equal(status.state, state);
    assert_int_equal(status.reason, reason);
}

static void expect_refusal(const struct world *world, unsigned device, uint64_t round,
                           uint64_t upload_id, enum mr_refusal_code code)
{
    struct mr_upload_status status;
    struct mr_refusal refusal;
    assert_int_equal(mr_lead_upload_status(world->lead, round, world->devices[device].client_id,
                                           upload_id, &status, &refusal),
                     code);
}

/* Opens the round after, as far as the log. */
static void open_next(struct world *world)
{
    struct mr_refusal refusal;
    struct mr_announcement next = world->announcement;
    const struct mr_lead_limits limits = {.quorum = plain.quorum, .deadline_ms = plain.deadline_ms};
    next.round++;
    assert_int_equal(mr_lead_open(world->lead, &next, &limits, world->now_ms, &refusal),
                     MR_REFUSAL_NONE);
}

static void test_the_round_of_the_log(void **state)
{
    struct world *world = *state;
    const uint64_t round = world->announcement.round;
    world_begin(world, NULL);
    world_fill(world, 3);
    world_join(world, 4, 0);
    const uint64_t cut_off = world->devices[4].upload_id;
    world_advance(world, 1000);
    world_kill_lead(world);
    /* The round is open: who was cut off may come again. */
    expect_refusal(world, 4, round, cut_off, MR_REFUSAL_NOT_FOUND);
    world_join(world, 3, 0);
    world_stage(world, 3);
    assert_int_equal(world_state(world, NULL), MR_LEAD_PUBLISHED);
    for (unsigned lives = 0; lives < 2; lives++) {
        for (unsigned i = 0; i < 4; i++) {
            expect(world, i, round, world->devices[i].upload_id, MR_UPLOAD_COMMITTED,
                   MR_REASON_NONE);
        }
        expect(world, 4, round, cut_off, MR_UPLOAD_REFUSED, MR_REASON_CLOSED);
        expect_refusal(world, 4, round, world->devices[0].upload_id, MR_REFUSAL_NOT_FOUND);
        world_kill_lead(world);
    }
    open_next(world);
    expect(world, 0, round, world->devices[0].upload_id, MR_UPLOAD_COMMITTED, MR_REASON_NONE);
    expect(world, 4, round, cut_off, MR_UPLOAD_REFUSED, MR_REASON_CLOSED);
}

static void test_a_void_round_of_the_log(void **state)
{
    struct world *world = *state;
    const uint64_t round = world->announcement.round;
    world_begin(world, NULL);
    world_fill(world, 2);
    world_join(world, 4, 0);
    const uint64_t cut_off = world->devices[4].upload_id;
    world_advance(world, plain.deadline_ms + 1000);
    assert_int_equal(world_state(world, NULL), MR_LEAD_VOID);
    expect(world, 4, round, cut_off, MR_UPLOAD_REFUSED, MR_REASON_CLOSED);
    expect_refusal(world, 4, round, 12345, MR_REFUSAL_NOT_FOUND); /* it forgot nothing */
    world_kill_lead(world);
    expect(world, 4, round, cut_off, MR_UPLOAD_REFUSED, MR_REASON_VOID);
    open_next(world);
    expect(world, 4, round, cut_off, MR_UPLOAD_REFUSED, MR_REASON_VOID);
}

/* … and the round before that, of which only the record speaks. */
static void test_the_round_before(void **state)
{
    struct world *world = *state;
    const uint64_t before = world->announcement.round - 1;
    world_begin(world, NULL);
    world_kill_lead(world);
    expect_refusal(world, 0, before, ids[0], MR_REFUSAL_WRONG_ROUND);
    for (unsigned published = 0; published < 2; published++) {
        char *text = record_of(world, "published", ids);
        struct mr_record_uploads uploads;
        assert_int_equal(mr_record_uploads(&uploads, text), 0);
        const struct mr_previous_round past = {.round = before,
                                               .published = published,
                                               .committed = uploads.included,
                                               .upload_ids = uploads.upload_ids,
                                               .count = uploads.count};
        assert_int_equal(mr_lead_recall(world->lead, &past), 0);
        mr_record_uploads_fini(&uploads);
        free(text);
        expect(world, 0, before, ids[0], MR_UPLOAD_COMMITTED, MR_REASON_NONE);
        expect(world, 1, before, ids[1], MR_UPLOAD_COMMITTED, MR_REASON_NONE);
        expect_refusal(world, 1, before, ids[0], MR_REFUSAL_NOT_FOUND);
        expect(world, 2, before, 99, MR_UPLOAD_REFUSED,
               published ? MR_REASON_CLOSED : MR_REASON_VOID);
        expect_refusal(world, 0, before - 1, ids[0], MR_REFUSAL_WRONG_ROUND);
        world_kill_lead(world);
    }
}

int main(void)
{
#define T(name) WORLD_TEST(name, &plain)
    const struct CMUnitTest tests[] = {
        T(test_a_record_says_whose), T(test_a_record_without_ids),    T(test_the_round_of_the_log),
        T(test_the_round_before),    T(test_a_void_round_of_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
