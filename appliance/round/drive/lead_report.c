/* lead_report.c - what others see of the lead: log lines, the list of rounds. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "appliance/round/drive/lead_driver_internal.h"
#include "appliance/round/drive/rounding_report.h"
#include "appliance/round/drive/unopened.h"
#include "appliance/round/drive/wall_clock.h"
#include "base/bytes.h"

uint64_t mr_lead_driver_now_ms(const struct mr_lead_driver *run)
{
    return mr_loop_now_ms(run->context.loop);
}

uint64_t mr_lead_driver_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint32_t mr_lead_driver_hold_ms(const struct mr_lead_driver *run)
{
    return run->round ? mr_upload_plane_hold_ms(run->round) : 0;
}

struct mr_lead *mr_lead_driver_core(struct mr_lead_driver *run)
{
    return run->core;
}

static void count_published(struct mr_lead_driver *run, const struct mr_lead_report *report)
{
    run->published++;
    run->included += report->included;
    run->publish_seconds_last = (double)(report->ended_ms - report->closed_ms) / 1000.0;
    run->publish_seconds_sum += run->publish_seconds_last;
    for (unsigned i = 0; i < MR_ROUND_STAGES; i++) {
        if (run->watch.stages.us[i] > 0) {
            mr_histogram_note(&run->stages[i], run->watch.stages.us[i]);
        }
    }
}

/* The states of a lead that a stage begins with; the freeze begins inside one
 * (mr_lead_driver_commit). */
static void watch_state(struct mr_lead_driver *run, enum mr_lead_state state)
{
    static const enum mr_round_stage stages[MR_LEAD_VOID + 1] = {
        [MR_LEAD_CLOSING] = MR_STAGE_CLOSE, [MR_LEAD_COMMITTING] = MR_STAGE_EXPAND,
        [MR_LEAD_OPENING] = MR_STAGE_OPEN,  [MR_LEAD_REVEALING] = MR_STAGE_MODEL,
        [MR_LEAD_STORING] = MR_STAGE_STORE, [MR_LEAD_PUBLISHED] = MR_ROUND_STAGES,
    };
    const uint64_t now_us = mr_lead_driver_now_us();
    if (state >= MR_LEAD_CLOSING && state <= MR_LEAD_PUBLISHED && state != run->last_state) {
        mr_round_stopwatch_enter(&run->watch, stages[state], now_us);
    }
}

static void log_published(struct mr_lead_driver *run, const struct mr_lead_report *report)
{
    char hex[2 * MR_HASH_BYTES + 1];
    mr_hex_encode(hex, report->model_hash, MR_HASH_BYTES);
    mr_log_event(run->context.log, MR_LOG_INFO, "round.published",
                 "task=%s round=%" PRIu64 " admitted=%u included=%u publish_ms=%" PRIu64
                 " model=%s",
                 run->context.task, report->round, report->admitted, report->included,
                 report->ended_ms - report->closed_ms, hex);
}

/* The same reason again and again is no news: its lines are told apart by a count. */
static void log_void(struct mr_lead_driver *run, const struct mr_lead_report *report)
{
    const bool same = strcmp(run->void_reason, report->reason) == 0;
    run->void_repeats = same ? run->void_repeats + 1 : 0;
    memcpy(run->void_reason, report->reason, sizeof run->void_reason);
    run->voids[report->void_kind]++;
    mr_log_event(run->context.log, same ? MR_LOG_INFO : MR_LOG_WARN, "round.void",
                 "task=%s round=%" PRIu64 " kind=%s reason=%s repeats=%u", run->context.task,
                 report->round, mr_void_kind_name(report->void_kind), report->reason,
                 run->void_repeats);
}

static void log_state(struct mr_lead_driver *run, const struct mr_lead_report *report)
{
    struct mr_log *log = run->context.log;
    const char *task = run->context.task;
    switch (report->state) {
    case MR_LEAD_OPEN:
        mr_log_event(log, MR_LOG_INFO, "round.open", "task=%s round=%" PRIu64 " quorum=%u", task,
                     report->round, report->quorum);
        break;
    case MR_LEAD_CLOSING:
        mr_log_event(log, MR_LOG_INFO, "round.closing",
                     "task=%s round=%" PRIu64
                     " admitted=%u committed=%u staged=%u open_ms=%" PRIu64,
                     task, report->round, report->admitted, report->committed, report->staged,
                     report->closed_ms - report->opened_ms);
        break;
    case MR_LEAD_PUBLISHED:
        run->void_reason[0] = '\0';
        count_published(run, report);
        log_published(run, report);
        mr_rounding_report(log, task, mr_round_history_current(&run->history, report->round),
                           mr_lead_terms(run->core));
        break;
    case MR_LEAD_VOID:
        log_void(run, report);
        break;
    default:
        mr_log_event(log, MR_LOG_DEBUG, "round.step", "task=%s round=%" PRIu64 " state=%s", task,
                     report->round, mr_lead_state_name(report->state));
        break;
    }
}

