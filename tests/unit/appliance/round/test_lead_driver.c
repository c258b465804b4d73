/* test_lead_driver.c - the lead at work in this process, its helper out of reach: what it opens,
 * what it takes up after a restart, and what it says when it cannot. */
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "appliance/round/drive/lead_driver.h"
#include "context.h"

static struct mr_lead_driver *run; /* of the running test */

static void end(struct room *room)
{
    mr_lead_driver_stop(run);
    room_drain(room);
    mr_lead_driver_close(run);
    run = NULL;
}

static int open_room(void **state)
{
    *state = room_open(0);
    run = NULL;
    return 0;
}

static int close_room(void **state)
{
    if (run) {
        end(*state);
    }
    room_close(*state);
    return 0;
}

static void changed(void *context)
{
    (void)context;
}

static const struct mr_lead_listener listener = {.changed = changed};

static void start(struct room *room)
{
    struct mr_error error = {.text = ""};
    if (mr_lead_driver_open(&run, &room->shared, &listener, &error) != 0) {
        fail_msg("%s", error.text);
    }
}

static void expect_no_start(struct room *room, const char *words)
{
    struct mr_error error = {.text = ""};
    struct mr_lead_driver *none;
    assert_int_equal(mr_lead_driver_open(&none, &room->shared, &listener, &error), -1);
    if (!strstr(error.text, words)) {
        fail_msg("'%s' lacks '%s'", error.text, words);
    }
    room_drain(room);
}

static enum mr_lead_state state_now(void)
{
    struct mr_lead_report report;
    mr_lead_report(mr_lead_driver_core(run), &report);
    return report.state;
}

/* … and that is durable. */
static bool is_void(void *context)
{
    struct mr_lead_report report;
    (void)context;
    mr_lead_report(mr_lead_driver_core(run), &report);
    const struct mr_round_summary *summary =
        mr_round_history_find(mr_lead_driver_history(run), report.round);
    return summary && strcmp(summary->state, "void") == 0;
}

static bool has_stopped(void *context)
{
    return ((struct room *)context)->fatals > 0;
}

/* --- what is asked of it --------------------------------------------------------------------- */

static enum mr_refusal_code begin(const struct mr_round_params *params, struct mr_refusal *refusal)
{
    uint64_t round = 0;
    const enum mr_refusal_code code = mr_lead_driver_begin(run, params, &round, refusal);
    if (code != MR_REFUSAL_NONE) {
        assert_string_not_equal(refusal->text, "");
    }
    return code;
}

static void test_wishes(void **state)
{
    struct room *room = *state;
    struct mr_round_params params, bad;
    struct mr_refusal refusal;
    static char training[] = "{\"epochs\": 2}";
    room->policy.training = training;
    start(room);
    mr_round_params_init(&params, &room->policy);
    assert_string_equal(params.training, training);
    bad = params;
    bad.cohort_min = 2;
    assert_int_equal(begin(&bad, &refusal), MR_REFUSAL_BELOW_COHORT_MINIMUM);
    bad = params;
    bad.weight_max = 0;
    assert_int_equal(begin(&bad, &refusal), MR_REFUSAL_BAD_REQUEST);
    bad = params;
    bad.cohort_max = 100000; /* more than the ring holds */
    assert_int_equal(begin(&bad, &refusal), MR_REFUSAL_BAD_REQUEST);
    bad = params;
    bad.deadline_ms = 604800001; /* seven days, as the configuration has it */
    assert_int_equal(begin(&bad, &refusal), MR_REFUSAL_BAD_REQUEST);
    assert_non_null(strstr(refusal.text, "deadline_ms"));
    static char weights[] = "..99";
    room->accept.weight_max = weights; /* its own rules hold for itself */
    assert_int_equal(begin(&params, &refusal), MR_REFUSAL_WRONG_ANNOUNCEMENT);
    assert_non_null(strstr(refusal.text, "weight_max 100 is not accepted here: 0 to 99 is"));
    room->accept.weight_max = NULL;
    bad = params;
    bad.quorum = 100000;
    assert_int_equal(begin(&bad, &refusal), MR_REFUSAL_BAD_REQUEST);
    assert_int_equal(state_now(), MR_LEAD_IDLE);
    /* Left out, cohort_max is what ring and weight lane hold. */
    params.weight_max = UINT32_MAX / 5;
    assert_int_equal(begin(&params, &refusal), MR_REFUSAL_NONE);
    assert_int_equal(mr_lead_terms(mr_lead_driver_core(run))->announcement.cohort_max, 5);
    assert_int_equal(begin(&params, &refusal), MR_REFUSAL_BUSY);
    room_run_until(room, is_void, NULL); /* nobody signs */
    assert_true(room_logged(room, "kind=other_hub reason=\"other_hub: hub 11 (hub-1), propose: "));
    params.weight_max = 1;
    assert_int_equal(begin(&params, &refusal), MR_REFUSAL_NONE);
    assert_int_equal(mr_lead_terms(mr_lead_driver_core(run))->announcement.cohort_max,
                     mr_quantiser_cohort_max(16, 127, 4));
    mr_lead_driver_stop(run); /* and once more below */
    assert_int_equal(begin(&params, &refusal), MR_REFUSAL_BUSY);
    assert_string_equal(refusal.text, "the hub is stopping");
    end(room);
    assert_int_equal(room->fatals, 0);
}

