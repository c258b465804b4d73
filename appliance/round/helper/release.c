/* release.c - the two questions by which a sum leaves this hub: freeze and open. */
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/round/helper/helper_internal.h"
#include "appliance/round/mark_part.h"
#include "base/secret.h"
#include "base/assert.h"
#include "wire/opening.h"

/* --- freeze ---------------------------------------------------------------------------------- */

static const char no_root[] =
    "a root of what was counted belongs to rounds with audit_hours, and to no others";

struct freeze {
    struct mr_included *entries; /* malloc'd */
    uint32_t count;
    uint8_t set_hash[MR_HASH_BYTES];
    struct mr_commitment lead;
    struct mr_shape shape;
    uint8_t values[MR_HUBS_MAX][MR_DRAW_VALUE_BYTES]; /* where the set is drawn */
};

/* What follows the lead's commitment: every hub's value, where the set is drawn. */
static size_t values_bytes(const struct mr_announcement *announcement)
{
    return mr_announcement_draws(announcement)
               ? announcement->hub_count * (size_t)MR_DRAW_VALUE_BYTES
               : 0;
}

static enum mr_refusal_code parse_freeze(const struct mr_helper *helper, struct freeze *freeze,
                                         const uint8_t *body, size_t length,
                                         struct mr_refusal *refusal)
{
    struct mr_error error;
    size_t used = 0;
    const uint32_t most = helper->terms.announcement.cohort_max;
    const uint32_t fits =
        (uint32_t)(length / MR_INCLUDED_BYTES + 1 < most ? length / MR_INCLUDED_BYTES + 1 : most);
    freeze->entries = malloc((size_t)fits * sizeof *freeze->entries);
    if (!freeze->entries) {
        return mr_refuse(refusal, MR_REFUSAL_BUSY, "no memory for the set");
    }
    if (mr_included_decode(freeze->entries, fits, &freeze->count, body, length, &used, &error) !=
        0) {
        return mr_refuse(refusal, MR_REFUSAL_BAD_REQUEST, "%.250s", error.text);
    }
    const size_t values = values_bytes(&helper->terms.announcement);
    if (length - used != MR_COMMITMENT_BYTES + values) {
        return mr_refuse(refusal, MR_REFUSAL_BAD_REQUEST,
                         "the lead's commitment does not follow the set%s",
                         values ? ", and every hub's value of the draw" : "");
    }
    memcpy(freeze->values, body + used + MR_COMMITMENT_BYTES, values);
    const struct mr_announced_hub *lead = &helper->terms.announcement.hubs[0];
    mr_commitment_decode(&freeze->lead, body + used);
    if (freeze->lead.hub_index != lead->index ||
        mr_commitment_verify(&freeze->lead, helper->terms.hash, lead->public_key) != 0) {
        return mr_refuse(refusal, MR_REFUSAL_BAD_COMMITMENT,
                         "the lead's commitment is not signed by the lead");
    }
    if (!mr_commitment_fits(&freeze->lead, &helper->terms.announcement)) {
        return mr_refuse(refusal, MR_REFUSAL_BAD_COMMITMENT, no_root);
    }
    if (mr_included_hash(freeze->set_hash, helper->terms.hash, freeze->entries, freeze->count) !=
        0) {
        return mr_refuse(refusal, MR_REFUSAL_INTERNAL, "the set could not be hashed");
    }
    return MR_REFUSAL_NONE;
}

/* Identities that this hub authenticated itself. */
static enum mr_refusal_code check_admitted(const struct mr_helper *helper,
                                           const struct freeze *freeze, struct mr_refusal *refusal)
{
    for (uint32_t i = 0; i < freeze->count; i++) {
        const struct mr_seed *seed = mr_seeds_find(&helper->seeds, &freeze->entries[i]);
        if (!seed) {
            return mr_refuse(refusal, MR_REFUSAL_SET_NOT_ADMITTED,
                             "entry %u of the set was never admitted here", i);
        }
        if (helper->ops->revoked && helper->ops->revoked(helper->context, &seed->serial)) {
            return mr_refuse(refusal, MR_REFUSAL_REVOKED,
                             "entry %u of the set was revoked after its admission", i);
        }
    }
    return MR_REFUSAL_NONE;
}

