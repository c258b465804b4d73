/* test_lead.c - whole rounds over the cores, and how the lead treats devices. */
#include <stdlib.h>

#include "parties.h"

/* --- whole rounds ---------------------------------------------------------------------------- */

static void whole_round(uint8_t ring_bits, uint8_t rotation_log2, unsigned hubs)
{
    struct world_options options = world_plain;
    struct mr_lead_report report;
    options.ring_bits = ring_bits;
    options.rotation_log2 = rotation_log2;
    options.hubs = hubs;
    struct world *world = world_open(&options);
    assert_int_equal(world_begin(world, NULL), MR_REFUSAL_NONE);
    assert_int_equal(world_state(world, NULL), MR_LEAD_OPEN);
    world_fill(world, 6);
    assert_int_equal(world_state(world, &report), MR_LEAD_PUBLISHED);
    assert_int_equal(report.included, 6);
    assert_int_equal(world->published_count, 6);
    world_check_sum(world, 0x3f, world->revealed.sum);
    for (unsigned i = 1; i < hubs; i++) {
        assert_memory_equal(world->helpers[i].model_hash, report.model_hash, MR_HASH_BYTES);
        assert_int_equal(world->helpers[i].expansions, 1);
        assert_int_equal(world_helper_state(world, i), MR_HELPER_DONE);
    }
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(world_status(world, i, world->devices[i].upload_id).state,
                         MR_UPLOAD_COMMITTED);
    }
    world_close(world);
}

static void test_whole_rounds(void **state)
{
    (void)state;
    for (unsigned i = 0; i < MR_RING_WIDTHS; i++) {
        whole_round(mr_ring_widths[i], 0, 2);
        whole_round(mr_ring_widths[i], 5, 3);
    }
}

static void test_quorum_counts_staged_uploads_once(void **state)
{
    struct world *world = *state;
    world_begin(world, NULL);
    for (unsigned i = 0; i < 6; i++) {
        world_join(world, i, 0);
    }
    for (unsigned i = 0; i < 5; i++) {
        world_stage(world, i);
        mr_lead_staged(world->lead, world->devices[i].upload_id, world->now_ms); /* told twice */
    }
    world_advance(world, 1000);
    assert_int_equal(world_state(world, NULL), MR_LEAD_OPEN);
    assert_true(world->commits >= 1);
    assert_int_equal(world_status(world, 4, world->devices[4].upload_id).state,
                     MR_UPLOAD_COMMITTED);
    world_stage(world, 5);
    assert_int_equal(world_state(world, NULL), MR_LEAD_PUBLISHED);
    world_check_sum(world, 0x3f, world->revealed.sum);
}

static void test_deadline_closes_with_fewer_than_quorum(void **state)
{
    struct world *world = *state;
    struct mr_lead_report report;
    world_begin(world, NULL);
    world_fill(world, 4);
    world_join(world, 4, 0); /* never complete */
    world_advance(world, 9999);
    assert_int_equal(world_state(world, NULL), MR_LEAD_OPEN);
    world_advance(world, 1);
    assert_int_equal(world_state(world, &report), MR_LEAD_PUBLISHED);
    assert_int_equal(report.included, 4);
    assert_int_equal(report.admitted, 5);
    world_check_sum(world, 0xf, world->revealed.sum);
    const struct mr_upload_status status = world_status(world, 4, world->devices[4].upload_id);
    assert_int_equal(status.state, MR_UPLOAD_REFUSED);
    assert_int_equal(status.reason, MR_REASON_CLOSED);
}

static void test_one_short_of_the_cohort_releases_nothing(void **state)
{
    struct world *world = *state;
    struct mr_lead_report report;
    world_begin(world, NULL);
    world_fill(world, 3);
    world_advance(world, 20000);
    assert_int_equal(world_state(world, &report), MR_LEAD_VOID);
    assert_int_equal(report.void_kind, MR_VOID_COHORT);
    assert_non_null(strstr(report.reason, "below_cohort_minimum: "));
    assert_int_equal(world->asked[MR_PEER_FREEZE], 0);
    assert_int_equal(world->asked[MR_PEER_OPEN], 0);
    assert_int_equal(world->asked[MR_PEER_REVEAL], 0);
    assert_int_equal(world->asked[MR_PEER_VOID], 2);
    assert_int_equal(world->reveals, 0);
    assert_int_equal(world->returns_refused, 1);
    for (unsigned i = 1; i < 3; i++) {
        assert_int_equal(world->helpers[i].expansions, 0);
        assert_int_equal(world_helper_state(world, i), MR_HELPER_VOID);
    }
}

