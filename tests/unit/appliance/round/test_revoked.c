/* test_revoked.c - certificates that are taken back in the middle of a round, by hubs that were
 * killed since the device came, and by hubs that were not. */
#include <string.h>

#include "appliance/round/lead/commit_state.h"
#include "appliance/round/drive/helper_journal.h"
#include "appliance/round/drive/lead_log.h"
#include "parties.h"

#define DEVICES 6
#define LEAD    1u /* bits of list_at */
#define HELPER  2u /* the first */

static const struct world_options plain = {.ring_bits = 16,
                                           .dimension = 100,
                                           .hubs = 3,
                                           .cohort_min = 4,
                                           .quorum = DEVICES,
                                           .deadline_ms = 600000};

/* All but the last are committed. */
static void begin(struct world *world)
{
    world_begin(world, NULL);
    world_fill(world, DEVICES - 1);
    world_advance(world, 1000);
    for (unsigned i = 0; i < DEVICES - 1; i++) {
        assert_int_equal(world_status(world, i, world->devices[i].upload_id).state,
                         MR_UPLOAD_COMMITTED);
    }
}

static void close_round(struct world *world)
{
    world_join(world, DEVICES - 1, 0);
    world_stage(world, DEVICES - 1);
    world_advance(world, 1000);
}

static void expect_void(struct world *world, enum mr_void_kind kind, const char *why)
{
    struct mr_lead_report report;
    assert_int_equal(world_state(world, &report), MR_LEAD_VOID);
    assert_int_equal(report.void_kind, kind);
    if (!strstr(report.reason, why)) {
        fail_msg("void because of '%s', not of '%s'", report.reason, why);
    }
    assert_int_equal(world->reveals, 0);
}

static void lead_knows(struct world *world, bool killed)
{
    begin(world);
    if (killed) {
        world_kill_lead(world);
        world_run(world);
    }
    world->taken_back = 1u << 3;
    world->list_at = LEAD;
    close_round(world);
    expect_void(world, MR_VOID_REVOKED, "revoked after");
}

static void test_the_lead(void **state)
{
    lead_knows(*state, false);
}

static void test_the_lead_after_a_crash(void **state)
{
    lead_knows(*state, true);
}

static void helper_knows(struct world *world, bool killed)
{
    begin(world);
    if (killed) {
        world_kill_helper(world, 1);
        world_run(world);
        world_kill_helper(world, 1); /* what the first life wrote anew says it too */
        world_run(world);
    }
    world->taken_back = 1u << 2;
    world->list_at = HELPER;
    close_round(world);
    expect_void(world, MR_VOID_REVOKED, "revoked: entry");
}

static void test_a_helper(void **state)
{
    helper_knows(*state, false);
}

static void test_a_helper_after_a_crash(void **state)
{
    helper_knows(*state, true);
}

/* A device that left nothing in the set hinders nobody. */
static void test_outside_the_set(void **state)
{
    struct world *world = *state;
    struct mr_lead_report report;
    begin(world);
    world_join(world, DEVICES, 0);
    world_kill_lead(world); /* forgets the upload that was under way */
    world_run(world);
    world->taken_back = 1u << DEVICES;
    world->list_at = LEAD | HELPER;
    mr_lead_revocation(world->lead);
    world_run(world);
    close_round(world);
    assert_int_equal(world_state(world, &report), MR_LEAD_PUBLISHED);
    assert_int_equal(report.included, DEVICES);
    world_check_sum(world, (1u << DEVICES) - 1, world->revealed.sum);
}

/* A seed goes by the certificate that it came with, also when it is sent again with a newer one. */
static void test_a_renewed_certificate(void **state)
{
    struct world *world = *state;
    begin(world);
    struct mr_upload_request request;
    world->devices[1].serial.bytes[MR_SERIAL_BYTES - 1] = WORLD_DEVICES;
    world_receipts(world, 1, 0, &request);
    world->taken_back = 1u << 1;
    world->list_at = HELPER;
    close_round(world);
    expect_void(world, MR_VOID_REVOKED, "revoked: entry");
}

/* Files of the version before name certificates by a number alone. */
static void test_logs_with_bare_numbers(void **state)
{
    struct world *world = *state;
    struct mr_journal_content journal;
    struct mr_error error;
    uint64_t generation;
    uint8_t file[200] = "MRJOURN3";
    const uint8_t log[200] = "MRCOMMT4", *content;
    size_t content_length;
    begin(world);
    assert_int_equal(mr_commit_log_parse(log, sizeof log, &mr_lead_log_form, &generation, &content,
                                         &content_length, &error),
                     -1);
    assert_non_null(strstr(error.text, "end the round before"));
    assert_int_equal(
        mr_journal_parse(&journal, &generation, file, sizeof file, world->private_keys[1], &error),
        1);
    assert_non_null(strstr(error.text, "end the round before"));
}

int main(void)
{
#define T(name) WORLD_TEST(name, &plain)
    const struct CMUnitTest tests[] = {
        T(test_the_lead),
        T(test_the_lead_after_a_crash),
        T(test_a_helper),
        T(test_a_helper_after_a_crash),
        T(test_outside_the_set),
        T(test_a_renewed_certificate),
        T(test_logs_with_bare_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
