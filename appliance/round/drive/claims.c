#include "appliance/round/drive/claims.h"

#include <inttypes.h>

#include "appliance/task/released.h"

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

bool mr_claims_may_count(const struct mr_round_context *context, const struct mr_round_terms *terms,
                         const uint8_t client_id[MR_CLIENT_ID_BYTES], struct mr_refusal *refusal)
{
    struct mr_released_place place;
    struct mr_error error;
    const int may = mr_released_may_count(context->released, terms->announcement.model_hash,
                                          terms->hash, client_id, &place, &error);
    if (may < 0) {
        mr_refuse(refusal, MR_REFUSAL_INTERNAL, "%.250s", error.text);
    } else if (may == 0) {
        refuse(refusal, "the device", &place);
    }
    return may > 0;
}

enum mr_set_claim mr_claims_take(const struct mr_round_context *context,
                                 const struct mr_frozen_set *set, struct mr_refusal *refusal)
{
    struct mr_released_place place;
    struct mr_error error = {.text = ""};
    const struct mr_announcement *announcement = &set->terms->announcement;
    const struct mr_released_set asked = {.task = context->task,
                                          .round = announcement->round,
                                          .parent = announcement->model_hash,
                                          .announcement_hash = set->terms->hash,
                                          .set_hash = set->set_hash,
                                          .included = set->included,
                                          .count = set->count};
    switch (mr_released_claim(context->released, &asked, &place, &error)) {
    case MR_CLAIM_TAKEN:
        return MR_SET_CLAIMED;
    case MR_CLAIM_RELEASED:
        return MR_SET_RELEASED;
    case MR_CLAIM_REFUSED:
        break;
    }
    if (error.text[0]) {
        mr_refuse(refusal, MR_REFUSAL_INTERNAL, "%.250s", error.text);
    } else {
        refuse(refusal, "a device of the set", &place);
    }
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