static void test_rounds_follow_each_other(void **state)
{
    struct world *world = *state;
    struct mr_refusal refusal;
    world_begin(world, NULL);
    assert_int_equal(world_begin(world, &refusal), MR_REFUSAL_BUSY);
    world_fill(world, 6);
    const uint64_t before = world->devices[0].upload_id;
    world->announcement.round = 8;
    uint8_t bytes[MR_ANNOUNCEMENT_MAX];
    struct mr_error error;
    const size_t length = mr_announcement_encode(bytes, &world->announcement);
    mr_round_terms_decode(&world->terms, bytes, length, &error);
    mr_next_model_answer_fini(&world->revealed);
    assert_int_equal(world_begin(world, NULL), MR_REFUSAL_NONE);
    for (unsigned i = 6; i < 12; i++) { /* on the same model: other devices */
        world_join(world, i, 0);
        world_stage(world, i);
    }
    assert_int_equal(world_state(world, NULL), MR_LEAD_PUBLISHED);
    world_check_sum(world, 0xfc0, world->revealed.sum);
    struct mr_upload_status status;
    assert_int_equal(mr_lead_upload_status(world->lead, 7, world->devices[0].client_id, before,
                                           &status, &refusal),
                     MR_REFUSAL_NONE);
    assert_int_equal(status.state, MR_UPLOAD_COMMITTED);
}

/* --- devices --------------------------------------------------------------------------------- */

static void expect_refusal(struct world *world, unsigned device,
                           const struct mr_upload_request *request, enum mr_refusal_code code)
{
    struct reply reply = {.done = false};
    world_admit(world, device, request, &reply);
    world_run(world);
    assert_true(reply.done);
    assert_int_equal(reply.code, code);
    reply_fini(&reply);
}

static void test_receipts_are_checked(void **state)
{
    struct world *world = *state;
    struct mr_upload_request good, bad;
    world_begin(world, NULL);
    world_receipts(world, 0, 0, &good);
    bad = good;
    bad.receipts[1].mac[5] ^= 1;
    expect_refusal(world, 0, &bad, MR_REFUSAL_BAD_RECEIPT);
    bad = good;
    bad.receipt_count = 1;
    expect_refusal(world, 0, &bad, MR_REFUSAL_BAD_RECEIPT);
    bad = good;
    bad.receipts[1] = bad.receipts[0];
    expect_refusal(world, 0, &bad, MR_REFUSAL_BAD_RECEIPT);
    bad = good;
    bad.receipts[0].hub_index = world->hubs[0].index;
    expect_refusal(world, 0, &bad, MR_REFUSAL_BAD_RECEIPT);
    bad = good;
    bad.attempt = 1; /* receipts speak for attempt 0 */
    expect_refusal(world, 0, &bad, MR_REFUSAL_BAD_RECEIPT);
    expect_refusal(world, 1, &good, MR_REFUSAL_BAD_RECEIPT); /* another device's */
    bad = good;
    bad.announcement_hash[0] ^= 1;
    expect_refusal(world, 0, &bad, MR_REFUSAL_WRONG_ANNOUNCEMENT);
    bad = good;
    bad.attempt = MR_ATTEMPTS_MAX;
    expect_refusal(world, 0, &bad, MR_REFUSAL_BAD_ATTEMPT);
    assert_int_equal(world->upload_count, 0);
    bad = good; /* the order of receipts does not matter */
    bad.receipts[0] = good.receipts[1];
    bad.receipts[1] = good.receipts[0];
    expect_refusal(world, 0, &bad, MR_REFUSAL_NONE);
}

/* A receipt is good by its MAC of the round's key, and by nothing else. */
static void test_receipts_by_mac(void **state)
{
    struct world *world = *state;
    struct mr_upload_request good, bad;
    uint8_t key[MR_RECEIPT_KEY_BYTES];
    world_begin(world, NULL);
    world_receipts(world, 0, 0, &good);
    const struct mr_key_scope scope = {.task = world->terms.announcement.task,
                                       .announcement_hash = world->terms.hash,
                                       .client_id = world->devices[0].client_id,
                                       .hub_index = world->hubs[1].index};
    assert_int_equal(mr_receipt_key(key, world->terms.hash, world->private_keys[1]), 0);
    assert_true(mr_receipt_mac_holds(&good.receipts[0], &scope, key));
    bad = good; /* what only helper and lead can make */
    bad.receipts[0].count_mask++;
    expect_refusal(world, 0, &bad, MR_REFUSAL_BAD_RECEIPT);
    assert_int_equal(mr_receipt_mac_make(&bad.receipts[0], &scope, key), 0);
    expect_refusal(world, 0, &bad, MR_REFUSAL_NONE);
    bad = good; /* made with another round's key, or with zeros for one */
    for (unsigned i = 0; i < 2; i++) {
        memset(key, 0, i ? sizeof key : 0);
        key[0] ^= i ? 0 : 1;
        assert_int_equal(mr_receipt_mac_make(&bad.receipts[0], &scope, key), 0);
        expect_refusal(world, 0, &bad, MR_REFUSAL_BAD_RECEIPT);
    }
    memset(bad.receipts[0].mac, 0, MR_RECEIPT_MAC_BYTES);
    expect_refusal(world, 0, &bad, MR_REFUSAL_BAD_RECEIPT);
}

