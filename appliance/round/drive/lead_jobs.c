/* lead_jobs.c - what the lead does on its job thread: syncing files, merging, computing the model.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/round/drive/expand_list.h"
#include "appliance/round/drive/lead_driver_internal.h"
#include "appliance/round/drive/mark.h"
#include "appliance/round/drive/record.h"
#include "appliance/round/drive/wall_clock.h"
#include "appliance/task/released.h"
#include "base/assert.h"

static size_t round_up_64(uint64_t bytes)
{
    return (size_t)((bytes + 63) & ~(uint64_t)63);
}

/* Every job of the lead; the fields that a kind does not use are zero. */
struct lead_job {
    struct mr_lead_driver *run;
    int result;
    struct mr_error error;
    struct mr_commit_state state;
    uint32_t included_count;
    const uint8_t *const *results;
    struct mr_made_model *made;
    struct mr_model *parent;
    struct mr_norm_memory memory; /* of the opened round before */
    struct mr_publication publication;
    struct mr_round_summary summary; /* of a round that ends */
    char *text;                      /* owned */
    bool opened;                     /* of a void round: some hub may have opened it */
    struct mr_evidence_slip slip;    /* of jobs that `finish` ends */
};

static void start(struct mr_lead_driver *run, const struct lead_job *with, mr_loop_fn work,
                  mr_loop_fn done)
{
    if (run->stopping) {
        return; /* the core waits for ever, which is what a stopping hub wants */
    }
    struct lead_job *job = malloc(sizeof *job);
    MR_ASSERT(job);
    *job = *with;
    job->run = run;
    mr_job_run(run->jobs, work, done, job);
}

/* … and writes what the core knows by now into the transcript. */
static void start_noting(struct mr_lead_driver *run, const struct lead_job *with, mr_loop_fn work,
                         mr_loop_fn done)
{
    struct lead_job job = *with;
    if (!run->stopping) {
        mr_evidence_take(run->desk, &job.slip);
        start(run, &job, work, done);
    }
}

/* Frees the job; on failure the hub must not go on. */
static bool finish(struct lead_job *job, const char *what)
{
    const bool good = job->result == 0;
    struct mr_lead_driver *run = job->run;
    if (good) {
        mr_evidence_written(run->desk, &job->slip);
    } else {
        mr_evidence_lost(&job->slip);
        char text[sizeof job->error.text + 80];
        snprintf(text, sizeof text, "%s: %s", what, job->error.text);
        run->context.fatal(run->context.fatal_context, text);
    }
    free(job->text);
    free(job);
    return good;
}

/* --- remember -------------------------------------------------------------------------------- */

static void remember_work(void *context)
{
    struct lead_job *job = context;
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
    struct lead_job *job = context;
    struct mr_lead_driver *run = job->run;
    const struct mr_round_terms *terms = mr_lead_terms(run->core);
    if (job->result == 0) {
        mr_store_adopt_signed(run->context.store, terms->announcement.round, terms->hash);
    }
    if (finish(job, "cannot make the round's terms durable")) {
        mr_lead_remembered(run->core, mr_lead_driver_now_ms(run));
    }
}

void mr_lead_driver_remember(void *context, const struct mr_commit_state *state)
{
    struct mr_lead_driver *run = context;
    run->log_dropped = false;
    mr_audit_shelf_begin(run->shelf, mr_lead_terms(run->core));
    const struct lead_job job = {.state = *state};
    start_noting(context, &job, remember_work, remember_done);
}

/* --- commit ---------------------------------------------------------------------------------- */

void mr_lead_driver_drop_sum(struct mr_lead_driver *run)
{
    if (run->sum.lanes != run->packed) {
        free(run->sum.lanes);
    }
    free(run->packed);
    run->sum.lanes = run->packed = NULL;
}

