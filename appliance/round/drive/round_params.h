/* round_params.h - what one round is opened with: the task's policy, or what an operator asks. */
#ifndef MR_ROUND_DRIVE_ROUND_PARAMS_H
#define MR_ROUND_DRIVE_ROUND_PARAMS_H

#include "appliance/config/hub_config.h"
#include "wire/announcement.h"

/* A round stays open no longer, whatever the configuration or an operator says (hub_options.def has
 * the same number); helpers sign nothing longer. */
#define MR_ROUND_DEADLINE_MS_MAX UINT32_C(604800000)

struct mr_round_params {
    uint32_t quorum, deadline_ms, cohort_min, cohort_max, weight_max;
    uint8_t ring_bits, rotation_log2;
    uint16_t chunk_bytes;
    float scale, clip_norm;
    char training[MR_TRAINING_MAX + 1];
};

/* As the policy says. */
void mr_round_params_init(struct mr_round_params *params, const struct mr_config_round *policy);

#endif
