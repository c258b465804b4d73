#include "appliance/round/drive/rounding_report.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

/* The error is an estimate from the sum, a tenth off at times: who is beyond the limit is told. */
#define LOSSY (0.9 * MR_ROUNDING_ERROR_WARN)

static struct mr_quantiser quantiser_of(const struct mr_round_terms *terms)
{
    const struct mr_announcement *round = &terms->announcement;
    return (struct mr_quantiser){.levels = round->levels,
                                 .lanes = terms->layout.lanes,
                                 .cohort_max = round->cohort_max,
                                 .clip_norm = round->clip_norm,
                                 .round = round->round};
}

/* Whether the step is that of a round before which nothing was known. */
static bool is_first(const struct mr_round_terms *terms)
{
    static const struct mr_norm_memory nothing = {.devices = 0};
    const struct mr_quantiser quantiser = quantiser_of(terms);
    return mr_quantiser_agrees(terms->announcement.scale, mr_quantiser_scale(&quantiser, &nothing));
}

static const char *remedy(const struct mr_round_summary *summary,
                          const struct mr_round_terms *terms)
{
    if (summary->metrics.saturated > MR_SATURATED_WARN) {
        return "scale is too large for the norms: tasks.round.scale auto follows them";
    }
    if (is_first(terms)) {
        return "no round had told the norms: the next one's step follows this one's; a clip_norm "
               "nearer to the weighted norms makes the first step finer";
    }
    if (terms->announcement.levels < 32) {
        return "few levels: a wider ring_bits, a smaller cohort_max or less headroom makes more";
    }
    return "scale is small for the norms: tasks.round.scale auto follows them; where it does, the "
           "devices' weights differ much for so few of them: a smaller weight_max evens them";
}

/* The rule that both sides' warnings go by. A number that is not known counts as too much. */
static bool is_lossy(const struct mr_round_metrics *metrics)
{
    return !(metrics->error <= LOSSY) || !(metrics->saturated <= MR_SATURATED_WARN);
}

void mr_rounding_warning(char *text, size_t capacity, const struct mr_round_summary *summary)
{
    const struct mr_round_metrics *metrics = &summary->metrics;
    text[0] = '\0';
    if (!summary->has_metrics || summary->kind == MR_ROUND_EVALUATION ||
        summary->noise_kind != MR_NOISE_NONE || !is_lossy(metrics)) {
        return;
    }
    snprintf(text, capacity,
             "rounding cost the update of all devices about %.3g %%, and %.2g %% of their values "
             "were cut off at the round's %u levels: its step, scale %.6g, does not fit the norms; "
             "the hubs' operators have the remedy in their logs (round.rounding)",
             100 * metrics->error, 100 * metrics->saturated, summary->levels,
             (double)summary->scale);
}

/* Nobody tells what its rounding cost: what is lost to the noise is more. */
static void report_noise(struct mr_log *log, const char *task,
                         const struct mr_round_summary *summary, const struct mr_round_terms *terms)
{
    const struct mr_announcement *round = &terms->announcement;
    mr_log_event(log, MR_LOG_INFO, summary->lead ? "round.noise" : "helper.noise",
                 "task=%s round=%" PRIu64 " sigma2=%" PRIu64 " rho=%.6g pool=%s scale=%.6g "
                 "levels=%u step=%.6g step_max=%.6g",
                 task, summary->round, round->privacy.model_sigma2,
                 mr_rho_value(round->privacy.rho), round->privacy.pool, (double)round->scale,
                 round->levels, summary->metrics.step, (double)round->step_max);
}

/* Each named metric that the round told. */
static void report_named(struct mr_log *log, const char *task,
                         const struct mr_round_summary *summary)
{
    const struct mr_round_metrics *metrics = &summary->metrics;
    for (unsigned i = 0; i < metrics->metric_count; i++) {
        const double mean = metrics->metrics[i].mean[MR_METRIC_AFTER];
        const double before = metrics->metrics[i].mean[MR_METRIC_BEFORE];
        char also[48] = "";
        if (!isnan(before)) {
            snprintf(also, sizeof also, " before=%.6g", before);
        }
        if (!isnan(mean)) {
            mr_log_event(log, MR_LOG_INFO, summary->lead ? "round.metric" : "helper.metric",
                         "task=%s round=%" PRIu64 " kind=%s name=%s mean=%.6g%s", task,
                         summary->round, mr_round_kind_name(summary->kind),
                         metrics->metrics[i].name, mean, also);
        }
    }
}

void mr_rounding_report(struct mr_log *log, const char *task,
                        const struct mr_round_summary *summary, const struct mr_round_terms *terms)
{
    const struct mr_round_metrics *metrics = &summary->metrics;
    const char *event = summary->lead ? "round.rounding" : "helper.rounding";
    report_named(log, task, summary);
    if (!mr_announcement_trains(&terms->announcement)) {
        return;
    }
    if (terms->announcement.noise_kind != MR_NOISE_NONE) {
        report_noise(log, task, summary, terms);
        return;
    }
    if (is_lossy(metrics)) {
        mr_log_event(log, MR_LOG_WARN, event,
                     "task=%s round=%" PRIu64 " error_percent=%.3g saturated_percent=%.3g "
                     "resolution=%.3g scale=%.6g levels=%u step=%.6g step_max=%.6g remedy=%s",
                     task, summary->round, 100 * metrics->error, 100 * metrics->saturated,
                     metrics->resolution, (double)terms->announcement.scale,
                     terms->announcement.levels, metrics->step,
                     (double)terms->announcement.step_max, remedy(summary, terms));
        return;
    }
    mr_log_event(log, MR_LOG_INFO, event,
                 "task=%s round=%" PRIu64 " error_percent=%.3g saturated_percent=%.3g "
                 "resolution=%.3g scale=%.6g levels=%u step=%.6g step_max=%.6g",
                 task, summary->round, 100 * metrics->error, 100 * metrics->saturated,
                 metrics->resolution, (double)terms->announcement.scale, terms->announcement.levels,
                 metrics->step, (double)terms->announcement.step_max);
}

void mr_rounding_report_terms(struct mr_log *log, const char *task,
                              const struct mr_round_terms *terms,
                              const struct mr_norm_memory *memory)
{
    const struct mr_announcement *round = &terms->announcement;
    const struct mr_quantiser quantiser = quantiser_of(terms);
    const float own = mr_quantiser_scale(&quantiser, memory);
    if (mr_announcement_trains(round) && round->noise_kind == MR_NOISE_NONE &&
        !mr_quantiser_agrees(round->scale, own)) {
        mr_log_event(log, MR_LOG_WARN, "helper.rule",
                     "task=%s round=%" PRIu64 " scale=%.6g by_the_rule=%.6g why=%s", task,
                     round->round, (double)round->scale, (double)own,
                     "the lead has a fixed scale, or another memory of the norms; devices and the "
                     "opened sum tell what it costs");
    }
}
