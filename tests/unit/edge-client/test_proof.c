/* test_proof.c - a device in a round with audit_hours asks every hub for its proof, and names the
 * hub whose proof does not hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/edge-client/scene.h"
#include "tests/unit/wire/pair.h"

#define MODEL "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define HUBS  3

static const struct mr_round_end published = {.state = MR_ROUND_PUBLISHED, .model = MODEL};

/* Counted in a round, whose end it hears. */
static void play(struct fake *fake, enum mre_transport transport, uint16_t hours,
                 bool (*forge)(struct fake *, unsigned, struct mr_audit_proof *),
                 struct mre_outcome *outcome)
{
    fake_init(fake, HUBS, 16);
    fake->announcement.audit_hours = hours;
    fake_announce(fake);
    fake->end = published;
    fake->forge_proof = forge;
    struct mre_client *client = fake_client(fake, transport, NULL);
    assert_int_equal(mre_client_round(client, 1000, scene_train, NULL, outcome), MRE_COMMITTED);
    assert_int_equal(mre_client_end(client, 1000, outcome), MRE_PUBLISHED);
    mre_client_close(client);
}

static void test_all_prove(void **state)
{
    (void)state;
    const enum mre_transport transports[] = {MRE_TRANSPORT_UDP, MRE_TRANSPORT_HTTP2};
    for (unsigned i = 0; i < 2; i++) {
        struct fake fake;
        struct mre_outcome outcome;
        play(&fake, transports[i], 24, NULL, &outcome);
        assert_string_equal(outcome.warning, "");
        assert_non_null(strstr(outcome.text, "all 3 hubs prove that they counted this device"));
        assert_int_equal(fake.proofs, HUBS);
        fake_fini(&fake);
    }
}

static void test_no_hours(void **state)
{
    (void)state;
    struct fake fake;
    struct mre_outcome outcome;
    play(&fake, MRE_TRANSPORT_UDP, 0, NULL, &outcome);
    assert_int_equal(fake.proofs, 0);
    assert_null(strstr(outcome.text, "prove"));
    fake_fini(&fake);
}

/* --- lies ------------------------------------------------------------------------------------ */

static unsigned liar; /* the hub at that position */

static void sign_other_root(struct fake *fake, struct mr_audit_proof *proof, unsigned hub)
{
    struct mr_commitment *commitment = &proof->commitments[hub];
    commitment->root[0] ^= 1;
    assert_int_equal(
        mr_commitment_sign(commitment, fake->terms.hash, PAIR_OF(fake->private_keys[hub])), 0);
}

static bool gives_none(struct fake *fake, unsigned hub, struct mr_audit_proof *proof)
{
    (void)fake, (void)proof;
    return hub == liar;
}

/* It signed a tree without the device, and all hubs know that tree. */
static bool left_out(struct fake *fake, unsigned hub, struct mr_audit_proof *proof)
{
    (void)hub;
    sign_other_root(fake, proof, liar);
    return false;
}

static bool forged_path(struct fake *fake, unsigned hub, struct mr_audit_proof *proof)
{
    (void)fake;
    proof->path[1][31] ^= hub == liar;
    return false;
}

static bool unsigned_root(struct fake *fake, unsigned hub, struct mr_audit_proof *proof)
{
    (void)fake;
    proof->commitments[hub].root[0] ^= hub == liar;
    return false;
}

/* The device sees a tree with itself, the other hubs were given another. */
static bool two_commitments(struct fake *fake, unsigned hub, struct mr_audit_proof *proof)
{
    if (hub != liar) {
        sign_other_root(fake, proof, liar);
    }
    return false;
}

static bool speaks_for_another(struct fake *fake, unsigned hub, struct mr_audit_proof *proof)
{
    (void)fake;
    proof->hub_index ^= hub == liar;
    return false;
}

