/* helper_reveal.c - the helper's next model, on the job thread: computed from what all hubs opened,
 * and stored unless the lead has given the round up meanwhile. */
#include <stdlib.h>
#include <string.h>

#include "appliance/model/next_model.h"
#include "appliance/round/drive/helper_driver_internal.h"
#include "appliance/round/drive/mark.h"
#include "appliance/round/drive/record.h"
#include "appliance/round/drive/wall_clock.h"
#include "base/assert.h"

struct reveal_job {
    struct mr_helper_driver *run;
    int result;
    struct mr_error error;
    const struct mr_round_terms *terms;
    uint32_t count;
    const uint8_t *const *results;
    const struct mr_watermark_parts *mark_parts;
    struct mr_model *parent;
    struct mr_made_model *made;
    struct mr_norm_memory memory;    /* of the opened round before */
    struct mr_round_summary summary; /* of the round when it is revealed */
};

/* The next model, and what it needs; it is the current one from now on. */
static int store_model(struct reveal_job *job, const struct mr_next_model_answer *answer,
                       struct mr_record *record)
{
    struct mr_store *store = job->run->context.store;
    if (answer->state && mr_store_write_state(store, answer->state_hash, answer->state,
                                              answer->state_bytes, &job->error) != 0) {
        return -1;
    }
    char *manifest = mr_record_manifest(record);
    const int written = mr_store_write_model(store, answer->model_hash, answer->model,
                                             answer->model_bytes, manifest, &job->error);
    free(manifest);
    if (written < 0 || mr_store_write_current(store, answer->model_hash, &job->error) != 0) {
        return -1;
    }
    record->model_known = job->summary.model_known = written > 0;
    return 0;
}

/* The helper keeps model, record and sum as well: it can serve and audit them by itself. */
static int store_files(struct reveal_job *job, const struct mr_next_model_answer *answer)
{
    const struct mr_store *store = job->run->context.store;
    job->summary.ended_unix_ms = mr_round_unix_ms();
    struct mr_record record = {
        .task = job->run->context.task,
        .summary = &job->summary,
        .terms = job->terms,
        .state = "revealed",
        .included_count = job->count,
        .model_hash = answer->model_hash,
        .metrics = &answer->metrics,
    };
    record.included = mr_helper_included(job->run->core, &record.included_count, &record.set_hash);
    const bool trains = mr_announcement_trains(&job->terms->announcement);
    if (trains && store_model(job, answer, &record) != 0) {
        return -1;
    }
    if (!trains) {
        record.model_known = job->summary.model_known = true; /* it is where the round began */
    }
    char *text = mr_record_round(&record);
    const int result =
        mr_store_write_round(store, job->terms->announcement.round, text, answer->sum,
                             (size_t)job->terms->layout.share_bytes, &job->error);
    free(text);
    return result;
}

/* Of two lives that came to this end the first one's record stays, with its time: the list of
 * rounds says what the record says. */
static int read_back(struct reveal_job *job)
{
    struct mr_round_summary stored;
    const uint64_t round = job->terms->announcement.round;
    const int found = mr_round_record_read(job->run->context.store, round, &stored, &job->error);
    if (found == 0) {
        job->summary = stored;
    }
    return found < 0 ? -1 : 0;
}

static void store_work(void *context)
{
    struct reveal_job *job = context;
    job->result = store_files(job, &job->made->answer);
    if (job->result == 0) {
        job->result = read_back(job);
    }
}

/* The list of rounds says what the record says. */
static void keep_summary(const struct reveal_job *job)
{
    const struct mr_next_model_answer *answer = &job->made->answer;
    struct mr_round_summary *summary =
        mr_round_history_current(&job->run->history, job->summary.round);
    if (mr_round_summary_ended(summary)) {
        return; /* void in the meantime */
    }
    summary->has_metrics = true;
    summary->metrics = answer->metrics;
    summary->model_known = job->summary.model_known;
    summary->ended_unix_ms = job->summary.ended_unix_ms;
    memcpy(summary->model_hash, answer->model_hash, MR_HASH_BYTES);
}

