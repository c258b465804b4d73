#include "appliance/config/round_warnings.h"

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
    const uint8_t levels =
        mr_quantiser_levels(round->ring_bits, round->cohort_max, round->headroom);
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
