#include "wire/announcement_privacy.h"

#include <math.h>

#include "wire/epsilon.h"
#include "wire/gauss.h"
#include "wire/metric.h"

uint64_t mr_announcement_sigma2(const struct mr_announcement *announcement,
                                enum mr_noise_group group)
{
    const struct mr_privacy_terms *privacy = &announcement->privacy;
    return group == MR_NOISE_MODEL     ? privacy->model_sigma2
           : group == MR_NOISE_NORMS   ? privacy->norms_sigma2
           : group == MR_NOISE_METRICS ? privacy->metrics_sigma2
                                       : privacy->weight_sigma2;
}

uint32_t mr_announcement_noise_lanes(const struct mr_announcement *announcement, uint32_t lanes,
                                     enum mr_noise_group group)
{
    return group == MR_NOISE_METRICS ? mr_metric_lanes(announcement) : mr_noise_lanes(group, lanes);
}

/* One device of the largest weight moves every metric from one end of its range to the other. */
static uint64_t metrics_sensitivity2(const struct mr_announcement *announcement)
{
    const uint64_t lane = (uint64_t)announcement->weight_max * mr_metric_unit(announcement);
    return lane < UINT64_C(1) << 28 ? mr_metric_lanes(announcement) * lane * lane : UINT64_MAX;
}

uint64_t mr_announcement_sensitivity2(const struct mr_announcement *announcement, uint32_t lanes,
                                      enum mr_noise_group group)
{
    if (group == MR_NOISE_METRICS) {
        return announcement->privacy.metrics_sigma2 > 0 ? metrics_sensitivity2(announcement) : 0;
    }
    return mr_announcement_sigma2(announcement, group) > 0
               ? mr_noise_sensitivity2(group, announcement->scale, announcement->clip_norm, lanes,
                                       announcement->weight_max)
               : 0;
}

/* From MR_NOISE_SIGMA2_MIN on what exp gives is far below the last bit of what it is added to: the
 * cost is of products, quotients and square roots, which every machine rounds alike. */
static mr_rho rho_of_group(const struct mr_announcement *announcement, uint32_t lanes,
                           enum mr_noise_group group)
{
    const uint64_t sensitivity2 = mr_announcement_sensitivity2(announcement, lanes, group);
    const uint64_t sigma2 = mr_announcement_sigma2(announcement, group);
    return announcement->noise_kind == MR_NOISE_DEVICE
               ? mr_noise_distributed_rho(sensitivity2, sigma2, announcement->privacy.honest,
                                          mr_announcement_noise_lanes(announcement, lanes, group))
               : mr_rho_of_release(sensitivity2, sigma2);
}

mr_rho mr_announcement_rho(const struct mr_announcement *announcement, uint32_t lanes)
{
    mr_rho rho = 0;
    for (enum mr_noise_group group = 0; group < MR_NOISE_GROUPS; group++) {
        rho = mr_rho_add(rho, rho_of_group(announcement, lanes, group));
    }
    return rho;
}

uint32_t mr_announcement_adders(const struct mr_announcement *announcement)
{
    return announcement->noise_kind == MR_NOISE_DEVICE ? announcement->cohort_max
                                                       : announcement->hub_count;
}

uint64_t mr_announcement_tail(const struct mr_announcement *announcement, enum mr_noise_group group)
{
    return mr_noise_tail(mr_announcement_sigma2(announcement, group),
                         mr_announcement_adders(announcement));
}

double mr_announcement_noise_norm(const struct mr_announcement *announcement, uint32_t lanes)
{
    return mr_noise_norm_max(announcement->privacy.model_sigma2,
                             mr_announcement_adders(announcement), lanes);
}

double mr_announcement_epsilon(const struct mr_announcement *announcement)
{
    const struct mr_privacy_terms *privacy = &announcement->privacy;
    return announcement->noise_kind == MR_NOISE_NONE
               ? INFINITY
               : mr_epsilon_of(privacy->budget, (double)privacy->delta, announcement->noise_kind);
}

/* --- rules ----------------------------------------------------------------------------------- */

static int check_none(const struct mr_privacy_terms *privacy, struct mr_error *error)
{
    const bool none = privacy->model_sigma2 == 0 && privacy->norms_sigma2 == 0 &&
                      privacy->weight_sigma2 == 0 && privacy->metrics_sigma2 == 0 &&
                      privacy->rho == 0 && privacy->budget == 0 && privacy->horizon_s == 0 &&
                      privacy->honest == 0 && !(privacy->delta > 0 || privacy->delta < 0) &&
                      privacy->pool[0] == '\0';
    return none ? 0 : mr_error_set(error, "a round without noise has terms of noise");
}

static int check_sigma2(const char *name, uint64_t sigma2, struct mr_error *error)
{
    if (sigma2 < MR_NOISE_SIGMA2_MIN || sigma2 > MR_GAUSS_SIGMA2_MAX) {
        return mr_error_set(error, "%s is %llu: must be %d to %llu", name,
                            (unsigned long long)sigma2, MR_NOISE_SIGMA2_MIN,
                            (unsigned long long)MR_GAUSS_SIGMA2_MAX);
    }
    return 0;
}