static void end_reveal(struct reveal_job *job)
{
    mr_made_model_drop(job->made);
    free(job);
}

static void store_done(void *context)
{
    struct reveal_job *job = context;
    struct mr_helper_driver *run = job->run;
    if (job->result != 0) { /* no answer: the hub stops, and after its start the lead asks again */
        mr_helper_driver_fatal(run, "cannot store the next model", &job->error);
    } else {
        const struct mr_next_model_answer *answer = &job->made->answer;
        if (mr_announcement_trains(&job->terms->announcement)) {
            mr_store_adopt(run->context.store, answer->model_hash);
        }
        run->revealed_total++;
        keep_summary(job);
        mr_mark_log(&run->context, job->terms, &answer->mark);
        mr_helper_revealed(run->core, answer->model_hash);
    }
    end_reveal(job);
}

static void reveal_work(void *context)
{
    struct reveal_job *job = context;
    struct mr_next_model_question question = {
        .terms = job->terms,
        .results = job->results,
        .included_count = job->count,
        .memory = job->memory,
        .mark_parts = job->mark_parts,
        .kernels = job->run->context.kernels,
    };
    job->result = MR_NEXT_MODEL_FAILED;
    if (!job->parent || !job->made) {
        return;
    }
    uint8_t *state;
    question.parent = mr_model_bytes(job->parent, &question.parent_bytes);
    if (mr_store_read_state(job->run->context.store, question.parent, question.parent_bytes, &state,
                            &question.state_bytes, &job->error) != 0) {
        return;
    }
    question.state = state;
    job->result = mr_next_model(&job->made->answer, &question, &job->error);
    free(state);
}

/* Whether the lead has given the round up meanwhile: then there is nothing to store. */
static bool is_void(const struct mr_helper_driver *run)
{
    struct mr_helper_report report;
    mr_helper_report(run->core, &report);
    return report.state != MR_HELPER_REVEALING;
}

/* The delta to it is made while it is stored. */
static void reveal_done(void *context)
{
    struct reveal_job *job = context;
    struct mr_helper_driver *run = job->run;
    const struct mr_round_context *hub = &run->context;
    if (job->parent) {
        mr_store_return(hub->store, job->parent);
    }
    if (run->stopping) { /* nothing is stored: after the hub's start the lead asks again */
        end_reveal(job);
        return;
    }
    if (job->result != 0 || is_void(run)) {
        const bool unsound = job->result == MR_NEXT_MODEL_UNSOUND;
        mr_helper_not_revealed(run->core, unsound ? MR_VOID_SUM : MR_VOID_INTERNAL,
                               job->error.text);
        end_reveal(job);
        return;
    }
    if (hub->made && mr_announcement_trains(&job->terms->announcement)) {
        hub->made(hub->made_context, job->made);
    }
    mr_job_run(run->jobs, store_work, store_done, job);
}

void mr_helper_driver_reveal(void *context, const struct mr_round_terms *terms,
                             const uint8_t *const *results, uint32_t included_count)
{
    struct mr_helper_driver *run = context;
    if (run->stopping) {
        return;
    }
    struct reveal_job *job = malloc(sizeof *job);
    MR_ASSERT(job && run->jobs);
    *job = (struct reveal_job){
        .run = run, .terms = terms, .results = results, .count = included_count};
    mr_helper_driver_summarise(run, &job->summary);
    job->mark_parts = mr_helper_mark_parts(run->core);
    job->memory = *mr_round_history_norms(&run->history, terms->announcement.round);
    job->made = mr_made_model_new(terms);
    job->parent = mr_store_borrow(run->context.store, terms->announcement.model_hash, &job->error);
    mr_job_run(run->jobs, reveal_work, reveal_done, job);
}
