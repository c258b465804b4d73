/* test_run.c - what `millrace-edge run` makes of the results of a client: when it waits and for how
 * long, and what it counts. The client is a list of outcomes; no time passes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include "edge-client/cli/cli.h"
#include "edge-client/session/outcome.h"

struct told {
    enum mre_result result;
    uint64_t round;
    uint32_t retry_after_ms;
    unsigned pause_ms; /* that is due after it, at least */
};

/* Of the end of the rounds. */
struct told_end {
    enum mre_result result;
    uint64_t round;
    uint32_t retry_after_ms;
};

static const struct told *script;
static const struct told_end *ends;
static unsigned end_wait_ms, ends_length, ends_asked;
static uint64_t end_waited_ms; /* in long polls that ended without news */
static unsigned script_length, asked;
static uint64_t slept_ms, due_ms;
static struct mre_options options;

/* --- the client, and the clock --------------------------------------------------------------- */

enum mre_result mre_config_load(struct mre_config **config, const char *path,
                                struct mre_outcome *outcome)
{
    *config = NULL;
    (void)path;
    (void)outcome;
    return MRE_OK;
}

struct mre_options *mre_config_options(struct mre_config *config)
{
    (void)config;
    return &options;
}

void mre_config_free(struct mre_config *config)
{
    (void)config;
}

enum mre_result mre_client_open(struct mre_client **client, const struct mre_options *given,
                                struct mre_outcome *outcome)
{
    *client = NULL;
    (void)given;
    (void)outcome;
    return MRE_OK;
}

void mre_client_close(struct mre_client *client)
{
    (void)client;
}

void mre_client_share(struct mre_client *client, struct mre_connections *connections)
{
    (void)client, (void)connections;
}

enum mre_result mre_client_round(struct mre_client *client, unsigned wait_ms, mre_train_fn train,
                                 void *context, struct mre_outcome *outcome)
{
    (void)client;
    (void)wait_ms;
    (void)train;
    (void)context;
    assert_true(slept_ms >= due_ms);
    assert_true(asked < script_length);
    const struct told *told = &script[asked++];
    *outcome = (struct mre_outcome){.round = told->round, .deadline_left_ms = 5000};
    mr_outcome_set(outcome, told->result, "as the test says");
    outcome->retry_after_ms = told->retry_after_ms;
    due_ms = slept_ms + told->pause_ms;
    return told->result;
}

enum mre_result mre_client_end(struct mre_client *client, unsigned wait_ms,
                               struct mre_outcome *outcome)
{
    (void)client;
    assert_true(ends_asked < ends_length);
    const struct told_end *told = &ends[ends_asked++];
    *outcome = (struct mre_outcome){.round = told->round};
    mr_outcome_set(outcome, told->result, "as the test says");
    outcome->retry_after_ms = told->retry_after_ms;
    end_waited_ms += told->result == MRE_OK ? wait_ms : 0;
    return told->result;
}

int nanosleep(const struct timespec *wanted, struct timespec *left)
{
    (void)left;
    slept_ms += (uint64_t)wanted->tv_sec * 1000 + (uint64_t)wanted->tv_nsec / 1000000;
    return 0;
}

/* --- runs ------------------------------------------------------------------------------------ */

static int run(const struct told *told, unsigned length, unsigned rounds, unsigned patience_ms)
{
    const struct mr_edge_arguments arguments = {.tasks = {{.config = "none", .trainer = "none"}},
                                                .task_count = 1,
                                                .rounds = rounds,
                                                .patience_ms = patience_ms,
                                                .end_wait_ms = end_wait_ms};
    options.task = "digits";
    script = told;
    script_length = length;
    asked = 0;
    slept_ms = due_ms = 0;
    return mr_edge_run(&arguments);
}

/* Two rounds are asked for, and two are had, however often a question was refused between them. */
static void test_refusals_without_a_round(void **state)
{
    static const struct told told[] = {{MRE_REFUSED, 0, 7000, 7000}, {MRE_REFUSED, 0, 0, 200},
                                       {MRE_CLOSED, 0, 1, 200},      {MRE_VOID, 0, 0, 200},
                                       {MRE_COMMITTED, 1, 0, 0},     {MRE_NO_ROUND, 0, 0, 0},
                                       {MRE_REFUSED, 0, 300, 300},   {MRE_COMMITTED, 2, 0, 0}};
    const unsigned length = sizeof told / sizeof *told;
    (void)state;
    assert_int_equal(run(told, length, 2, 0), MR_EDGE_EXIT_OK);
    assert_int_equal(asked, length);
}

