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

#include "tests/unit/edge-client/fake.h"

/* --- trainers -------------------------------------------------------------------------------- */

static enum mre_trained add_hundredth(void *context, const struct mre_task *task, float *vector,
                                      struct mre_report *report)
{
    unsigned *calls = context;
    assert_memory_equal(vector, task->model, task->dimension * sizeof *vector);
    assert_string_equal(task->training, "{\"epochs\": 2, \"batch\": 3}");
    assert_int_equal(task->tensor_count, 4);
    if (calls) {
        ++*calls;
    }
    for (size_t i = 0; i < task->dimension; i++) {
        vector[i] += 0.01f;
    }
    report->examples = 10;
    report->loss = 0.5f;
    return MRE_TRAINED_PARAMETERS;
}

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

/* The opened vector is the one that was dumped before masking, and holds what was trained. */
static void check_sum(struct fake *fake, const struct mre_client *client)
{
    char path[256];
    uint8_t header[80];
    size_t lanes = fake->terms.layout.lanes, bytes = fake->terms.layout.share_bytes;
    int8_t *q = malloc(lanes);
    uint32_t trailer[MR_TRAILER_LANES];
    snprintf(path, sizeof path, "%s/%s-%s-r1-a%u.bin", fake->dir, mre_client_id(client),
             fake->announcement.task, fake->committed_attempt);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fread(header, 1, 80, file), 80);
    assert_memory_equal(header, "MRDUMP01", 8);
    assert_int_equal(fread(q, 1, lanes, file), lanes);
    assert_int_equal(fread(trailer, 4, MR_TRAILER_LANES, file), MR_TRAILER_LANES);
    fclose(file);
    uint8_t *expected = aligned_alloc(64, bytes);
    mr_share_lift(expected, &fake->terms.layout, q, trailer, mr_kernels_select(UINT32_MAX));
    uint8_t *opened = fake_open_sum(fake);
    assert_memory_equal(opened, expected, bytes);
    assert_int_equal(trailer[MR_TRAILER_COUNT], 1);
    assert_int_equal(trailer[MR_TRAILER_EXAMPLES], 10);
    free(expected);
    free(opened);
    free(q);
}

static void run_committed(unsigned hubs, uint8_t ring_bits, enum mre_transport transport,
                          unsigned loss)
{
    struct fake fake;
    struct mre_outcome outcome;
    fake_init(&fake, hubs, ring_bits);
    fake.loss = loss;
    struct mre_client *client = fake_client(&fake, transport, fake.dir);
    assert_int_equal(mre_client_round(client, 1000, add_hundredth, NULL, &outcome), MRE_COMMITTED);
    assert_int_equal(outcome.round, 1);
    assert_int_equal(outcome.examples, 10);
    assert_int_equal(fake.puts, transport == MRE_TRANSPORT_HTTP2);
    check_sum(&fake, client);
    /* The round is over for this device: the next question is for a newer one. */
    assert_int_equal(mre_client_round(client, 1000, add_hundredth, NULL, &outcome), MRE_NO_ROUND);
    mre_client_close(client);
    fake_fini(&fake);
}

static void test_committed(void **state)
{
    (void)state;
    for (unsigned hubs = 2; hubs <= MR_HUBS_MAX; hubs++) {
        for (uint8_t ring_bits = 16; ring_bits <= 32; ring_bits += 8) {
            run_committed(hubs, ring_bits, MRE_TRANSPORT_AUTO, 0);
        }
    }
    run_committed(2, 16, MRE_TRANSPORT_HTTP2, 0);
    run_committed(2, 16, MRE_TRANSPORT_UDP, 25);
}

/* --- one misbehaviour each ------------------------------------------------------------------- */

struct scene {
    struct fake fake;
    struct mre_outcome outcome;
    unsigned trained;
};

static enum mre_result play(struct scene *scene, enum mre_transport transport, mre_train_fn train)
{
    struct mre_client *client = fake_client(&scene->fake, transport, NULL);
    enum mre_result result =
        mre_client_round(client, 1000, train, &scene->trained, &scene->outcome);
    assert_int_equal(result, scene->outcome.result);
    assert_true(scene->outcome.text[0]);
    mre_client_close(client);
    return result;
}

#define SCENE(s)                                                                                   \
    struct scene s = {.trained = 0};                                                               \
    (void)state;                                                                                   \
    fake_init(&s.fake, 3, 16)

static void test_missing_signature(void **state)
{
    SCENE(s);
    s.fake.envelope_bytes -= MR_SIGNATURE_BYTES; /* the last hub did not sign */
    assert_int_equal(play(&s, MRE_TRANSPORT_AUTO, add_hundredth), MRE_UNTRUSTED_ANNOUNCEMENT);
    assert_int_equal(s.trained + s.fake.seeds_posted, 0);
    fake_fini(&s.fake);
}