/* How the set lies in what was admitted here, or in what was drawn of that. */
static enum mr_refusal_code check_shape(const struct mr_helper *helper, struct freeze *freeze,
                                        const struct helper_drawn *drawn,
                                        struct mr_refusal *refusal)
{
    const uint32_t quorum = helper->terms.announcement.quorum;
    const struct mr_shape_question question = {
        .seeds = &helper->seeds,
        .included = freeze->entries[0].client_id,
        .count = freeze->count,
        .stride = sizeof freeze->entries[0],
        .eligible = (const uint8_t(*)[MR_CLIENT_ID_BYTES])drawn->clients,
        .eligible_count = drawn->count};
    if (mr_shape_of(&freeze->shape, &question) != 0) {
        return mr_refuse(refusal, MR_REFUSAL_BUSY, "no memory to look at the set");
    }
    return mr_helper_check_shape(helper, &freeze->shape, quorum, refusal);
}

/* Enough of them, and not the lead's choice. */
static enum mr_refusal_code check_set(const struct mr_helper *helper, struct freeze *freeze,
                                      struct mr_refusal *refusal)
{
    struct helper_drawn drawn = {.clients = NULL};
    const uint32_t least = mr_helper_set_min(helper);
    if (check_admitted(helper, freeze, refusal) != MR_REFUSAL_NONE) {
        return refusal->code;
    }
    if (freeze->count < least) {
        return mr_refuse(refusal, MR_REFUSAL_BELOW_COHORT_MINIMUM,
                         "the set has %u devices, at least %u are needed", freeze->count, least);
    }
    enum mr_refusal_code code = MR_REFUSAL_NONE;
    if (mr_announcement_draws(&helper->terms.announcement)) {
        code = mr_helper_drawn(helper, (const uint8_t(*)[MR_DRAW_VALUE_BYTES])freeze->values,
                               &drawn, refusal);
        code = code ? code : mr_helper_check_drawn(&drawn, freeze->entries, freeze->count, refusal);
    }
    code = code ? code : check_shape(helper, freeze, &drawn, refusal);
    free(drawn.clients);
    return code;
}

/* No device of it was, or can come to be, in another released set of the round's model. */
static bool claim(struct mr_helper *helper, const struct freeze *freeze, void *token)
{
    struct mr_refusal refusal;
    const struct mr_frozen_set set = {.terms = &helper->terms,
                                      .included = freeze->entries,
                                      .count = freeze->count,
                                      .set_hash = freeze->set_hash};
    const enum mr_set_claim claim = helper->ops->claim(helper->context, &set, &refusal);
    if (claim == MR_SET_REFUSED) {
        helper->ops->refuse(helper->context, token, &refusal);
        return false;
    }
    helper->released = claim == MR_SET_RELEASED;
    return true;
}

/* The set is this one from here on, and so is the nonce; seeds of it go out to be expanded as soon
 * as that is durable; all others are wiped, and so is the key that would open more. */
