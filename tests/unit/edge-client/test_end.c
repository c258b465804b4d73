/* test_end.c - a device that was counted hears how its round ended: from the lead, or, where the
 * lead does not tell, from the next announcement. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/edge-client/scene.h"

#define MODEL "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct mr_round_end published = {.state = MR_ROUND_PUBLISHED, .model = MODEL};
static const struct mr_round_end gone = {.state = MR_ROUND_VOID, .reason = "below cohort minimum"};

/* A client that was counted in round 1. */
static struct mre_client *counted(struct fake *fake, const struct mr_round_end *end)
{
    struct mre_outcome outcome;
    fake_init(fake, 2, 16);
    fake->end = *end;
    struct mre_client *client = fake_client(fake, MRE_TRANSPORT_AUTO, NULL);
    assert_int_equal(mre_client_end(client, 1000, &outcome), MRE_NO_ROUND);
    assert_int_equal(mre_client_round(client, 1000, scene_train, NULL, &outcome), MRE_COMMITTED);
    assert_in_range(outcome.deadline_left_ms, 1, 60000);
    assert_int_equal(fake->ends, 0);
    return client;
}

static void finish(struct fake *fake, struct mre_client *client)
{
    mre_client_close(client);
    fake_fini(fake);
}

/* Another round, from another model or from round 1's own. */
static void announce(struct fake *fake, uint64_t round, bool other_model)
{
    fake->announcement.round = round;
    fake->unopened = other_model ? 0 : FAKE_ALL_HUBS;
    if (other_model) {
        fake->model[fake->model_bytes - 1] ^= 0x10;
    }
    fake_announce(fake);
}

static void test_published(void **state)
{
    struct fake fake;
    struct mre_outcome outcome;
    (void)state;
    struct mre_client *client = counted(&fake, &published);
    assert_int_equal(mre_client_end(client, 1000, &outcome), MRE_PUBLISHED);
    assert_int_equal(outcome.round, 1);
    assert_string_equal(outcome.model, MODEL);
    assert_non_null(strstr(outcome.text, MODEL));
    assert_int_equal(mre_client_end(client, 1000, &outcome), MRE_NO_ROUND); /* told once */
    assert_int_equal(fake.ends, 1);
    finish(&fake, client);
}

/* What the lead says of the whole update is told with the end, and nothing where it says nothing.
 */
static void test_what_rounding_cost(void **state)
{
    struct fake fake;
    struct mre_outcome outcome;
    struct mr_round_end lossy = published;
    (void)state;
    snprintf(lossy.warning, sizeof lossy.warning, "rounding cost the update about 12.9 %%");
    struct mre_client *client = counted(&fake, &lossy);
    assert_int_equal(mre_client_end(client, 1000, &outcome), MRE_PUBLISHED);
    assert_string_equal(outcome.warning, lossy.warning);
    finish(&fake, client);
    client = counted(&fake, &published);
    assert_int_equal(mre_client_end(client, 1000, &outcome), MRE_PUBLISHED);
    assert_string_equal(outcome.warning, "");
    finish(&fake, client);
}

static void test_void_after_committed(void **state)
{
    struct fake fake;
    struct mre_outcome outcome;
    (void)state;
    struct mre_client *client = counted(&fake, &gone);
    assert_int_equal(mre_client_end(client, 1000, &outcome), MRE_VOID);
    assert_non_null(strstr(outcome.text, gone.reason));
    assert_string_equal(outcome.model, "");
    finish(&fake, client);
}

/* The whole wait is used, also where the lead answers early, and not more. */
static void test_not_over_yet(void **state)
{
    struct fake fake;
    struct mre_outcome outcome;
    (void)state;
    struct mre_client *client = counted(&fake, &published);
    fake.end_polls = 3;
    const uint64_t before_us = fake.now_us;
    assert_int_equal(mre_client_end(client, 70000, &outcome), MRE_OK); /* a poll: 30 s at most */
    assert_in_range(fake.now_us - before_us, 70000000, 75000000);
    assert_int_equal(fake.ends, 3);
    assert_int_equal(mre_client_end(client, 0, &outcome), MRE_PUBLISHED);
    finish(&fake, client);
}

