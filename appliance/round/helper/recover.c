/* recover.c - a helper takes up the round of its journal. */
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/round/helper/helper_internal.h"
#include "appliance/round/mark_part.h"
#include "base/secret.h"
#include "base/assert.h"

/* As with every step here: 1 where the journal's round is none to go on with. */
static int check(const struct mr_helper *helper, const struct mr_journal_state *state,
                 struct mr_error *error)
{
    const struct mr_announcement *announcement = &state->terms->announcement;
    const uint32_t least = helper->config.policy.cohort_min;
    if (strcmp(announcement->task, helper->config.task) != 0) {
        mr_error_set(error, "it is a round of task %s, not of %s", announcement->task,
                     helper->config.task);
        return 1;
    }
    if (mr_announcement_trusts(announcement, helper->config.hubs, helper->config.hubs_count,
                               error) != 0) {
        return 1;
    }
    if (mr_announcement_hub(announcement, helper->config.index) < 1) {
        mr_error_set(error, "hub %u is no helper of that round", helper->config.index);
        return 1;
    }
    const unsigned position = (unsigned)mr_announcement_hub(announcement, helper->config.index);
    if (state->phase != MR_JOURNAL_DONE &&
        !mr_mark_part_is_here(announcement, position, helper->config.mark_part)) {
        mr_error_set(error, MR_NO_MARK_PART);
        return state->phase == MR_JOURNAL_ADMITTING ? 1 : -1; /* it may have opened: not lost */
    }
    if (state->phase != MR_JOURNAL_ADMITTING && state->count < least) {
        mr_error_set(error, "its set has %u devices, this hub's cohort_min is %u", state->count,
                     least);
        return 1;
    }
    return 0;
}

/* The list to draw from, if it had come; with the set every hub's value. */
static int take_draw(struct mr_helper *helper, const struct mr_journal_state *state,
                     struct mr_error *error)
{
    if (!state->list) {
        return 0;
    }
    if (state->draw_values) {
        memcpy(helper->draw.values, state->draw_values,
               state->terms->announcement.hub_count * (size_t)MR_DRAW_VALUE_BYTES);
        helper->draw.values_known = true;
    }
    helper->listed = true;
    return mr_helper_take_list(helper, state->list, state->list_bytes, error);
}

static int admit_all(struct mr_helper *helper, const struct mr_journal_state *state,
                     struct mr_error *error)
{
    for (uint32_t i = 0; i < state->count; i++) {
        const struct mr_expansion *entry = &state->entries[i];
        struct mr_seed seed = {.serial = entry->serial};
        memcpy(seed.bytes, entry->seed, MR_SEED_BYTES);
        memcpy(seed.sealed_hash, entry->sealed_hash, MR_HASH_BYTES);
        const enum mr_seed_outcome outcome =
            mr_seeds_admit(&helper->seeds, &entry->included, &seed);
        OPENSSL_cleanse(&seed, sizeof seed);
        if (outcome == MR_SEED_FULL && helper->seeds.count < helper->seeds.clients_max) {
            return mr_error_set(error, "out of memory for seed %u of %u", i, state->count);
        }
        if (outcome != MR_SEED_ADMITTED) {
            mr_error_set(error, "seed %u has no place in the round", i);
            return 1;
        }
    }
    helper->admitted_count = helper->seeds.count;
    mr_helper_enter(helper, MR_HELPER_ADMITTING);
    memcpy(helper->draw.value, state->draw_value, MR_DRAW_VALUE_BYTES);
    return take_draw(helper, state, error);
}

