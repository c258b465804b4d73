/* lead_reveal.c - the lead's next model, on the job thread: computed from what all hubs opened, and
 * stored with the round's record once they agree on it. */
#include <stdlib.h>
#include <string.h>

#include "appliance/round/drive/lead_jobs.h"
#include "appliance/round/drive/mark.h"
#include "appliance/round/drive/wall_clock.h"

/* --- reveal ---------------------------------------------------------------------------------- */

static void reveal_work(void *context)
{
    struct mr_lead_job *job = context;
    job->result = mr_reveal_make(&job->reveal, &job->error);
}

/* While the helpers come to the same model: its file, which takes a sync, and the delta to it. */
static void keep_work(void *context)
{
    struct mr_lead_job *job = context;
    const struct mr_next_model_answer *answer = &job->reveal.made->answer;
    job->result = mr_store_write_ahead(job->run->context.store, answer->model_hash, answer->model,
                                       answer->model_bytes, &job->error);
}

static void keep_done(void *context)
{
    struct mr_lead_job *job = context;
    mr_made_model_drop(job->reveal.made);
    (void)mr_lead_job_finish(job, "cannot store the next model");
}

static void make_ahead(struct mr_lead_driver *run)
{
    const struct mr_round_context *hub = &run->context;
    struct mr_lead_report report;
    mr_lead_report(run->core, &report);
    if (run->stopping || report.state != MR_LEAD_REVEALING ||
        !mr_announcement_trains(&run->made->terms.announcement)) {
        return;
    }
    if (hub->made) {
        hub->made(hub->made_context, run->made);
    }
    mr_made_model_hold(run->made);
    mr_lead_job_start(run, &(struct mr_lead_job){.reveal.made = run->made}, keep_work, keep_done);
}

static void reveal_done(void *context)
{
    struct mr_lead_job *job = context;
    struct mr_lead_driver *run = job->run;
    const uint64_t now_ms = mr_lead_driver_now_ms(run);
    mr_reveal_return_parent(&job->reveal);
    if (job->result == 0) {
        run->made = job->reveal.made;
        make_ahead(run);
        mr_mark_log(&run->context, mr_lead_terms(run->core), &run->made->answer.mark);
        mr_lead_revealed(run->core, run->made->answer.model_hash, now_ms);
    } else {
        mr_made_model_drop(job->reveal.made);
        const bool unsound = job->result == MR_NEXT_MODEL_UNSOUND;
        mr_lead_not_revealed(run->core, unsound ? MR_VOID_SUM : MR_VOID_INTERNAL, job->error.text,
                             now_ms);
    }
    free(job);
}

void mr_lead_driver_reveal(void *context, const uint8_t *const *results, uint32_t included_count)
{
    struct mr_lead_driver *run = context;
    struct mr_lead_job job = {.reveal = {.context = &run->context,
                                         .terms = mr_lead_terms(run->core),
                                         .results = results,
                                         .included_count = included_count,
                                         .mark_parts = mr_lead_mark_parts(run->core)}};
    if (run->stopping) {
        return;
    }
    mr_made_model_drop(run->made);
    run->made = NULL;
    mr_reveal_prepare(&job.reveal, &run->history, &job.error);
    mr_lead_job_start(run, &job, reveal_work, reveal_done);
}

/* --- store ----------------------------------------------------------------------------------- */

static void store_work(void *context)
{
    struct mr_lead_job *job = context;
    const struct mr_publication *publication = &job->publication;
    struct mr_record record = {
        .task = job->run->context.task,
        .summary = &job->summary,
        .terms = publication->terms,
        .state = "published",
        .included = publication->included,
        .upload_ids = publication->upload_ids,
        .included_count = publication->included_count,
        .set_hash = publication->set_hash,
        .model_hash = publication->model_hash,
        .metrics = &job->run->made->answer.metrics,
        .signatures = publication->signatures,
    };
    job->result = 0;
    if (publication->terms->announcement.audit_hours > 0) { /* before the round has ended */
        job->result = mr_audit_shelf_keep_commitments(job->run->shelf, publication->terms,
                                                      publication->commitments, &job->error);
    }
    if (job->result == 0) {
        job->result =
            mr_reveal_store(job->run->context.store, &job->run->made->answer, &record, &job->error);
        job->summary.model_known = record.model_known;
    }
    if (job->result == 0) { /* after the record, with which the round has ended */
        job->result = mr_evidence_write(job->run->desk, &job->slip, &job->error);
    }
}

static void store_done(void *context)
{
    struct mr_lead_job *job = context;
    struct mr_lead_driver *run = job->run;
    if (job->result == 0) {
        struct mr_round_summary *summary =
            mr_round_history_current(&run->history, job->summary.round);
        const struct mr_publication *publication = &job->publication;
        if (mr_announcement_trains(&publication->terms->announcement)) {
            mr_store_adopt(run->context.store, publication->model_hash);
        }
        mr_audit_shelf_publish(run->shelf, job->summary.round, publication->commitments,
                               publication->terms->announcement.hub_count);
        summary->has_metrics = true;
        summary->metrics = run->made->answer.metrics;
        summary->model_known = job->summary.model_known;
        memcpy(summary->set_hash, job->publication.set_hash, MR_HASH_BYTES);
        summary->ended_unix_ms = job->summary.ended_unix_ms;
    }
    if (mr_lead_job_finish(job, "cannot store the next model")) {
        mr_made_model_drop(run->made);
        run->made = NULL;
        mr_lead_stored(run->core, mr_lead_driver_now_ms(run));
    }
}

void mr_lead_driver_store(void *context, const struct mr_publication *publication)
{
    struct mr_lead_driver *run = context;
    struct mr_lead_job job = {.publication = *publication};
    mr_lead_driver_summarise(run, &job.summary);
    job.summary.ended_unix_ms = mr_round_unix_ms();
    mr_lead_job_start_noting(context, &job, store_work, store_done);
}
