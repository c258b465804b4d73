/* test_session.c - whole rounds of a device against a fake federation, good and bad. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/evp.h>

#include "tests/unit/edge-client/scene.h"

/* --- trainers -------------------------------------------------------------------------------- */

static enum mre_trained make_nan(void *context, const struct mre_task *task, float *vector,
                                 struct mre_report *report)
{
    (void)context;
    vector[task->dimension - 1] = NAN;
    report->examples = 1;
    return MRE_TRAINED_DELTA;
}

static enum mre_trained have_no_data(void *context, const struct mre_task *task, float *vector,
                                     struct mre_report *report)
{
    (void)context;
    (void)task;
    (void)vector;
    snprintf(report->why, sizeof report->why, "no data today");
    return MRE_TRAINED_NOT;
}

/* --- what a round leaves --------------------------------------------------------------------- */

static void run_committed(unsigned hubs, uint8_t ring_bits, enum mre_transport transport,
                          unsigned loss)
{
    struct fake fake;
    struct mre_outcome outcome;
    fake_init(&fake, hubs, ring_bits);
    fake.loss = loss;
    struct mre_client *client = fake_client(&fake, transport, fake.dir);
    assert_int_equal(mre_client_round(client, 1000, scene_train, NULL, &outcome), MRE_COMMITTED);
    assert_int_equal(outcome.round, 1);
    assert_int_equal(outcome.examples, 10);
    assert_int_equal(fake.puts, transport == MRE_TRANSPORT_HTTP2);
    scene_check_sum(&fake, client);
    /* The round is over for this device: the next question is for a newer one. */
    assert_int_equal(mre_client_round(client, 1000, scene_train, NULL, &outcome), MRE_NO_ROUND);
    mre_client_close(client);
    fake_fini(&fake);
}

static void test_committed(void **state)
{
    (void)state;
    for (unsigned hubs = 2; hubs <= MR_HUBS_MAX; hubs++) {
        for (unsigned w = 0; w < MR_RING_WIDTHS; w++) {
            run_committed(hubs, mr_ring_widths[w], MRE_TRANSPORT_AUTO, 0);
        }
    }
    run_committed(2, 16, MRE_TRANSPORT_HTTP2, 0);
    run_committed(2, 16, MRE_TRANSPORT_UDP, 25);
}

/* --- one misbehaviour each ------------------------------------------------------------------- */

static void test_missing_signature(void **state)
{
    SCENE(s);
    s.fake.envelope_bytes -= MR_SIGNATURE_BYTES; /* the last hub did not sign */
    assert_int_equal(scene_play(&s, MRE_TRANSPORT_AUTO, scene_train), MRE_UNTRUSTED_ANNOUNCEMENT);
    assert_int_equal(s.trained + s.fake.seeds_posted, 0);
    fake_fini(&s.fake);
}

static void test_foreign_signature(void **state)
{
    SCENE(s);
    s.fake.envelope[s.fake.envelope_bytes - 3] ^= 4;
    assert_int_equal(scene_play(&s, MRE_TRANSPORT_AUTO, scene_train), MRE_UNTRUSTED_ANNOUNCEMENT);
    assert_int_equal(s.trained + s.fake.seeds_posted, 0);
    fake_fini(&s.fake);
}

/* Well signed, but one hub is another than this device pinned. */
static void test_foreign_hub(void **state)
{
    SCENE(s);
    struct mre_client *client = fake_client(&s.fake, MRE_TRANSPORT_AUTO, NULL);
    struct fake other;
    fake_init(&other, 3, 16);
    memset(other.private_keys[2], 0x77, 32);
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, other.private_keys[2], 32);
    size_t length = 32;
    EVP_PKEY_get_raw_public_key(key, other.announcement.hubs[2].public_key, &length);
    EVP_PKEY_free(key);
    fake_announce(&other);
    memcpy(s.fake.envelope, other.envelope, other.envelope_bytes);
    s.fake.envelope_bytes = other.envelope_bytes;
    assert_int_equal(mre_client_round(client, 1000, scene_train, NULL, &s.outcome),
                     MRE_UNTRUSTED_ANNOUNCEMENT);
    assert_int_equal(s.fake.seeds_posted, 0);
    mre_client_close(client);
    fake_fini(&other);
    fake_fini(&s.fake);
}

/* Well signed by the pinned hubs, but of another task of theirs. */
static void test_foreign_task(void **state)
{
    SCENE(s);
    strcpy(s.fake.announcement.task, "wake-word");
    fake_announce(&s.fake);
    assert_int_equal(scene_play(&s, MRE_TRANSPORT_AUTO, scene_train), MRE_UNTRUSTED_ANNOUNCEMENT);
    assert_non_null(strstr(s.outcome.text, "wake-word"));
    assert_int_equal(s.trained + s.fake.seeds_posted, 0);
    fake_fini(&s.fake);
}

