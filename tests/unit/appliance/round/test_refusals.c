/* test_refusals.c - what a lead or a helper turns away for what its own configuration, plane or
 * journal says, and answers of other hubs that are not theirs. */
#include <stdlib.h>

#include "base/secret.h"
#include "parties_internal.h"

/* --- the lead -------------------------------------------------------------------------------- */

static void test_rounds_of_another_lead(void **state)
{
    (void)state;
    struct world *world = world_open(&world_plain);
    struct mr_refusal refusal;
    const struct mr_announced_hub first = world->announcement.hubs[0];
    world->announcement.hubs[0] = world->announcement.hubs[1];
    world->announcement.hubs[1] = first;
    assert_int_equal(world_begin(world, &refusal), MR_REFUSAL_BAD_REQUEST);
    assert_non_null(strstr(refusal.text, "hub 11 leads these rounds, this is hub 10"));
    assert_int_equal(world_state(world, NULL), MR_LEAD_IDLE);
    assert_null(mr_lead_terms(world->lead));
    world_close(world);
}

static int refuse_plane(void *context, const struct mr_round_terms *terms, struct mr_error *error)
{
    (void)context, (void)terms;
    return mr_error_set(error, "shares are too large for its slots");
}

static struct world *world_without_plane(void)
{
    static struct mr_lead_ops ops;
    struct world_options options = world_plain;
    ops = world_lead_ops;
    ops.plane_begin = refuse_plane;
    options.lead_ops = &ops;
    return world_open(&options);
}

/* Signed by all, and yet no device ever hears of it; every hub hears that it is over. */
static void test_plane_that_refuses(void **state)
{
    (void)state;
    struct world *world = world_without_plane();
    size_t length;
    world_begin(world, NULL);
    world_expect_void(world, MR_VOID_PLANE, "shares are too large for its slots");
    assert_null(mr_lead_envelope(world->lead, &length));
    for (unsigned i = 1; i < 3; i++) {
        assert_int_equal(world_helper_state(world, i), MR_HELPER_VOID);
    }
    world_close(world);
}

/* The plane took the round before the crash, and does not take it any more. */
static void test_plane_that_refuses_after_a_restart(void **state)
{
    (void)state;
    struct world *world = world_open(&world_plain);
    world_begin(world, NULL);
    world_join(world, 0, 0);
    world_stage(world, 0);
    world_advance(world, 1000);
    assert_int_equal(world_state(world, NULL), MR_LEAD_OPEN);
    struct world *other = world_without_plane(); /* the same keys, model and terms */
    other->log = malloc(world->log_bytes);
    assert_non_null(other->log);
    memcpy(other->log, world->log, world->log_bytes);
    other->log_bytes = world->log_bytes;
    world_kill_lead(other);
    world_run(other);
    world_expect_void(other, MR_VOID_PLANE, "shares are too large for its slots");
    world_close(other);
    world_close(world);
}

/* --- answers of other hubs ------------------------------------------------------------------- */

static void garbled_model(struct world *world, struct passage *passage)
{
    (void)world;
    if (passage->answer && passage->step == MR_PEER_REVEAL && passage->peer == 2) {
        passage->body[0] = '[';
    }
}

static void model_of_another(struct world *world, struct passage *passage)
{
    struct mr_peer_model model;
    struct mr_error error;
    (void)world;
    if (passage->answer && passage->step == MR_PEER_REVEAL && passage->peer == 2) {
        assert_int_equal(
            mr_peer_model_decode(&model, (char *)passage->body, passage->length, &error), 0);
        model.hub_index--;
        free(passage->body);
        passage->body = (uint8_t *)mr_peer_model_encode(&model);
        passage->length = strlen((char *)passage->body);
    }
}

static void test_models_that_are_not_attested(void **state)
{
    static const struct {
        tamper_fn tamper;
        const char *word;
    } cases[] = {
        {garbled_model, "hub 12 (hub-2), reveal"},
        {model_of_another, "bad model attestation: not signed by that hub"},
    };
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct world *world = world_open(&world_plain);
        world->tamper = cases[i].tamper;
        world_begin(world, NULL);
        world_fill(world, 6);
        world_advance(world, 2000);
        world_expect_void(world, MR_VOID_PEER, cases[i].word);
        world_close(world);
    }
}