int mr_lead_driver_reserve(struct mr_lead_driver *run, const struct mr_layout *layout)
{
    mr_lead_driver_drop_sum(run);
    run->packed = aligned_alloc(64, round_up_64(layout->share_bytes));
    /* Lanes that are as wide on the wire are added up where the result is to be: each commit then
     * copies them once, into the log's buffer. */
    run->sum.lanes = mr_layout_packed(layout)
                         ? aligned_alloc(64, round_up_64(mr_layout_accumulator_bytes(layout)))
                         : run->packed;
    if (!run->sum.lanes || !run->packed) {
        return -1;
    }
    mr_sum_zero(&run->sum, layout);
    return 0;
}

/* In a round with audit_hours: durable before the log says that they are committed. */
static int keep_shares(struct lead_job *job)
{
    const struct mr_lead_driver *run = job->run;
    const struct mr_round_terms *terms = mr_lead_terms(run->core);
    const struct mr_collection *collection = run->collection;
    const uint32_t count = collection ? collection->upload_count : 0;
    if (terms->announcement.audit_hours == 0) {
        return 0;
    }
    struct mr_audit_item *items = malloc(((size_t)count + 1) * sizeof *items);
    if (!items) {
        return mr_error_set(&job->error, "out of memory for %u shares that are kept", count);
    }
    for (uint32_t i = 0; i < count; i++) { /* the core lists them in the collection's order */
        const uint32_t at = job->state.included_count - count + i;
        MR_ASSERT(job->state.upload_ids[at] == collection->upload_ids[i]);
        items[i] = (struct mr_audit_item){.of = job->state.included[at],
                                          .material = collection->shares[i]};
    }
    int result = mr_audit_shelf_keep(run->shelf, terms, items, count, &job->error);
    free(items);
    if (result == 0 && job->state.phase == MR_COMMIT_FROZEN) {
        result = mr_audit_shelf_keep_set(run->shelf, terms, job->state.included,
                                         job->state.included_count, &job->error);
    }
    return result == 0 ? mr_audit_shelf_sync(run->shelf, &job->error) : -1;
}

/* Into the packed sum of a frozen set: what the log has is the result that is committed to. */
static int add_noise(struct lead_job *job)
{
    struct mr_lead_driver *run = job->run;
    const struct mr_round_terms *terms = mr_lead_terms(run->core);
    if (mr_hub_noise_prepare(&run->noise, &terms->announcement) != 0) {
        return mr_error_set(&job->error, "out of memory for the round's noise");
    }
    const struct mr_hub_noise noise = {.tables = run->noise,
                                       .terms = terms,
                                       .hub_index = run->context.hub_index,
                                       .private_key = run->context.private_key};
    return mr_sum_noised(run->packed, &noise, job->state.included, job->state.included_count,
                         run->context.kernels, &job->error);
}

static void commit_work(void *context)
{
    struct lead_job *job = context;
    struct mr_lead_driver *run = job->run;
    const struct mr_layout *layout = &mr_lead_terms(run->core)->layout;
    const struct mr_kernels *kernels = run->context.kernels;
    for (unsigned i = 0; run->collection && i < run->collection->part_count; i++) {
        if (run->collection->parts[i].lanes) {
            mr_sum_merge(&run->sum, layout, &run->collection->parts[i], kernels);
        }
    }
    if (job->state.included_count) {
        mr_sum_pack(run->packed, layout, &run->sum, kernels);
        job->state.sum = run->packed;
        job->state.share_bytes = layout->share_bytes;
    }
    const bool final = job->state.phase == MR_COMMIT_FROZEN;
    job->result = (final && add_noise(job) != 0) || keep_shares(job) != 0 ||
                          mr_evidence_write(run->desk, &job->slip, &job->error) != 0
                      ? -1
                      : mr_lead_log_write(run->log, &job->state, &job->error);
    if (job->result == 0 && run->context.age && final) {
        job->result = mr_task_age_move(run->context.age, &job->error);
    }
}

