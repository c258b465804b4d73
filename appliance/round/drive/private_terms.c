#include "appliance/round/drive/private_terms.h"

#include <stdio.h>
#include <string.h>

#include "appliance/config/noise.h"
#include "appliance/privacy/plan.h"
#include "wire/announcement_privacy.h"
#include "wire/metric.h"

#define DAY_S 86400u

static const char *pool_of(const struct mr_config_privacy *privacy, const char *task)
{
    return privacy->pool && privacy->pool[0] != '\0' ? privacy->pool : task;
}

static uint32_t horizon_of(const struct mr_config_privacy *privacy)
{
    return privacy->returns_days * DAY_S; /* at most a hundred years */
}

int mr_private_terms_fill(struct mr_announcement *announcement,
                          const struct mr_private_policy *policy, uint32_t devices,
                          struct mr_error *error)
{
    const struct mr_config_privacy *privacy = policy->privacy;
    struct mr_plan plan;
    const enum mr_noise_kind noise = mr_config_noise(privacy);
    announcement->noise_kind = (uint8_t)noise; /* the metrics' unit goes by it */
    const struct mr_plan_question question = {
        .noise = noise,
        .epsilon = privacy->epsilon,
        .delta = privacy->delta,
        .rounds = privacy->rounds,
        .participation = privacy->participation,
        .devices = devices,
        .cohort_min = announcement->cohort_min,
        .cohort_max = announcement->cohort_max,
        .colluders = policy->round->colluders,
        .hubs = announcement->hub_count,
        .dimension = announcement->dimension,
        .ring_bits = announcement->ring_bits,
        .rotation_log2 = announcement->rotation_log2,
        .chunk_bytes = announcement->chunk_bytes,
        .headroom = announcement->headroom,
        .weight_max = announcement->weight_max,
        .clip_norm = announcement->clip_norm,
        .evaluation = !mr_announcement_trains(announcement),
        .metric_lanes = mr_metric_lanes(announcement),
        .metric_unit = mr_metric_unit(announcement),
    };
    if (mr_plan_make(&plan, &question, error) != 0) {
        return -1;
    }
    if (mr_announcement_trains(announcement)) {
        announcement->levels = plan.levels;
        announcement->scale = plan.scale;
    }
    announcement->privacy = (struct mr_privacy_terms){
        .model_sigma2 = plan.releases[MR_NOISE_MODEL].sigma2,
        .norms_sigma2 = plan.releases[MR_NOISE_NORMS].sigma2,
        .weight_sigma2 = plan.releases[MR_NOISE_WEIGHT].sigma2,
        .metrics_sigma2 = plan.releases[MR_NOISE_METRICS].sigma2,
        .budget = plan.budget,
        .horizon_s = horizon_of(privacy),
        .delta = (float)privacy->delta,
        .honest =
            noise == MR_NOISE_DEVICE ? announcement->cohort_min - policy->round->colluders : 0,
    };
    snprintf(announcement->privacy.pool, sizeof announcement->privacy.pool, "%s",
             pool_of(privacy, announcement->task));
    announcement->privacy.rho = mr_announcement_rho(announcement, plan.layout.lanes);
    return 0;
}

static bool refused(struct mr_refusal *refusal, const char *what)
{
    mr_refuse(refusal, MR_REFUSAL_WRONG_ANNOUNCEMENT,
              "%s: compare tasks.privacy and tasks.round.colluders here and at the lead", what);
    return false;
}

bool mr_private_terms_hold(const struct mr_announcement *announcement,
                           const struct mr_private_policy *policy, struct mr_refusal *refusal)
{
    const struct mr_config_privacy *privacy = policy->privacy;
    const struct mr_privacy_terms *asked = &announcement->privacy;
    const enum mr_noise_kind noise = mr_config_noise(privacy);
    const uint32_t horizon_s = horizon_of(privacy);
    if (noise == MR_NOISE_NONE) {
        return true; /* accept.noise_kind and accept.epsilon say more, where they are set */
    }
    if (announcement->noise_kind != noise) {
        return refused(refusal, "the round has another kind of noise than this hub's operator asks "
                                "for");
    }
    if ((uint64_t)asked->honest + (noise == MR_NOISE_DEVICE ? policy->round->colluders : 0) >
        announcement->cohort_min) {
        return refused(refusal, "the round counts on the noise of more devices than this hub's "
                                "colluders leave of cohort_min");
    }
    if (asked->budget > mr_epsilon_budget(privacy->epsilon, privacy->delta, noise)) {
        return refused(refusal, "the round's budget is above this hub's own");
    }
    if (asked->horizon_s != horizon_s &&
        (horizon_s == 0 || (asked->horizon_s != 0 && asked->horizon_s < horizon_s))) {
        return refused(refusal, "the round gives what was spent back sooner than this hub");
    }
    if (strcmp(asked->pool, pool_of(privacy, announcement->task)) != 0) {
        return refused(refusal, "the round spends from another pool than this hub's");
    }
    return true;
}

bool mr_private_terms_debit(struct mr_budget_debit *debit,
                            const struct mr_announcement *announcement, uint64_t unix_ms)
{
    const struct mr_privacy_terms *privacy = &announcement->privacy;
    *debit = (struct mr_budget_debit){.rho = privacy->rho,
                                      .budget = privacy->budget,
                                      .horizon_s = privacy->horizon_s,
                                      .unix_ms = unix_ms,
                                      .delta = privacy->delta,
                                      .noise_kind = announcement->noise_kind};
    memcpy(debit->pool, privacy->pool, sizeof debit->pool);
    return announcement->noise_kind != MR_NOISE_NONE;
}
