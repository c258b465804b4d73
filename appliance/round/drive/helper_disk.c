/* helper_disk.c - the helper's journal at work: group commit on the job thread, then the
 * core is told. */
#include <inttypes.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/privacy/hub_noise.h"
#include "appliance/round/drive/helper_driver_internal.h"
#include "appliance/round/drive/helper_kept.h"
#include "appliance/round/drive/record.h"
#include "appliance/task/released.h"
#include "base/secret.h"
#include "base/assert.h"

/* Every job on the journal; what a kind does not use is zero. */
struct disk_job {
    struct mr_helper_driver *run;
    int result;
    struct mr_error error;
    uint64_t asked; /* how far the core's saves and appends are durable afterwards */
    uint8_t *bytes; /* secret, owned: a snapshot or records */
    size_t length;
    char *record; /* owned: of a void round */
    uint8_t salt[MR_JOURNAL_SALT_BYTES];
    bool sign;        /* the round is new to signed-round */
    bool kept_record; /* the round has another record, which stayed */
    bool goes_back;   /* the current model is one that this void round had made */
    bool done;        /* the snapshot says that the model is computed */
    struct mr_announcement announcement; /* that is signed */
    struct mr_evidence_slip slip;
    uint64_t round;
    uint8_t hash[MR_HASH_BYTES]; /* of its announcement; of a void one: the model it began with */
    struct mr_helper_kept *kept; /* owned; NULL: nothing is kept for audits by this job */
    bool opened;                 /* of a void round: this hub has opened its result */
};

static void start(struct mr_helper_driver *run, const struct disk_job *with, mr_loop_fn work,
                  mr_loop_fn done)
{
    struct disk_job *job = malloc(sizeof *job);
    MR_ASSERT(job && run->jobs);
    *job = *with;
    job->run = run;
    job->asked = run->asked;
    mr_evidence_take(run->desk, &job->slip);
    mr_job_run(run->jobs, work, done, job);
}

/* A clock that is ahead must not end a round that this process has just signed, nor one that it
 * found on its disk before a lead that is there could come back to it. */
void mr_helper_driver_wait_for_lead(struct mr_helper_driver *run, bool found)
{
    const struct mr_config_round *round = run->context.round;
    run->not_before_ms = mr_loop_now_ms(run->context.loop) +
                         (found ? UINT64_C(4) * round->peer_timeout_ms : round->lead_grace_ms);
}

/* Frees the job; tells the core unless the disk failed. */
static void finish(struct disk_job *job, const char *what)
{
    struct mr_helper_driver *run = job->run;
    mr_secret_free(job->bytes);
    free(job->record);
    mr_helper_kept_drop(job->kept);
    if (job->result != 0) {
        mr_evidence_lost(&job->slip);
        mr_round_fatal(&run->context, what, &job->error);
    } else {
        mr_evidence_written(run->desk, &job->slip);
        if (job->asked) {
            mr_helper_durable(run->core, job->asked);
        }
    }
    free(job);
}

static void drop_records(struct mr_helper_driver *run)
{
    mr_secret_free(run->records.bytes);
    run->records = (struct helper_records){.bytes = NULL};
}

/* --- save ------------------------------------------------------------------------------------ */

static void save_work(void *context)
{
    struct disk_job *job = context;
    struct mr_helper_driver *run = job->run;
    if (job->kept && mr_helper_kept_write(job->kept, run->shelf, &job->error) != 0) {
        job->result = -1;
        return;
    }
    /* The journal of a computed model has the openings no more. */
    if (job->done && mr_evidence_write(run->desk, &job->slip, &job->error) != 0) {
        job->result = -1;
        return;
    }
    job->result = mr_journal_save(run->journal, job->salt, job->bytes, job->length, &job->error);
    if (job->result == 0 && run->context.age) {
        job->result = mr_task_age_move(run->context.age, &job->error);
    }
    if (job->result == 0 && job->sign) {
        job->result = mr_store_write_signed(run->context.store, job->round, job->hash, &job->error);
    }
    if (job->sign) { /* ahead, if it can be */
        (void)mr_hub_noise_prepare(&run->noise, &job->announcement);
    }
    if (job->result == 0 && !job->done) {
        job->result = mr_evidence_write(run->desk, &job->slip, &job->error);
    }
}