static void test_foreign_signature(void **state)
{
    SCENE(s);
    s.fake.envelope[s.fake.envelope_bytes - 3] ^= 4;
    assert_int_equal(play(&s, MRE_TRANSPORT_AUTO, add_hundredth), MRE_UNTRUSTED_ANNOUNCEMENT);
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
    assert_int_equal(mre_client_round(client, 1000, add_hundredth, NULL, &s.outcome),
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
    assert_int_equal(play(&s, MRE_TRANSPORT_AUTO, add_hundredth), MRE_UNTRUSTED_ANNOUNCEMENT);
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
        assert_int_equal(mre_client_round(client, 1000, add_hundredth, &s.trained, &s.outcome),
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
    assert_int_equal(play(&s, MRE_TRANSPORT_AUTO, add_hundredth), MRE_CERTIFICATE_REFUSED);
    fake_fini(&s.fake);
}

static void test_model_of_another_hash(void **state)
{
    SCENE(s);
    s.fake.corrupt_model = true;
    assert_int_equal(play(&s, MRE_TRANSPORT_AUTO, add_hundredth), MRE_BAD_MODEL);
    assert_int_equal(s.trained + s.fake.seeds_posted, 0);
    fake_fini(&s.fake);
}

static void test_nan_in_the_delta(void **state)
{
    SCENE(s);
    assert_int_equal(play(&s, MRE_TRANSPORT_AUTO, make_nan), MRE_BAD_DELTA);
    assert_int_equal(s.fake.seeds_posted, 0);
    fake_fini(&s.fake);
}

static void test_trainer_failed(void **state)
{
    SCENE(s);
    assert_int_equal(play(&s, MRE_TRANSPORT_AUTO, have_no_data), MRE_TRAINER_FAILED);
    assert_non_null(strstr(s.outcome.text, "no data today"));
    fake_fini(&s.fake);
}

static void test_forged_receipt(void **state)
{
    SCENE(s);
    s.fake.bad_receipts = true;
    assert_int_equal(play(&s, MRE_TRANSPORT_AUTO, add_hundredth), MRE_REFUSED);
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
        assert_int_equal(play(&s, MRE_TRANSPORT_AUTO, add_hundredth), cases[i].result);
        assert_string_equal(s.outcome.code, cases[i].code);
        assert_int_equal(s.fake.attempts, 0);
        fake_fini(&s.fake);
    }
}

static void test_busy_is_waited_for(void **state)
{
    SCENE(s);
    s.fake.busy = 5;
    assert_int_equal(play(&s, MRE_TRANSPORT_AUTO, add_hundredth), MRE_COMMITTED);
    assert_int_equal(s.outcome.attempt, 0); /* nothing was granted: the same attempt */
    assert_int_equal(s.fake.seeds_posted, 2);
    fake_fini(&s.fake);
}

static void test_unreachable_for_a_while(void **state)
{
    SCENE(s);
    struct mre_client *client = fake_client(&s.fake, MRE_TRANSPORT_AUTO, NULL);
    s.fake.refuse_connects = 1;
    assert_int_equal(mre_client_round(client, 1000, add_hundredth, NULL, &s.outcome),
                     MRE_UNREACHABLE);
    assert_int_equal(mre_client_round(client, 1000, add_hundredth, NULL, &s.outcome),
                     MRE_COMMITTED);
    mre_client_close(client);
    fake_fini(&s.fake);
}

/* A new attempt: other seeds, other share, other number. */
static void check_attempts_differ(const struct fake *fake, unsigned attempts)
{
    for (unsigned a = 1; a < attempts; a++) {
        for (unsigned b = 0; b < a; b++) {
            for (unsigned hub = 1; hub < fake->hub_count; hub++) {
                for (unsigned other = 1; other < fake->hub_count; other++) {
                    assert_memory_not_equal(fake->seeds[a][hub], fake->seeds[b][other],
                                            MR_SEED_BYTES);
                }
            }
        }
    }
}

static void test_lost_grant_makes_a_new_attempt(void **state)
{
    SCENE(s);
    s.fake.break_grants = 2;
    assert_int_equal(play(&s, MRE_TRANSPORT_UDP, add_hundredth), MRE_COMMITTED);
    assert_int_equal(s.outcome.attempt, 2);
    assert_int_equal(s.trained, 1);
    check_attempts_differ(&s.fake, 3);
    fake_fini(&s.fake);
}

static void test_blocked_udp_falls_back_to_http2(void **state)
{
    SCENE(s);
    s.fake.loss = 100;
    assert_int_equal(play(&s, MRE_TRANSPORT_AUTO, add_hundredth), MRE_COMMITTED);
    assert_int_equal(s.outcome.attempt, 1);
    assert_int_equal(s.outcome.transport, MRE_TRANSPORT_HTTP2);
    assert_int_equal(s.fake.puts, 1);
    check_attempts_differ(&s.fake, 2);
    fake_fini(&s.fake);
}

static void test_blocked_udp_without_fallback_ends_with_the_round(void **state)
{
    SCENE(s);
    s.fake.loss = 100;
    enum mre_result result = play(&s, MRE_TRANSPORT_UDP, add_hundredth);
    assert_true(result == MRE_UNREACHABLE || result == MRE_CLOSED);
    assert_int_equal(s.fake.puts, 0);
    assert_true(s.fake.attempts <= MR_ATTEMPTS_MAX);
    fake_fini(&s.fake);
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
        assert_int_equal(play(&s, MRE_TRANSPORT_AUTO, add_hundredth), cases[i].result);
        assert_int_equal(s.fake.attempts, 1);
        fake_fini(&s.fake);
    }
}

