#include "appliance/round/drive/round_params.h"

#include <string.h>

#include "appliance/config/metric_list.h"
#include "base/assert.h"

void mr_round_params_init(struct mr_round_params *params, const struct mr_config_round *policy)
{
    *params = (struct mr_round_params){
        .quorum = policy->quorum,
        .deadline_ms = policy->deadline_ms,
        .cohort_min = mr_config_set_min(policy),
        .cohort_max = policy->cohort_max,
        .admitted_max = policy->admitted_max,
        .weight_max = policy->weight_max,
        .ring_bits = policy->ring_auto ? MR_RING_AUTO : policy->ring_bits,
        .levels = policy->levels,
        .rounding_error = policy->rounding_error,
        .rotation_log2 = policy->rotation_log2,
        .headroom = policy->headroom,
        .chunk_bytes = policy->chunk_bytes,
        .scale = policy->scale,
        .clip_norm = policy->clip_norm,
        .step_max = policy->step_max,
        .audit_hours = policy->audit_hours,
        .kind = policy->evaluate_before ? MR_ROUND_EVALUATED_TRAINING : MR_ROUND_TRAINING,
    };
    if (policy->training) {
        memccpy(params->training, policy->training, '\0', MR_TRAINING_MAX);
    }
}

void mr_round_optimiser(struct mr_optimiser *optimiser, const struct mr_config_round *policy)
{
    mr_optimiser_make(optimiser, policy->server_optimiser, policy->server_learning_rate,
                      policy->server_beta1, policy->server_beta2, policy->server_tau);
    optimiser->requantise = mr_config_requantise(policy);
}

void mr_round_metrics_announce(struct mr_announcement *announcement,
                               const struct mr_config_round *policy)
{
    struct mr_error error;
    memset(announcement->metrics, 0, sizeof announcement->metrics);
    const int count = mr_config_metrics(announcement->metrics, policy->metrics, &error);
    MR_ASSERT(count >= 0); /* checked when the file was read */
    announcement->metric_count = (uint8_t)count;
}

bool mr_round_metrics_agree(const struct mr_announcement *announcement,
                            const struct mr_config_round *policy)
{
    struct mr_announcement own = {.round = 0};
    mr_round_metrics_announce(&own, policy);
    bool same = own.metric_count == announcement->metric_count;
    for (unsigned i = 0; same && i < own.metric_count; i++) {
        const struct mr_announced_metric *a = &own.metrics[i], *b = &announcement->metrics[i];
        same = strcmp(a->name, b->name) == 0 && !(a->low < b->low) && !(a->low > b->low) &&
               !(a->high < b->high) && !(a->high > b->high);
    }
    return same;
}
