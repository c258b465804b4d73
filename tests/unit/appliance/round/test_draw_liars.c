/* Neither the lead nor any other hub chooses who is in a set that is drawn: what a helper refuses
 * of its lead, and a lead of its helpers. */
#include <stdlib.h>

#include "parties_drawing.h"

static const struct world_options *const drawing = &world_drawing;

/* --- what a helper refuses ------------------------------------------------------------------- */

/* Held at the list; what the lead asked is in world->held. */
static struct world *listed(void **state)
{
    struct world *world = drawing_begin(state, 12);
    world->hold[MR_PEER_DRAW] = true;
    world_advance(world, 1000);
    assert_int_equal(world_state(world, NULL), MR_LEAD_DRAWING);
    return world;
}

/* The lead's list for these devices, with the pledges of the list that it made. */
static size_t list_body(struct world *world, uint8_t *out, const unsigned *devices, uint32_t count)
{
    static uint8_t clients[WORLD_DEVICES][MR_CLIENT_ID_BYTES];
    struct mr_included sorted[WORLD_DEVICES];
    struct mr_draw_list made, list = {.count = count};
    struct mr_error error;
    assert_int_equal(
        mr_draw_list_decode(&made, world->held.body, world->held.length, &world->terms, &error), 0);
    memcpy(list.pledges, made.pledges, sizeof list.pledges);
    for (uint32_t i = 0; i < count; i++) {
        memcpy(sorted[i].client_id, world->devices[devices[i]].client_id, MR_CLIENT_ID_BYTES);
    }
    mr_included_sort(sorted, count);
    for (uint32_t i = 0; i < count; i++) {
        memcpy(clients[i], sorted[i].client_id, MR_CLIENT_ID_BYTES);
    }
    list.clients = (const uint8_t(*)[MR_CLIENT_ID_BYTES])clients;
    assert_int_equal(mr_draw_list_encode(out, &list, &world->terms, world->private_keys[0]), 0);
    return mr_draw_list_bytes(WORLD_HUBS, count);
}