static void test_never_committed_is_not_called_committed(void **state)
{
    SCENE(s);
    s.fake.hold_staged = true;
    enum mre_result result = play(&s, MRE_TRANSPORT_AUTO, add_hundredth);
    assert_true(result == MRE_UNREACHABLE || result == MRE_CLOSED);
    fake_fini(&s.fake);
}

static void test_deadline_passed(void **state)
{
    SCENE(s);
    s.fake.announcement.deadline_unix_ms = s.fake.unix_start_ms - 1;
    fake_announce(&s.fake);
    assert_int_equal(play(&s, MRE_TRANSPORT_AUTO, add_hundredth), MRE_CLOSED);
    assert_int_equal(s.trained, 0);
    fake_fini(&s.fake);
}

/* A device that was cut off in a round starts again with the next number, never with an old one. */
static void test_attempt_numbers_survive_a_crash(void **state)
{
    SCENE(s);
    for (uint32_t crash = 0; crash < 3; crash++) {
        struct mr_ledger ledger;
        uint32_t attempt;
        struct mr_error error;
        assert_int_equal(mr_ledger_open(&ledger, s.fake.dir, &error), 0);
        assert_int_equal(mr_ledger_attempt(&ledger, 1, &attempt, &error), 0);
        assert_int_equal(attempt, crash);
    }
    assert_int_equal(play(&s, MRE_TRANSPORT_AUTO, add_hundredth), MRE_COMMITTED);
    assert_int_equal(s.outcome.attempt, 3);
    fake_fini(&s.fake);
}

static void test_model_is_fetched_once(void **state)
{
    SCENE(s);
    struct mre_client *client = fake_client(&s.fake, MRE_TRANSPORT_AUTO, NULL);
    for (uint64_t round = 1; round <= 3; round++) {
        s.fake.announcement.round = round;
        fake_announce(&s.fake);
        assert_int_equal(mre_client_round(client, 1000, add_hundredth, NULL, &s.outcome),
                         MRE_COMMITTED);
    }
    assert_int_equal(s.fake.models_sent, 1);
    mre_client_close(client);
    fake_fini(&s.fake);
}