static void start_expansion(struct mr_helper *helper, struct freeze *freeze, void *token)
{
    if (!claim(helper, freeze, token)) {
        return;
    }
    struct mr_expansion *list = mr_secret_new((size_t)freeze->count * sizeof *list);
    if (!list) {
        mr_helper_refuse(helper, token, MR_REFUSAL_BUSY, "no memory for the expansion");
        return;
    }
    for (uint32_t i = 0; i < freeze->count; i++) {
        const struct mr_seed *seed = mr_seeds_find(&helper->seeds, &freeze->entries[i]);
        list[i].included = freeze->entries[i];
        list[i].serial = seed->serial;
        memcpy(list[i].seed, seed->bytes, MR_SEED_BYTES);
        memcpy(list[i].sealed_hash, seed->sealed_hash, MR_HASH_BYTES);
    }
    helper->admitted_known =
        mr_seeds_root(&helper->seeds, helper->admitted_root, &helper->admitted_seeds) == 0;
    mr_helper_drop_seeds(helper);
    helper->included = freeze->entries;
    freeze->entries = NULL;
    helper->included_count = freeze->count;
    memcpy(helper->set_hash, freeze->set_hash, MR_HASH_BYTES);
    helper->shape = freeze->shape;
    memcpy(helper->draw.values, freeze->values, sizeof freeze->values);
    helper->draw.values_known = mr_announcement_draws(&helper->terms.announcement);
    helper->commitments[0] = freeze->lead;
    helper->list = list;
    helper->ops->random(helper->context, helper->nonce, sizeof helper->nonce);
    mr_helper_enter(helper, MR_HELPER_EXPANDING);
    helper->working = true;
    mr_helper_wait(helper, token);
    struct mr_journal_state frozen;
    mr_helper_frozen_state(helper, &frozen, list);
    mr_helper_save(helper, &frozen);
    helper->needed = helper->asked;
    helper->ops->changed(helper->context);
}

void mr_helper_set_durable(struct mr_helper *helper)
{
    if (helper->state != MR_HELPER_EXPANDING) { /* void in the meantime */
        helper->working = false;
        mr_helper_drop_round(helper);
        return;
    }
    struct mr_expansion *list = helper->list;
    helper->list = NULL;
    helper->ops->expand(helper->context, &helper->terms, list, helper->included_count);
}

static void answer_commitment(struct mr_helper *helper, void *token)
{
    uint8_t bytes[MR_COMMITMENT_BYTES];
    mr_commitment_encode(bytes, &helper->commitments[helper->position]);
    helper->ops->answer(helper->context, token, false, bytes, sizeof bytes);
}

/* A set was answered, or is being: the same question again, or another. */
static void repeat_freeze(struct mr_helper *helper, const struct freeze *freeze, void *token)
{
    if (memcmp(freeze->set_hash, helper->set_hash, MR_HASH_BYTES) != 0) {
        mr_helper_refuse(helper, token, MR_REFUSAL_SET_CONFLICT,
                         "another set was answered in this round");
    } else if (!mr_commitment_same(&freeze->lead, &helper->commitments[0])) {
        mr_helper_refuse(helper, token, MR_REFUSAL_BAD_COMMITMENT,
                         "the lead changed its commitment");
    } else if (helper->state == MR_HELPER_EXPANDING) {
        mr_helper_wait(helper, token);
    } else {
        answer_commitment(helper, token);
    }
}

void mr_helper_freeze(struct mr_helper *helper, uint16_t from, uint64_t round, const uint8_t *body,
                      size_t length, void *token)
{
    struct freeze freeze = {.entries = NULL};
    struct mr_refusal refusal;
    if (!mr_helper_accepts(helper, from, round, token)) {
        return;
    }
    if (helper->state == MR_HELPER_VOID) {
        mr_helper_refuse(helper, token, MR_REFUSAL_VOID, "%s", helper->reason);
        return;
    }
    if (parse_freeze(helper, &freeze, body, length, &refusal) != MR_REFUSAL_NONE) {
        helper->ops->refuse(helper->context, token, &refusal);
    } else if (helper->state != MR_HELPER_ADMITTING) {
        repeat_freeze(helper, &freeze, token);
    } else if (check_set(helper, &freeze, &refusal) != MR_REFUSAL_NONE) {
        helper->ops->refuse(helper->context, token, &refusal);
    } else {
        start_expansion(helper, &freeze, token);
    }
    free(freeze.entries);
}

