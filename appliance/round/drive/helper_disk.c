/* helper_disk.c - the helper's journal at work: group commit on the job thread, and what is found
 * when the hub starts. */
#include <inttypes.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/round/drive/helper_driver_internal.h"
#include "appliance/round/drive/record.h"
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
    bool sign; /* the round is new to signed-round */
    uint64_t round;
    uint8_t hash[MR_HASH_BYTES]; /* of its announcement; of a void one: the model it began with */
};

static void start(struct mr_helper_driver *run, const struct disk_job *with, mr_loop_fn work,
                  mr_loop_fn done)
{
    struct disk_job *job = malloc(sizeof *job);
    MR_ASSERT(job && run->jobs);
    *job = *with;
    job->run = run;
    job->asked = run->asked;
    mr_job_run(run->jobs, work, done, job);
}

/* Frees the job; tells the core unless the disk failed. */
static void finish(struct disk_job *job, const char *what)
{
    struct mr_helper_driver *run = job->run;
    mr_secret_free(job->bytes);
    free(job->record);
    if (job->result != 0) {
        helper_driver_fatal(run, what, &job->error);
    } else if (job->asked) {
        mr_helper_durable(run->core, job->asked);
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
    job->result = mr_journal_save(run->journal, job->salt, job->bytes, job->length, &job->error);
    if (job->result == 0 && job->sign) {
        job->result = mr_store_write_signed(run->context.store, job->round, job->hash, &job->error);
    }
}

static void save_done(void *context)
{
    struct disk_job *job = context;
    struct mr_helper_driver *run = job->run;
    if (job->result == 0 && job->sign) {
        mr_store_adopt_signed(run->context.store, job->round, job->hash);
        run->signed_total++;
        run->server_learning_rate = run->context.round->server_learning_rate;
        helper_driver_wait_for_lead(run, false);
    }
    finish(job, "cannot make the round's journal durable");
}

void helper_driver_save(void *context, const struct mr_journal_state *state)
{
    struct mr_helper_driver *run = context;
    struct disk_job job = {.round = state->terms->announcement.round};
    uint8_t last[MR_HASH_BYTES];
    run->asked++;
    if (run->stopping) {
        return;
    }
    drop_records(run); /* the snapshot says all that they say */
    memcpy(job.hash, state->terms->hash, MR_HASH_BYTES);
    job.sign = mr_store_signed_round(run->context.store, last) != job.round;
    job.bytes = mr_journal_state_encode(state, &job.length);
    MR_ASSERT(job.bytes && RAND_bytes(job.salt, sizeof job.salt) == 1);
    start(run, &job, save_work, save_done);
}

/* --- append ---------------------------------------------------------------------------------- */

static void append_work(void *context)
{
    struct disk_job *job = context;
    job->result = mr_journal_append(job->run->journal, job->bytes, job->length, &job->error);
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

void helper_driver_append(void *context, const uint8_t *record, size_t length)
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

/* What a reveal may have left on the disk, whether or not this process knows of it, goes as well:
 * the next model is current no longer, and the sum of a void round is nowhere. Reveals are jobs of
 * the same thread, so none comes after this.
 *
 * The record before the journal goes: a hub that crashes between the two finds both, and does the
 * rest then. One that crashes before hears from the lead once more that the round is void. */
static void forget_work(void *context)
{
    struct disk_job *job = context;
    const struct mr_store *store = job->run->context.store;
    job->result = -1;
    if (mr_store_write_current(store, job->hash, &job->error) == 0 &&
        mr_store_write_round(store, job->round, job->record, NULL, 0, &job->error) == 0 &&
        mr_store_drop_sum(store, job->round, &job->error) == 0) {
        job->result = mr_journal_wipe(job->run->journal, &job->error);
    }
}

static void forget_done(void *context)
{
    struct disk_job *job = context;
    job->asked = 0; /* nothing is durable by it */
    if (job->result == 0) {
        mr_store_adopt(job->run->context.store, job->hash);
    }
    finish(job, "cannot make durable that the round is void, and wipe its journal");
}

void helper_driver_forget(void *context)
{
    struct mr_helper_driver *run = context;
    struct mr_helper_report report;
    mr_helper_report(run->core, &report);
    drop_records(run);
    if (!run->stopping) {
        const struct mr_record record = {
            .terms = mr_helper_terms(run->core), .state = "void", .reason = report.reason};
        struct disk_job job = {.round = report.round, .record = mr_record_round(&record)};
        MR_ASSERT(job.record);
        memcpy(job.hash, record.terms->announcement.model_hash, MR_HASH_BYTES);
        start(run, &job, forget_work, forget_done);
    }
}

/* --- starting -------------------------------------------------------------------------------- */

static void lose(const struct mr_helper_driver *run, uint64_t round, const char *why)
{
    mr_log_event(run->context.log, MR_LOG_WARN, "helper.lost", "task=%s round=%" PRIu64 " why=%s",
                 run->context.task, round, why);
}

static bool fits(const struct mr_helper_driver *run, const struct mr_round_terms *terms,
                 struct mr_error *why)
{
    uint8_t hash[MR_HASH_BYTES];
    const uint64_t round = terms->announcement.round;
    const uint64_t last = mr_store_signed_round(run->context.store, hash);
    if (round < last || (round == last && memcmp(hash, terms->hash, MR_HASH_BYTES) != 0)) {
        mr_error_set(why, "the journal is of another round than signed-round: %" PRIu64, round);
        return false;
    }
    return true;
}

/* The round was given up, and this hub killed before all that was left of it was gone. */
static int forget_again(struct mr_helper_driver *run, const struct mr_announcement *announcement,
                        struct mr_error *error)
{
    struct mr_store *store = run->context.store;
    if (mr_store_write_current(store, announcement->model_hash, error) != 0 ||
        mr_store_drop_sum(store, announcement->round, error) != 0) {
        return -1;
    }
    mr_store_adopt(store, announcement->model_hash);
    return mr_journal_wipe(run->journal, error);
}

static int recover(struct mr_helper_driver *run, const struct mr_journal_read *read,
                   struct mr_error *error)
{
    struct mr_helper_report report;
    struct mr_error why = {.text = ""};
    const uint64_t round = read->terms.announcement.round;
    if (run->last_life.round == round) {
        return forget_again(run, &read->terms.announcement, error);
    }
    const int taken = fits(run, &read->terms, &why) ? mr_helper_recover(run->core, read, &why) : 1;
    if (taken < 0) {
        return mr_error_set(error, "round %" PRIu64 " cannot be taken up: %.300s", round, why.text);
    }
    if (taken > 0) {
        lose(run, round, why.text);
        return mr_journal_wipe(run->journal, error);
    }
    mr_helper_report(run->core, &report);
    mr_log_event(run->context.log, MR_LOG_INFO, "helper.recovered",
                 "task=%s round=%" PRIu64 " state=%s admitted=%u included=%u", run->context.task,
                 round, mr_helper_state_name(report.state), report.admitted, report.included);
    return 0;
}

/* Whether the last round was given up before this process started, and why. */
static int read_last_life(struct mr_helper_driver *run, struct mr_error *error)
{
    struct mr_helper_last *last = &run->last_life;
    struct mr_lead_end end;
    const uint64_t round = mr_store_signed_round(run->context.store, last->hash);
    char *text = NULL;
    if (mr_store_read_round(run->context.store, round, &text, error) < 0) {
        return -1;
    }
    if (text && mr_record_end(&end, text) == 0 && end.voided) {
        last->round = round;
        snprintf(last->given_up, sizeof last->given_up, "%s", end.reason);
    }
    free(text);
    return 0;
}

int helper_driver_boot(struct mr_helper_driver *run, struct mr_error *error)
{
    struct mr_journal_read read;
    uint8_t hash[MR_HASH_BYTES];
    if (mr_disk_file_open(&run->disk, run->context.data_dir, error) != 0 ||
        read_last_life(run, error) != 0) {
        return -1;
    }
    error->text[0] = '\0';
    helper_driver_wait_for_lead(run, true);
    const int found = mr_helper_journal_open(&run->journal, mr_disk_file_ops(run->disk),
                                             run->context.private_key, &read, error);
    if (found > 0 && error->text[0]) {
        lose(run, mr_store_signed_round(run->context.store, hash), error->text);
    }
    if (found != 0) {
        return found < 0 ? -1 : 0;
    }
    const int result = recover(run, &read, error);
    mr_journal_read_fini(&read);
    return result;
}

void helper_driver_disk_close(struct mr_helper_driver *run)
{
    drop_records(run);
    mr_journal_close(run->journal);
    mr_disk_file_close(run->disk);
}
