/* shape_rule.c - the operator's rules on the shape of a set: the set is not the lead's to choose.
 */
#include "appliance/round/helper/helper_internal.h"

enum mr_refusal_code mr_helper_check_shape(const struct mr_helper *helper,
                                           const struct mr_shape *shape, uint32_t quorum,
                                           struct mr_refusal *refusal)
{
    const struct mr_helper_policy *policy = &helper->config.policy;
    const bool closed_early = quorum != 0 && shape->included >= quorum;
    if (!closed_early &&
        (uint64_t)shape->included * 100 < (uint64_t)policy->share_percent * shape->eligible) {
        return mr_refuse(refusal, MR_REFUSAL_SET_LEAVES_OUT,
                         "%u are taken of the %u devices that could be, as admitted here: %u %% "
                         "are the least (accept.share_percent)",
                         shape->included, shape->eligible, policy->share_percent);
    }
    if (policy->passed_over_percent &&
        mr_shape_passed_over_percent(shape) > policy->passed_over_percent) {
        return mr_refuse(refusal, MR_REFUSAL_SET_LEAVES_OUT,
                         "%u devices are left out that were admitted here before the %u early ones "
                         "that are taken: %u %% of both are the most (accept.passed_over_percent)",
                         shape->passed_over, shape->early, policy->passed_over_percent);
    }
    return MR_REFUSAL_NONE;
}