/* A round that refused this device is over for it. */
static void test_refusals_in_a_round(void **state)
{
    static const struct told told[] = {
        {MRE_REFUSED, 1, 500, 0}, {MRE_UNREACHABLE, 2, 0, 200}, {MRE_CLOSED, 2, 0, 0}};
    (void)state;
    assert_int_equal(run(told, 3, 2, 0), MR_EDGE_EXIT_NOT_COUNTED);
    assert_int_equal(asked, 3);
    assert_int_equal(slept_ms, 200);
}

static void test_pauses_grow(void **state)
{
    static const struct told told[] = {{MRE_REFUSED, 0, 0, 200},  {MRE_REFUSED, 0, 0, 400},
                                       {MRE_REFUSED, 0, 0, 800},  {MRE_REFUSED, 0, 0, 1600},
                                       {MRE_REFUSED, 0, 0, 3200}, {MRE_REFUSED, 0, 0, 5000},
                                       {MRE_REFUSED, 0, 0, 5000}, {MRE_COMMITTED, 1, 0, 0}};
    (void)state;
    assert_int_equal(run(told, 8, 1, 0), MR_EDGE_EXIT_OK);
    assert_int_equal(slept_ms, 16200);
}

static void test_patience_ends(void **state)
{
    static const struct told told[] = {
        {MRE_REFUSED, 0, 0, 200}, {MRE_REFUSED, 0, 0, 400}, {MRE_REFUSED, 0, 0, 0}};
    (void)state;
    assert_int_equal(run(told, 3, 1, 600), MR_EDGE_EXIT_NOT_COUNTED);
    assert_int_equal(asked, 3);
}

/* A hub cannot silence a device for weeks. */
static void test_absurd_retry_after(void **state)
{
    static const struct told told[] = {{MRE_REFUSED, 0, UINT32_MAX, 300000},
                                       {MRE_COMMITTED, 1, 0, 0}};
    (void)state;
    assert_int_equal(run(told, 2, 1, 0), MR_EDGE_EXIT_OK);
    assert_int_equal(slept_ms, 300000);
}

/* A captive portal: what it shows is no hub's certificate, and in a while it is gone. Also in the
 * middle of a round. Rarely asked: each try is a handshake. */
static void test_a_foreign_certificate_is_waited_out(void **state)
{
    static const struct told told[] = {
        {MRE_CERTIFICATE_REFUSED, 0, 0, 200},   {MRE_CERTIFICATE_REFUSED, 0, 0, 400},
        {MRE_CERTIFICATE_REFUSED, 0, 0, 800},   {MRE_CERTIFICATE_REFUSED, 0, 0, 1600},
        {MRE_CERTIFICATE_REFUSED, 0, 0, 3200},  {MRE_CERTIFICATE_REFUSED, 0, 0, 6400},
        {MRE_CERTIFICATE_REFUSED, 0, 0, 12800}, {MRE_CERTIFICATE_REFUSED, 0, 0, 25600},
        {MRE_CERTIFICATE_REFUSED, 0, 0, 51200}, {MRE_CERTIFICATE_REFUSED, 0, 0, 60000},
        {MRE_CERTIFICATE_REFUSED, 0, 0, 60000}, {MRE_NO_ROUND, 0, 0, 0},
        {MRE_CERTIFICATE_REFUSED, 1, 0, 200},   {MRE_COMMITTED, 1, 0, 0}};
    const unsigned length = sizeof told / sizeof *told;
    (void)state;
    assert_int_equal(run(told, length, 1, 0), MR_EDGE_EXIT_OK);
    assert_int_equal(asked, length);
    assert_int_equal(run(told, 3, 1, 600),
                     MR_EDGE_EXIT_CERTIFICATE); /* as long as patience lasts */
}

/* What no waiting mends. */
static void test_what_ends_the_command(void **state)
{
    static const struct {
        struct told told;
        int code;
    } ends_it[] = {{{MRE_BAD_CONFIG, 0, 0, 0}, MR_EDGE_EXIT_CONFIG},
                   {{MRE_BAD_CONFIG, 1, 0, 0}, MR_EDGE_EXIT_CONFIG},
                   {{MRE_FAILED, 0, 0, 0}, MR_EDGE_EXIT_FAILED},
                   {{MRE_FAILED, 1, 0, 0}, MR_EDGE_EXIT_FAILED},
                   {{MRE_UNTRUSTED_ANNOUNCEMENT, 0, 0, 0}, MR_EDGE_EXIT_UNTRUSTED}};
    (void)state;
    for (unsigned i = 0; i < sizeof ends_it / sizeof *ends_it; i++) {
        assert_int_equal(run(&ends_it[i].told, 1, 2, 0), ends_it[i].code);
    }
}

