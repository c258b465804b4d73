/* world_helper.c - the helpers' actions. */
#include <stdlib.h>

#include "appliance/runtime/secret.h"
#include "world_internal.h"

static void helper_random(void *context, uint8_t *out, size_t bytes)
{
    world_draw(((struct world_helper *)context)->world, out, bytes);
}

static void helper_recall(void *context, uint64_t *round, uint8_t hash[MR_HASH_BYTES])
{
    const struct world_helper *helper = context;
    *round = helper->signed_round;
    memcpy(hash, helper->signed_hash, MR_HASH_BYTES);
}

static unsigned position(const struct world_helper *helper)
{
    return (unsigned)(helper - helper->world->helpers);
}

static void helper_remembered(struct world *world, struct world_event *event)
{
    mr_helper_remembered(world->helpers[event->helper].core);
}

static void helper_remember(void *context, uint64_t round, const uint8_t *hash)
{
    struct world_helper *helper = context;
    helper->signed_round = round;
    memcpy(helper->signed_hash, hash, MR_HASH_BYTES);
    world_post(helper->world, helper_remembered)->helper = position(helper);
}

static uint32_t helper_dimension(void *context, const uint8_t *model_hash)
{
    const struct world *world = ((struct world_helper *)context)->world;
    return memcmp(model_hash, world->model_hash, MR_HASH_BYTES) == 0 ? world->options.dimension : 0;
}

static void expanded(struct world *world, struct world_event *event)
{
    struct world_helper *helper = &world->helpers[event->helper];
    uint8_t *result = mr_expand(&world->terms, world->hubs[event->helper].index, event->list,
                                event->count, world->kernels);
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
    struct world_event *event = world_post(helper->world, expanded);
    (void)terms;
    event->helper = position(helper);
    event->list = list;
    event->count = count;
}

static void helper_revealed(struct world *world, struct world_event *event)
{
    struct world_helper *helper = &world->helpers[event->helper];
    struct mr_reveal_answer answer;
    struct mr_error error;
    if (world_compute(world, event->results, event->count, &answer, &error) == 0) {
        memcpy(helper->model_hash, answer.model_hash, MR_HASH_BYTES);
        mr_helper_revealed(helper->core, answer.model_hash, NULL);
        mr_reveal_answer_fini(&answer);
    } else {
        mr_helper_revealed(helper->core, NULL, error.text);
    }
}

static void helper_reveal(void *context, const struct mr_round_terms *terms,
                          const uint8_t *const *results, uint32_t included_count)
{
    struct world_helper *helper = context;
    struct world_event *event = world_post(helper->world, helper_revealed);
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

const struct mr_helper_ops world_helper_ops = {
    .random = helper_random,
    .recall = helper_recall,
    .remember = helper_remember,
    .model_dimension = helper_dimension,
    .expand = helper_expand,
    .reveal = helper_reveal,
    .answer = helper_answer,
    .refuse = world_refused,
    .changed = world_changed,
};
