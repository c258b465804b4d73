/* proposal.c - whether a round that a lead proposes is one that this hub signs: its own policy, the
 * lead's signature, the round's number. */
#include <string.h>

#include "appliance/round/helper/helper_internal.h"

bool mr_helper_is_current(const struct mr_helper *helper, const uint8_t *hash)
{
    if (helper->state == MR_HELPER_SIGNING) {
        return memcmp(helper->proposed.hash, hash, MR_HASH_BYTES) == 0;
    }
    return helper->round_known && memcmp(helper->terms.hash, hash, MR_HASH_BYTES) == 0;
}

static enum mr_refusal_code check_policy(const struct mr_helper *helper, uint16_t from,
                                         const struct mr_round_terms *terms,
                                         struct mr_refusal *refusal)
{
    const struct mr_announcement *announcement = &terms->announcement;
    const struct mr_helper_policy *policy =
        mr_helper_is_current(helper, terms->hash) ? &helper->config.policy : &helper->next_policy;
    struct mr_error error;
    if (announcement->hubs[0].index != from) {
        return mr_refuse(refusal, MR_REFUSAL_UNAUTHORISED_ROLE,
                         "hub %u proposes a round that hub %u leads", from,
                         announcement->hubs[0].index);
    }
    if (strcmp(announcement->task, helper->config.task) != 0) {
        return mr_refuse(refusal, MR_REFUSAL_WRONG_ANNOUNCEMENT,
                         "the announcement is of task %s, this is task %s", announcement->task,
                         helper->config.task);
    }
    if (mr_announcement_trusts(announcement, helper->config.hubs, helper->config.hubs_count,
                               &error) != 0) {
        return mr_refuse(refusal, MR_REFUSAL_WRONG_ANNOUNCEMENT, "%.250s", error.text);
    }
    if (mr_announcement_hub(announcement, helper->config.index) < 1) {
        return mr_refuse(refusal, MR_REFUSAL_WRONG_ANNOUNCEMENT,
                         "hub %u is no helper of this round", helper->config.index);
    }
    if (announcement->cohort_min < policy->cohort_min) {
        return mr_refuse(refusal, MR_REFUSAL_BELOW_COHORT_MINIMUM,
                         "cohort_min %u is below this hub's own %u", announcement->cohort_min,
                         policy->cohort_min);
    }
    if (terms->layout.share_bytes > policy->share_bytes_max) {
        return mr_refuse(
            refusal, MR_REFUSAL_WRONG_ANNOUNCEMENT,
            "shares of %llu bytes are above this hub's share_bytes_max, %llu: raise it "
            "here",
            (unsigned long long)terms->layout.share_bytes,
            (unsigned long long)policy->share_bytes_max);
    }
    uint32_t values = 0;
    const uint32_t dimension =
        helper->ops->model_dimension(helper->context, announcement->model_hash, &values);
    if (dimension == announcement->dimension && values != announcement->model_values) {
        return mr_refuse(refusal, MR_REFUSAL_WRONG_ANNOUNCEMENT,
                         "model_values %u is not that of the model (%u)",
                         announcement->model_values, values);
    }
    if (dimension != announcement->dimension) {
        return mr_refuse(refusal, MR_REFUSAL_WRONG_ANNOUNCEMENT,
                         dimension ? "dimension %u is not that of the model (%u)"
                                   : "this hub has not the model that the round starts from: "
                                     "another first model, a store that was not kept, or an "
                                     "import, roll-back or resume that was not done here: compare "
                                     "millrace model list on both",
                         announcement->dimension, dimension);
    }
    return MR_REFUSAL_NONE;
}

/* With the key that is pinned: the certificate that the proposal came with is no more than a way
 * in.
 */