static void commit_done(void *context)
{
    struct lead_job *job = context;
    struct mr_lead_driver *run = job->run;
    const bool final = job->state.phase == MR_COMMIT_FROZEN;
    if (finish(job, "cannot commit")) {
        mr_lead_committed(run->core, final ? run->packed : NULL, mr_lead_driver_now_ms(run));
    }
}

void mr_lead_driver_commit(void *context, const struct mr_commit_state *state)
{
    struct mr_lead_driver *run = context;
    const struct lead_job job = {.state = *state};
    if (state->phase == MR_COMMIT_FROZEN) {
        mr_round_stopwatch_enter(&run->watch, MR_STAGE_FREEZE, mr_lead_driver_now_us());
    }
    start_noting(run, &job, commit_work, commit_done);
}

/* --- reveal ---------------------------------------------------------------------------------- */

static void reveal_work(void *context)
{
    struct lead_job *job = context;
    struct mr_lead_driver *run = job->run;
    struct mr_next_model_question question = {
        .terms = mr_lead_terms(run->core),
        .results = job->results,
        .included_count = job->included_count,
        .memory = job->memory,
        .mark_parts = mr_lead_mark_parts(run->core),
        .kernels = run->context.kernels,
    };
    if (!job->parent || !job->made) {
        job->result = MR_NEXT_MODEL_FAILED;
        return;
    }
    uint8_t *state;
    question.parent = mr_model_bytes(job->parent, &question.parent_bytes);
    if (mr_store_read_state(run->context.store, question.parent, question.parent_bytes, &state,
                            &question.state_bytes, &job->error) != 0) {
        job->result = MR_NEXT_MODEL_FAILED;
        return;
    }
    question.state = state;
    job->result = mr_next_model(&job->made->answer, &question, &job->error);
    free(state);
}

/* While the helpers come to the same model: its file, which takes a sync, and the delta to it. */
static void keep_work(void *context)
{
    struct lead_job *job = context;
    const struct mr_next_model_answer *answer = &job->made->answer;
    job->result = mr_store_write_ahead(job->run->context.store, answer->model_hash, answer->model,
                                       answer->model_bytes, &job->error);
}

static void keep_done(void *context)
{
    struct lead_job *job = context;
    mr_made_model_drop(job->made);
    (void)finish(job, "cannot store the next model");
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
    start(run, &(struct lead_job){.made = run->made}, keep_work, keep_done);
}

static void reveal_done(void *context)
{
    struct lead_job *job = context;
    struct mr_lead_driver *run = job->run;
    const uint64_t now_ms = mr_lead_driver_now_ms(run);
    if (job->parent) {
        mr_store_return(run->context.store, job->parent);
    }
    if (job->result == 0) {
        run->made = job->made;
        make_ahead(run);
        mr_mark_log(&run->context, mr_lead_terms(run->core), &run->made->answer.mark);
        mr_lead_revealed(run->core, run->made->answer.model_hash, now_ms);
    } else {
        mr_made_model_drop(job->made);
        const bool unsound = job->result == MR_NEXT_MODEL_UNSOUND;
        mr_lead_not_revealed(run->core, unsound ? MR_VOID_SUM : MR_VOID_INTERNAL, job->error.text,
                             now_ms);
    }
    free(job);
}

void mr_lead_driver_reveal(void *context, const uint8_t *const *results, uint32_t included_count)
{
    struct mr_lead_driver *run = context;
    struct lead_job job = {.results = results, .included_count = included_count};
    if (run->stopping) {
        return;
    }
    const struct mr_announcement *announcement = &mr_lead_terms(run->core)->announcement;
    mr_made_model_drop(run->made);
    run->made = NULL;
    job.made = mr_made_model_new(mr_lead_terms(run->core));
    job.memory = *mr_round_history_norms(&run->history, announcement->round);
    job.parent = mr_store_borrow(run->context.store, announcement->model_hash, &job.error);
    start(run, &job, reveal_work, reveal_done);
}