/* The current model was damaged since the start. */
static void test_no_model_no_round(void **state)
{
    struct room *room = *state;
    struct mr_round_params params;
    struct mr_refusal refusal;
    struct mr_error error;
    uint8_t none[MR_HASH_BYTES] = {1};
    start(room);
    mr_round_params_init(&params, &room->policy);
    mr_store_adopt(room->shared.store, none);
    assert_int_equal(begin(&params, &refusal), MR_REFUSAL_INTERNAL);
    assert_null(mr_store_borrow(room->shared.store, none, &error));
    assert_string_equal(refusal.text, error.text);
    assert_int_equal(state_now(), MR_LEAD_IDLE);
    end(room);
}

/* --- rounds by themselves -------------------------------------------------------------------- */

static const struct mr_round_summary *known(uint64_t round)
{
    return mr_round_history_find(mr_lead_driver_history(run), round);
}

static bool is_known(void *context)
{
    return known(*(const uint64_t *)context);
}

/* A void round is followed by the next, after a pause; also when a restart comes between. */
static void test_automatic(void **state)
{
    struct room *room = *state;
    uint64_t second = 2, third = 3;
    room->policy.automatic = true;
    start(room);
    room_run_until(room, is_known, &second);
    assert_string_equal(known(1)->state, "void");
    assert_true(known(1)->lead && known(1)->quorum == room->policy.quorum);
    assert_true(known(1)->ended_unix_ms && !known(1)->opened_unix_ms); /* never open */
    const uint64_t ended_unix_ms = known(1)->ended_unix_ms;
    assert_null(known(3));
    room_run_until(room, is_void, NULL);
    end(room);
    room_restart(room);
    start(room);
    assert_int_equal(state_now(), MR_LEAD_VOID);
    assert_string_equal(known(1)->state, "void"); /* from the store */
    assert_true(known(1)->lead && known(1)->quorum == room->policy.quorum);
    assert_true(known(1)->ended_unix_ms == ended_unix_ms && known(1)->reason[0]);
    room_run_until(room, is_known, &third);
    end(room);
}

/* Milliseconds of the pause after so many failures, as logged. */
static unsigned long pause_logged(struct room *room, unsigned failures)
{
    char words[80];
    snprintf(words, sizeof words, " info round.pause task=default failures=%u pause_ms=", failures);
    const char *at = room_log_at(room, words);
    return at ? strtoul(at + strlen(words), NULL, 10) : 0;
}

static bool has_paused(void *context)
{
    return pause_logged(context, 3) > 0;
}

/* A hub that does not answer will not answer the next round either. */
static void test_pauses_grow(void **state)
{
    struct room *room = *state;
    struct mr_metrics metrics;
    room->policy.automatic = true;
    start(room);
    room_run_until(room, has_paused, room);
    assert_in_range(pause_logged(room, 2), 1000, 2000);
    assert_in_range(pause_logged(room, 3), 2000, 4000);
    assert_true(room_logged(room, " warn round.void task=default round=1 kind=other_hub "));
    assert_true(room_logged(room, " info round.void task=default round=2 kind=other_hub "));
    assert_true(room_logged(room, " repeats=2\n"));
    mr_metrics_init(&metrics);
    mr_lead_driver_metrics(&run, 1, &metrics);
    const char *pause = strstr(metrics.text, "\nmillrace_round_pause_seconds{task=\"default\"} ");
    assert_non_null(pause);
    assert_true(strtod(strchr(pause, '}') + 1, NULL) >= 2);
    mr_metrics_fini(&metrics);
    mr_lead_driver_set_policy(run, &room->policy); /* an operator who has mended it need not wait */
    uint64_t fourth = 4;
    room_run_until(room, is_known, &fourth);
    end(room);
    assert_int_equal(pause_logged(room, 4), 0); /* and it begins anew */
}

/* A policy that is put in a driver's place holds from the next round on. */
static void test_another_policy(void **state)
{
    struct room *room = *state;
    struct mr_config_round policy = room->policy;
    uint64_t first = 1, second = 2;
    start(room);
    policy.automatic = true;
    policy.quorum++;
    mr_lead_driver_set_policy(run, &policy);
    room_run_until(room, is_known, &first);
    assert_int_equal(known(1)->quorum, policy.quorum);
    mr_lead_driver_set_policy(run, &room->policy); /* no more rounds by themselves */
    room_run_until(room, is_void, NULL);
    assert_null(known(second));
    mr_lead_driver_set_policy(run, &policy);
    room_run_until(room, is_known, &second);
    end(room);
}

