/* draw.c - the list that a round's set is drawn from, and who is drawn.
 *
 * Once the list is durable here this hub says its value, and takes neither another list nor a set
 * with anybody who is not drawn from this one. */
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/round/helper/helper_internal.h"

/* --- the list -------------------------------------------------------------------------------- */

/* Whom this hub has admitted, and enough of them: the set is made of nobody else. */
static enum mr_refusal_code check_list(const struct mr_helper *helper,
                                       const struct mr_draw_list *list, struct mr_refusal *refusal)
{
    struct mr_shape shape;
    const uint32_t least = mr_helper_set_min(helper);
    for (uint32_t i = 0; i < list->count; i++) {
        if (mr_seeds_place(&helper->seeds, list->clients[i]) >= helper->seeds.count) {
            return mr_refuse(refusal, MR_REFUSAL_SET_NOT_ADMITTED,
                             "entry %u of the list was never admitted here", i);
        }
    }
    if (list->count < least) {
        return mr_refuse(refusal, MR_REFUSAL_BELOW_COHORT_MINIMUM,
                         "the list has %u devices, at least %u are needed", list->count, least);
    }
    const struct mr_shape_question question = {.seeds = &helper->seeds,
                                               .included = list->clients[0],
                                               .count = list->count,
                                               .stride = MR_CLIENT_ID_BYTES};
    if (mr_shape_of(&shape, &question) != 0) {
        return mr_refuse(refusal, MR_REFUSAL_BUSY, "no memory to look at the list");
    }
    return mr_helper_check_shape(helper, &shape, 0, refusal);
}

int mr_helper_take_list(struct mr_helper *helper, const uint8_t *bytes, size_t length,
                        struct mr_error *error)
{
    struct helper_draw *draw = &helper->draw;
    uint8_t *copy = malloc(length + 1);
    if (!copy) {
        return mr_error_set(error, "out of memory for a list of %zu bytes", length);
    }
    memcpy(copy, bytes, length);
    if (mr_draw_list_decode(&draw->list, copy, length, &helper->terms, error) != 0) {
        free(copy);
        return 1;
    }
    if (helper->state == MR_HELPER_ADMITTING &&
        mr_draw_value_check(&draw->list.pledges[helper->position], helper->terms.hash,
                            helper->config.index, draw->value) != 0) {
        free(copy);
        mr_error_set(error, "the list has another pledge of this hub than its own");
        return 1;
    }
    draw->bytes = copy;
    draw->length = length;
    return 0;
}

/* The list stays what it is; the value leaves when that is durable. */
static void keep_list(struct mr_helper *helper, void *token)
{
    struct helper_draw *draw = &helper->draw;
    uint8_t *record = malloc(MR_JOURNAL_LIST_BYTES(draw->length));
    if (!record) {
        mr_helper_drop_list_to_draw(helper);
        mr_helper_refuse(helper, token, MR_REFUSAL_BUSY, "no memory for the list");
        return;
    }
    mr_helper_append(helper, record,
                     mr_journal_list_encode(record, draw->bytes, (uint32_t)draw->length));
    free(record);
    draw->needed = helper->asked;
    helper->listed = true;
    draw->waiters[draw->waiter_count++] = token;
    helper->ops->changed(helper->context);
}

static void take_question(struct mr_helper *helper, const uint8_t *body, size_t length, void *token)
{
    struct mr_error error;
    struct mr_refusal refusal;
    const int taken = mr_helper_take_list(helper, body, length, &error);
    if (taken != 0) {
        mr_helper_refuse(helper, token, taken < 0 ? MR_REFUSAL_BUSY : MR_REFUSAL_BAD_DRAW, "%.250s",
                         error.text);
    } else if (check_list(helper, &helper->draw.list, &refusal) != MR_REFUSAL_NONE) {
        mr_helper_drop_list_to_draw(helper);
        helper->ops->refuse(helper->context, token, &refusal);
    } else {
        keep_list(helper, token);
    }
}

/* --- the value ------------------------------------------------------------------------------- */

static void answer_value(struct mr_helper *helper, void *token)
{
    uint8_t bytes[MR_DRAW_ANSWER_BYTES];
    mr_draw_answer_encode(bytes, helper->config.index, helper->draw.value);
    helper->ops->answer(helper->context, token, false, bytes, sizeof bytes);
}

void mr_helper_answer_values(struct mr_helper *helper)
{
    struct helper_draw *draw = &helper->draw;
    for (unsigned i = 0; draw->needed <= helper->durable && i < draw->waiter_count; i++) {
        answer_value(helper, draw->waiters[i]);
    }
    draw->waiter_count = draw->needed <= helper->durable ? 0 : draw->waiter_count;
}

