/* check_accept.c - the rules of tasks.accept, and whether it accepts what this hub itself
 * announces.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "appliance/config/accept.h"
#include "appliance/config/hub_check_internal.h"
#include "appliance/config/metric_list.h"
#include "appliance/config/noise.h"
#include "wire/quantiser.h"

static int at(const struct mr_place *place, unsigned task, const char *name)
{
    return mr_document_blame(place->document, "tasks.accept", task, name, place->error);
}

/* What is left to be computed is not judged. */
static void spare(struct mr_acceptance *acceptance, enum mr_accepted which, bool computed)
{
    if (computed) {
        acceptance->ranges[which] = (struct mr_range){0, INFINITY};
    }
}

static int check_own(const struct mr_config_task *task, unsigned entry,
                     const struct mr_place *place)
{
    const struct mr_config_round *round = &task->round;
    struct mr_accept accept;
    struct mr_announcement own = {
        .cohort_min = mr_config_set_min(round),
        .cohort_max = round->cohort_max,
        .quorum = round->quorum,
        .admitted_max = round->admitted_max,
        .weight_max = round->weight_max,
        .ring_bits = round->ring_bits,
        .headroom = (uint8_t)round->headroom,
        .levels = mr_config_levels(round),
        .scale = round->scale,
        .clip_norm = round->clip_norm,
        .step_max = round->step_max,
        .audit_hours = (uint16_t)round->audit_hours,
        .noise_kind = (uint8_t)mr_config_noise(&task->privacy),
        .kind = round->evaluate_before ? MR_ROUND_EVALUATED_TRAINING : MR_ROUND_TRAINING,
    };
    const int metrics = mr_config_metrics(own.metrics, round->metrics, place->error);
    own.metric_count = metrics > 0 ? (uint8_t)metrics : 0; /* what is wrong was said before */
    snprintf(own.training, sizeof own.training, "%s", round->training);
    mr_config_accept_read(&accept, &task->accept);
    spare(&accept.announced, MR_ACCEPTED_SCALE, !(round->scale > 0));
    spare(&accept.announced, MR_ACCEPTED_STEP_MAX, !(round->step_max > 0));
    spare(&accept.announced, MR_ACCEPTED_LEVELS, own.noise_kind != MR_NOISE_NONE);
    for (enum mr_accepted i = 0; i < MR_ACCEPTED_COUNT; i++) { /* one by one: which is it? */
        struct mr_acceptance one;
        mr_acceptance_init(&one);
        one.ranges[i] = accept.announced.ranges[i];
        if (mr_acceptance_check(&one, &own, round->deadline_ms, place->error) != 0) {
            return at(place, entry, mr_accepted_name(i));
        }
    }
    struct mr_acceptance training;
    mr_acceptance_init(&training);
    training.training = accept.announced.training;
    return mr_acceptance_check(&training, &own, UINT64_MAX, place->error) == 0
               ? 0
               : at(place, entry, "training");
}

int mr_config_check_accept(const struct mr_hub_config *config, unsigned entry,
                           const struct mr_place *place)
{
    const struct mr_config_task *task = &config->tasks[entry];
    if (mr_training_rule_check(task->accept.training, place->error) != 0) {
        return at(place, entry, "training");
    }
    return task->hubs[0] == config->identity.index ? check_own(task, entry, place) : 0;
}