/* This hub's commitment to its result. */
static int commit_own(struct mr_helper *helper, struct mr_commitment *own)
{
    const struct mr_helper_ops *ops = helper->ops;
    struct mr_opening_seal *seal = &helper->seals[helper->position];
    *own = (struct mr_commitment){.hub_index = helper->config.index};
    memcpy(seal->nonce, helper->nonce, MR_NONCE_BYTES);
    if (helper->terms.announcement.audit_hours > 0 &&
        (!ops->counted_root || ops->counted_root(helper->context, helper->included,
                                                 helper->included_count, own->root) != 0)) {
        return -1;
    }
    return mr_result_hash(seal->result_hash, helper->result,
                          (size_t)helper->terms.layout.share_bytes) == 0 &&
                   mr_commitment_of_seal(own->value, helper->terms.hash, helper->set_hash,
                                         own->hub_index, seal) == 0 &&
                   mr_commitment_sign(own, helper->terms.hash, &helper->keys) == 0
               ? 0
               : -1;
}

void mr_helper_expanded(struct mr_helper *helper, uint8_t *result)
{
    struct mr_commitment *own = &helper->commitments[helper->position];
    MR_ASSERT(helper->working);
    helper->working = false;
    if (helper->state != MR_HELPER_EXPANDING) { /* void in the meantime */
        if (result) {
            OPENSSL_cleanse(result, (size_t)helper->terms.layout.share_bytes);
        }
        free(result);
        mr_helper_drop_round(helper);
        return;
    }
    helper->result = result;
    const struct mr_commitment earlier = *own; /* of an earlier life, if everybody's are known */
    if (!result || commit_own(helper, own) != 0 ||
        (helper->opened && !mr_commitment_same(own, &earlier))) {
        mr_helper_give_up(helper, MR_VOID_INTERNAL, "this hub could not expand the set");
        return;
    }
    uint8_t bytes[MR_COMMITMENT_BYTES];
    mr_helper_enter(helper, helper->opened ? MR_HELPER_OPENED
                                           : MR_HELPER_COMMITTED); /* recovered, or not */
    mr_commitment_encode(bytes, own);
    mr_helper_answer_waiting(helper, false, bytes, sizeof bytes);
    helper->ops->changed(helper->context);
}

/* --- open ------------------------------------------------------------------------------------ */

/* From the first opening on, nobody's commitment may change any more. */
static bool is_fixed(const struct mr_helper *helper, unsigned position)
{
    return helper->opened || position == 0 || position == helper->position;
}

/* What this hub has signed or verified before, byte by byte, is not verified again. */
static bool is_signed(const struct mr_helper *helper, const struct mr_commitment *commitment,
                      unsigned position)
{
    const struct mr_commitment *known = &helper->commitments[position];
    const uint8_t *key = helper->terms.announcement.hubs[position].public_key;
    return (is_fixed(helper, position) && mr_commitment_same(commitment, known) &&
            memcmp(commitment->signature, known->signature, MR_SIGNATURE_BYTES) == 0) ||
           mr_commitment_verify(commitment, helper->terms.hash, key) == 0;
}

static enum mr_refusal_code check_commitments(const struct mr_helper *helper,
                                              struct mr_commitment *list, const uint8_t *body,
                                              size_t length, struct mr_refusal *refusal)
{
    const struct mr_announcement *announcement = &helper->terms.announcement;
    const unsigned count = announcement->hub_count;
    if (length != 1 + (size_t)count * MR_COMMITMENT_BYTES || body[0] != count) {
        return mr_refuse(refusal, MR_REFUSAL_BAD_COMMITMENT,
                         "one commitment of each of the %u hubs is needed", count);
    }
    for (unsigned i = 0; i < count; i++) {
        mr_commitment_decode(&list[i], body + 1 + (size_t)i * MR_COMMITMENT_BYTES);
        if (list[i].hub_index != announcement->hubs[i].index || !is_signed(helper, &list[i], i)) {
            return mr_refuse(refusal, MR_REFUSAL_BAD_COMMITMENT,
                             "the commitment of hub %u is not signed by it",
                             announcement->hubs[i].index);
        }
        if (!mr_commitment_fits(&list[i], announcement)) {
            return mr_refuse(refusal, MR_REFUSAL_BAD_COMMITMENT, no_root);
        }
        if (is_fixed(helper, i) && !mr_commitment_same(&list[i], &helper->commitments[i])) {
            return mr_refuse(refusal, MR_REFUSAL_BAD_COMMITMENT,
                             "the commitment of hub %u is not the earlier one",
                             announcement->hubs[i].index);
        }
    }
    return MR_REFUSAL_NONE;
}