static void test_wrong_round(void **state)
{
    struct world *world = *state;
    struct mr_upload_request request = {.attempt = 0};
    struct reply reply = {.done = false};
    expect_refusal(world, 0, &request, MR_REFUSAL_NO_ROUND);
    world_begin(world, NULL);
    const struct mr_applicant applicant = {.round = 6,
                                           .client_id = world->devices[0].client_id,
                                           .serial = &world->devices[0].serial,
                                           .request = &request,
                                           .token = &reply};
    mr_lead_admit(world->lead, &applicant, 0);
    assert_int_equal(reply.code, MR_REFUSAL_WRONG_ROUND);
    assert_non_null(strstr(reply.text, "the current round is 7")); /* not that none is open */
}

static void test_new_attempt_supersedes(void **state)
{
    struct world *world = *state;
    struct mr_upload_request request;
    struct reply reply = {.done = false};
    world_begin(world, NULL);
    world_join(world, 0, 0);
    const uint64_t first = world->devices[0].upload_id;
    world_receipts(world, 0, 0, &request);
    expect_refusal(world, 0, &request, MR_REFUSAL_BAD_ATTEMPT);
    struct mr_upload_request third;
    world_receipts(world, 0, 3, &third);
    world_receipts(world, 0, 2, &request);
    world_admit(world, 0, &request, &reply);
    assert_false(reply.done); /* waits until the plane has let go of the old one */
    assert_int_equal(world->revokes, 1);
    struct reply busy = {.done = false};
    world_admit(world, 0, &third, &busy);
    assert_int_equal(busy.code, MR_REFUSAL_BUSY);
    world_run(world);
    assert_true(reply.done);
    assert_int_equal(reply.code, MR_REFUSAL_NONE);
    assert_int_not_equal(reply.grant.upload_id, first);
    const struct mr_upload_status old = world_status(world, 0, first);
    assert_int_equal(old.state, MR_UPLOAD_REFUSED);
    assert_int_equal(old.reason, MR_REASON_SUPERSEDED);
    assert_int_equal(world_status(world, 0, reply.grant.upload_id).state, MR_UPLOAD_RECEIVING);
    world_receipts(world, 0, 1, &request); /* older than the live one */
    expect_refusal(world, 0, &request, MR_REFUSAL_BAD_ATTEMPT);
    struct mr_lead_report report;
    world_state(world, &report);
    assert_int_equal(report.admitted, 1);
    reply_fini(&reply);
}

static void test_already_counted(void **state)
{
    struct world *world = *state;
    struct mr_upload_request request;
    struct reply reply = {.done = false};
    world_begin(world, NULL);
    world_join(world, 0, 0);
    world_receipts(world, 0, 1, &request);
    /* Staged at the plane, and the lead does not know yet: the revoke comes too late. */
    world->uploads[0].state = UPLOAD_STAGED;
    world_admit(world, 0, &request, &reply);
    assert_false(reply.done);
    world_run(world);
    assert_int_equal(reply.code, MR_REFUSAL_BUSY); /* counted only when it is durable */
    world->uploads[0].state = UPLOAD_LIVE;
    world_stage(world, 0);
    world_advance(world, 1000);
    assert_int_equal(world_status(world, 0, world->devices[0].upload_id).state,
                     MR_UPLOAD_COMMITTED);
    expect_refusal(world, 0, &request, MR_REFUSAL_ALREADY_COUNTED);
}

/* One device with a wrong seed: it is told, and the round is published without it. */
static void test_unsound_upload_is_left_out(void **state)
{
    struct world *world = *state;
    struct mr_lead_report report;
    world_begin(world, NULL);
    world_join(world, 6, 0);
    const uint64_t spoilt = world->devices[6].upload_id;
    world->uploads[0].state = UPLOAD_GONE;
    mr_lead_unsound(world->lead, spoilt, world->now_ms);
    assert_int_equal(world_status(world, 6, spoilt).state, MR_UPLOAD_REFUSED);
    assert_int_equal(world_status(world, 6, spoilt).reason, MR_REASON_UNSOUND);
    mr_lead_unsound(world->lead, spoilt, world->now_ms); /* told once, counted once */
    world_fill(world, 6);
    assert_int_equal(world_state(world, &report), MR_LEAD_PUBLISHED);
    assert_int_equal(report.unsound, 1);
    assert_int_equal(report.included, 6);
    world_check_sum(world, 0x3f, world->revealed.sum);
}

