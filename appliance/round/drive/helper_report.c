/* helper_report.c - what others see of the helper: log lines, the list of rounds, metrics. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "appliance/round/drive/helper_driver_internal.h"
#include "appliance/round/drive/terms_differ.h"
#include "appliance/round/drive/rounding_report.h"
#include "appliance/round/drive/unopened.h"
#include "appliance/round/drive/wall_clock.h"

struct mr_helper *mr_helper_driver_core(struct mr_helper_driver *run)
{
    return run->core;
}

/* A round that is signed after its deadline: one of the two clocks is wrong. */
static void look_at_clock(const struct mr_helper_driver *run, uint64_t round)
{
    const uint64_t unix_ms = mr_round_unix_ms();
    const uint64_t deadline = mr_helper_terms(run->core)->announcement.deadline_unix_ms;
    if (unix_ms > deadline) {
        mr_log_event(run->context.log, MR_LOG_WARN, "helper.clock",
                     "task=%s round=%" PRIu64 " late_ms=%" PRIu64
                     " why=the round was signed after its deadline by this hub's clock: the lead's "
                     "is behind, or this one ahead",
                     run->context.task, round, unix_ms - deadline);
    }
}

static void log_state(struct mr_helper_driver *run, const struct mr_helper_report *report)
{
    if (report->state == MR_HELPER_VOID) {
        mr_log_event(run->context.log, MR_LOG_WARN, "helper.void",
                     "task=%s round=%" PRIu64 " reason=%s", run->context.task, report->round,
                     report->reason);
    } else {
        const bool known = report->state != MR_HELPER_SIGNING;
        mr_log_event(run->context.log, known ? MR_LOG_INFO : MR_LOG_DEBUG, "helper.step",
                     "task=%s round=%" PRIu64 " state=%s included=%u", run->context.task,
                     report->round, mr_helper_state_name(report->state), report->included);
    }
}

void mr_helper_driver_refused(struct mr_helper_driver *run, uint16_t hub_index,
                              const struct mr_refusal *refusal)
{
    run->refused[refusal->code]++;
    if (refusal->code != MR_REFUSAL_BUSY) { /* it comes back */
        mr_log_strangers(run->context.log, MR_LOG_WARN, "helper.refused",
                         "task=%s hub=%u code=%s why=%s", run->context.task, hub_index,
                         mr_refusal_name(refusal->code), refusal->text);
    }
}

/* The round is sound all the same; told once, and again when something else differs. */
static void log_terms(struct mr_helper_driver *run, uint64_t round)
{
    struct mr_terms_difference list[MR_TERMS_DIFFERENCES_MAX];
    char text[sizeof run->differences];
    const struct mr_announcement *asked = &mr_helper_terms(run->core)->announcement;
    const uint64_t unix_ms = mr_round_unix_ms();
    const uint64_t left_ms =
        asked->deadline_unix_ms > unix_ms ? asked->deadline_unix_ms - unix_ms : 0;
    const unsigned count = mr_terms_differ(list, asked, run->context.round, left_ms);
    mr_terms_differences_text(text, sizeof text, list, count);
    if (strcmp(text, run->differences) == 0) {
        return;
    }
    memcpy(run->differences, text, sizeof text);
    mr_log_event(run->context.log, count > 0 ? MR_LOG_WARN : MR_LOG_INFO, "helper.terms",
                 "task=%s round=%" PRIu64 " differ=%s", run->context.task, round,
                 count > 0 ? text : "none");
}

/* What the round's step is worth: when it is signed, and when its sum is opened. */
static void log_rounding(struct mr_helper_driver *run, const struct mr_helper_report *report)
{
    const struct mr_round_context *context = &run->context;
    const struct mr_round_summary *summary = mr_round_history_find(&run->history, report->round);
    if (report->state == MR_HELPER_ADMITTING) {
        mr_rounding_report_terms(context->log, context->task, mr_helper_terms(run->core),
                                 mr_round_history_norms(&run->history, report->round));
    } else if (report->state == MR_HELPER_DONE && summary && summary->has_metrics) {
        mr_rounding_report(context->log, context->task, summary, mr_helper_terms(run->core));
    }
}

/* --- the list of rounds ---------------------------------------------------------------------- */