/* The list is there: the same question again, or another list. */
static void repeat_question(struct mr_helper *helper, const uint8_t *body, size_t length,
                            void *token)
{
    struct helper_draw *draw = &helper->draw;
    if (length != draw->length || memcmp(body, draw->bytes, length) != 0) {
        mr_helper_refuse(helper, token, MR_REFUSAL_SET_CONFLICT,
                         "another list to draw from was answered in this round");
    } else if (draw->needed <= helper->durable) {
        answer_value(helper, token);
    } else if (draw->waiter_count == HELPER_WAITERS_MAX) {
        mr_helper_refuse(helper, token, MR_REFUSAL_BUSY, "the same question is being worked on");
    } else {
        draw->waiters[draw->waiter_count++] = token;
    }
}

void mr_helper_draw(struct mr_helper *helper, uint16_t from, uint64_t round, const uint8_t *body,
                    size_t length, void *token)
{
    if (!mr_helper_accepts(helper, from, round, token)) {
        return;
    }
    if (helper->state == MR_HELPER_VOID) {
        mr_helper_refuse(helper, token, MR_REFUSAL_VOID, "%s", helper->reason);
    } else if (!mr_announcement_draws(&helper->terms.announcement)) {
        mr_helper_refuse(helper, token, MR_REFUSAL_WRONG_ROUND, "the round's set is not drawn");
    } else if (helper->state != MR_HELPER_ADMITTING) {
        mr_helper_refuse(helper, token, MR_REFUSAL_WRONG_ROUND, "the set is frozen");
    } else if (helper->draw.bytes) {
        repeat_question(helper, body, length, token);
    } else {
        take_question(helper, body, length, token);
    }
}

/* --- who is drawn ---------------------------------------------------------------------------- */

static enum mr_refusal_code check_values(const struct mr_helper *helper,
                                         const uint8_t (*values)[MR_DRAW_VALUE_BYTES],
                                         struct mr_refusal *refusal)
{
    const struct mr_announcement *announcement = &helper->terms.announcement;
    if (!helper->draw.bytes) {
        return mr_refuse(refusal, MR_REFUSAL_SET_NOT_DRAWN,
                         "the round's set is drawn, and no list to draw from was put to this hub");
    }
    for (unsigned i = 0; i < announcement->hub_count; i++) {
        if (mr_draw_value_check(&helper->draw.list.pledges[i], helper->terms.hash,
                                announcement->hubs[i].index, values[i]) != 0) {
            return mr_refuse(refusal, MR_REFUSAL_BAD_DRAW,
                             "the value of hub %u is not the one that it pledged",
                             announcement->hubs[i].index);
        }
    }
    return MR_REFUSAL_NONE;
}

enum mr_refusal_code mr_helper_drawn(const struct mr_helper *helper,
                                     const uint8_t (*values)[MR_DRAW_VALUE_BYTES],
                                     struct helper_drawn *drawn, struct mr_refusal *refusal)
{
    const struct mr_announcement *announcement = &helper->terms.announcement;
    const struct mr_draw_list *list = &helper->draw.list;
    *drawn = (struct helper_drawn){.clients = NULL};
    if (check_values(helper, values, refusal) != MR_REFUSAL_NONE) {
        return refusal->code;
    }
    uint8_t *flags = malloc(list->count);
    drawn->clients = malloc((size_t)list->count * MR_CLIENT_ID_BYTES);
    if (!flags || !drawn->clients ||
        mr_draw(flags, list, values, announcement->hub_count, announcement->cohort_max) != 0) {
        free(flags);
        free(drawn->clients);
        drawn->clients = NULL;
        return mr_refuse(refusal, MR_REFUSAL_BUSY, "no memory for the draw");
    }
    for (uint32_t i = 0; i < list->count; i++) {
        if (flags[i]) {
            memcpy(drawn->clients[drawn->count++], list->clients[i], MR_CLIENT_ID_BYTES);
        }
    }
    free(flags);
    return MR_REFUSAL_NONE;
}

enum mr_refusal_code mr_helper_check_drawn(const struct helper_drawn *drawn,
                                           const struct mr_included *set, uint32_t count,
                                           struct mr_refusal *refusal)
{
    uint32_t at = 0; /* both rise */
    for (uint32_t i = 0; i < count; i++) {
        while (at < drawn->count &&
               memcmp(drawn->clients[at], set[i].client_id, MR_CLIENT_ID_BYTES) < 0) {
            at++;
        }
        if (at == drawn->count ||
            memcmp(drawn->clients[at], set[i].client_id, MR_CLIENT_ID_BYTES) != 0) {
            return mr_refuse(refusal, MR_REFUSAL_SET_NOT_DRAWN,
                             "entry %u of the set is none of the %u devices that the hubs drew", i,
                             drawn->count);
        }
    }
    return MR_REFUSAL_NONE;
}
