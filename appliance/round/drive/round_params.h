/* round_params.h - what one round is opened with: the task's policy, or what an operator asks. */
#ifndef MR_ROUND_DRIVE_ROUND_PARAMS_H
#define MR_ROUND_DRIVE_ROUND_PARAMS_H

#include "appliance/config/hub_config.h"
#include "wire/announcement.h"

struct mr_round_params {
    uint32_t quorum, deadline_ms, cohort_min, cohort_max, weight_max;
    uint32_t admitted_max; /* 0: the set is not drawn */
    uint8_t ring_bits;     /* MR_RING_AUTO: by the rule (wire/quantiser.h) */
    uint8_t levels;        /* MR_LEVELS_AUTO: as many as the ring leaves */
    float rounding_error;  /* what the rule for the ring may lose */
    uint8_t rotation_log2; /* MR_ROTATION_AUTO: by the model */
    uint32_t headroom;
    uint16_t chunk_bytes;
    float scale; /* 0: by the rule (wire/quantiser.h) */
    float clip_norm;
    float step_max;       /* 0: by the rule */
    uint32_t audit_hours; /* 0: nothing is kept */
    char training[MR_TRAINING_MAX + 1];
    enum mr_round_kind kind;
};

/* The server optimiser that a task's options say. */
void mr_round_optimiser(struct mr_optimiser *optimiser, const struct mr_config_round *policy);

/* The named metrics likewise, and whether they are the announcement's. */
void mr_round_metrics_announce(struct mr_announcement *announcement,
                               const struct mr_config_round *policy);
bool mr_round_metrics_agree(const struct mr_announcement *announcement,
                            const struct mr_config_round *policy);

/* As the policy says. */
void mr_round_params_init(struct mr_round_params *params, const struct mr_config_round *policy);

#endif