static enum mr_refusal_code check_signature(const struct mr_helper *helper,
                                            const struct mr_round_terms *terms,
                                            const uint8_t *signature, struct mr_refusal *refusal)
{
    const struct mr_announced_hub *lead = &helper->config.hubs[0];
    return mr_announcement_verify(signature, terms->hash, NULL, lead->public_key) == 0
               ? MR_REFUSAL_NONE
               : mr_refuse(refusal, MR_REFUSAL_BAD_SIGNATURE,
                           "the proposal is not signed with the key of hub %u, the lead of %s",
                           lead->index, helper->config.task);
}

/* How far a lead's number may run ahead of the last one that this hub signed: numbers are used up
 * without this hub only by proposals that it did not sign. At one a second, which no lead does for
 * long, it may have been away for twelve days; and no number that a lead makes up shuts the rest of
 * the numbers (up to 2^53) to this hub in less than 2^33 signed rounds. */
#define JUMP_MAX (UINT64_C(1) << 20)

static enum mr_refusal_code check_jump(uint64_t round, uint64_t last, struct mr_refusal *refusal)
{
    if (round <= last || round - last <= JUMP_MAX) {
        return MR_REFUSAL_NONE;
    }
    return mr_refuse(
        refusal, MR_REFUSAL_WRONG_ROUND,
        "round %llu is more than %llu above round %llu, the last that this hub signed. "
        "If this hub's data_dir was emptied, put its file signed-round back; if the "
        "lead's was damaged, go on as a task of another name, whose rounds begin at 1",
        (unsigned long long)round, (unsigned long long)JUMP_MAX, (unsigned long long)last);
}

/* One announcement a round number; and a hub that signed a round and does not have its journal any
 * more never takes it up again. What it had admitted and answered is forgotten, and a second set of
 * the same round, less one device, would give that device away. */
static enum mr_refusal_code check_number(const struct mr_helper *helper,
                                         const struct mr_round_terms *terms,
                                         struct mr_refusal *refusal)
{
    struct mr_helper_last last;
    const uint64_t round = terms->announcement.round;
    helper->ops->recall(helper->context, &last);
    if (round < last.round) {
        return mr_refuse(refusal, MR_REFUSAL_WRONG_ROUND,
                         "round %llu is older than round %llu, which this hub signed",
                         (unsigned long long)round, (unsigned long long)last.round);
    }
    if (round == last.round && memcmp(last.hash, terms->hash, MR_HASH_BYTES) != 0) {
        return mr_refuse(refusal, MR_REFUSAL_WRONG_ANNOUNCEMENT,
                         "this hub signed another announcement of round %llu",
                         (unsigned long long)round);
    }
    if (round == last.round && !mr_helper_is_current(helper, terms->hash)) {
        return mr_helper_not_kept(&last, refusal);
    }
    return check_jump(round, last.round, refusal);
}

enum mr_refusal_code mr_helper_check_proposal(const struct mr_helper *helper, uint16_t from,
                                              const struct mr_round_terms *terms,
                                              const uint8_t *signature, struct mr_refusal *refusal)
{
    enum mr_refusal_code code = check_policy(helper, from, terms, refusal);
    if (code == MR_REFUSAL_NONE) {
        code = check_signature(helper, terms, signature, refusal);
    }
    return code == MR_REFUSAL_NONE ? check_number(helper, terms, refusal) : code;
}

enum mr_refusal_code mr_helper_check_deadline(const struct mr_helper *helper,
                                              const struct mr_announcement *announcement,
                                              struct mr_refusal *refusal)
{
    const uint64_t ahead = helper->next_policy.deadline_ahead_ms;
    const uint64_t unix_ms = helper->ops->unix_ms ? helper->ops->unix_ms(helper->context) : 0;
    if (!helper->ops->unix_ms || announcement->deadline_unix_ms <= unix_ms ||
        announcement->deadline_unix_ms - unix_ms <= ahead) {
        return MR_REFUSAL_NONE;
    }
    return mr_refuse(refusal, MR_REFUSAL_WRONG_ANNOUNCEMENT,
                     "its deadline is %llu s ahead of this hub's clock, %llu s are the most",
                     (unsigned long long)(announcement->deadline_unix_ms - unix_ms) / 1000,
                     (unsigned long long)ahead / 1000);
}