/* Of no question that is open: another round, another step, no helper, and one that answered. */
static void test_answers_to_nothing(void **state)
{
    (void)state;
    struct world *world = world_open(&world_plain);
    world->hold[MR_PEER_PROPOSE] = true;
    world_begin(world, NULL);
    const uint64_t round = world->terms.announcement.round;
    const struct mr_peer_answer answers[] = {
        {.round = round + 1, .peer = 1, .step = MR_PEER_PROPOSE, .status = 409},
        {.round = round, .peer = 1, .step = MR_PEER_FREEZE, .status = 409},
        {.round = round, .peer = 0, .step = MR_PEER_PROPOSE, .status = 409},
        {.round = round, .peer = 3, .step = MR_PEER_PROPOSE, .status = 409},
    };
    for (unsigned i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        mr_lead_peer_answered(world->lead, &answers[i], world->now_ms);
        assert_int_equal(world_state(world, NULL), MR_LEAD_PROPOSED);
    }
    struct mr_peer_answer away = {.round = round, .peer = 1, .step = MR_PEER_PROPOSE};
    mr_lead_peer_answered(world->lead, &away, world->now_ms); /* asked again a little later */
    away.status = 409;
    mr_lead_peer_answered(world->lead, &away, world->now_ms); /* not asked again yet */
    assert_int_equal(world_state(world, NULL), MR_LEAD_PROPOSED);
    away.peer = 2;
    mr_lead_peer_answered(world->lead, &away, world->now_ms); /* a refusal without a body */
    world_run(world);
    world_expect_void(world, MR_VOID_PEER, "hub 12 (hub-2), propose: refused with status 409");
    world_close(world);
}

/* Whom the lead waits for and why, while it does. */
static void test_whom_it_waits_for(void **state)
{
    (void)state;
    struct world *world = world_open(&world_plain);
    struct mr_lead_report report;
    const uint64_t round = world->terms.announcement.round;
    world->hold[MR_PEER_PROPOSE] = true;
    mr_lead_report(world->lead, &report);
    assert_string_equal(report.waits_for, "");
    world_begin(world, NULL);
    mr_lead_report(world->lead, &report);
    assert_string_equal(report.waits_for, "hub 11 (hub-1), propose");
    const struct mr_peer_answer away = {
        .round = round, .peer = 1, .step = MR_PEER_PROPOSE, .text = "connection \"refused\""};
    mr_lead_peer_answered(world->lead, &away, world->now_ms);
    mr_lead_report(world->lead, &report);
    assert_string_equal(report.waits_for,
                        "hub 11 (hub-1), propose: connection 'refused' (it is asked again)");
    const struct mr_peer_answer refused = {
        .round = round, .peer = 2, .step = MR_PEER_PROPOSE, .status = 409};
    mr_lead_peer_answered(world->lead, &refused, world->now_ms);
    mr_lead_report(world->lead, &report);
    assert_string_equal(report.waits_for, "");
    world_run(world);
    world_close(world);
}

/* A certificate is not mended within a step's time; later steps wait, as there is more to lose. */
static void test_unacceptable_certificates(void **state)
{
    (void)state;
    for (unsigned unacceptable = 0; unacceptable < 2; unacceptable++) {
        struct world *world = world_open(&world_plain);
        world->hold[MR_PEER_PROPOSE] = true;
        world_begin(world, NULL);
        const struct mr_peer_answer answer = {.round = world->terms.announcement.round,
                                              .peer = 1,
                                              .step = MR_PEER_PROPOSE,
                                              .text = "its certificate is of another CA",
                                              .unacceptable = unacceptable};
        mr_lead_peer_answered(world->lead, &answer, world->now_ms);
        assert_int_equal(world_state(world, NULL), unacceptable ? MR_LEAD_VOID : MR_LEAD_PROPOSED);
        if (unacceptable) {
            world_run(world);
            world_expect_void(world, MR_VOID_PEER,
                              "hub 11 (hub-1), propose: its certificate is of another CA");
        }
        world_close(world);
    }
}

/* A link that does not even say why, until the step's time is up. */
static void test_silent_links(void **state)
{
    (void)state;
    struct world *world = world_open(&world_plain);
    const uint64_t round = world->terms.announcement.round;
    world->hold[MR_PEER_PROPOSE] = true;
    world_begin(world, NULL);
    for (unsigned i = 0; i < 100 && world_state(world, NULL) == MR_LEAD_PROPOSED; i++) {
        const struct mr_peer_answer away = {
            .round = round, .peer = 1, .step = MR_PEER_PROPOSE, .text = i % 2 ? NULL : ""};
        mr_lead_peer_answered(world->lead, &away, world->now_ms);
        world_advance(world, 100);
    }
    world_expect_void(world, MR_VOID_PEER, "hub 11 (hub-1), propose: busy");
    world_close(world);
}