void mr_lead_driver_look_at_clock(struct mr_lead_driver *run, unsigned peer)
{
    int64_t ahead_ms;
    if (peer >= MR_HUBS_MAX || !run->links[peer] ||
        !mr_peer_link_clock(run->links[peer], &ahead_ms)) {
        return;
    }
    const bool differs = ahead_ms > MR_CLOCK_MS_MAX || ahead_ms < -MR_CLOCK_MS_MAX;
    if (differs != run->clock_differs[peer]) {
        mr_log_event(run->context.log, differs ? MR_LOG_WARN : MR_LOG_INFO, "round.peer_clock",
                     "task=%s hub=%u ahead_ms=%" PRId64 " differs=%s", run->context.task,
                     run->context.hubs[peer].index, ahead_ms, differs ? "yes" : "no");
        run->clock_differs[peer] = differs;
    }
}

bool mr_lead_driver_waits(const struct mr_lead_report *report)
{
    return report->opened && report->state < MR_LEAD_STORING && report->waits_for[0];
}

void mr_lead_driver_tell_waiting(struct mr_lead_driver *run)
{
    struct mr_lead_report report;
    mr_lead_report(run->core, &report);
    const char *now = mr_lead_driver_waits(&report) && strstr(report.waits_for, "it is asked again")
                          ? report.waits_for
                          : "";
    if (*now != '\0' && strcmp(now, run->waits_said) != 0) {
        mr_log_event(
            run->context.log, MR_LOG_WARN, "round.waits",
            "task=%s round=%" PRIu64
            " for=%s why=openings were asked for: only that hub's answer ends the round, or "
            "millrace round void",
            run->context.task, report.round, now);
    }
    snprintf(run->waits_said, sizeof run->waits_said, "%s", now);
}

/* --- the list of rounds ---------------------------------------------------------------------- */

/* A step's time, noted when the step is first seen. */
static void note_time(uint64_t *unix_ms, uint64_t step_ms)
{
    if (step_ms && !*unix_ms) {
        *unix_ms = mr_round_unix_ms();
    }
}

void mr_lead_driver_summarise(struct mr_lead_driver *run, struct mr_round_summary *summary)
{
    struct mr_lead_report report;
    mr_lead_report(run->core, &report);
    *summary = *mr_round_history_current(&run->history, report.round);
    if (mr_round_summary_ended(summary)) {
        return; /* as its record says, also after a restart */
    }
    summary->lead = true;
    mr_round_summary_take_terms(summary, mr_lead_terms(run->core));
    snprintf(summary->state, sizeof summary->state, "%s", mr_lead_state_name(report.state));
    note_time(&summary->opened_unix_ms, report.opened_ms);
    note_time(&summary->closed_unix_ms, report.closed_ms);
    note_time(&summary->ended_unix_ms, report.ended_ms);
    summary->quorum = report.quorum;
    summary->admitted = report.admitted;
    summary->unsound = report.unsound;
    summary->staged = report.staged;
    summary->committed = report.committed;
    summary->included = report.included;
    summary->opened = report.state == MR_LEAD_VOID && report.opened;
    memcpy(summary->model_hash, report.model_hash, MR_HASH_BYTES);
    memcpy(summary->reason, report.reason, sizeof summary->reason);
    summary->stages = run->watch.stages;
}

/* A device's own fault, or its memory's: the round goes on without it. */
static void note_unsound(struct mr_lead_driver *run, const struct mr_lead_report *report)
{
    if (report->unsound > run->unsound_seen) {
        run->unsound += report->unsound - run->unsound_seen;
        mr_log_strangers(run->context.log, MR_LOG_WARN, "round.unsound",
                         "task=%s round=%" PRIu64 " uploads=%u why=an upload's count lane does not "
                         "open to 1: its share does not match its seeds; it is left out",
                         run->context.task, report->round, report->unsound);
    }
    run->unsound_seen = report->unsound;
}

void mr_lead_driver_note(struct mr_lead_driver *run)
{
    struct mr_lead_report report;
    mr_lead_report(run->core, &report);
    const struct mr_round_history *history = &run->history;
    if (!mr_round_history_find(history, report.round)) {
        run->committed_seen = 0;
        run->unsound_seen = 0;
        mr_round_stopwatch_reset(&run->watch);
    }
    watch_state(run, report.state);
    struct mr_round_summary summary;
    mr_lead_driver_summarise(run, &summary);
    *mr_round_history_current(&run->history, report.round) = summary;
    run->committed += report.committed - run->committed_seen;
    run->committed_seen = report.committed;
    note_unsound(run, &report);
    if (report.state != run->last_state) {
        log_state(run, &report);
    }
}

bool mr_lead_driver_unopened(const struct mr_lead_driver *run,
                             const struct mr_round_summary *summary,
                             uint8_t signature[MR_SIGNATURE_BYTES])
{
    struct mr_lead_report report;
    mr_lead_report(run->core, &report);
    return !(report.ending && report.round == summary->round) &&
           mr_round_unopened(&run->context, summary, signature);
}

const struct mr_round_history *mr_lead_driver_history(const struct mr_lead_driver *run)
{
    return &run->history;
}