static bool not_opened(void *context)
{
    return room_logged(context, "round.not_opened");
}

static void test_automatic_that_cannot_open(void **state)
{
    struct room *room = *state;
    room->policy.automatic = true;
    room->policy.cohort_max = 100000;
    start(room);
    room_run_until(room, not_opened, room);
    assert_int_equal(state_now(), MR_LEAD_IDLE);
    end(room);
}

/* --- starting -------------------------------------------------------------------------------- */

static void test_what_it_cannot_start_with(void **state)
{
    struct room *room = *state;
    assert_int_equal(mkdir(room_path(room, "commit-0"), 0700), 0);
    expect_no_start(room, "commit-0");
    assert_int_equal(rmdir(room_path(room, "commit-0")), 0);
    start(room);
    end(room);
}

/* A round that was signed, and no commit log of it: nothing of it will be released. */
static void test_lost_rounds(void **state)
{
    struct room *room = *state;
    struct mr_error error;
    const uint8_t hash[MR_HASH_BYTES] = {7};
    assert_int_equal(mr_store_write_signed(room->shared.store, 5, hash, &error), 0);
    room_restart(room);
    start(room);
    assert_true(room_logged(room, "round.lost task=default round=5 why=\"there is no commit log"));
    end(room);
    assert_int_equal(mr_store_write_signed(room->shared.store, 6, hash, &error), 0);
    assert_int_equal(
        mr_store_write_round(room->shared.store, 6, "{\"state\": \"void\"}", NULL, 0, &error), 0);
    room_restart(room);
    start(room);
    assert_false(room_logged(room, "round.lost task=default round=6")); /* it had ended */
    assert_int_equal(state_now(), MR_LEAD_IDLE);
    end(room);
}

/* Updated between two rounds: nothing is lost, nothing said. In a round it does not start: what it
 * called committed would be lost. */
static void test_logs_of_another_version(void **state)
{
    struct room *room = *state;
    struct mr_round_params params;
    struct mr_refusal refusal;
    start(room);
    mr_round_params_init(&params, &room->policy);
    assert_int_equal(begin(&params, &refusal), MR_REFUSAL_NONE);
    room_run_until(room, is_void, NULL);
    end(room);
    room_age(room, "commit-0");
    room_age(room, "commit-1");
    room_restart(room);
    start(room);
    assert_false(room_logged(room, "round.lost"));
    assert_int_equal(state_now(), MR_LEAD_IDLE);
    end(room);
    unlink(room_path(room, "rounds/1.json")); /* as if it had not ended */
    room_restart(room);
    expect_no_start(room, "round 1 has not ended, and commit-0 and commit-1");
    expect_no_start(room, "start that version again");
    unlink(room_path(room, "commit-0"));
    unlink(room_path(room, "commit-1"));
    room_restart(room);
    start(room);
    assert_true(room_logged(room, "round.lost task=default round=1 why=\"there is no commit log"));
    end(room);
}

/* The commit log is of a round, and signed-round of another, or of another hub's. */
static void test_logs_of_another_round(void **state)
{
    struct room *room = *state;
    struct mr_round_params params;
    struct mr_refusal refusal;
    struct mr_error error;
    const uint8_t hash[MR_HASH_BYTES] = {7};
    start(room);
    mr_round_params_init(&params, &room->policy);
    assert_int_equal(begin(&params, &refusal), MR_REFUSAL_NONE);
    room_run_until(room, is_void, NULL);
    end(room);
    unlink(room_path(room, "rounds/1.json")); /* as if it had not ended */
    room->shared.hub_index++;
    unlink(room_path(room, "transcript/000001.log")); /* it would name its hub */
    room_restart(room);
    start(room);
    assert_true(room_logged(room, "round.lost task=default round=1 why=\"hub 10 leads that round"));
    assert_int_equal(state_now(), MR_LEAD_IDLE);
    end(room);
    unlink(room_path(room, "transcript/000001.log"));
    room->shared.hub_index--;
    assert_int_equal(mr_store_write_signed(room->shared.store, 1, hash, &error), 0);
    room_restart(room);
    start(room);
    assert_true(room_logged(room, "round=1 why=\"the commit log is of another round"));
    end(room);
    assert_int_equal(mr_store_write_signed(room->shared.store, 2, hash, &error), 0);
    room_restart(room);
    start(room);
    assert_true(room_logged(room, "round=2 why=\"the commit log is of another round"));
    assert_int_equal(state_now(), MR_LEAD_IDLE);
    end(room);
}

