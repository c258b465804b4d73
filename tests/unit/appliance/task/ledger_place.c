#include "tests/unit/appliance/task/ledger_place.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "tests/unit/appliance/storage/scratch.h"

#define DEVICES_MAX 2048

void open_ledger(struct place *place, bool may_be_new)
{
    if (mr_released_open(&place->ledger, place->dir, may_be_new, place->loop, &place->error) != 0) {
        fail_msg("%s", place->error.text);
    }
}

static void stop_loop(void *context)
{
    mr_loop_stop(context);
}

static void run_loop(struct place *place)
{
    mr_loop_post(place->loop, stop_loop, place->loop);
    mr_loop_run(place->loop);
}

void close_ledger(struct place *place)
{
    if (place->ledger) {
        mr_released_stop(place->ledger);
        run_loop(place);
        mr_released_close(place->ledger);
    }
    place->ledger = NULL;
}

int setup(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    place->dir = scratch_open();
    assert_int_equal(mr_loop_open(&place->loop, &place->error), 0);
    open_ledger(place, true);
    *state = place;
    return 0;
}

int teardown(void **state)
{
    struct place *place = *state;
    close_ledger(place);
    mr_loop_close(place->loop);
    scratch_close(place->dir);
    free(place);
    return 0;
}

/* --- sets ------------------------------------------------------------------------------------ */

void client_of(uint8_t client[MR_CLIENT_ID_BYTES], uint32_t number)
{
    memset(client, 0, MR_CLIENT_ID_BYTES);
    mr_be32_put(client, number);
    client[MR_CLIENT_ID_BYTES - 1] = (uint8_t)(7 * number);
}

void hashes_of(uint8_t hashes[3][MR_HASH_BYTES], const struct set *set)
{
    memset(hashes, 0, 3 * MR_HASH_BYTES);
    memset(hashes[0], set->model, MR_HASH_BYTES);
    mr_be64_put(hashes[1], set->round);
    snprintf((char *)hashes[1] + 8, MR_HASH_BYTES - 8, "%s", set->task);
    mr_be32_put(hashes[2], set->first);
    mr_be32_put(hashes[2] + 4, set->count);
}

enum mr_released_claim claim_for(struct place *place, const struct set *set,
                                 const struct mr_budget_debit *debit)
{
    static struct mr_included included[DEVICES_MAX];
    uint8_t hashes[3][MR_HASH_BYTES], also[MR_HASH_BYTES];
    memset(also, set->also, sizeof also);
    assert_true(set->count <= DEVICES_MAX);
    hashes_of(hashes, set);
    for (uint32_t i = 0; i < set->count; i++) {
        client_of(included[i].client_id, set->first + i);
    }
    const struct mr_released_set asked = {.task = set->task,
                                          .round = set->round,
                                          .parent = hashes[0],
                                          .also = set->also ? also : NULL,
                                          .announcement_hash = hashes[1],
                                          .set_hash = hashes[2],
                                          .included = included,
                                          .count = set->count,
                                          .debit = debit};
    place->error.text[0] = '\0';
    return mr_released_claim(place->ledger, &asked, &place->where, &place->error);
}

enum mr_released_claim claim(struct place *place, const struct set *set)
{
    return claim_for(place, set, NULL);
}

bool may_count(struct place *place, const struct set *set, uint32_t device)
{
    uint8_t hashes[3][MR_HASH_BYTES], client[MR_CLIENT_ID_BYTES];
    hashes_of(hashes, set);
    client_of(client, device);
    const int may = mr_released_may_count(place->ledger, hashes[0], hashes[1], client,
                                          &place->where, &place->error);
    assert_in_range(may, 0, 1);
    return may;
}

void on_added(void *context, int result, const struct mr_error *error)
{
    struct place *place = context;
    if (result != 0) {
        fail_msg("%s", error->text);
    }
    place->answers++;
    mr_loop_stop(place->loop);
}

void add(struct place *place, const char *task)
{
    const unsigned answers = place->answers;
    mr_released_add(place->ledger, task, on_added, place);
    assert_int_equal(place->answers, answers); /* never from inside */
    while (place->answers == answers) {
        mr_loop_run(place->loop);
    }
}

void release_for(struct place *place, const struct set *set, const struct mr_budget_debit *debit)
{
    assert_int_equal(claim_for(place, set, debit), MR_CLAIM_TAKEN);
    add(place, set->task);
}

void release(struct place *place, const struct set *set)
{
    release_for(place, set, NULL);
}

void restart(struct place *place)
{
    close_ledger(place);
    open_ledger(place, false);
}
