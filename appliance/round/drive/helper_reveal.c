/* helper_reveal.c - the helper's next model, on the job thread: computed from what all hubs opened,
 * and stored unless the lead has given the round up meanwhile. */
#include <stdlib.h>
#include <string.h>

#include "appliance/round/drive/helper_driver_internal.h"
#include "appliance/round/drive/mark.h"
#include "appliance/round/drive/reveal.h"
#include "appliance/round/drive/wall_clock.h"
#include "base/assert.h"

struct reveal_job {
    struct mr_helper_driver *run;
    int result;
    struct mr_error error;
    struct mr_reveal reveal;
    struct mr_round_summary summary; /* of the round when it is revealed */
};

/* The helper keeps model, record and sum as well: it can serve and audit them by itself. */
static int store_files(struct reveal_job *job)
{
    const struct mr_next_model_answer *answer = &job->reveal.made->answer;
    job->summary.ended_unix_ms = mr_round_unix_ms();
    struct mr_record record = {
        .task = job->run->context.task,
        .summary = &job->summary,
        .terms = job->reveal.terms,
        .state = "revealed",
        .included_count = job->reveal.included_count,
        .model_hash = answer->model_hash,
        .metrics = &answer->metrics,
    };
    record.included = mr_helper_included(job->run->core, &record.included_count, &record.set_hash);
    const int result = mr_reveal_store(job->run->context.store, answer, &record, &job->error);
    job->summary.model_known = record.model_known;
    return result;
}

/* Of two lives that came to this end the first one's record stays, with its time: the list of
 * rounds says what the record says. */
static int read_back(struct reveal_job *job)
{
    struct mr_round_summary stored;
    const uint64_t round = job->reveal.terms->announcement.round;
    const int found = mr_round_record_read(job->run->context.store, round, &stored, &job->error);
    if (found == 0) {
        job->summary = stored;
    }
    return found < 0 ? -1 : 0;
}

static void store_work(void *context)
{
    struct reveal_job *job = context;
    job->result = store_files(job);
    if (job->result == 0) {
        job->result = read_back(job);
    }
}

/* The list of rounds says what the record says. */
static void keep_summary(const struct reveal_job *job)
{
    const struct mr_next_model_answer *answer = &job->reveal.made->answer;
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
    mr_made_model_drop(job->reveal.made);
    free(job);
}

static void store_done(void *context)
{
    struct reveal_job *job = context;
    struct mr_helper_driver *run = job->run;
    if (job->result != 0) { /* no answer: the hub stops, and after its start the lead asks again */
        mr_round_fatal(&run->context, "cannot store the next model", &job->error);
    } else {
        const struct mr_next_model_answer *answer = &job->reveal.made->answer;
        if (mr_announcement_trains(&job->reveal.terms->announcement)) {
            mr_store_adopt(run->context.store, answer->model_hash);
        }
        run->revealed_total++;
        keep_summary(job);
        mr_mark_log(&run->context, job->reveal.terms, &answer->mark);
        mr_helper_revealed(run->core, answer->model_hash);
    }
    end_reveal(job);
}

static void reveal_work(void *context)
{
    struct reveal_job *job = context;
    job->result = mr_reveal_make(&job->reveal, &job->error);
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
    mr_reveal_return_parent(&job->reveal);
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
    if (hub->made && mr_announcement_trains(&job->reveal.terms->announcement)) {
        hub->made(hub->made_context, job->reveal.made);
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
    *job = (struct reveal_job){.run = run,
                               .reveal = {.context = &run->context,
                                          .terms = terms,
                                          .results = results,
                                          .included_count = included_count,
                                          .mark_parts = mr_helper_mark_parts(run->core)}};
    mr_helper_driver_summarise(run, &job->summary);
    mr_reveal_prepare(&job->reveal, &run->history, &job->error);
    mr_job_run(run->jobs, reveal_work, reveal_done, job);
}
