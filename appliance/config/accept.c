#include "appliance/config/accept.h"

#include <string.h>

#include "base/assert.h"

static bool is_rule(const char *text)
{
    return text && strcmp(text, MR_ACCEPT_RULE) == 0;
}

void mr_config_accept_read(struct mr_accept *accept, const struct mr_config_accept *config)
{
    const char *const texts[MR_ACCEPTED_COUNT] = {
        [MR_ACCEPTED_COHORT_MIN] = config->cohort_min,
        [MR_ACCEPTED_COHORT_MAX] = config->cohort_max,
        [MR_ACCEPTED_QUORUM] = config->quorum,
        [MR_ACCEPTED_ADMITTED_MAX] = config->admitted_max,
        [MR_ACCEPTED_WEIGHT_MAX] = config->weight_max,
        [MR_ACCEPTED_RING_BITS] = config->ring_bits,
        [MR_ACCEPTED_HEADROOM] = config->headroom,
        [MR_ACCEPTED_LEVELS] = config->levels,
        [MR_ACCEPTED_NOISE_KIND] = config->noise_kind,
        [MR_ACCEPTED_KIND] = config->kind,
        [MR_ACCEPTED_METRICS] = config->metrics,
        [MR_ACCEPTED_EPSILON] = config->epsilon,
        [MR_ACCEPTED_DEADLINE_MS] = config->deadline_ms,
        [MR_ACCEPTED_SCALE] = config->scale,
        [MR_ACCEPTED_CLIP_NORM] = config->clip_norm,
        [MR_ACCEPTED_STEP_MAX] = config->step_max,
        [MR_ACCEPTED_AUDIT_HOURS] = config->audit_hours,
    };
    mr_acceptance_init(&accept->announced);
    accept->announced.training = config->training;
    accept->scale_by_rule = is_rule(config->scale);
    accept->step_max_by_rule = is_rule(config->step_max);
    for (unsigned i = 0; i < MR_ACCEPTED_COUNT; i++) {
        if (texts[i] && !is_rule(texts[i])) {
            const int status = mr_range_parse(&accept->announced.ranges[i], texts[i]);
            MR_ASSERT(status == 0); /* checked when the file was read */
        }
    }
}
