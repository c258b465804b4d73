/* previous_round.c - rounds that a helper does not have any more: given up, lost, or left by a lead
 * that is gone. */
#include "appliance/round/helper/helper_internal.h"

enum mr_refusal_code helper_not_kept(const struct mr_helper_last *last, struct mr_refusal *refusal)
{
    if (last->given_up[0]) {
        return mr_refuse(refusal, MR_REFUSAL_VOID, "%s", last->given_up);
    }
    return mr_refuse(refusal, MR_REFUSAL_ROUND_LOST,
                     "this hub signed round %llu before it restarted, and its journal of the "
                     "round is gone: open another round",
                     (unsigned long long)last->round);
}

enum mr_refusal_code helper_unknown(const struct mr_helper *helper, uint64_t round,
                                    struct mr_refusal *refusal)
{
    struct mr_helper_last last;
    helper->ops->recall(helper->context, &last);
    if (last.round == round && helper->state != MR_HELPER_SIGNING) {
        return helper_not_kept(&last, refusal);
    }
    return mr_refuse(refusal, MR_REFUSAL_NO_ROUND, "no round of that number is known here");
}

uint64_t mr_helper_due_unix_ms(const struct mr_helper *helper)
{
    const uint64_t grace = helper->config.policy.lead_grace_ms;
    if (helper->state < MR_HELPER_ADMITTING || helper->state >= MR_HELPER_DONE) {
        return UINT64_MAX;
    }
    const uint64_t deadline = helper->terms.announcement.deadline_unix_ms;
    return deadline < UINT64_MAX - grace ? deadline + grace : UINT64_MAX;
}

enum mr_refusal_code helper_check_deadline(const struct mr_helper *helper,
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

void mr_helper_tick(struct mr_helper *helper, uint64_t unix_ms)
{
    if (unix_ms >= mr_helper_due_unix_ms(helper)) {
        helper_set_void(helper, "lead gone: it did not end the round within this hub's "
                                "lead_grace_ms after the deadline");
    }
}