static void test_each_lie_is_named(void **state)
{
    (void)state;
    static const struct {
        bool (*forge)(struct fake *, unsigned, struct mr_audit_proof *);
        const char *text;
    } lies[] = {
        {gives_none, "gives no proof that it counted this device"},
        {left_out, "does not prove that it counted what this device sent: what this device sent is "
                   "not in the tree"},
        {forged_path, "does not prove"},
        {unsigned_root, "does not prove"},
        {two_commitments, "signed two commitments"},
        {speaks_for_another, "answers in its place"},
    };
    for (unsigned i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        for (liar = 0; liar < HUBS; liar++) {
            struct fake fake;
            struct mre_outcome outcome;
            char who[20];
            play(&fake, MRE_TRANSPORT_UDP, 24, lies[i].forge, &outcome);
            snprintf(who, sizeof who, "hub %u (", 4 + liar);
            if (!strstr(outcome.warning, lies[i].text) ||
                strncmp(outcome.warning, who, strlen(who)) != 0) {
                fail_msg("lie %u of hub %u: \"%s\"", i, 4 + liar, outcome.warning);
            }
            assert_null(strstr(outcome.text, "prove"));
            fake_fini(&fake);
        }
    }
}

/* An attempt of which the device does not know how it ended was the one that counts. */
static void test_an_earlier_attempt(void **state)
{
    (void)state;
    struct fake fake;
    struct mre_outcome outcome;
    fake_init(&fake, HUBS, 16);
    fake.announcement.audit_hours = 1;
    fake_announce(&fake);
    fake.end = published;
    struct mre_client *client = fake_client(&fake, MRE_TRANSPORT_UDP, NULL);
    assert_int_equal(mre_client_round(client, 1000, scene_train, NULL, &outcome), MRE_COMMITTED);
    /* As if the last word were of a later attempt. */
    struct mr_proof_notes *notes = &client->notes;
    assert_true(notes->attempts[0].known);
    notes->attempts[1] = notes->attempts[0];
    notes->attempts[1].counted[0][0] ^= 1;
    assert_int_equal(mre_client_end(client, 1000, &outcome), MRE_PUBLISHED);
    assert_non_null(strstr(outcome.text, "all 3 hubs prove"));
    mre_client_close(client);
    fake_fini(&fake);
}

/* After the loss of its memory, and with what it kept of the ledger, a device cannot know what was
 * counted before: it accuses nobody. Who forges what is signed is named all the same. */
static void test_an_attempt_of_another_process(void **state)
{
    (void)state;
    for (unsigned forged = 0; forged < 2; forged++) {
        struct fake fake;
        struct mre_outcome outcome;
        fake_init(&fake, HUBS, 16);
        fake.announcement.audit_hours = 1;
        fake_announce(&fake);
        fake.end = published;
        liar = 1;
        fake.forge_proof = forged ? unsigned_root : NULL;
        struct mre_client *client = fake_client(&fake, MRE_TRANSPORT_UDP, NULL);
        assert_int_equal(mre_client_round(client, 1000, scene_train, NULL, &outcome),
                         MRE_COMMITTED);
        struct mr_proof_notes *notes = &client->notes;
        notes->first = 1; /* as if a process after the one that was counted */
        notes->attempts[1] = notes->attempts[0];
        notes->attempts[1].counted[0][0] ^= 1;
        notes->attempts[0].known = false;
        assert_int_equal(mre_client_end(client, 1000, &outcome), MRE_PUBLISHED);
        assert_null(strstr(outcome.text, "hubs prove"));
        if (forged) {
            assert_non_null(strstr(outcome.warning, "not signed by that"));
        } else {
            assert_string_equal(outcome.warning, "");
            assert_non_null(strstr(outcome.text, "could not be checked"));
        }
        mre_client_close(client);
        fake_fini(&fake);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_prove),
        cmocka_unit_test(test_no_hours),
        cmocka_unit_test(test_each_lie_is_named),
        cmocka_unit_test(test_an_earlier_attempt),
        cmocka_unit_test(test_an_attempt_of_another_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