static void answer_opening(struct mr_helper *helper, void *token)
{
    const size_t length = mr_opening_bytes(&helper->terms);
    const struct mr_opening opening = {
        .nonce = helper->nonce, .part = helper->config.mark_part, .result = helper->result};
    if (!mr_mark_part_is_here(&helper->terms.announcement, helper->position, opening.part)) {
        mr_helper_refuse(helper, token, MR_REFUSAL_BUSY, MR_NO_MARK_PART);
        return;
    }
    uint8_t *bytes = malloc(length);
    if (!bytes) {
        mr_helper_refuse(helper, token, MR_REFUSAL_BUSY, "no memory for the opening");
        return;
    }
    mr_opening_write(bytes, &opening, &helper->terms);
    helper->ops->answer(helper->context, token, false, bytes, length);
    free(bytes);
}

/* Nobody's commitment may change any more, not even across a crash, and no device of the set may be
 * in another released one: durable before the opening. */
static void fix_commitments(struct mr_helper *helper, const struct mr_commitment *list)
{
    uint8_t record[MR_JOURNAL_OPENED_BYTES];
    const unsigned count = helper->terms.announcement.hub_count;
    memcpy(helper->commitments, list, count * sizeof list[0]);
    helper->opened = true;
    mr_helper_append(helper, record, mr_journal_opened_encode(record, list, count));
    helper->needed = helper->asked;
    mr_helper_release(helper);
}

void mr_helper_open(struct mr_helper *helper, uint16_t from, uint64_t round, const uint8_t *body,
                    size_t length, void *token)
{
    struct mr_commitment list[MR_HUBS_MAX];
    struct mr_refusal refusal;
    if (!mr_helper_accepts(helper, from, round, token)) {
        return;
    }
    if (helper->state == MR_HELPER_VOID) {
        mr_helper_refuse(helper, token, MR_REFUSAL_VOID, "%s", helper->reason);
        return;
    }
    if (helper->state == MR_HELPER_EXPANDING) { /* recovered: the lead has the commitment already */
        mr_helper_refuse(helper, token, MR_REFUSAL_BUSY, "the set is being expanded");
        return;
    }
    if (helper->state < MR_HELPER_COMMITTED) {
        mr_helper_refuse(helper, token, MR_REFUSAL_WRONG_ROUND, "the set is not frozen yet");
        return;
    }
    if (helper->state > MR_HELPER_COMMITTED && helper->releasing) { /* likewise */
        mr_helper_refuse(helper, token, MR_REFUSAL_BUSY, "the set is being written down");
        return;
    }
    if (check_commitments(helper, list, body, length, &refusal) != MR_REFUSAL_NONE) {
        helper->ops->refuse(helper->context, token, &refusal);
        return;
    }
    if (!helper->opened) {
        fix_commitments(helper, list);
    }
    if (helper->state == MR_HELPER_COMMITTED) {
        mr_helper_wait(helper, token);
    } else {
        answer_opening(helper, token);
    }
}

void mr_helper_opening_durable(struct mr_helper *helper)
{
    mr_helper_enter(helper, MR_HELPER_OPENED);
    for (unsigned i = 0; i < helper->waiter_count; i++) {
        answer_opening(helper, helper->waiters[i]);
    }
    helper->waiter_count = 0;
    helper->ops->changed(helper->context);
}
