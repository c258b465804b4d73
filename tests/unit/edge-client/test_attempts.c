/* test_attempts.c - a device whose hubs, connections and answers are lost: what it sends again, and
 * what it never sends twice. */
#include <stdio.h>
#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "edge-client/upload/udp_host.h"
#include "tests/unit/edge-client/scene.h"

static void test_busy_is_waited_for(void **state)
{
    SCENE(s);
    s.fake.busy = 5;
    assert_int_equal(scene_play(&s, MRE_TRANSPORT_AUTO, scene_train), MRE_COMMITTED);
    assert_int_equal(s.outcome.attempt, 0); /* nothing was granted: the same attempt */
    assert_int_equal(s.fake.seeds_posted, 2);
    fake_fini(&s.fake);
}

static void test_unreachable_for_a_while(void **state)
{
    SCENE(s);
    struct mre_client *client = fake_client(&s.fake, MRE_TRANSPORT_AUTO, NULL);
    s.fake.refuse_connects = 1;
    assert_int_equal(mre_client_round(client, 1000, scene_train, NULL, &s.outcome),
                     MRE_UNREACHABLE);
    assert_int_equal(mre_client_round(client, 1000, scene_train, NULL, &s.outcome), MRE_COMMITTED);
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
                    assert_memory_not_equal(fake->sealed[a][hub].enc, fake->sealed[b][other].enc,
                                            MR_HPKE_ENC_BYTES);
                }
            }
        }
    }
}

static void test_lost_grant_makes_a_new_attempt(void **state)
{
    SCENE(s);
    s.fake.break_grants = 2;
    assert_int_equal(scene_play(&s, MRE_TRANSPORT_UDP, scene_train), MRE_COMMITTED);
    assert_int_equal(s.outcome.attempt, 2);
    assert_int_equal(s.trained, 1);
    check_attempts_differ(&s.fake, 3);
    fake_fini(&s.fake);
}

static void test_blocked_udp_falls_back_to_http2(void **state)
{
    SCENE(s);
    s.fake.loss = 100;
    assert_int_equal(scene_play(&s, MRE_TRANSPORT_AUTO, scene_train), MRE_COMMITTED);
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
    enum mre_result result = scene_play(&s, MRE_TRANSPORT_UDP, scene_train);
    assert_true(result == MRE_UNREACHABLE || result == MRE_CLOSED);
    assert_int_equal(s.fake.puts, 0);
    assert_true(s.fake.attempts <= MR_ATTEMPTS_MAX);
    fake_fini(&s.fake);
}

/* --- where the datagrams go ------------------------------------------------------------------- */

/* A grant that points at somebody else: nothing goes there, not even a socket is made. */
static void test_a_grant_that_points_elsewhere(void **state)
{
    static const char *const hosts[] = {"192.0.2.1", "2001:db8::1", "::ffff:10.0.0.1", "127.0.0.2"};
    for (unsigned i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        SCENE(s);
        s.fake.udp_host = hosts[i];
        assert_int_equal(scene_play(&s, MRE_TRANSPORT_AUTO, scene_train), MRE_COMMITTED);
        assert_int_equal(s.outcome.transport, MRE_TRANSPORT_HTTP2);
        assert_non_null(strstr(s.outcome.warning, hosts[i]));
        assert_int_equal(s.fake.udp_opened, 0);
        assert_int_equal(s.outcome.datagrams, 0);
        fake_fini(&s.fake);
    }
    SCENE(s);
    s.fake.udp_host = hosts[0];
    assert_int_equal(scene_play(&s, MRE_TRANSPORT_UDP, scene_train), MRE_REFUSED);
    assert_string_equal(s.outcome.code, "udp_host");
    assert_int_equal(s.fake.udp_opened, 0);
    assert_int_equal(s.fake.attempts, 1);
    fake_fini(&s.fake);
}