static void test_a_lead_that_is_away(void **state)
{
    struct fake fake;
    struct mre_outcome outcome;
    (void)state;
    struct mre_client *client = counted(&fake, &published);
    fake.break_ends = 1; /* the kept connection was stale: no news */
    assert_int_equal(mre_client_end(client, 1000, &outcome), MRE_PUBLISHED);
    finish(&fake, client);
    client = counted(&fake, &gone);
    fake.break_ends = 2;
    assert_int_equal(mre_client_end(client, 1000, &outcome), MRE_UNREACHABLE);
    assert_int_equal(mre_client_end(client, 1000, &outcome), MRE_VOID);
    finish(&fake, client);
}

/* A refusal is never taken for the round's end. */
static void test_a_lead_that_does_not_tell(void **state)
{
    static const char *const codes[] = {"void", "no_round", "already_counted", "not_found", "busy"};
    struct mre_outcome outcome;
    struct fake fake;
    (void)state;
    for (unsigned i = 0; i < sizeof codes / sizeof *codes; i++) {
        struct mre_client *client = counted(&fake, &published);
        fake.refuse_end = codes[i];
        assert_int_equal(mre_client_end(client, 1000, &outcome), MRE_REFUSED);
        assert_string_equal(outcome.code, codes[i]);
        finish(&fake, client);
    }
}

/* All hubs sign which model the next round starts from: the same one, and nothing came of this
 * round. Another one may be its work, or its operators' (task resume): the lead is asked. */
static void test_the_next_announcement_tells(void **state)
{
    struct mre_outcome outcome;
    struct fake fake;
    (void)state;
    for (unsigned other_model = 0; other_model < 2; other_model++) {
        struct mre_client *client = counted(&fake, &published);
        announce(&fake, 2, other_model);
        fake.refuse_grant = "closed"; /* this round's own end is of no interest */
        assert_int_equal(mre_client_round(client, 1000, scene_train, NULL, &outcome), MRE_CLOSED);
        assert_int_equal(mre_client_end(client, 0, &outcome),
                         other_model ? MRE_PUBLISHED : MRE_VOID);
        assert_int_equal(outcome.round, 1);
        assert_int_equal(fake.ends, other_model);
        finish(&fake, client);
    }
}

/* A model that a round in between may have made says nothing of this one: the lead is asked. */
static void test_a_later_announcement_may_not_tell(void **state)
{
    struct mre_outcome outcome;
    struct fake fake;
    (void)state;
    for (unsigned other_model = 0; other_model < 2; other_model++) {
        struct mre_client *client = counted(&fake, &gone);
        announce(&fake, 3, other_model);
        fake.refuse_grant = "closed";
        assert_int_equal(mre_client_round(client, 1000, scene_train, NULL, &outcome), MRE_CLOSED);
        assert_int_equal(mre_client_end(client, 0, &outcome), MRE_VOID);
        assert_int_equal(fake.ends, other_model);
        finish(&fake, client);
    }
}

/* Nor is it lost where the device is counted in the next round before anybody has asked. */
static void test_an_older_end_is_told_first(void **state)
{
    struct mre_outcome outcome;
    struct fake fake;
    (void)state;
    struct mre_client *client = counted(&fake, &published);
    announce(&fake, 2, false);
    assert_int_equal(mre_client_round(client, 1000, scene_train, NULL, &outcome), MRE_COMMITTED);
    assert_int_equal(mre_client_end(client, 1000, &outcome), MRE_VOID);
    assert_int_equal(outcome.round, 1);
    assert_int_equal(mre_client_end(client, 1000, &outcome), MRE_PUBLISHED);
    assert_int_equal(outcome.round, 2);
    assert_int_equal(mre_client_end(client, 1000, &outcome), MRE_NO_ROUND);
    finish(&fake, client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published),
        cmocka_unit_test(test_what_rounding_cost),
        cmocka_unit_test(test_void_after_committed),
        cmocka_unit_test(test_not_over_yet),
        cmocka_unit_test(test_a_lead_that_is_away),
        cmocka_unit_test(test_a_lead_that_does_not_tell),
        cmocka_unit_test(test_the_next_announcement_tells),
        cmocka_unit_test(test_a_later_announcement_may_not_tell),
        cmocka_unit_test(test_an_older_end_is_told_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