static void test_every_flipped_bit_of_the_announcement(void **state)
{
    SCENE(s);
    struct mre_client *client = fake_client(&s.fake, MRE_TRANSPORT_AUTO, NULL);
    for (size_t i = 0; i < s.fake.envelope_bytes; i++) {
        s.fake.envelope[i] ^= (uint8_t)(1u << i % 8);
        assert_int_equal(mre_client_round(client, 1000, scene_train, &s.trained, &s.outcome),
                         MRE_UNTRUSTED_ANNOUNCEMENT);
        s.fake.envelope[i] ^= (uint8_t)(1u << i % 8);
    }
    assert_int_equal(s.trained + s.fake.seeds_posted, 0);
    mre_client_close(client);
    fake_fini(&s.fake);
}

static void test_certificate_refused(void **state)
{
    SCENE(s);
    s.fake.refuse_certificate = true;
    assert_int_equal(scene_play(&s, MRE_TRANSPORT_AUTO, scene_train), MRE_CERTIFICATE_REFUSED);
    fake_fini(&s.fake);
}

static void test_model_of_another_hash(void **state)
{
    SCENE(s);
    s.fake.corrupt_model = true;
    assert_int_equal(scene_play(&s, MRE_TRANSPORT_AUTO, scene_train), MRE_BAD_MODEL);
    assert_int_equal(s.trained + s.fake.seeds_posted, 0);
    fake_fini(&s.fake);
}