/* --- a helper -------------------------------------------------------------------------------- */

static struct mr_helper *helper_with(struct world *world, const struct mr_helper_config *config)
{
    struct world_helper *helper = &world->helpers[1];
    mr_helper_free(helper->core);
    helper->life++;
    helper->asked = 0;
    helper->core = mr_helper_new(config, &world_helper_ops, helper);
    assert_non_null(helper->core);
    return helper->core;
}

/* As the world's own, for a test to change. */
static struct mr_helper_config config_of(const struct world *world)
{
    return (struct mr_helper_config){.task = "default",
                                     .index = world->hubs[1].index,
                                     .private_key = world->private_keys[1],
                                     .hubs = world->hubs,
                                     .hubs_count = 3,
                                     .policy = {.cohort_min = 4, .share_bytes_max = 1 << 20}};
}

static void expect_refusal(struct world *world, const struct mr_helper_config *config,
                           enum mr_refusal_code code, const char *word)
{
    uint8_t body[MR_PROPOSAL_MAX];
    struct reply reply = {.done = false};
    helper_with(world, config);
    const size_t length = world_proposal(world, &world->announcement, body);
    world_ask(world, 1, MR_PEER_PROPOSE, body, length, &reply);
    assert_true(reply.done);
    assert_int_equal(reply.code, code);
    if (!strstr(reply.text, word)) {
        fail_msg("'%s' lacks '%s'", reply.text, word);
    }
    assert_int_equal(world->helpers[1].saves, 0); /* nothing signed */
}

static void test_rounds_that_are_not_for_it(void **state)
{
    (void)state;
    struct world *world = world_open(&world_plain);
    struct mr_helper_config config = config_of(world);
    config.policy.share_bytes_max = world->terms.layout.share_bytes - 1;
    expect_refusal(world, &config, MR_REFUSAL_WRONG_ANNOUNCEMENT, "share_bytes_max");
    config = config_of(world);
    config.index = 99;
    expect_refusal(world, &config, MR_REFUSAL_WRONG_ANNOUNCEMENT, "hub 99 is no helper");
    config = config_of(world);
    config.task = "wake-word";
    expect_refusal(world, &config, MR_REFUSAL_WRONG_ANNOUNCEMENT,
                   "of task default, this is task wake-word");
    world_close(world);
}

/* A journal whose round this hub, as it is configured now, would not have signed: not taken up, and
 * nothing of it is known. */
static void test_journals_that_are_not_for_it(void **state)
{
    (void)state;
    struct world *world = world_open(&world_plain);
    struct mr_announced_hub others[3];
    struct mr_error error = {.text = ""};
    struct mr_journal_read read;
    world->hold[MR_PEER_OPEN] = true;
    world_begin(world, NULL);
    world_fill(world, 6);
    world_advance(world, 2000);
    const struct world_helper *helper = &world->helpers[1];
    assert_int_equal(mr_journal_state_parse(&read, helper->journal, helper->snapshot_bytes, &error),
                     0);
    memcpy(others, world->hubs, sizeof others);
    others[2].public_key[0] ^= 1;
    struct mr_helper_config configs[4] = {config_of(world), config_of(world), config_of(world),
                                          config_of(world)};
    configs[0].hubs = others;
    configs[1].index = 99;
    configs[2].policy.cohort_min = 7;
    configs[3].task = "wake-word";
    static const char *const words[4] = {"hub", "hub 99 is no helper of that round",
                                         "its set has 6 devices, this hub's cohort_min is 7",
                                         "a round of task default, not of wake-word"};
    for (unsigned i = 0; i < 4; i++) {
        struct mr_helper *core = helper_with(world, &configs[i]);
        assert_int_equal(mr_helper_recover(core, &read, &error), 1);
        if (!strstr(error.text, words[i])) {
            fail_msg("'%s' lacks '%s'", error.text, words[i]);
        }
        assert_null(mr_helper_terms(core));
        assert_int_equal(world_helper_state(world, 1), MR_HELPER_IDLE);
    }
    mr_journal_read_fini(&read);
    world_close(world);
}

static void keep_list(void *context, const struct mr_round_terms *terms, struct mr_expansion *list,
                      uint32_t count)
{
    (void)context, (void)terms, (void)count;
    mr_secret_free(list); /* and no result yet */
}