/* A crash came between the next model and the round's record, and the round ends void: its model is
 * current no longer, nor the parent of the next. */
static void test_model_without_a_record(void **state)
{
    struct room *room = *state;
    struct mr_round_params params;
    struct mr_refusal refusal;
    struct mr_error error;
    const struct world *world = room->world;
    start(room);
    mr_round_params_init(&params, &room->policy);
    assert_int_equal(begin(&params, &refusal), MR_REFUSAL_NONE);
    room_run_until(room, is_void, NULL);
    end(room);
    unlink(room_path(room, "rounds/1.json"));
    uint8_t next[MR_HASH_BYTES];
    uint8_t *bytes = malloc(world->model_bytes);
    assert_non_null(bytes);
    memcpy(bytes, world->model, world->model_bytes);
    bytes[world->model_bytes - 1] ^= 1;
    SHA256(bytes, world->model_bytes, next);
    assert_int_equal(
        mr_store_write_model(room->shared.store, next, bytes, world->model_bytes, "{}", &error), 0);
    assert_int_equal(mr_store_write_current(room->shared.store, next, &error), 0);
    free(bytes);
    room_restart(room);
    assert_memory_equal(mr_store_current(room->shared.store), next, MR_HASH_BYTES);
    start(room);
    room_run_until(room, is_void, NULL);
    assert_memory_equal(mr_store_current(room->shared.store), world->model_hash, MR_HASH_BYTES);
    assert_int_equal(begin(&params, &refusal), MR_REFUSAL_NONE);
    assert_memory_equal(mr_lead_terms(mr_lead_driver_core(run))->announcement.model_hash,
                        world->model_hash, MR_HASH_BYTES);
    end(room);
    room_restart(room); /* and that is durable */
    assert_memory_equal(mr_store_current(room->shared.store), world->model_hash, MR_HASH_BYTES);
}

/* --- a disk that does not take it ------------------------------------------------------------ */

static void test_terms_that_are_not_durable(void **state)
{
    struct room *room = *state;
    struct mr_round_params params;
    struct mr_refusal refusal;
    start(room);
    assert_int_equal(mkdir(room_path(room, "commit-1"), 0700), 0); /* the first generation's */
    mr_round_params_init(&params, &room->policy);
    assert_int_equal(begin(&params, &refusal), MR_REFUSAL_NONE);
    room_run_until(room, has_stopped, room);
    assert_non_null(strstr(room->fatal, "cannot make the round's terms durable: commit-1"));
    assert_int_equal(state_now(), MR_LEAD_SIGNING); /* nothing was signed, nobody was asked */
    end(room);
    assert_int_equal(room->fatals, 1);
}

static void test_end_that_is_not_durable(void **state)
{
    struct room *room = *state;
    struct mr_round_params params;
    struct mr_refusal refusal;
    start(room);
    mr_round_params_init(&params, &room->policy);
    assert_int_equal(begin(&params, &refusal), MR_REFUSAL_NONE);
    assert_int_equal(mkdir(room_path(room, "rounds/1.json"), 0700), 0);
    room_run_until(room, has_stopped, room);
    assert_non_null(strstr(room->fatal, "cannot store the round's record"));
    end(room);
    assert_int_equal(room->fatals, 1);
    room_restart(room);
    expect_no_start(room, "1.json"); /* nor is it known whether the round has ended */
    assert_false(room_logged(room, "round.lost"));
}

static ino_t record_inode(struct room *room)
{
    struct stat found;
    assert_int_equal(stat(room_path(room, "rounds/1.json"), &found), 0);
    return found.st_ino;
}

/* What a restart reads of an end, a power loss may still undo: it is written once more, by another
 * file in its place, before anybody is told. */
static void test_end_is_written_anew(void **state)
{
    struct room *room = *state;
    struct mr_round_params params;
    struct mr_refusal refusal;
    start(room);
    mr_round_params_init(&params, &room->policy);
    assert_int_equal(begin(&params, &refusal), MR_REFUSAL_NONE);
    room_run_until(room, is_void, NULL);
    end(room);
    const ino_t before = record_inode(room);
    room_restart(room);
    start(room);
    assert_int_equal(state_now(), MR_LEAD_VOID);
    assert_true(record_inode(room) != before);
    end(room);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, open_room, close_room)
    const struct CMUnitTest tests[] = {
        T(test_wishes),
        T(test_no_model_no_round),
        T(test_automatic),
        T(test_pauses_grow),
        T(test_another_policy),
        T(test_automatic_that_cannot_open),
        T(test_what_it_cannot_start_with),
        T(test_lost_rounds),
        T(test_logs_of_another_version),
        T(test_logs_of_another_round),
        T(test_model_without_a_record),
        T(test_terms_that_are_not_durable),
        T(test_end_that_is_not_durable),
        T(test_end_is_written_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