static void fill_times(struct mr_round_summary *summary, enum mr_helper_state state)
{
    const uint64_t unix_ms = mr_round_unix_ms();
    if (state == MR_HELPER_ADMITTING && !summary->opened_unix_ms) {
        summary->opened_unix_ms = unix_ms;
    }
    if (state >= MR_HELPER_EXPANDING && state <= MR_HELPER_DONE && !summary->closed_unix_ms) {
        summary->closed_unix_ms = unix_ms;
    }
    if (state == MR_HELPER_VOID || (state == MR_HELPER_DONE && !summary->ended_unix_ms)) {
        summary->ended_unix_ms = unix_ms; /* of a round that was revealed, its record says it */
    }
}

void mr_helper_driver_summarise(struct mr_helper_driver *run, struct mr_round_summary *summary)
{
    struct mr_helper_report report;
    const uint8_t *set_hash;
    uint32_t count;
    mr_helper_report(run->core, &report);
    *summary = *mr_round_history_current(&run->history, report.round);
    const char *state =
        report.state == MR_HELPER_DONE ? "revealed" : mr_helper_state_name(report.state);
    if (mr_round_summary_ended(summary)) {
        return; /* as its record says, also after a restart, and whatever the lead says afterwards
                 */
    }
    mr_round_summary_take_terms(summary, mr_helper_terms(run->core));
    fill_times(summary, report.state);
    snprintf(summary->state, sizeof summary->state, "%s", state);
    summary->admitted = report.admitted;
    summary->bad_seeds = report.bad_seeds;
    summary->left_out = report.left_out;
    summary->passed_over = report.passed_over;
    summary->drawn = report.listed;
    const bool gone = report.state == MR_HELPER_VOID && !report.opened;
    summary->opened = report.state == MR_HELPER_VOID && report.opened;
    summary->included = gone ? 0 : report.included;
    if (gone) {
        memset(summary->set_hash, 0, MR_HASH_BYTES);
    } else if (mr_helper_included(run->core, &count, &set_hash)) {
        memcpy(summary->set_hash, set_hash, MR_HASH_BYTES);
    }
    memcpy(summary->reason, report.reason, sizeof summary->reason);
}

/* Somebody changed it on the way, or the device sealed it to another key. */
static void note_bad_seeds(struct mr_helper_driver *run, const struct mr_helper_report *report)
{
    const uint32_t seen = report->round == run->last_round ? run->bad_seeds_seen : 0;
    if (report->bad_seeds > seen) {
        run->bad_seeds += report->bad_seeds - seen;
        mr_log_strangers(run->context.log, MR_LOG_WARN, "helper.bad_seed",
                         "task=%s round=%" PRIu64 " refused=%u why=a seed does not open with this "
                         "hub's key of the round: changed on the way, or sealed to another key",
                         run->context.task, report->round, report->bad_seeds);
    }
    run->bad_seeds_seen = report->bad_seeds;
}

void mr_helper_driver_note(struct mr_helper_driver *run)
{
    struct mr_helper_report report;
    struct mr_round_summary summary;
    mr_helper_report(run->core, &report);
    if (report.round) {
        mr_helper_driver_summarise(run, &summary);
        *mr_round_history_current(&run->history, report.round) = summary;
    }
    note_bad_seeds(run, &report);
    if (report.state == run->last_state && report.round == run->last_round) {
        return;
    }
    if (report.state == MR_HELPER_VOID && run->last_state != MR_HELPER_VOID) {
        run->void_total++;
    }
    if (report.state == MR_HELPER_ADMITTING && run->last_state == MR_HELPER_SIGNING) {
        look_at_clock(run, report.round);
    }
    if (report.state == MR_HELPER_ADMITTING && report.round != run->last_terms) {
        run->last_terms = report.round;
        log_terms(run, report.round);
    }
    run->last_state = report.state;
    run->last_round = report.round;
    log_state(run, &report);
    if (run->keeper && report.state >= MR_HELPER_DONE) {
        mr_keeper_kick(run->keeper);
    }
    log_rounding(run, &report);
}

bool mr_helper_driver_unopened(const struct mr_helper_driver *run,
                               const struct mr_round_summary *summary,
                               uint8_t signature[MR_SIGNATURE_BYTES])
{
    return summary->round != run->ending && mr_round_unopened(&run->context, summary, signature);
}

const struct mr_round_history *mr_helper_driver_history(const struct mr_helper_driver *run)
{
    return &run->history;
}
