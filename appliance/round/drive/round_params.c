#include "appliance/round/drive/round_params.h"

#include <string.h>

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
    };
    if (policy->training) {
        memccpy(params->training, policy->training, '\0', MR_TRAINING_MAX);
    }
}

void mr_round_optimiser(struct mr_optimiser *optimiser, const struct mr_config_round *policy)
{
    mr_optimiser_make(optimiser, policy->server_optimiser, policy->server_learning_rate,
                      policy->server_beta1, policy->server_beta2, policy->server_tau);
}