static const unsigned ALL[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

static void test_lists_refused(void **state)
{
    struct world *world = listed(state);
    uint8_t body[1024];
    const size_t length = world->held.length;
    for (size_t i = 0; i < length; i++) { /* no byte of it can be another */
        memcpy(body, world->held.body, length);
        body[i] ^= 1;
        world_expect(world, MR_PEER_DRAW, body, length, MR_REFUSAL_BAD_DRAW);
    }
    world_expect(world, MR_PEER_DRAW, world->held.body, length - 1, MR_REFUSAL_BAD_DRAW);
    world_expect(world, MR_PEER_DRAW, world->held.body, 4, MR_REFUSAL_BAD_DRAW);
    world_expect(world, MR_PEER_DRAW, body, list_body(world, body, ALL, 13),
                 MR_REFUSAL_SET_NOT_ADMITTED);
    world_expect(world, MR_PEER_DRAW, body, list_body(world, body, ALL, 3),
                 MR_REFUSAL_BELOW_COHORT_MINIMUM);
    world_expect(world, MR_PEER_DRAW, world->held.body, length, MR_REFUSAL_NONE);
}

/* A pledge of this hub that it never gave, signed with its key: whoever stole that. */
static void test_own_pledge(void **state)
{
    struct world *world = listed(state);
    struct mr_draw_list list;
    struct mr_error error;
    const uint8_t value[MR_DRAW_VALUE_BYTES] = {9};
    uint8_t body[1024];
    assert_int_equal(
        mr_draw_list_decode(&list, world->held.body, world->held.length, &world->terms, &error), 0);
    assert_int_equal(mr_draw_pledge_make(&list.pledges[1], world->terms.hash, world->hubs[1].index,
                                         value, world->private_keys[1]),
                     0);
    assert_int_equal(mr_draw_list_encode(body, &list, &world->terms, world->private_keys[0]), 0);
    world_expect(world, MR_PEER_DRAW, body, world->held.length, MR_REFUSAL_BAD_DRAW);
}

/* Once a list is answered there is no other, also after a crash; the value stays the same. */
static void test_one_list(void **state)
{
    struct world *world = listed(state);
    struct reply first = {.done = false}, again = {.done = false};
    uint8_t other[1024];
    const size_t length = list_body(world, other, ALL, 11);
    world_ask(world, 1, MR_PEER_DRAW, world->held.body, world->held.length, &first);
    world_run(world);
    assert_int_equal(first.length, MR_DRAW_ANSWER_BYTES);
    world_expect(world, MR_PEER_DRAW, other, length, MR_REFUSAL_SET_CONFLICT);
    world_kill_helper(world, 1);
    world_run(world);
    world_expect(world, MR_PEER_DRAW, other, length, MR_REFUSAL_SET_CONFLICT);
    world_ask(world, 1, MR_PEER_DRAW, world->held.body, world->held.length, &again);
    world_run(world);
    assert_memory_equal(first.body, again.body, MR_DRAW_ANSWER_BYTES);
    reply_fini(&first);
    reply_fini(&again);
}

/* The value leaves when the list is on the disk, and not before. */
static void test_list_is_durable_first(void **state)
{
    struct world *world = listed(state);
    struct reply reply = {.done = false}, again = {.done = false};
    world->helpers[1].slow_disk = true;
    world_ask(world, 1, MR_PEER_DRAW, world->held.body, world->held.length, &reply);
    world_run(world);
    world_ask(world, 1, MR_PEER_DRAW, world->held.body, world->held.length, &again);
    world_run(world);
    assert_false(reply.done || again.done); /* asked twice, it waits as well */
    world_sync(world, 1);
    assert_true(reply.done && again.done);
    assert_int_equal(reply.code, MR_REFUSAL_NONE);
    reply_fini(&reply);
    reply_fini(&again);
}

/* A lead that lists its accomplices and one honest device. */
static void test_list_leaves_out(void **state)
{
    struct world *world = *state;
    const struct mr_helper_policy fair = {.cohort_min = 3,
                                          .share_percent = 50,
                                          .share_bytes_max = 1 << 20,
                                          .lead_grace_ms = WORLD_GRACE_MS,
                                          .deadline_ahead_ms = WORLD_AHEAD_MS};
    uint8_t body[1024];
    mr_helper_set_policy(world->helpers[1].core, &fair);
    (void)listed(state);
    world_expect(world, MR_PEER_DRAW, body, list_body(world, body, ALL, 5),
                 MR_REFUSAL_SET_LEAVES_OUT);
    world_expect(world, MR_PEER_DRAW, body, list_body(world, body, ALL, 6), MR_REFUSAL_NONE);
}

/* A freeze question as the lead would put it: the set, its commitment, every hub's value. */
static struct world *frozen(void **state, uint32_t *members)
{
    struct world *world = drawing_begin(state, 12);
    world_advance(world, 1000);
    *members = drawing_let_in(world, 12);
    world->hold[MR_PEER_FREEZE] = true;
    drawing_stage(world, *members);
    assert_int_equal(world_state(world, NULL), MR_LEAD_COMMITTING);
    return world;
}

static size_t freeze_body(struct world *world, uint8_t *out, uint32_t members)
{
    unsigned devices[WORLD_DEVICES], count = 0;
    const size_t values = WORLD_HUBS * (size_t)MR_DRAW_VALUE_BYTES;
    for (unsigned i = 0; i < WORLD_DEVICES; i++) {
        if (members >> i & 1) {
            devices[count++] = i;
        }
    }
    const size_t length = world_freeze_body(world, out, devices, count, 1);
    memcpy(out + length, world->held.body + world->held.length - values, values);
    return length + values;
}

static void test_sets_refused(void **state)
{
    uint32_t members;
    struct world *world = frozen(state, &members);
    uint8_t body[1024];
    const uint32_t in = members & -members, out = ~members & -~members;
    assert_true(out < 1u << 12);
    world_expect(world, MR_PEER_FREEZE, body, freeze_body(world, body, (members & ~in) | out),
                 MR_REFUSAL_SET_NOT_DRAWN);
    size_t length = freeze_body(world, body, members);
    for (unsigned hub = 0; hub < WORLD_HUBS; hub++) {
        body[length - 1 - (size_t)hub * MR_DRAW_VALUE_BYTES] ^= 1;
        world_expect(world, MR_PEER_FREEZE, body, length, MR_REFUSAL_BAD_DRAW);
        body[length - 1 - (size_t)hub * MR_DRAW_VALUE_BYTES] ^= 1;
    }
    world_expect(world, MR_PEER_FREEZE, body, length - MR_DRAW_VALUE_BYTES, MR_REFUSAL_BAD_REQUEST);
    length = freeze_body(world, body, members & ~in); /* one of them has dropped out */
    world_expect(world, MR_PEER_FREEZE, body, length, MR_REFUSAL_NONE);
}

/* A lead that skips the draw. */
static void test_no_list(void **state)
{
    struct world *world = drawing_begin(state, 12);
    uint8_t body[1024];
    unsigned devices[] = {0, 1, 2, 3, 4};
    const size_t length = world_freeze_body(world, body, devices, 5, 1);
    memset(body + length, 7, WORLD_HUBS * (size_t)MR_DRAW_VALUE_BYTES);
    world_expect(world, MR_PEER_FREEZE, body, length + WORLD_HUBS * (size_t)MR_DRAW_VALUE_BYTES,
                 MR_REFUSAL_SET_NOT_DRAWN);
    assert_int_equal(world->helpers[1].expansions, 0);
}

static void test_no_draw_asked_for(void **state)
{
    struct world *world = *state; /* a round whose set is not drawn */
    assert_int_equal(world_begin(world, NULL), MR_REFUSAL_NONE);
    world_expect(world, MR_PEER_DRAW, (const uint8_t *)"x", 1, MR_REFUSAL_WRONG_ROUND);
    world_fill(world, 6);
    drawing_expect_published(world, 6);
    assert_int_equal(world->asked[MR_PEER_DRAW], 0);
}

/* --- what a lead refuses --------------------------------------------------------------------- */

static void change_value(struct world *world, struct passage *passage)
{
    (void)world;
    if (passage->answer && passage->step == MR_PEER_DRAW && passage->peer == 2) {
        passage->body[5] ^= 1;
    }
}

static void test_another_value(void **state)
{
    struct world *world = drawing_begin(state, 12);
    world->tamper = change_value;
    world_advance(world, 1000);
    world_expect_void(world, MR_VOID_DRAW, "not the one that it pledged");
    struct mr_lead_report report;
    world_state(world, &report);
    assert_non_null(strstr(report.reason, "hub-2"));
}

static void drop_pledge(struct world *world, struct passage *passage)
{
    struct mr_peer_signature signature;
    struct mr_error error;
    (void)world;
    if (!passage->answer || passage->step != MR_PEER_PROPOSE || passage->peer != 2) {
        return;
    }
    assert_int_equal(
        mr_peer_signature_decode(&signature, (const char *)passage->body, passage->length, &error),
        0);
    assert_true(signature.pledged);
    signature.pledge.hash[0] ^= 1;
    free(passage->body);
    passage->body = (uint8_t *)mr_peer_signature_encode(&signature);
    passage->length = strlen((char *)passage->body);
}

static void test_no_pledge(void **state)
{
    struct world *world = *state;
    world->tamper = drop_pledge;
    assert_int_equal(world_begin(world, NULL), MR_REFUSAL_NONE);
    world_expect_void(world, MR_VOID_PEER, "has pledged no value");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_lists_refused, drawing),   WORLD_TEST(test_own_pledge, drawing),
        WORLD_TEST(test_one_list, drawing),        WORLD_TEST(test_list_is_durable_first, drawing),
        WORLD_TEST(test_list_leaves_out, drawing), WORLD_TEST(test_sets_refused, drawing),
        WORLD_TEST(test_no_list, drawing),         WORLD_TEST(test_no_draw_asked_for, &world_plain),
        WORLD_TEST(test_another_value, drawing),   WORLD_TEST(test_no_pledge, drawing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