static void save_done(void *context)
{
    struct disk_job *job = context;
    struct mr_helper_driver *run = job->run;
    if (job->result == 0 && job->sign) {
        mr_store_adopt_signed(run->context.store, job->round, job->hash);
        /* Of the rounds before: of this one a set may be claimed by now. */
        mr_released_unclaim(run->context.released, run->context.task, job->round - 1);
        run->signed_total++;
        mr_helper_driver_wait_for_lead(run, false);
    }
    if (job->result == 0 && job->done && job->kept) {
        mr_audit_shelf_publish(run->shelf, job->round, job->kept->commitments,
                               job->kept->terms.announcement.hub_count);
    }
    finish(job, "cannot make the round's journal durable");
}

void mr_helper_driver_save(void *context, const struct mr_journal_state *state)
{
    struct mr_helper_driver *run = context;
    struct disk_job job = {.round = state->terms->announcement.round,
                           .done = state->phase == MR_JOURNAL_DONE};
    uint8_t last[MR_HASH_BYTES];
    run->asked++;
    if (run->stopping) {
        return;
    }
    drop_records(run); /* the snapshot says all that they say */
    memcpy(job.hash, state->terms->hash, MR_HASH_BYTES);
    job.announcement = state->terms->announcement;
    job.sign = mr_store_signed_round(run->context.store, last) != job.round;
    job.kept = mr_helper_kept_copy(state);
    if (job.kept && job.kept->entries) {
        mr_audit_shelf_begin(run->shelf, state->terms);
    }
    job.bytes = mr_journal_state_encode(state, &job.length);
    MR_ASSERT(job.bytes && RAND_bytes(job.salt, sizeof job.salt) == 1);
    start(run, &job, save_work, save_done);
}

/* --- append ---------------------------------------------------------------------------------- */

static void append_work(void *context)
{
    struct disk_job *job = context;
    job->result = mr_journal_append(job->run->journal, job->bytes, job->length, &job->error);
    if (job->result == 0) {
        job->result = mr_evidence_write(job->run->desk, &job->slip, &job->error);
    }
}

static void append_done(void *context);

/* All that has come goes into one unit, under one sync. */
static void flush(struct mr_helper_driver *run)
{
    const struct disk_job job = {.bytes = run->records.bytes, .length = run->records.length};
    if (run->appending || run->records.length == 0 || run->stopping) {
        return;
    }
    run->records = (struct helper_records){.bytes = NULL};
    run->appending = true;
    start(run, &job, append_work, append_done);
}

static void append_done(void *context)
{
    struct disk_job *job = context;
    struct mr_helper_driver *run = job->run;
    run->appending = false;
    finish(job, "cannot make a seed durable");
    flush(run);
}

static void reserve(struct helper_records *records, size_t length)
{
    if (records->length + length <= records->capacity) {
        return;
    }
    const size_t capacity = 2 * (records->capacity + length) + 1024;
    uint8_t *bytes = mr_secret_new(capacity);
    MR_ASSERT(bytes);
    if (records->bytes) {
        memcpy(bytes, records->bytes, records->length);
    }
    mr_secret_free(records->bytes);
    records->bytes = bytes;
    records->capacity = capacity;
}

void mr_helper_driver_append(void *context, const uint8_t *record, size_t length)
{
    struct mr_helper_driver *run = context;
    struct helper_records *records = &run->records;
    run->asked++;
    reserve(records, length);
    memcpy(records->bytes + records->length, record, length);
    records->length += length;
    flush(run);
}

/* --- forget ---------------------------------------------------------------------------------- */