/* What the set's answers follow from. */
static int take_set(struct mr_helper *helper, const struct mr_journal_state *state,
                    struct mr_error *error)
{
    helper->included = malloc((size_t)state->count * sizeof *helper->included);
    if (!helper->included) {
        return mr_error_set(error, "out of memory for a set of %u", state->count);
    }
    helper->included_count = state->count;
    for (uint32_t i = 0; i < state->count; i++) {
        helper->included[i] = state->entries[i].included;
    }
    if (mr_included_hash(helper->set_hash, helper->terms.hash, helper->included, state->count) !=
        0) {
        return mr_error_set(error, "the set could not be hashed");
    }
    const int drawn = take_draw(helper, state, error);
    if (drawn != 0) {
        return drawn;
    }
    memcpy(helper->commitments, state->commitments, sizeof helper->commitments);
    memcpy(helper->nonce, state->nonce, MR_NONCE_BYTES);
    helper->opened = state->phase >= MR_JOURNAL_OPENED;
    helper->admitted_known = true;
    helper->admitted_seeds = state->admitted;
    memcpy(helper->admitted_root, state->admitted_root, MR_HASH_BYTES);
    struct mr_refusal refusal;
    if (mr_helper_claim(helper, &refusal) == MR_SET_REFUSED) {
        mr_error_set(error, "%s", refusal.text);
        return refusal.code == MR_REFUSAL_INTERNAL ? -1 : 1; /* not known, or not allowed */
    }
    return 0;
}

/* Expands again, as soon as what was read is durable: the same seeds and nonce, so the same bytes.
 */
static int take_frozen(struct mr_helper *helper, const struct mr_journal_state *state,
                       struct mr_error *error)
{
    const int taken = take_set(helper, state, error);
    if (taken != 0) {
        return taken;
    }
    helper->list = mr_secret_new((size_t)state->count * sizeof *helper->list);
    if (!helper->list) {
        return mr_error_set(error, "out of memory for %u seeds", state->count);
    }
    memcpy(helper->list, state->entries, (size_t)state->count * sizeof *helper->list);
    mr_helper_enter(helper, MR_HELPER_EXPANDING);
    helper->working = true;
    return 0;
}

static int take_done(struct mr_helper *helper, const struct mr_journal_state *state,
                     struct mr_error *error)
{
    const size_t share_bytes = (size_t)helper->terms.layout.share_bytes;
    const int taken = take_set(helper, state, error);
    if (taken != 0) {
        return taken;
    }
    helper->result = aligned_alloc(64, (share_bytes + 63) & ~(size_t)63);
    memcpy(helper->model_hash, state->model_hash, MR_HASH_BYTES);
    if (!helper->result || mr_model_sign(helper->model_signature, helper->terms.hash,
                                         helper->set_hash, state->model_hash, &helper->keys) != 0) {
        return mr_error_set(error, "out of memory, or the model could not be signed");
    }
    memcpy(helper->result, state->result, share_bytes);
    helper->attested = true;
    mr_helper_enter(helper, MR_HELPER_DONE);
    return 0;
}

int mr_helper_recover(struct mr_helper *helper, const struct mr_journal_read *read,
                      struct mr_error *error)
{
    const struct mr_journal_state *state = &read->state;
    MR_ASSERT(helper->state == MR_HELPER_IDLE && !helper->round_known);
    int result = check(helper, state, error);
    if (result != 0) {
        return result;
    }
    mr_helper_take_terms(helper, state->terms, state->seal);
    switch (state->phase) {
    case MR_JOURNAL_ADMITTING:
        result = admit_all(helper, state, error);
        break;
    case MR_JOURNAL_FROZEN:
    case MR_JOURNAL_OPENED:
        result = take_frozen(helper, state, error);
        break;
    case MR_JOURNAL_DONE:
        result = take_done(helper, state, error);
        break;
    }
    if (result != 0) {
        mr_helper_drop_round(helper);
        helper->round_known = false;
        return result;
    }
    mr_helper_save(helper, state);
    helper->needed = helper->draw.needed = helper->asked;
    if (helper->opened) { /* a crash may have come between the two files */
        mr_helper_release(helper);
    }
    helper->ops->changed(helper->context);
    return 0;
}
