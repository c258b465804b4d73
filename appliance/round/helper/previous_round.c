/* previous_round.c - rounds that a helper does not have any more: given up or lost. */
#include "appliance/round/helper/helper_internal.h"

enum mr_refusal_code mr_helper_not_kept(const struct mr_helper_last *last,
                                        struct mr_refusal *refusal)
{
    if (last->given_up[0]) {
        return mr_refuse(refusal, last->lost ? MR_REFUSAL_ROUND_LOST : MR_REFUSAL_VOID, "%s",
                         last->given_up);
    }
    return mr_refuse(refusal, MR_REFUSAL_ROUND_LOST,
                     "this hub signed round %llu before it restarted, and its journal of the "
                     "round is gone: open another round",
                     (unsigned long long)last->round);
}

enum mr_refusal_code mr_helper_unknown(const struct mr_helper *helper, uint64_t round,
                                       struct mr_refusal *refusal)
{
    struct mr_helper_last last;
    helper->ops->recall(helper->context, &last);
    if (last.round == round && helper->state != MR_HELPER_SIGNING) {
        return mr_helper_not_kept(&last, refusal);
    }
    return mr_refuse(refusal, MR_REFUSAL_NO_ROUND, "round %llu is not known here",
                     (unsigned long long)round);
}