static void other_seal_key(struct world *world, struct passage *passage)
{
    struct mr_peer_signature signature;
    struct mr_error error;
    (void)world;
    if (!passage->answer || passage->step != MR_PEER_PROPOSE || passage->peer != 2) {
        return;
    }
    assert_int_equal(
        mr_peer_signature_decode(&signature, (const char *)passage->body, passage->length, &error),
        0);
    signature.signature.seal_key[0] ^= 1;
    free(passage->body);
    passage->body = (uint8_t *)mr_peer_signature_encode(&signature);
}

/* Whoever sits between the hubs cannot put in a key of his own. */
static void test_seal_key_is_signed(void **state)
{
    struct world *world = *state;
    world->tamper = other_seal_key;
    world_begin(world, NULL);
    world_expect_void(world, MR_VOID_PEER, "signature of the announcement does not hold");
}

static void test_expired_upload_may_come_again(void **state)
{
    struct world *world = *state;
    world_begin(world, NULL);
    world_join(world, 0, 0);
    const uint64_t first = world->devices[0].upload_id;
    world->uploads[0].state = UPLOAD_GONE;
    mr_lead_expired(world->lead, first, world->now_ms);
    assert_int_equal(world_status(world, 0, first).reason, MR_REASON_IDLE);
    struct mr_upload_request request;
    world_receipts(world, 0, 0, &request);
    expect_refusal(world, 0, &request, MR_REFUSAL_BAD_ATTEMPT);
    world_join(world, 0, 1);
    assert_int_equal(world->revokes, 0);
    for (unsigned i = 1; i < 6; i++) {
        world_join(world, i, 0);
    }
    for (unsigned i = 0; i < 6; i++) {
        world_stage(world, i);
    }
    assert_int_equal(world_state(world, NULL), MR_LEAD_PUBLISHED);
    world_check_sum(world, 0x3f, world->revealed.sum);
}

static void test_pending_attempt_at_the_close(void **state)
{
    struct world *world = *state;
    struct mr_upload_request request;
    struct reply reply = {.done = false};
    world_begin(world, NULL);
    world_fill(world, 5);
    world_join(world, 5, 0);
    world_join(world, 6, 0);
    world_receipts(world, 5, 1, &request);
    world_admit(world, 5, &request, &reply);
    world->uploads[6].state = UPLOAD_STAGED;
    mr_lead_staged(world->lead, world->devices[6].upload_id, world->now_ms); /* quorum */
    assert_true(reply.done);
    assert_int_equal(reply.code, MR_REFUSAL_CLOSED);
    world_run(world);
    assert_int_equal(world_state(world, NULL), MR_LEAD_PUBLISHED);
    world_check_sum(world, 0x5f, world->revealed.sum);
    expect_refusal(world, 7, &request, MR_REFUSAL_CLOSED);
}

static void test_status_is_the_owners_business(void **state)
{
    struct world *world = *state;
    struct mr_upload_status status;
    struct mr_refusal refusal;
    world_begin(world, NULL);
    world_join(world, 0, 0);
    assert_int_equal(mr_lead_upload_status(world->lead, 7, world->devices[1].client_id,
                                           world->devices[0].upload_id, &status, &refusal),
                     MR_REFUSAL_NOT_FOUND);
    assert_int_equal(mr_lead_upload_status(world->lead, 6, world->devices[0].client_id,
                                           world->devices[0].upload_id, &status, &refusal),
                     MR_REFUSAL_WRONG_ROUND);
    assert_int_equal(mr_lead_may_put(world->lead, 7, world->devices[0].client_id,
                                     world->devices[0].upload_id, &refusal),
                     MR_REFUSAL_BAD_REQUEST); /* granted for UDP */
}

static void test_full_round_is_busy(void **state)
{
    struct world *world = *state;
    struct mr_upload_request request;
    world_begin(world, NULL);
    world_receipts(world, 0, 0, &request);
    world->upload_count = 64; /* every slot taken */
    expect_refusal(world, 0, &request, MR_REFUSAL_BUSY);
    world->upload_count = 0;
    expect_refusal(world, 0, &request, MR_REFUSAL_NONE); /* the same attempt: nothing was granted */
}

int main(void)
{
#define T(name) WORLD_TEST(name, &world_plain)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_rounds),
        T(test_quorum_counts_staged_uploads_once),
        T(test_deadline_closes_with_fewer_than_quorum),
        T(test_one_short_of_the_cohort_releases_nothing),
        T(test_rounds_follow_each_other),
        T(test_receipts_are_checked),
        T(test_receipts_by_mac),
        T(test_wrong_round),
        T(test_new_attempt_supersedes),
        T(test_already_counted),
        T(test_expired_upload_may_come_again),
        T(test_unsound_upload_is_left_out),
        T(test_seal_key_is_signed),
        T(test_pending_attempt_at_the_close),
        T(test_status_is_the_owners_business),
        T(test_full_round_is_busy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
