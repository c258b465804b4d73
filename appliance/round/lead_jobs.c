/* lead_jobs.c - what the lead does on its job thread: syncing files, merging, computing the model.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/round/lead_run_internal.h"
#include "appliance/round/record.h"
#include "wire/assert.h"

static size_t round_up_64(uint64_t bytes)
{
    return (size_t)((bytes + 63) & ~(uint64_t)63);
}

/* Every job of the lead; the fields that a kind does not use are zero. */
struct lead_job {
    struct mr_lead_run *run;
    int result;
    struct mr_error error;
    uint64_t round;
    uint8_t hash[MR_HASH_BYTES];
    const struct mr_included *included;
    uint32_t included_count;
    bool final;
    const uint8_t *const *results;
    struct mr_model *parent;
    struct mr_publication publication;
    char *text; /* owned */
};

static void start(struct mr_lead_run *run, const struct lead_job *with, mr_loop_fn work,
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

/* Frees the job; on failure the hub must not go on. */
static bool finish(struct lead_job *job, const char *what)
{
    const bool good = job->result == 0;
    struct mr_lead_run *run = job->run;
    if (!good) {
        char text[sizeof job->error.text + 80];
        snprintf(text, sizeof text, "%s: %s", what, job->error.text);
        run->room.fatal(run->room.fatal_context, text);
    }
    free(job->text);
    free(job);
    return good;
}

/* --- remember -------------------------------------------------------------------------------- */

static void remember_work(void *context)
{
    struct lead_job *job = context;
    job->result = mr_store_write_signed(job->run->room.store, job->round, job->hash, &job->error);
}

static void remember_done(void *context)
{
    struct lead_job *job = context;
    struct mr_lead_run *run = job->run;
    if (job->result == 0) {
        mr_store_adopt_signed(run->room.store, job->round, job->hash);
    }
    if (finish(job, "cannot make the round's number durable")) {
        mr_lead_remembered(run->core, mr_lead_run_now_ms(run));
    }
}

void lead_run_remember(void *context, uint64_t round, const uint8_t *hash)
{
    struct lead_job job = {.round = round};
    memcpy(job.hash, hash, MR_HASH_BYTES);
    start(context, &job, remember_work, remember_done);
}

/* --- commit ---------------------------------------------------------------------------------- */

int lead_run_reserve(struct mr_lead_run *run, const struct mr_layout *layout)
{
    free(run->sum.lanes);
    free(run->packed);
    run->sum.lanes = aligned_alloc(64, round_up_64(mr_layout_accumulator_bytes(layout)));
    run->packed = aligned_alloc(64, round_up_64(layout->share_bytes));
    if (!run->sum.lanes || !run->packed) {
        return -1;
    }
    mr_sum_zero(&run->sum, layout);
    return 0;
}

static void commit_work(void *context)
{
    struct lead_job *job = context;
    struct mr_lead_run *run = job->run;
    const struct mr_round_terms *terms = mr_lead_terms(run->core);
    const struct mr_kernels *kernels = run->room.kernels;
    size_t envelope_bytes;
    const uint8_t *envelope = mr_lead_sealed(run->core, &envelope_bytes);
    for (unsigned i = 0; i < run->collection->part_count; i++) {
        if (run->collection->parts[i].lanes) {
            mr_sum_merge(&run->sum, &terms->layout, &run->collection->parts[i], kernels);
        }
    }
    mr_sum_pack(run->packed, &terms->layout, &run->sum, kernels);
    struct mr_commit_state state = {
        .round = terms->announcement.round,
        .frozen = job->final,
        .sum = run->packed,
        .share_bytes = terms->layout.share_bytes,
        .envelope = envelope,
        .envelope_bytes = (uint32_t)envelope_bytes,
        .included = job->included,
        .included_count = job->included_count,
    };
    memcpy(state.announcement_hash, terms->hash, MR_HASH_BYTES);
    job->result = mr_commit_file_write(run->commit_file, &state, &job->error);
}

static void commit_done(void *context)
{
    struct lead_job *job = context;
    struct mr_lead_run *run = job->run;
    const bool final = job->final;
    if (finish(job, "cannot commit")) {
        mr_lead_committed(run->core, final ? run->packed : NULL, mr_lead_run_now_ms(run));
    }
}

void lead_run_commit(void *context, const struct mr_included *included, uint32_t count, bool final)
{
    const struct lead_job job = {.included = included, .included_count = count, .final = final};
    start(context, &job, commit_work, commit_done);
}

/* --- reveal ---------------------------------------------------------------------------------- */

static void reveal_work(void *context)
{
    struct lead_job *job = context;
    struct mr_lead_run *run = job->run;
    struct mr_reveal_question question = {
        .terms = mr_lead_terms(run->core),
        .results = job->results,
        .included_count = job->included_count,
        .server_learning_rate = run->room.config->round.server_learning_rate,
        .kernels = run->room.kernels,
    };
    if (!job->parent) {
        job->result = -1;
        return;
    }
    question.parent = mr_model_bytes(job->parent, &question.parent_bytes);
    job->result = mr_reveal(&run->revealed, &question, &job->error);
}

static void reveal_done(void *context)
{
    struct lead_job *job = context;
    struct mr_lead_run *run = job->run;
    const uint64_t now_ms = mr_lead_run_now_ms(run);
    if (job->parent) {
        mr_store_return(run->room.store, job->parent);
    }
    if (job->result == 0) {
        mr_lead_revealed(run->core, run->revealed.model_hash, NULL, now_ms);
    } else {
        mr_lead_revealed(run->core, NULL, job->error.text, now_ms);
    }
    free(job);
}

void lead_run_reveal(void *context, const uint8_t *const *results, uint32_t included_count)
{
    struct mr_lead_run *run = context;
    struct lead_job job = {.results = results, .included_count = included_count};
    if (run->stopping) {
        return;
    }
    mr_reveal_answer_fini(&run->revealed);
    job.parent = mr_store_borrow(run->room.store, mr_lead_terms(run->core)->announcement.model_hash,
                                 &job.error);
    start(run, &job, reveal_work, reveal_done);
}

/* --- store ----------------------------------------------------------------------------------- */

static int store_files(struct lead_job *job, const char *manifest, const char *record)
{
    const struct mr_lead_run *run = job->run;
    const struct mr_publication *publication = &job->publication;
    const struct mr_store *store = run->room.store;
    if (!manifest || !record) {
        return mr_error_set(&job->error, "out of memory");
    }
    if (mr_store_write_model(store, publication->model_hash, run->revealed.model,
                             run->revealed.model_bytes, manifest, &job->error) != 0 ||
        mr_store_write_round(store, publication->terms->announcement.round, record,
                             run->revealed.sum, (size_t)publication->terms->layout.share_bytes,
                             &job->error) != 0) {
        return -1;
    }
    return mr_store_write_current(store, publication->model_hash, &job->error);
}

static void store_work(void *context)
{
    struct lead_job *job = context;
    const struct mr_publication *publication = &job->publication;
    const struct mr_record record = {
        .terms = publication->terms,
        .state = "published",
        .included = publication->included,
        .included_count = publication->included_count,
        .set_hash = publication->set_hash,
        .model_hash = publication->model_hash,
        .metrics = &job->run->revealed.metrics,
        .signatures = publication->signatures,
    };
    char *manifest = mr_record_manifest(&record);
    char *text = mr_record_round(&record);
    job->result = store_files(job, manifest, text);
    free(manifest);
    free(text);
}

static void store_done(void *context)
{
    struct lead_job *job = context;
    struct mr_lead_run *run = job->run;
    if (job->result == 0) {
        mr_store_adopt(run->room.store, job->publication.model_hash);
    }
    if (finish(job, "cannot store the next model")) {
        mr_reveal_answer_fini(&run->revealed);
        mr_lead_stored(run->core, mr_lead_run_now_ms(run));
    }
}

void lead_run_store(void *context, const struct mr_publication *publication)
{
    const struct lead_job job = {.publication = *publication};
    start(context, &job, store_work, store_done);
}

/* --- a void round's record ------------------------------------------------------------------- */

static void void_work(void *context)
{
    struct lead_job *job = context;
    job->result =
        mr_store_write_round(job->run->room.store, job->round, job->text, NULL, 0, &job->error);
}

static void void_done(void *context)
{
    finish(context, "cannot store the round's record");
}

void lead_run_write_void(struct mr_lead_run *run)
{
    struct mr_lead_report report;
    const struct mr_round_terms *terms = mr_lead_terms(run->core);
    mr_lead_report(run->core, &report);
    const struct mr_record record = {.terms = terms, .state = "void", .reason = report.reason};
    struct lead_job job = {.round = report.round, .text = mr_record_round(&record)};
    if (run->stopping || !job.text) {
        free(job.text);
        return;
    }
    start(run, &job, void_work, void_done);
}