/* Without --rounds an announcement of others is waited out, too. */
static void test_endless_waits_for_the_pinned_hubs(void **state)
{
    static const struct told told[] = {{MRE_UNTRUSTED_ANNOUNCEMENT, 0, 0, 200},
                                       {MRE_UNTRUSTED_ANNOUNCEMENT, 0, 0, 400},
                                       {MRE_COMMITTED, 1, 0, 0},
                                       {MRE_FAILED, 0, 0, 0}};
    (void)state;
    assert_int_equal(run(told, 4, 0, 0), MR_EDGE_EXIT_FAILED);
}

/* --- the end of a round ---------------------------------------------------------------------- */

static int run_to_end(const struct told_end *told, unsigned length, unsigned wait_ms,
                      const struct told *rounds, unsigned count)
{
    ends = told;
    ends_length = length;
    ends_asked = 0;
    end_waited_ms = 0;
    end_wait_ms = wait_ms;
    const int code = run(rounds, count, count, 60000);
    end_wait_ms = 0;
    assert_int_equal(ends_asked, length);
    return code;
}

static const struct told committed = {MRE_COMMITTED, 1, 0, 0};

static void test_the_exit_code_is_the_rounds_end(void **state)
{
    static const struct told_end published = {MRE_PUBLISHED, 1, 0}, gone = {MRE_VOID, 1, 0};
    static const struct told counted = {MRE_ALREADY_COUNTED, 1, 0, 0};
    (void)state;
    assert_int_equal(run_to_end(&published, 1, 1000, &committed, 1), MR_EDGE_EXIT_OK);
    assert_int_equal(run_to_end(&gone, 1, 1000, &committed, 1), MR_EDGE_EXIT_NOT_COUNTED);
    assert_int_equal(run_to_end(&gone, 1, 1000, &counted, 1), MR_EDGE_EXIT_NOT_COUNTED);
    assert_int_equal(run_to_end(NULL, 0, 0, &committed, 1), MR_EDGE_EXIT_OK); /* not asked for */
}

/* Up to the deadline, 5 s from then, and the time allowed after it. */
static void test_the_wait_for_the_end_is_bounded(void **state)
{
    static const struct told_end never[] = {{MRE_OK, 1, 0}, {MRE_OK, 1, 0}, {MRE_OK, 1, 0}};
    (void)state;
    assert_int_equal(run_to_end(never, 3, 50000, &committed, 1), MR_EDGE_EXIT_END_UNKNOWN);
    assert_int_equal(end_waited_ms, 55000);
}

static void test_a_lead_away_at_the_end(void **state)
{
    static const struct told_end back[] = {{MRE_UNREACHABLE, 1, 0},
                                           {MRE_UNREACHABLE, 1, 0},
                                           {MRE_REFUSED, 1, 3000},
                                           {MRE_PUBLISHED, 1, 0}};
    static const struct told_end forgets = {MRE_REFUSED, 1, 0};
    (void)state;
    assert_int_equal(run_to_end(back, 4, 60000, &committed, 1), MR_EDGE_EXIT_OK);
    assert_int_equal(slept_ms, 200 + 400 + 3000);
    assert_int_equal(run_to_end(&forgets, 1, 60000, &committed, 1), MR_EDGE_EXIT_END_UNKNOWN);
}

/* What the lead did not tell in time, the next announcement tells. */
static void test_an_end_that_comes_late(void **state)
{
    static const struct told_end late[] = {
        {MRE_REFUSED, 1, 0}, {MRE_VOID, 1, 0}, {MRE_PUBLISHED, 2, 0}};
    static const struct told rounds[] = {{MRE_COMMITTED, 1, 0, 0}, {MRE_COMMITTED, 2, 0, 0}};
    (void)state;
    assert_int_equal(run_to_end(late, 3, 1000, rounds, 2), MR_EDGE_EXIT_NOT_COUNTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals_without_a_round),
        cmocka_unit_test(test_refusals_in_a_round),
        cmocka_unit_test(test_pauses_grow),
        cmocka_unit_test(test_patience_ends),
        cmocka_unit_test(test_absurd_retry_after),
        cmocka_unit_test(test_a_foreign_certificate_is_waited_out),
        cmocka_unit_test(test_what_ends_the_command),
        cmocka_unit_test(test_endless_waits_for_the_pinned_hubs),
        cmocka_unit_test(test_the_exit_code_is_the_rounds_end),
        cmocka_unit_test(test_the_wait_for_the_end_is_bounded),
        cmocka_unit_test(test_a_lead_away_at_the_end),
        cmocka_unit_test(test_an_end_that_comes_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