/* A next model that a crash left current without a record of its round is current no longer; any
 * other stays, or a lead could set this hub back a model with each round that it voids. A round
 * whose model this hub has computed stays on record with its model and its sum, and that model
 * current: the lead may have published it, and what this hub opened is not for the lead to take
 * back. Reveals are jobs of the same thread, so none comes after this.
 *
 * The record, and the transcript's, before the rest: a hub that crashes between finds record and
 * journal, and does the rest then. One that crashes before hears from the lead once more that the
 * round is void. */
static void forget_work(void *context)
{
    struct disk_job *job = context;
    const struct mr_store *store = job->run->context.store;
    job->result = mr_store_write_round(store, job->round, job->record, NULL, 0, &job->error);
    job->kept_record = job->result > 0;
    if (job->result == 0 && job->goes_back) {
        job->result = mr_store_write_back(store, job->hash, &job->error);
    }
    if (job->result >= 0) {
        job->result = mr_evidence_write(job->run->desk, &job->slip, &job->error);
    }
    if (job->result == 0) {
        job->result = mr_journal_wipe(job->run->journal, &job->error);
    }
    if (job->result == 0 && !job->opened && !job->kept_record) {
        job->result = mr_audit_shelf_destroy(job->run->shelf, job->round, &job->error);
    }
}

/* The list of rounds says what the record says. */
static void tell_kept(struct mr_helper_driver *run, uint64_t round)
{
    struct mr_round_summary stored;
    struct mr_helper_report report;
    struct mr_error error;
    mr_helper_report(run->core, &report);
    if (run->keeper) {
        mr_keeper_count_kept(run->keeper);
    }
    if (mr_round_record_read(run->context.store, round, &stored, &error) == 0) {
        *mr_round_history_current(&run->history, round) = stored;
    }
    mr_log_event(run->context.log, MR_LOG_WARN, "helper.record_kept",
                 "task=%s round=%" PRIu64 " refused=void why=%s", run->context.task, round,
                 report.reason);
}

static void forget_done(void *context)
{
    struct disk_job *job = context;
    struct mr_helper_driver *run = job->run;
    const bool good = job->result == 0;
    job->asked = 0; /* nothing is durable by it */
    if (good) {
        run->ending = run->ending == job->round ? 0 : run->ending;
        mr_released_unclaim(run->context.released, run->context.task, job->round);
    }
    if (good && job->kept_record) {
        tell_kept(run, job->round);
    } else if (good && job->goes_back) {
        mr_store_adopt(run->context.store, job->hash);
    }
    finish(job, "cannot make durable that the round is void, and wipe its journal");
    if (good) {
        mr_helper_forgotten(run->core);
    }
}

void mr_helper_driver_forget(void *context)
{
    struct mr_helper_driver *run = context;
    struct mr_helper_report report;
    mr_helper_report(run->core, &report);
    drop_records(run);
    run->ending = report.round;
    if (!run->stopping) {
        struct mr_round_summary summary;
        mr_helper_driver_summarise(run, &summary);
        struct mr_record record = {.task = run->context.task,
                                   .summary = &summary,
                                   .terms = mr_helper_terms(run->core),
                                   .state = "void",
                                   .reason = report.reason,
                                   .opened = report.opened};
        if (report.opened) {
            record.included =
                mr_helper_included(run->core, &record.included_count, &record.set_hash);
        }
        *mr_round_history_current(&run->history, report.round) = summary; /* as the record says */
        const struct mr_store *store = run->context.store;
        struct disk_job job = {
            .round = report.round,
            .record = mr_record_round(&record),
            .opened = report.opened,
            .goes_back = mr_store_made_by(store, mr_store_current(store), record.terms->hash)};
        MR_ASSERT(job.record);
        memcpy(job.hash, record.terms->announcement.model_hash, MR_HASH_BYTES);
        start(run, &job, forget_work, forget_done);
    }
}

void mr_helper_driver_disk_close(struct mr_helper_driver *run)
{
    drop_records(run);
    mr_evidence_desk_close(run->desk);
    mr_audit_shelf_close(run->shelf);
    mr_journal_close(run->journal);
    mr_disk_file_close(run->disk);
}
