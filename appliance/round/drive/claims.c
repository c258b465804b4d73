#include "appliance/round/drive/claims.h"

#include <inttypes.h>
#include <string.h>

#include "appliance/round/drive/private_terms.h"
#include "appliance/round/drive/wall_clock.h"
#include "appliance/task/released.h"
#include "base/assert.h"
#include "base/bytes.h"
#include "wire/epsilon.h"
#include "wire/model_line.h"

static enum mr_refusal_code refuse(struct mr_refusal *refusal, const char *who,
                                   const struct mr_released_place *place)
{
    return mr_refuse(refusal, MR_REFUSAL_RELEASED,
                     "%s is in the set of round %" PRIu64 " of task %s, which %s on the same "
                     "model: it is counted again %s",
                     who, place->round, place->task,
                     place->released ? "this hub has opened" : "is under way",
                     place->released ? "on the next one"
                                     : "on the next one, or when that round "
                                       "was given up unopened");
}

/* What is left, in the units that count and as people read it. */
static enum mr_refusal_code refuse_broke(struct mr_refusal *refusal, const char *who,
                                         const struct mr_privacy_terms *privacy,
                                         enum mr_noise_kind kind, uint64_t left)
{
    const double delta = (double)privacy->delta;
    return mr_refuse(refusal, MR_REFUSAL_BUDGET,
                     "%s has %.6g of its budget of %.6g left in pool %s beside what rounds "
                     "under way keep, and the round costs %.6g (rho): epsilon %.4g of %.4g is "
                     "spent or kept at delta %.3g; it is counted again %s",
                     who, mr_rho_value(left), mr_rho_value(privacy->budget), privacy->pool,
                     mr_rho_value(privacy->rho), mr_epsilon_of(privacy->budget - left, delta, kind),
                     mr_epsilon_of(privacy->budget, delta, kind), delta,
                     privacy->horizon_s
                         ? "when some of it is past the horizon, or such a round ends "
                           "without it"
                         : "when such a round ends without it, else no more");
}

/* Whether the device can pay for the round. */
static bool may_spend(const struct mr_round_context *context, const struct mr_round_terms *terms,
                      const uint8_t client_id[MR_CLIENT_ID_BYTES], struct mr_refusal *refusal)
{
    const struct mr_announcement *round = &terms->announcement;
    struct mr_budget_debit debit;
    struct mr_error error;
    uint64_t left = 0;
    if (!mr_private_terms_debit(&debit, round, mr_round_unix_ms())) {
        return true;
    }
    const int may =
        mr_released_may_spend(context->released, &debit, context->task, client_id, &left, &error);
    if (may < 0) {
        mr_refuse(refusal, MR_REFUSAL_INTERNAL, "%.250s", error.text);
    } else if (may == 0) {
        refuse_broke(refusal, "the device", &round->privacy, round->noise_kind, left);
    } else if (mr_released_keep(context->released, context->task, round->round, &debit,
                                client_id) != 0) {
        mr_refuse(refusal, MR_REFUSAL_BUSY, "no memory to keep the device's budget");
        return false;
    }
    return may > 0;
}

void mr_claims_keep(const struct mr_round_context *context, const struct mr_round_terms *terms,
                    const struct mr_included *admitted, uint32_t count)
{
    struct mr_budget_debit debit;
    if (!mr_private_terms_debit(&debit, &terms->announcement, mr_round_unix_ms())) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        const int kept = mr_released_keep(context->released, context->task,
                                          terms->announcement.round, &debit, admitted[i].client_id);
        MR_ASSERT(kept == 0);
    }
}

bool mr_claims_may_count(const struct mr_round_context *context, const struct mr_round_terms *terms,
                         const uint8_t client_id[MR_CLIENT_ID_BYTES], struct mr_refusal *refusal)
{
    struct mr_released_place place;
    struct mr_error error;
    struct mr_model_line line;
    MR_ASSERT(mr_model_line(&line, &terms->announcement) == 0);
    int may =
        mr_released_may_count(context->released, line.own, terms->hash, client_id, &place, &error);
    if (may > 0 && line.looks) {
        may = mr_released_may_count(context->released, line.also, terms->hash, client_id, &place,
                                    &error);
    }
    if (may < 0) {
        mr_refuse(refusal, MR_REFUSAL_INTERNAL, "%.250s", error.text);
    } else if (may == 0) {
        refuse(refusal, "the device", &place);
    }
    return may > 0 && may_spend(context, terms, client_id, refusal);
}

/* Why a set was not taken. */
static void refuse_set(struct mr_refusal *refusal, const struct mr_announcement *round,
                       const struct mr_released_place *place, const struct mr_error *error)
{
    char who[2 * MR_CLIENT_ID_BYTES + 32] = "device ";
    if (error->text[0]) {
        mr_refuse(refusal, MR_REFUSAL_INTERNAL, "%.250s", error->text);
    } else if (place->broke) {
        mr_hex_encode(who + strlen(who), place->client_id, MR_CLIENT_ID_BYTES);
        refuse_broke(refusal, who, &round->privacy, round->noise_kind, place->left);
    } else {
        refuse(refusal, "a device of the set", place);
    }
}

enum mr_set_claim mr_claims_take(const struct mr_round_context *context,
                                 const struct mr_frozen_set *set, struct mr_refusal *refusal)
{
    struct mr_released_place place;
    struct mr_error error = {.text = ""};
    const struct mr_announcement *announcement = &set->terms->announcement;
    struct mr_budget_debit debit;
    const bool costs = mr_private_terms_debit(&debit, announcement, mr_round_unix_ms());
    struct mr_model_line line;
    MR_ASSERT(mr_model_line(&line, announcement) == 0);
    const struct mr_released_set asked = {.task = context->task,
                                          .round = announcement->round,
                                          .parent = line.own,
                                          .also = line.looks ? line.also : NULL,
                                          .announcement_hash = set->terms->hash,
                                          .set_hash = set->set_hash,
                                          .included = set->included,
                                          .count = set->count,
                                          .debit = costs ? &debit : NULL};
    switch (mr_released_claim(context->released, &asked, &place, &error)) {
    case MR_CLAIM_TAKEN:
        return MR_SET_CLAIMED;
    case MR_CLAIM_RELEASED:
        return MR_SET_RELEASED;
    case MR_CLAIM_REFUSED:
        break;
    }
    refuse_set(refusal, announcement, &place, &error);
    return MR_SET_REFUSED;
}

bool mr_claims_released(const struct mr_round_context *context, const struct mr_round_terms *terms)
{
    struct mr_error error;
    return mr_released_has(context->released, terms->hash, &error) != 0;
}

uint32_t mr_claims_devices(const struct mr_round_context *context, const uint8_t *model_hash)
{
    return mr_released_devices(context->released, model_hash);
}
