/* test_busy.c - a device and hubs that have no time for it just now, or are far away: it comes back
 * when it was asked to, waits for what moves, and loses nothing by it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/edge-client/scene.h"

static const char *const codes[] = {"busy", "rate_limited"};
#define CODES (sizeof codes / sizeof *codes)

static enum mre_result play(struct fake *fake, enum mre_transport transport,
                            struct mre_outcome *outcome)
{
    struct mre_client *client = fake_client(fake, transport, NULL);
    const enum mre_result result = mre_client_round(client, 1000, scene_train, NULL, outcome);
    mre_client_close(client);
    return result;
}

/* One attempt with its seeds is enough, and no hub was asked too early. */
static void check_patient(struct fake *fake, enum mre_transport transport)
{
    struct mre_outcome outcome;
    assert_int_equal(play(fake, transport, &outcome), MRE_COMMITTED);
    assert_int_equal(outcome.attempt, 0);
    assert_int_equal(fake->seeds_posted, 2);
    assert_int_equal(fake->grants, 1);
    assert_int_equal(fake->busy + fake->busy_seeds + fake->busy_puts + fake->busy_statuses, 0);
    assert_int_equal(fake->impatient, 0);
    assert_int_equal(outcome.retry_after_ms, 0);
    assert_string_equal(outcome.code, "");
    fake_fini(fake);
}

/* A hub that is busy three times with the one thing that `offset` counts in a struct fake. */
static void check_busy_with(size_t offset, enum mre_transport transport)
{
    for (size_t i = 0; i < CODES; i++) {
        struct fake fake;
        const unsigned times = 3;
        fake_init(&fake, 3, 16);
        fake.busy_code = codes[i];
        memcpy((uint8_t *)&fake + offset, &times, sizeof times);
        check_patient(&fake, transport);
    }
}

static void test_grant(void **state)
{
    (void)state;
    check_busy_with(offsetof(struct fake, busy), MRE_TRANSPORT_AUTO);
}

static void test_seeds(void **state)
{
    (void)state;
    check_busy_with(offsetof(struct fake, busy_seeds), MRE_TRANSPORT_AUTO);
}

static void test_whole_share(void **state)
{
    (void)state;
    check_busy_with(offsetof(struct fake, busy_puts), MRE_TRANSPORT_HTTP2);
}

/* The share is with the lead, perhaps in the sum already: a lead that does not say so now has not
 * refused it. */
static void test_status_of_what_was_sent(void **state)
{
    (void)state;
    check_busy_with(offsetof(struct fake, busy_statuses), MRE_TRANSPORT_UDP);
    check_busy_with(offsetof(struct fake, busy_statuses), MRE_TRANSPORT_HTTP2);
}

/* For ever: the device gives up after the deadline and the lead's grace, whatever it was asked. */
static void test_status_never_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < CODES; i++) {
        struct fake fake;
        struct mre_outcome outcome;
        fake_init(&fake, 3, 16);
        fake.busy_code = codes[i];
        fake.busy_statuses = UINT32_MAX;
        fake.busy_ms = i ? UINT32_MAX : 0;
        assert_int_equal(play(&fake, MRE_TRANSPORT_HTTP2, &outcome), MRE_REFUSED);
        assert_string_equal(outcome.code, codes[i]);
        assert_int_equal(fake.grants, 1);
        assert_true(fake.statuses >= 2 && fake.statuses < 500);
        assert_true(fake.now_us < 5000000 + 80000000);
        fake_fini(&fake);
    }
}

/* No hub silences a device until the deadline. */
static void test_absurd_pause(void **state)
{
    struct fake fake;
    struct mre_outcome outcome;
    (void)state;
    fake_init(&fake, 3, 16);
    fake.announcement.deadline_unix_ms = fake.unix_start_ms + 3600000;
    fake_announce(&fake);
    fake.busy_code = codes[0];
    fake.busy = 1;
    fake.busy_ms = UINT32_MAX;
    const uint64_t began_us = fake.now_us;
    assert_int_equal(play(&fake, MRE_TRANSPORT_AUTO, &outcome), MRE_COMMITTED);
    assert_true(fake.now_us - began_us >= UINT64_C(300000000));
    assert_true(fake.now_us - began_us < UINT64_C(330000000));
    fake_fini(&fake);
}

/* No round was announced, so none has ended: the same client gets it when it asks again. */
static void test_announcement(void **state)
{
    static const struct {
        const char *code;
        enum mre_result result;
    } cases[] = {{"busy", MRE_REFUSED},
                 {"rate_limited", MRE_REFUSED},
                 {"not_found", MRE_REFUSED},
                 {"no_round", MRE_CLOSED}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fake fake;
        struct mre_outcome outcome;
        fake_init(&fake, 3, 16);
        fake.busy_code = cases[i].code;
        fake.busy_currents = 1;
        struct mre_client *client = fake_client(&fake, MRE_TRANSPORT_AUTO, NULL);
        assert_int_equal(mre_client_round(client, 1000, scene_train, NULL, &outcome),
                         cases[i].result);
        assert_int_equal(outcome.round, 0);
        assert_int_equal(outcome.retry_after_ms, 700);
        assert_string_equal(outcome.code, cases[i].code);
        assert_int_equal(mre_client_round(client, 1000, scene_train, NULL, &outcome),
                         MRE_COMMITTED);
        assert_int_equal(outcome.round, 1);
        mre_client_close(client);
        fake_fini(&fake);
    }
}

/* The large ones have the rest of the round, and no longer. */
static void test_large_bodies_have_time(void **state)
{
    struct fake fake;
    struct mre_outcome outcome;
    (void)state;
    fake_init(&fake, 3, 16);
    fake.announcement.deadline_unix_ms = fake.unix_start_ms + 600000;
    fake_announce(&fake);
    assert_int_equal(play(&fake, MRE_TRANSPORT_HTTP2, &outcome), MRE_COMMITTED);
    assert_true(fake.models_whole_ms > 590000 && fake.models_whole_ms <= 600000);
    assert_true(fake.puts_whole_ms > 590000 && fake.puts_whole_ms <= 600000);
    assert_int_equal(fake.others_extended, 0);
    fake_fini(&fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grant),
        cmocka_unit_test(test_seeds),
        cmocka_unit_test(test_whole_share),
        cmocka_unit_test(test_status_of_what_was_sent),
        cmocka_unit_test(test_status_never_told),
        cmocka_unit_test(test_absurd_pause),
        cmocka_unit_test(test_announcement),
        cmocka_unit_test(test_large_bodies_have_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