/* The lead gives up while the set is expanded: the result that comes then is dropped, and so is one
 * that could not be had. */
static void test_results_that_come_too_late(void **state)
{
    (void)state;
    static struct mr_helper_ops ops;
    struct world_options options = world_plain;
    const unsigned devices[] = {0, 1, 2, 3};
    uint8_t body[4096];
    ops = world_helper_ops;
    ops.expand = keep_list;
    options.helper_ops = &ops;
    struct world *world = world_open(&options);
    world_begin(world, NULL);
    world_fill(world, 4);
    const size_t length = world_freeze_body(world, body, devices, 4, 1);
    for (unsigned i = 1; i < 3; i++) {
        struct mr_helper *core = world->helpers[i].core;
        struct reply freeze = {.done = false}, over = {.done = false};
        struct mr_helper_report report;
        world_ask(world, i, MR_PEER_FREEZE, body, length, &freeze);
        world_run(world);
        assert_int_equal(world_helper_state(world, i), MR_HELPER_EXPANDING);
        world_ask(world, i, MR_PEER_VOID, NULL, 0, &over);
        world_run(world);
        assert_true(over.done && freeze.done);
        assert_int_equal(freeze.code, MR_REFUSAL_VOID);
        mr_helper_expanded(core,
                           i == 1 ? calloc(1, (size_t)world->terms.layout.share_bytes) : NULL);
        mr_helper_report(core, &report);
        assert_int_equal(report.state, MR_HELPER_VOID);
        assert_int_equal(report.included, 0); /* nothing of the set is left */
        reply_fini(&over);
        world_ask(world, i, MR_PEER_FREEZE, body, length, &over);
        assert_int_equal(over.code, MR_REFUSAL_VOID);
        reply_fini(&over);
    }
    world_close(world);
}

/* The same question as often as one likes, but not without end; and commitments that do not fit. */
static void test_too_many_who_wait(void **state)
{
    (void)state;
    struct world *world = world_open(&world_plain);
    struct reply replies[64] = {{.done = false}};
    uint8_t body[4096];
    const unsigned devices[] = {0, 1, 2, 3};
    unsigned busy = 0;
    world_begin(world, NULL);
    world_fill(world, 4);
    world->helpers[1].slow_disk = true;
    const size_t length = world_freeze_body(world, body, devices, 4, 1);
    for (unsigned i = 0; i < 64; i++) {
        world_ask(world, 1, MR_PEER_FREEZE, body, length, &replies[i]);
        busy += replies[i].done;
        assert_int_equal(replies[i].code, replies[i].done ? MR_REFUSAL_BUSY : 0);
    }
    assert_true(busy > 0 && busy < 64);
    world->helpers[1].slow_disk = false;
    world_sync(world, 1);
    for (unsigned i = 0; i < 64; i++) {
        assert_true(replies[i].done);
        reply_fini(&replies[i]);
    }
    assert_int_equal(world_helper_state(world, 1), MR_HELPER_COMMITTED);
    /* One hub too few, and one too many as it says. */
    struct reply reply = {.done = false};
    memset(body, 0, sizeof body);
    body[0] = 3;
    world_ask(world, 1, MR_PEER_OPEN, body, 1 + 2 * MR_COMMITMENT_BYTES, &reply);
    assert_int_equal(reply.code, MR_REFUSAL_BAD_COMMITMENT);
    reply_fini(&reply);
    body[0] = 4;
    world_ask(world, 1, MR_PEER_OPEN, body, 1 + 3 * MR_COMMITMENT_BYTES, &reply);
    assert_int_equal(reply.code, MR_REFUSAL_BAD_COMMITMENT);
    assert_int_equal(world_helper_state(world, 1), MR_HELPER_COMMITTED);
    reply_fini(&reply);
    world_close(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rounds_of_another_lead),
        cmocka_unit_test(test_plane_that_refuses),
        cmocka_unit_test(test_plane_that_refuses_after_a_restart),
        cmocka_unit_test(test_models_that_are_not_attested),
        cmocka_unit_test(test_answers_to_nothing),
        cmocka_unit_test(test_whom_it_waits_for),
        cmocka_unit_test(test_unacceptable_certificates),
        cmocka_unit_test(test_silent_links),
        cmocka_unit_test(test_rounds_that_are_not_for_it),
        cmocka_unit_test(test_journals_that_are_not_for_it),
        cmocka_unit_test(test_results_that_come_too_late),
        cmocka_unit_test(test_too_many_who_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