/* What this device does not accept is named before it trains. */
static void test_terms_that_are_not_accepted(void **state)
{
    static const struct {
        const char *accept, *words; /* NULL: it takes part */
    } cases[] = {
        {"{\"cohort_min\": \"3..\"}", "cohort_min 2 is not accepted here: at least 3 is"},
        {"{\"weight_max\": 9}", "weight_max 10"},
        {"{\"clip_norm\": \"..0.5\"}", "clip_norm 1 is"},
        {"{\"deadline_ms\": \"..1000\"}", "deadline_ms"},
        {"{\"training\": {\"epochs\": \"..1\", \"batch\": 3}}", "epochs 2"},
        {"{\"training\": {\"epochs\": 2, \"batch\": [3, 4]}, \"cohort_min\": \"2..\"}", NULL},
        {"{}", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        SCENE(s);
        s.fake.accept = cases[i].accept;
        const enum mre_result result = scene_play(&s, MRE_TRANSPORT_AUTO, scene_train);
        assert_int_equal(result, cases[i].words ? MRE_NOT_ACCEPTED : MRE_COMMITTED);
        if (cases[i].words) {
            assert_non_null(strstr(s.outcome.text, cases[i].words));
            assert_int_equal(s.trained + s.fake.seeds_posted, 0);
            assert_int_equal(s.outcome.round, 1);
        }
        fake_fini(&s.fake);
    }
}

static void test_accept_that_is_none(void **state)
{
    static const char *const bad[] = {"[]",
                                      "{\"cohort_min\": \"x\"}",
                                      "{\"cohort_mim\": 2}",
                                      "{\"training\": [1]}",
                                      "{\"clip_norm\": -1}",
                                      "{"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct mr_acceptance acceptance;
        struct mr_error error = {.text = ""};
        (void)state;
        assert_int_equal(mr_accept_read(&acceptance, bad[i], &error), -1);
        assert_non_null(strstr(error.text, "accept"));
    }
}

static void test_nan_in_the_delta(void **state)
{
    SCENE(s);
    assert_int_equal(scene_play(&s, MRE_TRANSPORT_AUTO, make_nan), MRE_BAD_DELTA);
    assert_int_equal(s.fake.seeds_posted, 0);
    fake_fini(&s.fake);
}

static void test_trainer_failed(void **state)
{
    SCENE(s);
    assert_int_equal(scene_play(&s, MRE_TRANSPORT_AUTO, have_no_data), MRE_TRAINER_FAILED);
    assert_non_null(strstr(s.outcome.text, "no data today"));
    fake_fini(&s.fake);
}

static void test_forged_receipt(void **state)
{
    SCENE(s);
    s.fake.bad_receipts = true;
    assert_int_equal(scene_play(&s, MRE_TRANSPORT_AUTO, scene_train), MRE_REFUSED);
    assert_int_equal(s.fake.grants, 0);
    fake_fini(&s.fake);
}

/* A helper that says another count mask: the device would be thrown out as unsound by the lead. */
static void test_receipt_for_another_mask(void **state)
{
    SCENE(s);
    s.fake.other_masks = true;
    assert_int_equal(scene_play(&s, MRE_TRANSPORT_AUTO, scene_train), MRE_REFUSED);
    assert_non_null(strstr(s.outcome.text, "not for the seed that was sent to hub"));
    assert_int_equal(s.fake.grants, 0);
    fake_fini(&s.fake);
}

static void test_refusals_have_their_results(void **state)
{
    static const struct {
        const char *code;
        enum mre_result result;
    } cases[] = {{"already_counted", MRE_ALREADY_COUNTED},
                 {"closed", MRE_CLOSED},
                 {"wrong_round", MRE_CLOSED},
                 {"void", MRE_VOID},
                 {"superseded", MRE_REFUSED},
                 {"bad_request", MRE_REFUSED},
                 {"of_a_newer_hub", MRE_REFUSED}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        SCENE(s);
        s.fake.refuse_grant = cases[i].code;
        assert_int_equal(scene_play(&s, MRE_TRANSPORT_AUTO, scene_train), cases[i].result);
        assert_string_equal(s.outcome.code, cases[i].code);
        assert_int_equal(s.fake.attempts, 0);
        fake_fini(&s.fake);
    }
}

static void test_refused_upload(void **state)
{
    static const struct {
        enum mr_upload_reason reason;
        enum mre_result result;
    } cases[] = {{MR_REASON_CLOSED, MRE_CLOSED},
                 {MR_REASON_VOID, MRE_VOID},
                 {MR_REASON_SUPERSEDED, MRE_REFUSED}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        SCENE(s);
        s.fake.refuse_upload = cases[i].reason;
        assert_int_equal(scene_play(&s, MRE_TRANSPORT_AUTO, scene_train), cases[i].result);
        assert_int_equal(s.fake.attempts, 1);
        fake_fini(&s.fake);
    }
}

static void test_never_committed_is_not_called_committed(void **state)
{
    SCENE(s);
    s.fake.hold_staged = true;
    enum mre_result result = scene_play(&s, MRE_TRANSPORT_AUTO, scene_train);
    assert_true(result == MRE_UNREACHABLE || result == MRE_CLOSED);
    fake_fini(&s.fake);
}

static void test_deadline_passed(void **state)
{
    SCENE(s);
    s.fake.announcement.deadline_unix_ms = s.fake.unix_start_ms - 1;
    fake_announce(&s.fake);
    assert_int_equal(scene_play(&s, MRE_TRANSPORT_AUTO, scene_train), MRE_CLOSED);
    assert_int_equal(s.trained, 0);
    fake_fini(&s.fake);
}

static void test_model_is_fetched_once(void **state)
{
    SCENE(s);
    struct mre_client *client = fake_client(&s.fake, MRE_TRANSPORT_AUTO, NULL);
    s.fake.unopened = FAKE_ALL_HUBS; /* or it would not take part again on one model */
    for (uint64_t round = 1; round <= 3; round++) {
        s.fake.announcement.round = round;
        fake_announce(&s.fake);
        assert_int_equal(mre_client_round(client, 1000, scene_train, NULL, &s.outcome),
                         MRE_COMMITTED);
    }
    assert_int_equal(s.fake.models_sent, 1);
    mre_client_close(client);
    fake_fini(&s.fake);
}

static void test_built_in_trainer_in_a_round(void **state)
{
    SCENE(s);
    char path[128];
    struct mre_mlp *mlp;
    snprintf(path, sizeof path, "%s/data.csv", s.fake.dir);
    assert_int_equal(mre_mlp_open(&mlp, path, &s.outcome), MRE_OK);
    struct mre_client *client = fake_client(&s.fake, MRE_TRANSPORT_AUTO, NULL);
    assert_int_equal(mre_client_round(client, 1000, mre_mlp_train, mlp, &s.outcome), MRE_COMMITTED);
    assert_int_equal(s.outcome.examples, 4);
    assert_true(s.outcome.loss > 0);
    mre_client_close(client);
    mre_mlp_close(mlp);
    fake_fini(&s.fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_committed),
        cmocka_unit_test(test_missing_signature),
        cmocka_unit_test(test_foreign_signature),
        cmocka_unit_test(test_foreign_hub),
        cmocka_unit_test(test_foreign_task),
        cmocka_unit_test(test_every_flipped_bit_of_the_announcement),
        cmocka_unit_test(test_certificate_refused),
        cmocka_unit_test(test_model_of_another_hash),
        cmocka_unit_test(test_nan_in_the_delta),
        cmocka_unit_test(test_terms_that_are_not_accepted),
        cmocka_unit_test(test_accept_that_is_none),
        cmocka_unit_test(test_trainer_failed),
        cmocka_unit_test(test_forged_receipt),
        cmocka_unit_test(test_receipt_for_another_mask),
        cmocka_unit_test(test_refusals_have_their_results),
        cmocka_unit_test(test_refused_upload),
        cmocka_unit_test(test_never_committed_is_not_called_committed),
        cmocka_unit_test(test_deadline_passed),
        cmocka_unit_test(test_model_is_fetched_once),
        cmocka_unit_test(test_built_in_trainer_in_a_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
