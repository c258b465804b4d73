/* lead_automatic.c - rounds that open by themselves: when the next one does, and how long it pauses
 * where rounds fail. A hub that refuses would refuse the next round as well; each try costs a
 * number, a record and a line in the log. */
#include <inttypes.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "appliance/round/drive/lead_driver_internal.h"
#include "base/assert.h"

/* A half to the whole of it, so that leads that were refused by one hub do not come back at once.
 */
static uint64_t with_jitter(uint64_t pause_ms)
{
    uint32_t chance;
    MR_ASSERT(RAND_bytes((unsigned char *)&chance, sizeof chance) == 1);
    return pause_ms / 2 + chance % (pause_ms / 2 + 1);
}

static uint64_t pause_after(unsigned failures)
{
    uint64_t pause_ms = MR_LEAD_PAUSE_MS;
    for (unsigned i = 1; i < failures && pause_ms < MR_LEAD_PAUSE_MOST_MS; i++) {
        pause_ms *= 2;
    }
    return pause_ms < MR_LEAD_PAUSE_MOST_MS ? pause_ms : MR_LEAD_PAUSE_MOST_MS;
}

static void plan(struct mr_lead_driver *run, uint64_t pause_ms)
{
    run->automatic_pause_ms = pause_ms;
    mr_timer_arm(run->automatic, mr_lead_driver_now_ms(run) + pause_ms);
}

static void back_off(struct mr_lead_driver *run)
{
    run->automatic_failures++;
    plan(run, with_jitter(pause_after(run->automatic_failures)));
    if (run->automatic_failures > 1) {
        mr_log_event(run->context.log, MR_LOG_INFO, "round.pause",
                     "task=%s failures=%u pause_ms=%" PRIu64, run->context.task,
                     run->automatic_failures, run->automatic_pause_ms);
    }
}

void mr_lead_driver_plan_next(struct mr_lead_driver *run, const struct mr_lead_report *report)
{
    if (report->state == MR_LEAD_OPEN) {
        run->automatic_pause_ms = 0;
    }
    if (!run->context.round->automatic || run->stopping) {
        return;
    }
    if (report->state == MR_LEAD_PUBLISHED) {
        run->automatic_failures = 0;
        plan(run, 0);
    } else if (report->state == MR_LEAD_VOID && report->void_kind == MR_VOID_COHORT) {
        run->automatic_failures = 0; /* every hub took part; it waited for devices long enough */
        plan(run, MR_LEAD_PAUSE_MS);
    } else if (report->state == MR_LEAD_VOID) {
        back_off(run);
    }
}

void mr_lead_driver_plan_now(struct mr_lead_driver *run)
{
    run->automatic_failures = 0;
    plan(run, 0);
}

/* An evaluation that made nothing is not put again: training does not wait for it. */
static bool evaluation_is_due(const struct mr_lead_driver *run)
{
    const uint32_t every = run->context.round->evaluate_every;
    return every > 0 && mr_round_history_models(&run->history) >= every;
}

bool mr_lead_driver_stopped(const struct mr_lead_driver *run, char why[MR_EARLY_STOP_WHY])
{
    return mr_early_stop(&run->history, run->context.round, run->stopped_after, why);
}

enum mr_refusal_code mr_lead_driver_go_on(struct mr_lead_driver *run, struct mr_refusal *refusal)
{
    struct mr_error error;
    char why[MR_EARLY_STOP_WHY];
    const struct mr_round_summary *newest = mr_round_history_opened(&run->history, UINT64_MAX);
    if (!newest || !mr_lead_driver_stopped(run, why)) {
        return mr_refuse(refusal, MR_REFUSAL_BAD_REQUEST, "no rule has stopped the task");
    }
    if (mr_early_stop_write(run->context.data_dir, newest->round, &error) != 0) {
        return mr_refuse(refusal, MR_REFUSAL_INTERNAL, "%.250s", error.text);
    }
    run->stopped_after = newest->round;
    mr_log_event(run->context.log, MR_LOG_INFO, "task.went_on", "task=%s after_round=%" PRIu64,
                 run->context.task, newest->round);
    if (run->context.round->automatic) {
        mr_lead_driver_plan_now(run); /* where the operator's round is open, it is put again */
    }
    return MR_REFUSAL_NONE;
}

/* Said once for each reason; the next look comes with an evaluation, a reload or the operator. */
static bool is_stopped(struct mr_lead_driver *run)
{
    char why[MR_EARLY_STOP_WHY];
    if (!mr_lead_driver_stopped(run, why)) {
        return false;
    }
    run->automatic_pause_ms = 0;
    if (strcmp(run->not_opened, why) != 0) {
        mr_log_event(run->context.log, MR_LOG_WARN, "task.stopped", "task=%s why=%s",
                     run->context.task, why);
    }
    snprintf(run->not_opened, sizeof run->not_opened, "%s", why);
    return true;
}

void mr_lead_driver_on_automatic(void *context)
{
    struct mr_lead_driver *run = context;
    struct mr_round_params params;
    struct mr_refusal refusal;
    uint64_t round;
    if (is_stopped(run)) {
        return;
    }
    mr_round_params_init(&params, run->context.round);
    if (evaluation_is_due(run)) {
        params.kind = MR_ROUND_EVALUATION;
    }
    if (mr_lead_driver_begin(run, &params, &round, &refusal) == MR_REFUSAL_NONE || run->stopping) {
        return;
    }
    const bool same = strcmp(run->not_opened, refusal.text) == 0;
    mr_log_event(run->context.log, same ? MR_LOG_INFO : MR_LOG_WARN, "round.not_opened",
                 "task=%s failures=%u why=%s", run->context.task, run->automatic_failures + 1,
                 refusal.text);
    snprintf(run->not_opened, sizeof run->not_opened, "%s", refusal.text);
    back_off(run);
}