/* --- store ----------------------------------------------------------------------------------- */

/* The next model, and what it needs; it is the current one from now on. */
static int store_model(struct lead_job *job, struct mr_record *record)
{
    const struct mr_lead_driver *run = job->run;
    const struct mr_publication *publication = &job->publication;
    const struct mr_next_model_answer *answer = &run->made->answer;
    struct mr_store *store = run->context.store;
    if (answer->state && mr_store_write_state(store, answer->state_hash, answer->state,
                                              answer->state_bytes, &job->error) != 0) {
        return -1;
    }
    char *manifest = mr_record_manifest(record);
    const int written = mr_store_write_model(store, publication->model_hash, answer->model,
                                             answer->model_bytes, manifest, &job->error);
    free(manifest);
    if (written < 0 || mr_store_write_current(store, publication->model_hash, &job->error) != 0) {
        return -1;
    }
    record->model_known = job->summary.model_known = written > 0;
    return 0;
}

static int store_files(struct lead_job *job, struct mr_record *record)
{
    const struct mr_lead_driver *run = job->run;
    const struct mr_publication *publication = &job->publication;
    const struct mr_store *store = run->context.store;
    const bool trains = mr_announcement_trains(&publication->terms->announcement);
    if (trains && store_model(job, record) != 0) {
        return -1;
    }
    if (!trains) {
        record->model_known = job->summary.model_known = true; /* it is where the round began */
    }
    char *text = mr_record_round(record);
    /* Last: with this record the round has ended, also for a hub that restarts. */
    const int result = mr_store_write_round(
        store, publication->terms->announcement.round, text, run->made->answer.sum,
        (size_t)publication->terms->layout.share_bytes, &job->error);
    free(text);
    return result;
}

static void store_work(void *context)
{
    struct lead_job *job = context;
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
        job->result = store_files(job, &record);
    }
    if (job->result == 0) { /* after the record, with which the round has ended */
        job->result = mr_evidence_write(job->run->desk, &job->slip, &job->error);
    }
}

static void store_done(void *context)
{
    struct lead_job *job = context;
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
    if (finish(job, "cannot store the next model")) {
        mr_made_model_drop(run->made);
        run->made = NULL;
        mr_lead_stored(run->core, mr_lead_driver_now_ms(run));
    }
}

void mr_lead_driver_store(void *context, const struct mr_publication *publication)
{
    struct mr_lead_driver *run = context;
    struct lead_job job = {.publication = *publication};
    mr_lead_driver_summarise(run, &job.summary);
    job.summary.ended_unix_ms = mr_round_unix_ms();
    start_noting(context, &job, store_work, store_done);
}

/* --- a void round's record ------------------------------------------------------------------- */

/* A process before this one may have written the sum, and crashed before the record: the store
 * drops it. A record that says otherwise stays, and then this process does not know what the folder
 * does: it stops, and the next start goes on from that record. */
static void end_work(void *context)
{
    struct lead_job *job = context;
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
    struct lead_job *job = context;
    struct mr_lead_driver *run = job->run;
    if (finish(job, "cannot store the round's record")) {
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
    const struct lead_job job = {.text = mr_record_round(&record), .opened = report.opened};
    if (run->stopping) {
        free(job.text);
        return;
    }
    start_noting(run, &job, end_work, end_done);
}

/* --- a log that nobody needs any more -------------------------------------------------------- */

static void drop_work(void *context)
{
    struct lead_job *job = context;
    job->result = mr_commit_log_wipe(job->run->log, &job->error);
}

static void drop_done(void *context)
{
    struct lead_job *job = context;
    (void)finish(job, "cannot remove the commit log");
}

void mr_lead_driver_drop_log(void *context, uint64_t ended_before_unix_ms)
{
    struct mr_lead_driver *run = context;
    struct mr_lead_report report;
    const struct lead_job job = {.result = 0};
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
    start(run, &job, drop_work, drop_done);
}