/* All hubs have signed that the lead is there. */
static void test_an_address_that_is_announced(void **state)
{
    SCENE(s);
    s.fake.udp_host = "192.0.2.1";
    snprintf(s.fake.announcement.hubs[0].name, sizeof s.fake.announcement.hubs[0].name,
             "192.0.2.1");
    fake_announce(&s.fake);
    assert_int_equal(scene_play(&s, MRE_TRANSPORT_AUTO, scene_train), MRE_COMMITTED);
    assert_int_equal(s.outcome.transport, MRE_TRANSPORT_UDP);
    assert_int_equal(s.fake.udp_opened, 1);
    fake_fini(&s.fake);
}

static void test_hosts(void **state)
{
    (void)state;
    assert_true(mr_udp_host_allowed("192.0.2.1", "192.0.2.1", "hub-0"));
    assert_true(mr_udp_host_allowed("::ffff:192.0.2.1", "192.0.2.1", "hub-0"));
    assert_true(mr_udp_host_allowed("fe80::1", "fe80::1%eth0", "hub-0"));
    assert_true(mr_udp_host_allowed("2001:DB8:0::1", "2001:db8::1", ""));
    assert_true(mr_udp_host_allowed("192.0.2.1", "", "192.0.2.1"));
    assert_false(mr_udp_host_allowed("192.0.2.1", "192.0.2.10", "192.0.2.11"));
    assert_false(mr_udp_host_allowed("hub-0", "hub-0", "hub-0")); /* no name is looked up */
    assert_false(mr_udp_host_allowed("", "", ""));
    assert_false(mr_udp_host_allowed("0.0.0.0", "unknown", "hub-0"));
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
    assert_int_equal(scene_play(&s, MRE_TRANSPORT_AUTO, scene_train), MRE_COMMITTED);
    assert_int_equal(s.outcome.attempt, 3);
    fake_fini(&s.fake);
}

/* A hub that restarts meanwhile has the model still: the same round goes on. */
static void test_model_that_is_cut_off(void **state)
{
    SCENE(s);
    s.fake.break_models = 3;
    assert_int_equal(scene_play(&s, MRE_TRANSPORT_AUTO, scene_train), MRE_COMMITTED);
    assert_int_equal(s.fake.models_sent, 4);
    assert_int_equal(s.outcome.attempt, 0);
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
    return scene_train(NULL, task, vector, report);
}

/* `connects`: to the two helpers, and to the lead as often as is needed. */
static void train_for(unsigned takes_ms, unsigned idle_ms, unsigned connects)
{
    struct fake fake;
    struct mre_outcome outcome;
    fake_init(&fake, 3, 16);
    fake.idle_ms = idle_ms;
    fake.announcement.deadline_unix_ms += 1000000;
    fake_announce(&fake);
    struct pupil pupil = {&fake, takes_ms};
    struct mre_client *client = fake_client(&fake, MRE_TRANSPORT_UDP, fake.dir);
    assert_int_equal(mre_client_round(client, 1000, take_time, &pupil, &outcome), MRE_COMMITTED);
    assert_int_equal(outcome.attempt, 0);
    assert_int_equal(fake.connects, connects);
    scene_check_sum(&fake, client);
    mre_client_close(client);
    fake_fini(&fake);
}

static void test_connection_rests_while_training(void **state)
{
    (void)state;
    train_for(1, 60000, 3);
    train_for(29000, 60000, 3);
    train_for(59000, 60000, 3);
    train_for(590000, 0, 3);
}

static void test_connection_is_closed_while_training(void **state)
{
    (void)state;
    train_for(20000, 10000, 4);
    train_for(610000, 0, 4); /* a box on the way may have forgotten it: it is not tried */
}

/* Connections to all three hubs serve round after round; what hubs give up between rounds is made
 * anew without a word: no attempt, no pause. */
static void rounds_in_a_row(unsigned idle_ms, unsigned connects)
{
    struct fake fake;
    struct mre_outcome outcome;
    fake_init(&fake, 3, 16);
    fake.idle_ms = idle_ms;
    struct mre_client *client = fake_client(&fake, MRE_TRANSPORT_UDP, fake.dir);
    for (unsigned round = 1; round <= 3; round++) {
        fake.announcement.round = round;
        fake.announcement.deadline_unix_ms += 60000;
        fake.model[fake.model_bytes - 1] ^= (uint8_t)round;
        fake_announce(&fake);
        assert_int_equal(mre_client_round(client, 1000, scene_train, NULL, &outcome),
                         MRE_COMMITTED);
        assert_int_equal(outcome.attempt, 0);
        receiver_fini(&fake.receiver); /* the lead is done with it */
        fake.receiving = false;
        fake.last_connection = 0;
        fake.now_us += 60000000;
    }
    assert_int_equal(fake.connects, connects);
    mre_client_close(client);
    fake_fini(&fake);
}

