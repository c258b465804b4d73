/* check_privacy.c - the rules of tasks.privacy that need no model. */
#include <string.h>

#include "appliance/config/hub_check_internal.h"
#include "appliance/config/noise.h"
#include "wire/task.h"

enum mr_noise_kind mr_config_noise(const struct mr_config_privacy *privacy)
{
    if (!privacy->noise || strcmp(privacy->noise, "none") == 0) {
        return MR_NOISE_NONE;
    }
    return strcmp(privacy->noise, "hub") == 0 ? MR_NOISE_HUB : MR_NOISE_DEVICE;
}

static int at(const struct mr_place *place, const char *section, unsigned task, const char *name)
{
    return mr_document_blame(place->document, section, task, name, place->error);
}

int mr_config_check_privacy(const struct mr_hub_config *config, unsigned entry,
                            const struct mr_place *place)
{
    const struct mr_config_privacy *privacy = &config->tasks[entry].privacy;
    const enum mr_noise_kind noise = mr_config_noise(privacy);
    if (privacy->participation > 1) {
        mr_error_set(place->error, "must be above 0 and at most 1 (every round), not %g",
                     privacy->participation);
        return at(place, "tasks.privacy", entry, "participation");
    }
    if (privacy->delta >= 1) {
        mr_error_set(place->error, "must be a chance below 1, not %g", privacy->delta);
        return at(place, "tasks.privacy", entry, "delta");
    }
    if (*privacy->pool != '\0' && !mr_task_name_valid(privacy->pool)) {
        mr_error_set(place->error,
                     "must be 1 to %d of a-z, 0-9 and hyphens, the first no hyphen, not '%s'",
                     MR_TASK_NAME_MAX, privacy->pool);
        return at(place, "tasks.privacy", entry, "pool");
    }
    if (noise != MR_NOISE_NONE && (config->tasks[entry].round.ring_auto ||
                                   mr_config_levels_asked(&config->tasks[entry].round) > 0)) {
        const bool ring = config->tasks[entry].round.ring_auto;
        mr_error_set(place->error,
                     ring ? "auto is for sums without noise: `millrace dp plan` says which ring "
                            "holds this task's"
                          : "must be auto where tasks.privacy adds noise: they follow from the "
                            "ring and the noise");
        return mr_document_blame(place->document, "tasks.round", entry,
                                 ring ? "ring_bits" : "levels", place->error);
    }
    if (noise != MR_NOISE_NONE && config->tasks[entry].round.scale > 0) {
        mr_error_set(place->error,
                     "must be auto where tasks.privacy adds noise: the step follows from the ring "
                     "and the noise");
        return at(place, "tasks.round", entry, "scale");
    }
    return 0;
}
