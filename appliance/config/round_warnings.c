#include "appliance/config/round_warnings.h"

#include <string.h>

#include "appliance/config/noise.h"
#include "wire/quantiser.h"

unsigned mr_round_warnings(struct mr_error warnings[MR_ROUND_WARNINGS_MAX],
                           const struct mr_config_task *task)
{
    const struct mr_config_round *round = &task->round;
    unsigned count = 0;
    if (mr_config_noise(&task->privacy) != MR_NOISE_NONE) {
        return 0; /* the noise is above the rounding, and its plan has rules of its own */
    }
    if (round->scale > 0) {
        mr_error_set(&warnings[count++],
                     "scale %g is fixed: it follows neither the model nor the norms of the deltas, "
                     "and may lose the whole update to rounding; auto, the default, follows both",
                     (double)round->scale);
    }
    const uint8_t levels = mr_config_levels(round);
    const double error = mr_quantiser_best_error(levels, mr_config_set_min(round));
    if (error > MR_ROUNDING_ERROR_WARN) {
        mr_error_set(&warnings[count++],
                     "cohort_max %u leaves %u levels in a ring of %u bits with headroom %u: an "
                     "update of %u devices is off by about %.0f %% at best; choose a wider "
                     "ring_bits, a smaller cohort_max or a larger cohort_min",
                     round->cohort_max, levels, round->ring_bits, round->headroom,
                     mr_config_set_min(round), 100 * error);
    }
    return count;
}

bool mr_shared_model_warning(struct mr_error *warning, const struct mr_hub_config *config,
                             unsigned task)
{
    const struct mr_config_task *own = &config->tasks[task];
    for (unsigned i = 0; i < task; i++) {
        const struct mr_config_task *other = &config->tasks[i];
        if (own->dimension > 0 && other->dimension > 0 &&
            memcmp(own->model_hash, other->model_hash, MR_HASH_BYTES) == 0) {
            mr_error_set(warning,
                         "begins with the same model file as task %s: a device is counted on one "
                         "model once, so one that is in both makes the other's rounds void; give "
                         "this task's first model a name of its own in its header, as with "
                         "save_file(tensors, path, metadata={\"task\": \"%s\"})",
                         other->name, own->name);
            return true;
        }
    }
    return false;
}
