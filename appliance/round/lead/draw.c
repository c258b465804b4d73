/* draw.c - where more devices may be ready than a round takes: who is ready is listed, the list is
 * durable here and at every helper, the hubs say their values, and those that are drawn may upload.
 *
 * This hub's own value leaves with the frozen set only: so no other hub knows who is drawn while it
 * could still refuse to say its value. */
#include <stdlib.h>
#include <string.h>

#include "appliance/round/lead/lead_internal.h"
#include "base/assert.h"
#include "base/bytes.h"

static const uint8_t (*values_of(const struct mr_lead *lead))[MR_DRAW_VALUE_BYTES]
{
    return (const uint8_t(*)[MR_DRAW_VALUE_BYTES])lead->draw.said.values;
}

static unsigned all_known(const struct mr_lead *lead)
{
    return (1u << lead_announcement(lead)->hub_count) - 1;
}

/* --- the list -------------------------------------------------------------------------------- */

static int compare_clients(const void *a, const void *b)
{
    return memcmp(a, b, MR_CLIENT_ID_BYTES);
}

static int gather(struct mr_lead *lead)
{
    struct mr_commit_draw *said = &lead->draw.said;
    const struct mr_registry *registry = &lead->registry;
    said->clients = malloc((size_t)registry->count * MR_CLIENT_ID_BYTES);
    if (!said->clients) {
        return -1;
    }
    for (uint32_t i = 0; i < registry->count; i++) {
        memcpy(said->clients[i], registry->devices[i].client_id, MR_CLIENT_ID_BYTES);
    }
    said->count = registry->count;
    qsort(said->clients, said->count, MR_CLIENT_ID_BYTES, compare_clients);
    return 0;
}

/* The bytes that every helper is asked with: always the same for the same list. */
static int encode_list(struct mr_lead *lead)
{
    struct lead_draw *draw = &lead->draw;
    struct mr_draw_list list = {.clients = (const uint8_t(*)[MR_CLIENT_ID_BYTES])draw->said.clients,
                                .count = draw->said.count};
    struct mr_draw_pledge *own = &draw->said.pledges[0];
    const unsigned hubs = lead_announcement(lead)->hub_count;
    if (mr_draw_pledge_make(own, lead->terms.hash, lead->config.index, draw->said.values[0],
                            lead->keys.private_key) != 0) {
        return -1;
    }
    memcpy(list.pledges, draw->said.pledges, sizeof list.pledges);
    draw->list_bytes = mr_draw_list_bytes(hubs, list.count);
    draw->list = malloc(draw->list_bytes);
    if (!draw->list ||
        mr_draw_list_encode(draw->list, &list, &lead->terms, lead->keys.private_key)) {
        return -1;
    }
    memcpy(draw->hash, list.hash, MR_HASH_BYTES);
    return 0;
}

void mr_lead_look_at_list(struct mr_lead *lead, uint64_t now_ms)
{
    struct mr_commit_state state;
    if (lead->state != MR_LEAD_OPEN || now_ms < mr_lead_list_due_ms(lead)) {
        return;
    }
    mr_lead_enter(lead, MR_LEAD_DRAWING);
    if (gather(lead) != 0 || encode_list(lead) != 0) {
        mr_lead_void(lead, MR_VOID_INTERNAL, now_ms, "the list to draw from could not be made");
        return;
    }
    mr_lead_set_timer(lead);
    mr_lead_commit_state(lead, MR_COMMIT_OPEN, &state);
    lead->draw.writing = true;
    lead->ops->commit(lead->context, &state);
    lead->ops->round_changed(lead->context);
}

void mr_lead_begin_draw(struct mr_lead *lead, uint64_t now_ms)
{
    struct lead_draw *draw = &lead->draw;
    draw->writing = false;
    uint8_t *body = malloc(draw->list_bytes);
    if (!body) {
        mr_lead_void(lead, MR_VOID_INTERNAL, now_ms, "out of memory for the list to draw from");
        return;
    }
    memcpy(body, draw->list, draw->list_bytes);
    mr_lead_ask_all(lead, MR_PEER_DRAW, body, draw->list_bytes, now_ms);
}

/* --- the values ------------------------------------------------------------------------------ */

int mr_lead_take_value(struct mr_lead *lead, const struct mr_peer_answer *answer,
                       struct mr_error *error)
{
    const struct mr_announced_hub *hub = &lead_announcement(lead)->hubs[answer->peer];
    struct mr_commit_draw *said = &lead->draw.said;
    if (answer->length != MR_DRAW_ANSWER_BYTES || mr_be16_get(answer->body) != hub->index ||
        mr_draw_value_check(&said->pledges[answer->peer], lead->terms.hash, hub->index,
                            answer->body + 2) != 0) {
        return mr_error_set(error, "its value of the draw is not the one that it pledged");
    }
    memcpy(said->values[answer->peer], answer->body + 2, MR_DRAW_VALUE_BYTES);
    said->known |= 1u << answer->peer;
    return 0;
}

/* Who is drawn, from the list and every value. */
static int draw_now(struct mr_lead *lead)
{
    struct lead_draw *draw = &lead->draw;
    const struct mr_announcement *announcement = lead_announcement(lead);
    struct mr_draw_list list = {.clients = (const uint8_t(*)[MR_CLIENT_ID_BYTES])draw->said.clients,
                                .count = draw->said.count};
    memcpy(list.hash, draw->hash, MR_HASH_BYTES);
    draw->drawn = malloc(list.count);
    if (!draw->drawn || mr_draw(draw->drawn, &list, values_of(lead), announcement->hub_count,
                                announcement->cohort_max) != 0) {
        return -1;
    }
    draw->drawn_count =
        list.count < announcement->cohort_max ? list.count : announcement->cohort_max;
    return 0;
}

void mr_lead_drawn(struct mr_lead *lead, uint64_t now_ms)
{
    MR_ASSERT(lead->draw.said.known == all_known(lead));
    if (draw_now(lead) != 0) {
        mr_lead_void(lead, MR_VOID_INTERNAL, now_ms, "out of memory for the draw");
        return;
    }
    mr_lead_enter(lead, MR_LEAD_OPEN);
    lead->next_commit_ms = now_ms;
    mr_lead_set_timer(lead);
    lead->ops->round_changed(lead->context);
}

/* --- after a restart ------------------------------------------------------------------------- */

int mr_lead_recover_draw(struct mr_lead *lead, const struct mr_commit_draw *said)
{
    struct lead_draw *draw = &lead->draw;
    draw->said = *said;
    draw->said.clients = NULL;
    if (!said->clients) {
        return 0;
    }
    draw->said.clients = malloc((size_t)said->count * MR_CLIENT_ID_BYTES);
    if (!draw->said.clients) {
        return -1;
    }
    memcpy(draw->said.clients, said->clients, (size_t)said->count * MR_CLIENT_ID_BYTES);
    return encode_list(lead) == 0 && (said->known != all_known(lead) || draw_now(lead) == 0) ? 0
                                                                                             : -1;
}

/* Values that are not known are asked for again: the helpers give the same. */
bool mr_lead_draws_again(struct mr_lead *lead, uint64_t now_ms)
{
    if (!lead->draw.said.clients || lead->draw.drawn) {
        return false;
    }
    mr_lead_enter(lead, MR_LEAD_DRAWING);
    mr_lead_begin_draw(lead, now_ms);
    return true;
}
