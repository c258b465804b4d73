#include "edge-client/share/rounding.h"

#include <stdio.h>
#include <string.h>

#include "wire/announcement_privacy.h"

/* Whether the hubs chose the step without knowing any norm: the step is that of clip_norm. */
static bool is_first(const struct mr_round_terms *terms)
{
    static const struct mr_norm_memory nothing = {.devices = 0};
    const struct mr_announcement *round = &terms->announcement;
    const struct mr_quantiser quantiser = {.levels = round->levels,
                                           .lanes = terms->layout.lanes,
                                           .cohort_max = round->cohort_max,
                                           .clip_norm = round->clip_norm,
                                           .round = round->round};
    return mr_quantiser_agrees(round->scale, mr_quantiser_scale(&quantiser, &nothing));
}

static int too_fine(const struct mr_rounding *rounding, const struct mr_round_terms *terms,
                    struct mr_error *report)
{
    return mr_error_set(report,
                        "%.1f %% of the values are beyond the round's %u levels and were cut off: "
                        "scale %g is too large for a weighted norm of %.3g; with tasks.round.scale "
                        "auto at the hubs the step follows the norms",
                        100 * rounding->saturated, terms->announcement.levels,
                        (double)terms->announcement.scale, rounding->norm);
}

static int too_coarse(const struct mr_rounding *rounding, double update,
                      const struct mr_round_terms *terms, struct mr_error *report)
{
    const struct mr_announcement *round = &terms->announcement;
    mr_error_set(report,
                 "rounding alone costs about %.1f %% of an update of %u such devices (resolution "
                 "%.3g steps, own error %.1f %%): ",
                 100 * update, round->cohort_min, rounding->resolution, 100 * rounding->error);
    const size_t used = strlen(report->text);
    char *rest = report->text + used;
    const size_t room = sizeof report->text - used;
    if (is_first(terms)) {
        snprintf(rest, room,
                 "no round has told the norms yet; a clip_norm of about %.2g at the hubs makes the "
                 "first step finer, and the next rounds follow the norms by themselves",
                 4 * rounding->norm);
    } else {
        snprintf(rest, room,
                 "scale %g is small for a weighted norm of %.3g; with tasks.round.scale auto at "
                 "the hubs the step follows the norms, a wider ring_bits or a smaller cohort_max "
                 "makes it finer",
                 (double)round->scale, rounding->norm);
    }
    return -1;
}

static uint64_t norm2_max(const struct mr_round_terms *terms)
{
    return mr_announcement_sensitivity2(&terms->announcement, terms->layout.lanes, MR_NOISE_MODEL);
}

/* Even toward zero: the announced numbers do not go together. */
static int too_long(const struct mr_rounding *rounding, const struct mr_round_terms *terms,
                    struct mr_error *report)
{
    return mr_error_set(report,
                        "the rounded vector's squared norm is %llu, above the %llu that the "
                        "round's noise is made for (scale %g, clip_norm %g): nothing is sent",
                        (unsigned long long)rounding->norm2, (unsigned long long)norm2_max(terms),
                        (double)terms->announcement.scale, (double)terms->announcement.clip_norm);
}

int mr_rounding_judge(const struct mr_rounding *rounding, const struct mr_round_terms *terms,
                      struct mr_error *report)
{
    const uint32_t devices = terms->announcement.cohort_min;
    const double usual = mr_rounding_error_usual(rounding->error, devices);
    const bool noised = terms->announcement.noise_kind != MR_NOISE_NONE;
    report->text[0] = '\0';
    if (noised && rounding->norm2 > norm2_max(terms)) {
        return too_long(rounding, terms, report);
    }
    if (rounding->saturated > MR_SATURATED_WARN) {
        too_fine(rounding, terms, report);
        return rounding->saturated > MR_SATURATED_REFUSE ? -1 : 0;
    }
    /* The noise is more than the rounding, and the step is chosen for it. */
    if (!noised && usual > MR_ROUNDING_ERROR_WARN) {
        too_coarse(rounding, usual, terms, report);
        /* Even the sum of equal vectors would be more noise than signal. In a first round that is
         * how the hubs learn of the norms: nobody could ever begin otherwise. */
        return mr_rounding_error_alike(rounding->error, devices) > 1 && !is_first(terms) ? -1 : 0;
    }
    return 0;
}