/* A sum of metrics with its noise to either side stays below 2^32. */
static int check_metrics(const struct mr_announcement *announcement, struct mr_error *error)
{
    const uint64_t sigma2 = announcement->privacy.metrics_sigma2;
    const bool evaluation = !mr_announcement_trains(announcement);
    if (sigma2 == 0 && !evaluation) {
        return 0;
    }
    if (announcement->metric_count == 0) {
        return mr_error_set(error, "metrics_sigma2 is %llu: must be 0 in a round without metrics",
                            (unsigned long long)sigma2);
    }
    if (check_sigma2("metrics_sigma2", sigma2, error) != 0) {
        return -1;
    }
    const uint64_t most = (uint64_t)announcement->cohort_max * announcement->weight_max *
                          mr_metric_unit(announcement);
    const uint64_t tail = mr_announcement_tail(announcement, MR_NOISE_METRICS);
    return most <= UINT32_MAX && tail <= (UINT32_MAX - most) / 2
               ? 0
               : mr_error_set(error,
                              "metrics_sigma2 is %llu: the sum of the metrics and its noise "
                              "to either side must stay below 2^32",
                              (unsigned long long)sigma2);
}

/* Nothing of an update is sent where nobody trains. */
static int check_no_update(const struct mr_privacy_terms *privacy, struct mr_error *error)
{
    return privacy->model_sigma2 == 0 && privacy->norms_sigma2 == 0
               ? 0
               : mr_error_set(error, "an evaluation round has no model_sigma2 and no norms_sigma2");
}

static int check_update(const struct mr_privacy_terms *privacy, struct mr_error *error)
{
    if (check_sigma2("model_sigma2", privacy->model_sigma2, error) != 0) {
        return -1;
    }
    return privacy->norms_sigma2 ? check_sigma2("norms_sigma2", privacy->norms_sigma2, error) : 0;
}

static int check_variances(const struct mr_announcement *announcement, struct mr_error *error)
{
    const struct mr_privacy_terms *privacy = &announcement->privacy;
    const int update = mr_announcement_trains(announcement) ? check_update(privacy, error)
                                                            : check_no_update(privacy, error);
    if (update != 0 || check_metrics(announcement, error) != 0) {
        return -1;
    }
    if (announcement->weight_max > 1) {
        return check_sigma2("weight_sigma2", privacy->weight_sigma2, error);
    }
    return privacy->weight_sigma2 == 0
               ? 0
               : mr_error_set(error, "weight_sigma2 is %llu: must be 0 where weight_max is 1",
                              (unsigned long long)privacy->weight_sigma2);
}

/* What nobody else's noise hides is hidden by none. */
static int check_honest(const struct mr_announcement *announcement, struct mr_error *error)
{
    const uint32_t honest = announcement->privacy.honest;
    if (announcement->noise_kind == MR_NOISE_HUB) {
        return honest == 0
                   ? 0
                   : mr_error_set(error, "honest is %u: must be 0 with noise of hubs", honest);
    }
    return honest >= 2 && honest <= announcement->cohort_min
               ? 0
               : mr_error_set(error, "honest is %u: must be 2 to cohort_min (%u)", honest,
                              announcement->cohort_min);
}

static int check_cost(const struct mr_announcement *announcement, uint32_t lanes,
                      struct mr_error *error)
{
    const struct mr_privacy_terms *privacy = &announcement->privacy;
    const mr_rho rho = mr_announcement_rho(announcement, lanes);
    if (privacy->rho != rho) {
        return mr_error_set(error, "rho is %llu: the noise makes it %llu (in 2^-%d)",
                            (unsigned long long)privacy->rho, (unsigned long long)rho, MR_RHO_BITS);
    }
    if (privacy->budget < rho || privacy->budget > MR_PRIVACY_RHO_MAX) {
        return mr_error_set(error, "budget is %llu: must be rho (%llu) to %llu (in 2^-%d)",
                            (unsigned long long)privacy->budget, (unsigned long long)rho,
                            (unsigned long long)MR_PRIVACY_RHO_MAX, MR_RHO_BITS);
    }
    return 0;
}

int mr_announcement_privacy_check(const struct mr_announcement *announcement, uint32_t lanes,
                                  struct mr_error *error)
{
    const struct mr_privacy_terms *privacy = &announcement->privacy;
    if (announcement->noise_kind == MR_NOISE_NONE) {
        return check_none(privacy, error);
    }
    if (announcement->noise_kind > MR_NOISE_DEVICE) {
        return mr_error_set(error, "noise_kind is %u: not known", announcement->noise_kind);
    }
    if (check_honest(announcement, error) != 0 || check_variances(announcement, error) != 0) {
        return -1;
    }
    if (!isnormal(privacy->delta) || privacy->delta < 0 || privacy->delta > MR_PRIVACY_DELTA_MAX) {
        return mr_error_set(error, "delta must be a number above 0, at most %g",
                            (double)MR_PRIVACY_DELTA_MAX);
    }
    if (!mr_task_name_valid(privacy->pool)) {
        return mr_error_set(error, "pool must be 1 to %d of [a-z0-9-]", MR_TASK_NAME_MAX);
    }
    return check_cost(announcement, lanes, error);
}
