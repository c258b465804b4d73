/* parties_helper.c - the helpers' actions. */
#include <stdlib.h>

#include "base/secret.h"
#include "parties_internal.h"

static void helper_random(void *context, uint8_t *out, size_t bytes)
{
    world_draw(((struct world_helper *)context)->world, out, bytes);
}

static void helper_recall(void *context, struct mr_helper_last *last)
{
    *last = ((const struct world_helper *)context)->last;
}

struct world_event *world_post_helper(struct world_helper *helper,
                                      void (*fn)(struct world *, struct world_event *))
{
    struct world_event *event = world_post(helper->world, fn);
    event->helper = (unsigned)(helper - helper->world->helpers);
    event->from = OF_HELPER;
    event->life = helper->life;
    return event;
}

static unsigned position(const struct world_helper *helper)
{
    return (unsigned)(helper - helper->world->helpers);
}

static void durable(struct world *world, struct world_event *event)
{
    mr_helper_durable(world->helpers[event->helper].core, event->count);
}

static void sync_later(struct world_helper *helper)
{
    helper->asked++;
    if (!helper->slow_disk) {
        world_post_helper(helper, durable)->count = (uint32_t)helper->asked;
    }
}

void world_sync(struct world *world, unsigned helper)
{
    world_post_helper(&world->helpers[helper], durable)->count =
        (uint32_t)world->helpers[helper].asked;
    world_run(world);
}

static void helper_save(void *context, const struct mr_journal_state *state)
{
    struct world_helper *helper = context;
    uint8_t *snapshot = mr_journal_state_encode(state, &helper->snapshot_bytes);
    assert_non_null(snapshot);
    helper->journal = realloc(helper->journal, helper->snapshot_bytes);
    assert_non_null(helper->journal);
    memcpy(helper->journal, snapshot, helper->snapshot_bytes);
    mr_secret_free(snapshot);
    helper->journal_bytes = helper->snapshot_bytes;
    helper->last = (struct mr_helper_last){.round = state->terms->announcement.round};
    memcpy(helper->last.hash, state->terms->hash, MR_HASH_BYTES);
    helper->saves++;
    sync_later(helper);
}

static void helper_append(void *context, const uint8_t *record, size_t length)
{
    struct world_helper *helper = context;
    helper->journal = realloc(helper->journal, helper->journal_bytes + length);
    assert_non_null(helper->journal);
    memcpy(helper->journal + helper->journal_bytes, record, length);
    helper->journal_bytes += length;
    sync_later(helper);
}

static void forgotten(struct world *world, struct world_event *event)
{
    mr_helper_forgotten(world->helpers[event->helper].core);
}

static void helper_forget(void *context)
{
    struct world_helper *helper = context;
    struct mr_helper_report report;
    mr_helper_report(helper->core, &report);
    memcpy(helper->last.given_up, report.reason, sizeof report.reason);
    free(helper->journal);
    helper->journal = NULL;
    helper->journal_bytes = helper->snapshot_bytes = 0;
    helper->forgets++;
    helper->ledger.claim.count = 0;
    world_post_helper(helper, forgotten);
}

static uint32_t helper_dimension(void *context, const uint8_t *model_hash, uint32_t *values)
{
    *values = 0;
    const struct world *world = ((struct world_helper *)context)->world;
    const bool known =
        memcmp(model_hash, world->model_hash, MR_HASH_BYTES) == 0 ||
        (world->also_known && memcmp(model_hash, world->also_known, MR_HASH_BYTES) == 0);
    return known ? world->options.dimension : 0;
}

static bool helper_may_begin_with(void *context, const uint8_t *model_hash,
                                  struct mr_refusal *refusal)
{
    const struct world *world = ((struct world_helper *)context)->world;
    const bool current = memcmp(model_hash, world->model_hash, MR_HASH_BYTES) == 0;
    if (!current) {
        mr_refuse(refusal, MR_REFUSAL_WRONG_ANNOUNCEMENT, "another model is current");
    }
    return current;
}

static bool helper_may_count(void *context, const struct mr_round_terms *terms,
                             const uint8_t client_id[MR_CLIENT_ID_BYTES],
                             struct mr_refusal *refusal)
{
    return world_may_count(&((struct world_helper *)context)->ledger, terms, client_id, refusal);
}

static enum mr_set_claim helper_claim(void *context, const struct mr_frozen_set *set,
                                      struct mr_refusal *refusal)
{
    return world_claim(&((struct world_helper *)context)->ledger, set, refusal);
}

static void released(struct world *world, struct world_event *event)
{
    world_release(&world->helpers[event->helper].ledger);
    mr_helper_released(world->helpers[event->helper].core);
}

static void helper_release(void *context)
{
    world_post_helper(context, released);
}

static void expanded(struct world *world, struct world_event *event)
{
    struct world_helper *helper = &world->helpers[event->helper];
    struct mr_hub_noise noise = world_noise(world, event->helper);
    uint32_t count;
    (void)mr_helper_included(helper->core, &count, &noise.set_hash);
    uint8_t *result = mr_expand_noised(&noise, event->list, event->count, world->kernels);
    for (size_t i = 0; i < event->count * sizeof *event->list; i++) {
        assert_int_equal(((uint8_t *)event->list)[i], 0); /* wiped */
    }
    mr_secret_free(event->list);
    helper->expansions++;
    mr_helper_expanded(helper->core, result);
}

static void helper_expand(void *context, const struct mr_round_terms *terms,
                          struct mr_expansion *list, uint32_t count)
{
    struct world_helper *helper = context;
    struct world_event *event = world_post_helper(helper, expanded);
    (void)terms;
    event->helper = position(helper);
    event->list = list;
    event->count = count;
}

static void helper_revealed(struct world *world, struct world_event *event)
{
    struct world_helper *helper = &world->helpers[event->helper];
    struct mr_next_model_answer answer;
    struct mr_error error;
    if (world_compute(world, event->results, event->count, &answer, &error) == 0) {
        memcpy(helper->model_hash, answer.model_hash, MR_HASH_BYTES);
        mr_helper_revealed(helper->core, answer.model_hash);
        mr_next_model_answer_fini(&answer);
    } else {
        mr_helper_not_revealed(helper->core, MR_VOID_SUM, error.text);
    }
}

static void helper_reveal(void *context, const struct mr_round_terms *terms,
                          const uint8_t *const *results, uint32_t included_count)
{
    struct world_helper *helper = context;
    struct world_event *event = world_post_helper(helper, helper_revealed);
    (void)terms;
    event->helper = position(helper);
    event->results = results;
    event->count = included_count;
}

static void helper_answer(void *context, void *token, bool json, const void *body, size_t length)
{
    (void)context;
    (void)json;
    world_reply(token, body, length);
}

static bool helper_revoked(void *context, const struct mr_serial *serial)
{
    const struct world_helper *helper = context;
    return world_revoked(helper->world, position(helper), serial);
}

const struct mr_helper_ops world_helper_ops = {
    .random = helper_random,
    .recall = helper_recall,
    .save = helper_save,
    .append = helper_append,
    .forget = helper_forget,
    .model_dimension = helper_dimension,
    .may_begin_with = helper_may_begin_with,
    .may_count = helper_may_count,
    .claim = helper_claim,
    .release = helper_release,
    .expand = helper_expand,
    .reveal = helper_reveal,
    .answer = helper_answer,
    .refuse = world_refused,
    .changed = world_changed,
    .revoked = helper_revoked,
};
