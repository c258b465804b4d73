/* test_release.c - the lead against other hubs that fail, refuse or lie, and both against sums that
 * are not sound. */
#include <stdlib.h>

#include "parties.h"
#include "tests/unit/wire/pair.h"

static void expect_void(struct world *world, enum mr_void_kind kind, const char *word)
{
    world_expect_void(world, kind, word);
    for (unsigned i = 1; i < world->options.hubs; i++) {
        assert_int_equal(world_helper_state(world, i), MR_HELPER_VOID);
    }
}

/* --- hubs that cannot be reached ------------------------------------------------------------- */

static void test_unreachable_for_a_moment(void **state)
{
    struct world *world = *state;
    world->unreachable = 3;
    world_begin(world, NULL);
    world_advance(world, 2000);
    assert_int_equal(world_state(world, NULL), MR_LEAD_OPEN);
    assert_true(world->asked[MR_PEER_PROPOSE] > 2);
    world->unreachable = 3;
    world_fill(world, 6);
    world_advance(world, 2000);
    assert_int_equal(world_state(world, NULL), MR_LEAD_PUBLISHED);
    world_check_sum(world, 0x3f, world->revealed.sum);
    assert_int_equal(world->helpers[1].expansions, 1);
}

static void test_unreachable_for_good(void **state)
{
    struct world *world = *state;
    world_begin(world, NULL);
    world->unreachable = 1000000;
    world_fill(world, 6);
    assert_int_equal(world_state(world, NULL), MR_LEAD_COMMITTING);
    world_advance(world, 6000);
    struct mr_lead_report report;
    assert_int_equal(world_state(world, &report), MR_LEAD_VOID);
    assert_int_equal(report.void_kind, MR_VOID_PEER);
    assert_non_null(strstr(report.reason, "freeze: the fake link is cut"));
    assert_true(world->asked[MR_PEER_FREEZE] > 4 && world->asked[MR_PEER_FREEZE] < 60);
    assert_int_equal(world->due_ms, UINT64_MAX);
}

static void test_no_answer_at_all(void **state)
{
    struct world *world = *state;
    struct mr_lead_report report;
    world->hold[MR_PEER_FREEZE] = true;
    world_begin(world, NULL);
    world_fill(world, 6);
    world_advance(world, 4999);
    assert_int_equal(world_state(world, NULL), MR_LEAD_COMMITTING);
    world_advance(world, 1);
    assert_int_equal(world_state(world, &report), MR_LEAD_VOID);
    assert_non_null(strstr(report.reason, "no answer in time"));
    assert_false(report.opened);
}

/* --- hubs that refuse or lie ----------------------------------------------------------------- */

static void forget_a_seed(struct world *world, struct passage *passage)
{
    /* The second entry of the set gets an attempt of which no seed is there. */
    if (!passage->answer && passage->step == MR_PEER_FREEZE && passage->peer == 1) {
        passage->body[4 + MR_INCLUDED_BYTES + MR_INCLUDED_BYTES - 1] = 3;
    }
    (void)world;
}

static void test_set_with_an_upload_without_seed(void **state)
{
    struct world *world = *state;
    world->tamper = forget_a_seed;
    world_begin(world, NULL);
    world_fill(world, 6);
    expect_void(world, MR_VOID_PEER, "set_not_admitted");
    assert_int_equal(world->helpers[1].expansions, 0);
    assert_int_equal(world->asked[MR_PEER_OPEN], 0);
}

static void flip(struct passage *passage, enum mr_peer_step step, size_t at)
{
    if (passage->answer && passage->step == step && passage->peer == 2) {
        passage->body[at] ^= 1;
    }
}

static void spoil_commitment(struct world *world, struct passage *passage)
{
    (void)world;
    flip(passage, MR_PEER_FREEZE, 10);
}

static void test_bad_commitment(void **state)
{
    struct world *world = *state;
    world->tamper = spoil_commitment;
    world_begin(world, NULL);
    world_fill(world, 6);
    expect_void(world, MR_VOID_PEER, "bad commitment");
    assert_int_equal(world->asked[MR_PEER_OPEN], 0);
}

static void spoil_opening(struct world *world, struct passage *passage)
{
    (void)world;
    flip(passage, MR_PEER_OPEN, MR_NONCE_BYTES + 17);
}

static void spoil_nonce(struct world *world, struct passage *passage)
{
    (void)world;
    flip(passage, MR_PEER_OPEN, 0);
}

static void cut_opening(struct world *world, struct passage *passage)
{
    (void)world;
    if (passage->answer && passage->step == MR_PEER_OPEN && passage->peer == 1) {
        passage->length--;
    }
}

static void bad_opening(tamper_fn tamper)
{
    struct world *world = world_open(&world_plain);
    world->tamper = tamper;
    world_begin(world, NULL);
    world_fill(world, 6);
    expect_void(world, MR_VOID_PEER, "bad opening");
    assert_int_equal(world->asked[MR_PEER_REVEAL], 0);
    assert_int_equal(world->reveals, 0);
    world_close(world);
}

