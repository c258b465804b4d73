/* test_terms.c - what a helper says of a lead's terms that are not its own, and which it refuses.
 */
#include <string.h>

#include "appliance/round/drive/accept_terms.h"
#include "appliance/round/drive/private_terms.h"
#include "played_lead.h"

/* The lead's terms are signed, whatever this hub would ask for; but its operator is told, once. */
static void test_terms_that_differ(void **state)
{
    struct played *played = *state;
    struct room *room = played->room;
    struct reply reply;
    room->policy.weight_max = 7;
    room->policy.clip_norm = 0.25f;
    room->policy.training = "{\"epochs\": 1}";
    played_start(played);
    played_admit(played);
    assert_int_equal(room_times_logged(room, "helper.terms task=default round=7 differ=\""), 1);
    assert_true(room_logged(room, "weight_max 100 (here 7), clip_norm 100 (here 0.25), training "));
    assert_false(room_logged(room, "scale "));
    played_ask_same(played, MR_PEER_PROPOSE, &reply); /* the same terms again */
    played_expect(&reply, MR_REFUSAL_NONE);
    reply_fini(&reply);
    assert_int_equal(room_times_logged(room, "helper.terms"), 1);
    played_end(played);
}

/* What this hub's operator does not accept is refused by name, and nothing is signed. */
static void test_terms_that_are_not_accepted(void **state)
{
    struct played *played = *state;
    struct room *room = played->room;
    struct reply reply;
    static char most[] = "..50", clip[] = "0.5..1000", rule[] = "rule", any[] = "any";
    const struct {
        char **option;
        char *value;
        const char *words;
    } rows[] = {
        {&room->accept.clip_norm, most, "clip_norm 100 is not accepted here: 0 to 50 is"},
        {&room->accept.clip_norm, clip, NULL},
        {&room->accept.scale, rule, "scale 500 is not accepted here: about "},
        {&room->accept.scale, any, NULL},
        {&room->accept.step_max, rule, "step_max 1000000 is not accepted here: at most "},
    };
    played_start(played);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        *rows[i].option = rows[i].value;
        if (rows[i].words) {
            played_ask_same(played, MR_PEER_PROPOSE, &reply);
            played_expect(&reply, MR_REFUSAL_WRONG_ANNOUNCEMENT);
            assert_non_null(strstr(reply.text, rows[i].words));
            reply_fini(&reply);
        }
        assert_int_equal(played_state(played), MR_HELPER_IDLE);
    }
    room->accept.step_max = any;
    played_ask_same(played, MR_PEER_PROPOSE, &reply);
    played_expect(&reply, MR_REFUSAL_NONE);
    reply_fini(&reply);
    played_end(played);
}

/* A lead that counts on the noise of more devices than this hub's operator takes for honest. */
static void test_honest_devices(void **state)
{
    char device[] = "device";
    struct mr_config_privacy privacy = {.noise = device, .epsilon = 8, .delta = 1e-6};
    struct mr_config_round round = {.colluders = 3};
    const struct mr_private_policy policy = {&privacy, &round};
    struct mr_announcement terms = {.noise_kind = MR_NOISE_DEVICE,
                                    .cohort_min = 10,
                                    .task = "digits",
                                    .privacy = {.honest = 8, .budget = 1, .pool = "digits"}};
    struct mr_refusal refusal;
    (void)state;
    assert_false(mr_private_terms_hold(&terms, &policy, &refusal));
    assert_non_null(strstr(refusal.text, "colluders leave of cohort_min"));
    terms.privacy.honest = 7;
    assert_true(mr_private_terms_hold(&terms, &policy, &refusal));
    terms.noise_kind = MR_NOISE_HUB;
    assert_false(mr_private_terms_hold(&terms, &policy, &refusal));
}

/* Drawn rounds in a row that made no model: they end with one that has, or is not counted. */
static void test_draw_voids(void **state)
{
    struct played *played = *state;
    struct mr_announcement terms = played->room->world->announcement;
    struct mr_round_summary list[MR_ROUND_HISTORY_MAX] = {{.round = 0}};
    struct mr_round_history history = {.list = list};
    struct mr_config_accept accept = {.draw_voids = 2};
    struct mr_refusal refusal;
    const struct mr_accept_question question = {.accept = &accept,
                                                .announcement = &terms,
                                                .left_ms = UINT64_MAX,
                                                .own = &played->room->policy,
                                                .history = &history};
    terms.cohort_max = 8;
    terms.admitted_max = 16;
    mr_round_history_current(&history, 1)->drawn = true;
    mr_round_history_current(&history, 2); /* it did not come to a draw */
    assert_true(mr_accept_terms(&question, &refusal));
    mr_round_history_current(&history, 3)->drawn = true;
    assert_int_equal(mr_round_history_draw_voids(&history), 2);
    assert_false(mr_accept_terms(&question, &refusal));
    assert_int_equal(refusal.code, MR_REFUSAL_WRONG_ANNOUNCEMENT);
    assert_non_null(strstr(refusal.text, "the last 2 rounds whose set was drawn made no model"));
    terms.admitted_max = 0; /* a round whose set is not drawn */
    assert_true(mr_accept_terms(&question, &refusal));
    terms.admitted_max = 16;
    accept.draw_voids = 0;
    assert_true(mr_accept_terms(&question, &refusal));
    accept.draw_voids = 2;
    mr_round_history_current(&history, 4)->has_metrics = true;
    mr_round_history_current(&history, 5)->drawn = true;
    assert_int_equal(mr_round_history_draw_voids(&history), 1);
    assert_true(mr_accept_terms(&question, &refusal));
}

/* A lead that chose how far models step alone could make two of them hardly differ. */
static void test_another_server_optimiser(void **state)
{
    struct played *played = *state;
    struct mr_config_round *policy = &played->room->policy;
    struct reply reply;
    static char adam[] = "fedadam", four[] = "4";
    static const struct {
        char *name;
        float rate;
        char *requantise;
    } rows[] = {{NULL, 0.5f, NULL}, {NULL, 1.0000001f, NULL}, {adam, 1, NULL}, {NULL, 1, four}};
    played_start(played);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        policy->server_optimiser = rows[i].name;
        policy->server_learning_rate = rows[i].rate;
        policy->requantise = rows[i].requantise;
        policy->server_beta1 = 0.9f;
        policy->server_beta2 = 0.99f;
        policy->server_tau = 1e-3f;
        played_ask_same(played, MR_PEER_PROPOSE, &reply);
        played_expect(&reply, MR_REFUSAL_WRONG_ANNOUNCEMENT);
        assert_non_null(strstr(reply.text, "the server optimiser is fedavg, rate 1,"));
        reply_fini(&reply);
        assert_int_equal(played_state(played), MR_HELPER_IDLE);
    }
    policy->server_optimiser = NULL;
    policy->requantise = NULL;
    policy->server_learning_rate = 1;
    played_ask_same(played, MR_PEER_PROPOSE, &reply);
    played_expect(&reply, MR_REFUSAL_NONE);
    reply_fini(&reply);
    played_end(played);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, played_setup, played_teardown)
    const struct CMUnitTest tests[] = {
        T(test_terms_that_differ),        T(test_terms_that_are_not_accepted),   T(test_draw_voids),
        T(test_another_server_optimiser), cmocka_unit_test(test_honest_devices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