static void test_connections_last_from_round_to_round(void **state)
{
    (void)state;
    rounds_in_a_row(0, 3);
    rounds_in_a_row(30000, 9);
}

/* --- how a device hears that it is counted ---------------------------------------------------- */

static void test_committed_comes_as_an_ack(void **state)
{
    SCENE(s);
    s.fake.tells_committed = true;
    assert_int_equal(scene_play(&s, MRE_TRANSPORT_UDP, scene_train), MRE_COMMITTED);
    assert_int_equal(s.fake.statuses, 0);
    fake_fini(&s.fake);
}

/* A lost ACK costs a question, not the round. */
static void test_committed_is_asked_for(void **state)
{
    SCENE(s);
    assert_int_equal(scene_play(&s, MRE_TRANSPORT_UDP, scene_train), MRE_COMMITTED);
    assert_int_equal(s.fake.statuses, 1);
    fake_fini(&s.fake);
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
    assert_int_equal(mre_client_round(client, 1000, scene_train, NULL, &outcome), MRE_COMMITTED);
    assert_int_equal(outcome.attempt, 0);
    assert_int_equal(fake.seeds_posted, 2);
    assert_int_equal(fake.forget_uploads, 0);
    assert_int_equal(fake.grants, times + 1);
    assert_int_equal(fake.given_up, times); /* other keys, also where others share the connection */
    scene_check_sum(&fake, client);
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
    assert_int_equal(scene_play(&s, MRE_TRANSPORT_AUTO, scene_train), MRE_COMMITTED);
    assert_int_equal(s.outcome.attempt, 0);
    assert_int_equal(s.fake.seeds_posted, 2 + 4);
    fake_fini(&s.fake);
}

static void test_answers_to_shares_are_lost(void **state)
{
    SCENE(s);
    s.fake.break_puts = 1;
    assert_int_equal(scene_play(&s, MRE_TRANSPORT_HTTP2, scene_train), MRE_COMMITTED);
    assert_int_equal(s.outcome.attempt, 0);
    assert_int_equal(s.fake.puts, 1);
    fake_fini(&s.fake);
}

/* For ever and ever: the device gives up, after a bounded number of tries. */
static void test_lead_that_never_remembers(void **state)
{
    SCENE(s);
    s.fake.forget_uploads = 100000;
    assert_int_not_equal(scene_play(&s, MRE_TRANSPORT_HTTP2, scene_train), MRE_COMMITTED);
    assert_true(s.fake.grants < 400);
    fake_fini(&s.fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_grant_that_points_elsewhere),
        cmocka_unit_test(test_an_address_that_is_announced),
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_busy_is_waited_for),
        cmocka_unit_test(test_unreachable_for_a_while),
        cmocka_unit_test(test_lost_grant_makes_a_new_attempt),
        cmocka_unit_test(test_blocked_udp_falls_back_to_http2),
        cmocka_unit_test(test_blocked_udp_without_fallback_ends_with_the_round),
        cmocka_unit_test(test_attempt_numbers_survive_a_crash),
        cmocka_unit_test(test_model_that_is_cut_off),
        cmocka_unit_test(test_connection_rests_while_training),
        cmocka_unit_test(test_connection_is_closed_while_training),
        cmocka_unit_test(test_connections_last_from_round_to_round),
        cmocka_unit_test(test_committed_comes_as_an_ack),
        cmocka_unit_test(test_committed_is_asked_for),
        cmocka_unit_test(test_lead_forgets_the_upload),
        cmocka_unit_test(test_receipts_are_lost),
        cmocka_unit_test(test_answers_to_shares_are_lost),
        cmocka_unit_test(test_lead_that_never_remembers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
