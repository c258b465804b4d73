/* Lies about a draw, as the hubs' transcripts show them. */
#include <stdlib.h>
#include <string.h>

#include "played_rounds.h"
#include "wire/draw.h"

#define LISTED 8
#define PLACES 5

static const uint8_t parent[MR_HASH_BYTES] = {9};

/* What the lead listed, and what every hub said, as one hub has it on record. */
static void list(const struct played *played, struct view *view, uint8_t first_client)
{
    static uint8_t clients[LISTED][MR_CLIENT_ID_BYTES];
    struct mr_draw_list made = {.clients = (const uint8_t(*)[MR_CLIENT_ID_BYTES])clients,
                                .count = LISTED};
    for (uint8_t i = 0; i < LISTED; i++) {
        clients[i][0] = (uint8_t)(first_client + i);
    }
    for (uint16_t i = 0; i < HUBS; i++) {
        memset(view->values[i], 40 + i, sizeof view->values[i]);
        assert_int_equal(mr_draw_pledge_make(&made.pledges[i], view->terms.hash, i, view->values[i],
                                             played->keys[i].private_key),
                         0);
    }
    view->list_bytes = mr_draw_list_bytes(HUBS, LISTED);
    assert_int_equal(
        mr_draw_list_encode(view->list, &made, &view->terms, played->keys[0].private_key), 0);
    view->has_values = true;
}

/* The set is who was drawn. */
static void take_drawn(const struct played *played, struct view *view)
{
    struct mr_draw_list taken;
    struct mr_error error;
    uint8_t drawn[LISTED];
    assert_int_equal(
        mr_draw_list_decode(&taken, view->list, view->list_bytes, &view->terms, &error), 0);
    assert_int_equal(
        mr_draw(drawn, &taken, (const uint8_t(*)[MR_DRAW_VALUE_BYTES])view->values, HUBS, PLACES),
        0);
    view->set_count = 0;
    for (uint32_t i = 0; i < LISTED; i++) {
        if (drawn[i]) {
            struct mr_included *entry = &view->set[view->set_count++];
            *entry = (struct mr_included){.attempt = 0};
            memcpy(entry->client_id, taken.clients[i], MR_CLIENT_ID_BYTES);
        }
    }
    view_sign(played, view);
}

/* A client that is listed and was not drawn. */
static uint8_t not_drawn(const struct view *view)
{
    for (uint8_t i = 0; i < LISTED; i++) {
        bool in = false;
        for (uint32_t j = 0; j < view->set_count; j++) {
            in = in || view->set[j].client_id[0] == i;
        }
        if (!in) {
            return i;
        }
    }
    fail_msg("all are drawn");
    return 0;
}

static void honest(struct played *played, struct round *round)
{
    (void)played;
    (void)round;
}

/* Everybody agrees on it. */
static void other_set(struct played *played, struct round *round)
{
    const uint8_t other = not_drawn(&round->views[0]);
    for (unsigned hub = 0; hub < HUBS; hub++) {
        struct view *view = &round->views[hub];
        view->set[0].client_id[0] = other;
        mr_included_sort(view->set, view->set_count);
        view_sign(played, view);
    }
}

static void no_draw(struct played *played, struct round *round)
{
    (void)played;
    for (unsigned hub = 0; hub < HUBS; hub++) {
        round->views[hub].list_bytes = 0;
        round->views[hub].has_values = false;
    }
}

static void other_value(struct played *played, struct round *round)
{
    (void)played;
    round->views[1].values[2][0] ^= 1;
}

static void two_lists(struct played *played, struct round *round)
{
    struct view *view = &round->views[2];
    list(played, view, 1);
    view->has_values = view->has_model = false;
    view->skips_set = true;
    view->commitments_known = view->openings_known = 0;
}

static void unsigned_list(struct played *played, struct round *round)
{
    (void)played;
    round->views[1].list[round->views[1].list_bytes - 1] ^= 1;
}

static void test_draws(void **state)
{
    static const struct {
        void (*tell)(struct played *played, struct round *round);
        int hub; /* that is accused; -1: none */
        const char *words;
    } rows[] = {
        {honest, -1, ""},
        {other_set, 0, "with a device that the hubs had not drawn"},
        {no_draw, 0, "took a set that nobody had drawn"},
        {other_value, 1, "another value of hub 2 than that had pledged"},
        {two_lists, 0, "signed two lists to draw from"},
        {unsigned_list, 1, "not signed by hub 0, the lead"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct played played;
        struct round round;
        struct mr_audit_result result;
        played_open(&played, 0);
        round_make(&played, &round, 1, parent, 0, PLACES);
        struct view *view = &round.views[0];
        view->terms.announcement.cohort_max = PLACES;
        view->terms.announcement.admitted_max = LISTED;
        view->admitted = LISTED;
        view_sign(&played, view);
        list(&played, view, 0);
        take_drawn(&played, view);
        for (unsigned hub = 1; hub < HUBS; hub++) {
            round.views[hub] = *view;
        }
        rows[i].tell(&played, &round);
        round_record(&played, &round);
        played_read(&played);
        played_audit(&played, &result);
        if (result.hub != rows[i].hub || result.good != (rows[i].hub < 0) ||
            !strstr(result.good ? "" : result.what, rows[i].words)) {
            fail_msg("lie %zu: hub %d: %s", i, result.hub, result.what);
        }
        played_close(&played);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_draws)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
