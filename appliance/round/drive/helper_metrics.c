/* helper_metrics.c - what the helpers of this hub's tasks are doing, as metrics. */
#include "appliance/round/drive/helper_driver_internal.h"
#include "appliance/round/drive/round_sample.h"

static void states(const struct mr_helper_driver *run, struct mr_metrics *metrics)
{
    struct mr_helper_report report;
    mr_helper_report(run->core, &report);
    for (unsigned state = 0; state <= MR_HELPER_VOID; state++) {
        const struct mr_round_label label = {run->context.task, "state",
                                             mr_helper_state_name(state)};
        mr_round_sample(metrics, "millrace_helper_state", &label, report.state == state);
    }
}

static void outcomes(const struct mr_helper_driver *run, struct mr_metrics *metrics)
{
    const struct {
        const char *name;
        uint64_t count;
    } rows[] = {{"signed", run->signed_total},
                {"revealed", run->revealed_total},
                {"void", run->void_total},
                {"lead_gone", run->lead_gone_total}};
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct mr_round_label label = {run->context.task, "outcome", rows[i].name};
        mr_round_sample(metrics, "millrace_helper_rounds_total", &label, (double)rows[i].count);
    }
}

/* Of the newest round that has a set, or of all that this hub knows of. */
static double left_out(const struct mr_helper_driver *run)
{
    struct mr_helper_report report;
    mr_helper_report(run->core, &report);
    return report.left_out;
}

static double passed_over(const struct mr_helper_driver *run)
{
    struct mr_helper_report report;
    mr_helper_report(run->core, &report);
    return report.passed_over;
}

static double draw_voids(const struct mr_helper_driver *run)
{
    return mr_round_history_draw_voids(&run->history);
}

static const struct {
    const char *name, *help;
    double (*value)(const struct mr_helper_driver *run);
} gauges[] = {
    {"millrace_helper_left_out",
     "Devices that the last frozen set could have had, as admitted here, and leaves out.",
     left_out},
    {"millrace_helper_passed_over",
     "Of those, the devices that were admitted before the middle of the set.", passed_over},
    {"millrace_helper_draw_voids",
     "Rounds in a row that made no model although this hub had said its value of the draw.",
     draw_voids},
};

/* Codes that were given at least once: a row for each would be many. */
static void refusals(const struct mr_helper_driver *run, struct mr_metrics *metrics)
{
    for (unsigned code = MR_REFUSAL_NONE + 1; code < MR_REFUSAL_UNKNOWN; code++) {
        if (run->refused[code]) {
            const struct mr_round_label label = {run->context.task, "code",
                                                 mr_refusal_name((enum mr_refusal_code)code)};
            mr_round_sample(metrics, "millrace_helper_refusals_total", &label,
                            (double)run->refused[code]);
        }
    }
}

void mr_helper_driver_metrics(struct mr_helper_driver *const *runs, unsigned count,
                              struct mr_metrics *metrics)
{
    mr_metrics_family(metrics, "millrace_helper_state", "gauge",
                      "State of the round this hub helps in: 1 for the state it is in.");
    for (unsigned i = 0; i < count; i++) {
        states(runs[i], metrics);
    }
    mr_metrics_family(
        metrics, "millrace_helper_rounds_total", "counter",
        "Rounds of other hubs that this hub signed, revealed, or saw given up; of those, by "
        "itself because the lead was gone.");
    for (unsigned i = 0; i < count; i++) {
        outcomes(runs[i], metrics);
    }
    mr_metrics_family(metrics, "millrace_helper_refusals_total", "counter",
                      "What this hub refused to a lead, by the refusal's code.");
    for (unsigned i = 0; i < count; i++) {
        refusals(runs[i], metrics);
    }
    mr_metrics_family(metrics, "millrace_helper_bad_seeds_total", "counter",
                      "Seeds of devices that did not open with this hub's key of the round.");
    for (unsigned i = 0; i < count; i++) {
        const struct mr_round_label label = {.task = runs[i]->context.task};
        mr_round_sample(metrics, "millrace_helper_bad_seeds_total", &label,
                        (double)runs[i]->bad_seeds);
    }
    for (unsigned row = 0; row < sizeof gauges / sizeof gauges[0]; row++) {
        mr_metrics_family(metrics, gauges[row].name, "gauge", gauges[row].help);
        for (unsigned i = 0; i < count; i++) {
            const struct mr_round_label label = {.task = runs[i]->context.task};
            mr_round_sample(metrics, gauges[row].name, &label, gauges[row].value(runs[i]));
        }
    }
}