/* A hub that restarts meanwhile has the model still: the same round goes on. */
static void test_model_that_is_cut_off(void **state)
{
    SCENE(s);
    s.fake.break_models = 3;
    assert_int_equal(play(&s, MRE_TRANSPORT_AUTO, add_hundredth), MRE_COMMITTED);
    assert_int_equal(s.fake.models_sent, 4);
    assert_int_equal(s.outcome.attempt, 0);
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

/* --- the connection during training ---------------------------------------------------------- */

struct pupil {
    struct fake *fake;
    unsigned takes_ms;
};

static enum mre_trained take_time(void *context, const struct mre_task *task, float *vector,
                                  struct mre_report *report)
{
    const struct pupil *pupil = context;
    pupil->fake->now_us += (uint64_t)pupil->takes_ms * 1000;
    return add_hundredth(NULL, task, vector, report);
}

/* `connects`: to the two helpers, and to the lead as often as is needed. */
static void train_for(unsigned takes_ms, unsigned idle_ms, unsigned connects)
{
    struct fake fake;
    struct mre_outcome outcome;
    fake_init(&fake, 3, 16);
    fake.idle_ms = idle_ms;
    fake.announcement.deadline_unix_ms += 600000;
    fake_announce(&fake);
    struct pupil pupil = {&fake, takes_ms};
    struct mre_client *client = fake_client(&fake, MRE_TRANSPORT_UDP, fake.dir);
    assert_int_equal(mre_client_round(client, 1000, take_time, &pupil, &outcome), MRE_COMMITTED);
    assert_int_equal(outcome.attempt, 0);
    assert_int_equal(fake.connects, connects);
    check_sum(&fake, client);
    mre_client_close(client);
    fake_fini(&fake);
}

static void test_connection_rests_while_training(void **state)
{
    (void)state;
    train_for(1, 60000, 3);
    train_for(29000, 60000, 3);
    train_for(31000, 60000, 4);
    train_for(120000, 60000, 4);
}

static void test_connection_is_closed_while_training(void **state)
{
    (void)state;
    train_for(20000, 10000, 4);
}

/* --- hubs that restart ----------------------------------------------------------------------- */

/* The first chunk as it arrived first, and the upload that is committed in the end, are of the same
 * attempt and the same bytes; no seed is sent again. */
static void forgotten(enum mre_transport transport, unsigned times)
{
    struct fake fake;
    struct mre_outcome outcome;
    fake_init(&fake, 3, 16);
    fake.forget_uploads = times;
    struct mre_client *client = fake_client(&fake, transport, fake.dir);
    fake.hold_staged = false;
    assert_int_equal(mre_client_round(client, 1000, add_hundredth, NULL, &outcome), MRE_COMMITTED);
    assert_int_equal(outcome.attempt, 0);
    assert_int_equal(fake.seeds_posted, 2);
    assert_int_equal(fake.forget_uploads, 0);
    assert_int_equal(fake.grants, times + 1);
    check_sum(&fake, client);
    mre_client_close(client);
    fake_fini(&fake);
}

static void test_lead_forgets_the_upload(void **state)
{
    (void)state;
    forgotten(MRE_TRANSPORT_HTTP2, 1);
    forgotten(MRE_TRANSPORT_HTTP2, 5);
}

static void test_receipts_are_lost(void **state)
{
    SCENE(s);
    s.fake.break_seeds = 4;
    assert_int_equal(play(&s, MRE_TRANSPORT_AUTO, add_hundredth), MRE_COMMITTED);
    assert_int_equal(s.outcome.attempt, 0);
    assert_int_equal(s.fake.seeds_posted, 2 + 4);
    fake_fini(&s.fake);
}

static void test_answers_to_shares_are_lost(void **state)
{
    SCENE(s);
    s.fake.break_puts = 1;
    assert_int_equal(play(&s, MRE_TRANSPORT_HTTP2, add_hundredth), MRE_COMMITTED);
    assert_int_equal(s.outcome.attempt, 0);
    assert_int_equal(s.fake.puts, 1);
    fake_fini(&s.fake);
}

/* For ever and ever: the device gives up, after a bounded number of tries. */
static void test_lead_that_never_remembers(void **state)
{
    SCENE(s);
    s.fake.forget_uploads = 100000;
    assert_int_not_equal(play(&s, MRE_TRANSPORT_HTTP2, add_hundredth), MRE_COMMITTED);
    assert_true(s.fake.grants < 400);
    fake_fini(&s.fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lead_forgets_the_upload),
        cmocka_unit_test(test_receipts_are_lost),
        cmocka_unit_test(test_answers_to_shares_are_lost),
        cmocka_unit_test(test_lead_that_never_remembers),
        cmocka_unit_test(test_committed),
        cmocka_unit_test(test_missing_signature),
        cmocka_unit_test(test_foreign_signature),
        cmocka_unit_test(test_foreign_hub),
        cmocka_unit_test(test_foreign_task),
        cmocka_unit_test(test_every_flipped_bit_of_the_announcement),
        cmocka_unit_test(test_certificate_refused),
        cmocka_unit_test(test_model_of_another_hash),
        cmocka_unit_test(test_nan_in_the_delta),
        cmocka_unit_test(test_trainer_failed),
        cmocka_unit_test(test_forged_receipt),
        cmocka_unit_test(test_refusals_have_their_results),
        cmocka_unit_test(test_busy_is_waited_for),
        cmocka_unit_test(test_unreachable_for_a_while),
        cmocka_unit_test(test_lost_grant_makes_a_new_attempt),
        cmocka_unit_test(test_blocked_udp_falls_back_to_http2),
        cmocka_unit_test(test_blocked_udp_without_fallback_ends_with_the_round),
        cmocka_unit_test(test_refused_upload),
        cmocka_unit_test(test_never_committed_is_not_called_committed),
        cmocka_unit_test(test_deadline_passed),
        cmocka_unit_test(test_attempt_numbers_survive_a_crash),
        cmocka_unit_test(test_model_is_fetched_once),
        cmocka_unit_test(test_model_that_is_cut_off),
        cmocka_unit_test(test_built_in_trainer_in_a_round),
        cmocka_unit_test(test_connection_rests_while_training),
        cmocka_unit_test(test_connection_is_closed_while_training),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