static void test_bad_openings(void **state)
{
    (void)state;
    bad_opening(spoil_opening);
    bad_opening(spoil_nonce);
    bad_opening(cut_opening);
}

static void spoil_signature(struct world *world, struct passage *passage)
{
    if (passage->answer && passage->step == MR_PEER_PROPOSE && passage->peer == 2) {
        struct mr_peer_signature signature = {.hub_index = world->hubs[2].index};
        free(passage->body);
        passage->body = (uint8_t *)mr_peer_signature_encode(&signature);
        passage->length = strlen((char *)passage->body);
    }
}

static void test_announcement_without_every_signature(void **state)
{
    struct world *world = *state;
    size_t length;
    world->tamper = spoil_signature;
    world_begin(world, NULL);
    expect_void(world, MR_VOID_PEER, "signature");
    assert_null(mr_lead_envelope(world->lead, &length));
}

/* A helper that computes another model, and says so honestly. */
static void other_model(struct world *world, struct passage *passage)
{
    if (passage->answer && passage->step == MR_PEER_REVEAL && passage->peer == 2) {
        struct mr_peer_model model;
        struct mr_error error;
        uint32_t count;
        const uint8_t *set_hash;
        mr_peer_model_decode(&model, (char *)passage->body, passage->length, &error);
        mr_helper_included(world->helpers[2].core, &count, &set_hash);
        model.model_hash[0] ^= 1;
        mr_model_sign(model.signature, world->terms.hash, set_hash, model.model_hash,
                      PAIR_OF(world->private_keys[2]));
        free(passage->body);
        passage->body = (uint8_t *)mr_peer_model_encode(&model);
        passage->length = strlen((char *)passage->body);
    }
}

static void test_model_mismatch(void **state)
{
    struct world *world = *state;
    world->tamper = other_model;
    world_begin(world, NULL);
    world_fill(world, 6);
    world_expect_void(world, MR_VOID_MISMATCH, "model_mismatch: hub ");
    for (unsigned i = 1; i < world->options.hubs; i++) { /* what they computed stays */
        assert_int_equal(world_helper_state(world, i), MR_HELPER_DONE);
    }
}

static void refuse_terms(struct world *world, struct passage *passage)
{
    (void)world;
    if (!passage->answer && passage->step == MR_PEER_PROPOSE && passage->peer == 1) {
        passage->length--;
    }
}

static void test_refused_terms(void **state)
{
    struct world *world = *state;
    struct mr_lead_report report;
    world->tamper = refuse_terms;
    world_begin(world, NULL);
    assert_int_equal(world_state(world, &report), MR_LEAD_VOID);
    assert_non_null(strstr(report.reason, "bad_request"));
}

static void late_signature(struct world *world, struct passage *passage)
{
    if (passage->answer && passage->step == MR_PEER_FREEZE) {
        const struct mr_peer_answer late = {.round = 7,
                                            .peer = passage->peer,
                                            .step = MR_PEER_PROPOSE,
                                            .status = 500,
                                            .body = (const uint8_t *)"{}",
                                            .length = 2,
                                            .text = ""};
        mr_lead_peer_answered(world->lead, &late, world->now_ms);
    }
}

static void test_late_answers_mean_nothing(void **state)
{
    struct world *world = *state;
    world->tamper = late_signature;
    world_begin(world, NULL);
    world_fill(world, 6);
    assert_int_equal(world_state(world, NULL), MR_LEAD_PUBLISHED);
}

/* --- sums that are not sound ----------------------------------------------------------------- */

static void unsound(unsigned lane, uint32_t value, const char *word)
{
    struct world *world = world_open(&world_plain);
    world->devices[2].trailer[lane] = value;
    world_begin(world, NULL);
    world_fill(world, 6);
    expect_void(world, MR_VOID_SUM, word);
    assert_int_equal(world->stores, 0);
    world_close(world);
}

static void test_count_and_weight_lanes(void **state)
{
    (void)state;
    unsound(MR_TRAILER_COUNT, 0, "count lane");
    unsound(MR_TRAILER_COUNT, 2, "count lane");
    unsound(MR_TRAILER_WEIGHT, 100000, "weight lane");
    unsound(MR_TRAILER_WEIGHT, (uint32_t)-75, "weight lane"); /* Σ = 0 */
}

int main(void)
{
#define T(name) WORLD_TEST(name, &world_plain)
    const struct CMUnitTest tests[] = {
        T(test_unreachable_for_a_moment),
        T(test_unreachable_for_good),
        T(test_no_answer_at_all),
        T(test_set_with_an_upload_without_seed),
        T(test_bad_commitment),
        cmocka_unit_test(test_bad_openings),
        T(test_announcement_without_every_signature),
        T(test_model_mismatch),
        T(test_refused_terms),
        T(test_late_answers_mean_nothing),
        cmocka_unit_test(test_count_and_weight_lanes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
