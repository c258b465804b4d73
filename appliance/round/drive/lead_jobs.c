#include "appliance/round/drive/lead_jobs.h"

#include <inttypes.h>
#include <stdlib.h>

#include "appliance/privacy/hub_noise.h"
#include "appliance/round/drive/record.h"
#include "appliance/task/released.h"
#include "base/assert.h"

void mr_lead_job_start(struct mr_lead_driver *run, const struct mr_lead_job *with, mr_loop_fn work,
                       mr_loop_fn done)
{
    if (run->stopping) {
        return; /* the core waits for ever, which is what a stopping hub wants */
    }
    struct mr_lead_job *job = malloc(sizeof *job);
    MR_ASSERT(job);
    *job = *with;
    job->run = run;
    mr_job_run(run->jobs, work, done, job);
}

void mr_lead_job_start_noting(struct mr_lead_driver *run, const struct mr_lead_job *with,
                              mr_loop_fn work, mr_loop_fn done)
{
    struct mr_lead_job job = *with;
    if (!run->stopping) {
        mr_evidence_take(run->desk, &job.slip);
        mr_lead_job_start(run, &job, work, done);
    }
}

bool mr_lead_job_finish(struct mr_lead_job *job, const char *what)
{
    const bool good = job->result == 0;
    struct mr_lead_driver *run = job->run;
    if (good) {
        mr_evidence_written(run->desk, &job->slip);
    } else {
        mr_evidence_lost(&job->slip);
        mr_round_fatal(&run->context, what, &job->error);
    }
    free(job->text);
    free(job);
    return good;
}

/* --- remember -------------------------------------------------------------------------------- */

static void remember_work(void *context)
{
    struct mr_lead_job *job = context;
    const struct mr_round_terms *terms = mr_lead_terms(job->run->core);
    (void)mr_hub_noise_prepare(&job->run->noise, &terms->announcement); /* ahead, if it can be */
    job->result = mr_lead_log_write(job->run->log, &job->state, &job->error);
    if (job->result == 0 && job->run->context.age) {
        job->result = mr_task_age_move(job->run->context.age, &job->error);
    }
    if (job->result == 0) {
        job->result = mr_store_write_signed(job->run->context.store, terms->announcement.round,
                                            terms->hash, &job->error);
    }
    if (job->result == 0) { /* after the number: no other terms are signed for it any more */
        job->result = mr_evidence_write(job->run->desk, &job->slip, &job->error);
    }
}

static void remember_done(void *context)
{
    struct mr_lead_job *job = context;
    struct mr_lead_driver *run = job->run;
    const struct mr_round_terms *terms = mr_lead_terms(run->core);
    if (job->result == 0) {
        mr_store_adopt_signed(run->context.store, terms->announcement.round, terms->hash);
    }
    if (mr_lead_job_finish(job, "cannot make the round's terms durable")) {
        mr_lead_remembered(run->core, mr_lead_driver_now_ms(run));
    }
}

void mr_lead_driver_remember(void *context, const struct mr_commit_state *state)
{
    struct mr_lead_driver *run = context;
    run->log_dropped = false;
    mr_audit_shelf_begin(run->shelf, mr_lead_terms(run->core));
    const struct mr_lead_job job = {.state = *state};
    mr_lead_job_start_noting(context, &job, remember_work, remember_done);
}

/* --- a void round's record ------------------------------------------------------------------- */

/* A process before this one may have written the sum, and crashed before the record: the store
 * drops it. A record that says otherwise stays, and then this process does not know what the folder
 * does: it stops, and the next start goes on from that record. */
static void end_work(void *context)
{
    struct mr_lead_job *job = context;
    const uint64_t round = mr_lead_terms(job->run->core)->announcement.round;
    job->result =
        mr_store_write_round(job->run->context.store, round, job->text, NULL, 0, &job->error);
    if (job->result == 0) {
        job->result = mr_evidence_write(job->run->desk, &job->slip, &job->error);
    }
    if (job->result == 0 && !job->opened) { /* nothing of it can ever be audited */
        job->result = mr_audit_shelf_destroy(job->run->shelf, round, &job->error);
    }
}

static void end_done(void *context)
{
    struct mr_lead_job *job = context;
    struct mr_lead_driver *run = job->run;
    if (mr_lead_job_finish(job, "cannot store the round's record")) {
        mr_released_unclaim(run->context.released, run->context.task,
                            mr_lead_terms(run->core)->announcement.round);
        mr_lead_ended(run->core, mr_lead_driver_now_ms(run));
    }
}

void mr_lead_driver_end(void *context)
{
    struct mr_lead_driver *run = context;
    struct mr_lead_report report;
    mr_lead_report(run->core, &report);
    struct mr_round_summary summary;
    mr_lead_driver_summarise(run, &summary);
    mr_round_history_current(&run->history, report.round)->ended_unix_ms = summary.ended_unix_ms;
    struct mr_record record = {.task = run->context.task,
                               .summary = &summary,
                               .terms = mr_lead_terms(run->core),
                               .state = "void",
                               .reason = report.reason,
                               .opened = report.opened};
    record.included =
        mr_lead_committed_uploads(run->core, &record.upload_ids, &record.included_count);
    const struct mr_lead_job job = {.text = mr_record_round(&record), .opened = report.opened};
    if (run->stopping) {
        free(job.text);
        return;
    }
    mr_lead_job_start_noting(run, &job, end_work, end_done);
}

/* --- a log that nobody needs any more -------------------------------------------------------- */

static void drop_work(void *context)
{
    struct mr_lead_job *job = context;
    job->result = mr_commit_log_wipe(job->run->log, &job->error);
}

static void drop_done(void *context)
{
    struct mr_lead_job *job = context;
    (void)mr_lead_job_finish(job, "cannot remove the commit log");
}

void mr_lead_driver_drop_log(void *context, uint64_t ended_before_unix_ms)
{
    struct mr_lead_driver *run = context;
    struct mr_lead_report report;
    const struct mr_lead_job job = {.result = 0};
    mr_lead_report(run->core, &report);
    const struct mr_round_summary *ended = mr_round_history_find(&run->history, report.round);
    if (run->log_dropped || run->stopping || !ended || !ended->ended_unix_ms ||
        ended->ended_unix_ms >= ended_before_unix_ms ||
        (report.state != MR_LEAD_PUBLISHED && report.state != MR_LEAD_VOID)) {
        return;
    }
    run->log_dropped = true;
    mr_log_event(run->context.log, MR_LOG_INFO, "retention.log_removed", "task=%s round=%" PRIu64,
                 run->context.task, report.round);
    mr_lead_job_start(run, &job, drop_work, drop_done);
}
