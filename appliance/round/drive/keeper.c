#include "appliance/round/drive/keeper.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/model/retention.h"
#include "appliance/round/drive/round_sample.h"
#include "appliance/round/drive/wall_clock.h"
#include "appliance/storage/folder.h"
#include "base/assert.h"

/* By age things are over at any time, and the disk fills from elsewhere too. */
#define LOOK_AGAIN_MS 600000u
/* A pass follows another no sooner: a look at a large folder takes tens of milliseconds. */
#define PAUSE_MS 1000u
/* Warned of a disk that has room for fewer further rounds than that. */
#define ROUNDS_AHEAD 10u
#define DAY_MS       UINT64_C(86400000)

/* What a record, a manifest and the folders' own growth take, and a device in set and logs. */
#define ROUND_EXTRA_BYTES  65536u
#define ROUND_DEVICE_BYTES 256u

struct mr_keeper {
    struct mr_keeper_config config;
    struct mr_timer *timer;
    bool stopping, running, kicked;
    uint64_t last_ms;                /* when the last pass ended */
    struct mr_survey survey;         /* of the last pass: the job thread's while a job runs */
    uint64_t free_bytes, size_bytes; /* size 0: not known */
    uint64_t round_bytes;            /* of the last round that room was asked for; 0: none yet */
    uint64_t removed[MR_STORED_KINDS], removed_bytes;
    uint64_t records_kept;
    struct mr_audit_kept audits; /* of the last pass */
    bool low;                    /* said so */
    bool failed;                 /* said so */
};

struct keeper_job {
    struct mr_keeper *keeper;
    int result;
    struct mr_error error;
    struct mr_keep keep;
    struct mr_survey survey;
    uint64_t free_bytes, size_bytes;
    uint64_t under_way;      /* no audit of it is over */
    unsigned audits_removed; /* files */
    struct mr_audit_kept audits;
};

static const struct mr_config_keep *limits_of(const struct mr_keeper *keeper)
{
    return keeper->config.context->keep;
}

static void start(struct mr_keeper *keeper, mr_loop_fn work, mr_loop_fn done,
                  struct keeper_job *job)
{
    mr_job_run(keeper->config.jobs, work, done, job);
}

/* --- room ------------------------------------------------------------------------------------ */

uint64_t mr_keeper_round_bytes(uint64_t model_bytes, uint64_t share_bytes, uint32_t devices)
{
    return model_bytes + 3 * share_bytes + (uint64_t)devices * ROUND_DEVICE_BYTES +
           ROUND_EXTRA_BYTES;
}

bool mr_keeper_has_room(struct mr_keeper *keeper, uint64_t bytes, struct mr_refusal *refusal)
{
    uint64_t free_bytes, size_bytes;
    keeper->round_bytes = bytes;
    if (mr_folder_space(keeper->config.context->data_dir, &free_bytes, &size_bytes, NULL) != 0 ||
        free_bytes >= bytes) {
        return true;
    }
    mr_refuse(refusal, MR_REFUSAL_NO_ROOM,
              "the disk of data_dir has %" PRIu64 " bytes left, and a round may take %" PRIu64
              ": make room, or keep less (tasks.keep, tasks.round.audit_hours)",
              free_bytes, bytes);
    return false;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Of a kind that is kept up to `most`, so many rounds more leave that many files more. */
static uint64_t growth(uint32_t most, uint64_t files)
{
    const uint64_t left = files < most ? most - files : 0;
    return most == 0 ? ROUNDS_AHEAD : least(left, ROUNDS_AHEAD);
}

static uint64_t one_round(const struct mr_keeper *keeper)
{
    const struct mr_survey *survey = &keeper->survey;
    return keeper->round_bytes ? keeper->round_bytes
                               : mr_keeper_round_bytes(survey->model_bytes, survey->sum_bytes, 0);
}

/* A round, and what the next ones leave before removing makes up for it. */
static uint64_t bytes_ahead(const struct mr_keeper *keeper)
{
    const struct mr_survey *survey = &keeper->survey;
    const struct mr_config_keep *keep = limits_of(keeper);
    return one_round(keeper) +
           growth(keep->models, survey->files[MR_STORED_MODELS]) * survey->model_bytes +
           growth(keep->sums, survey->files[MR_STORED_SUMS]) * survey->sum_bytes;
}

/* Once when it begins and once when it ends. */
static void watch_space(struct mr_keeper *keeper)
{
    const struct mr_round_context *context = keeper->config.context;
    const bool low = keeper->size_bytes && keeper->free_bytes < bytes_ahead(keeper);
    if (low != keeper->low) {
        mr_log_event(context->log, low ? MR_LOG_WARN : MR_LOG_INFO, low ? "disk.low" : "disk.room",
                     "task=%s free_bytes=%" PRIu64 " wanted_bytes=%" PRIu64 " round_bytes=%" PRIu64,
                     context->task, keeper->free_bytes, bytes_ahead(keeper), one_round(keeper));
    }
    keeper->low = low;
}

/* --- a pass ---------------------------------------------------------------------------------- */

static void plan(struct mr_keeper *keeper, uint64_t in_ms)
{
    if (!keeper->stopping) {
        mr_timer_arm(keeper->timer, mr_loop_now_ms(keeper->config.context->loop) + in_ms);
    }
}

static void say_failed(struct mr_keeper *keeper, const char *why)
{
    if (!keeper->failed) {
        mr_log_event(keeper->config.context->log, MR_LOG_WARN, "retention.failed", "task=%s why=%s",
                     keeper->config.context->task, why);
    }
    keeper->failed = true;
}

/* The pass is over, well or not. */
static void end_pass(struct keeper_job *job)
{
    struct mr_keeper *keeper = job->keeper;
    const bool more = (job->result == 0 && job->survey.more) || keeper->kicked;
    keeper->running = keeper->kicked = false;
    keeper->last_ms = mr_loop_now_ms(keeper->config.context->loop);
    if (job->result != 0) {
        say_failed(keeper, job->error.text);
    } else {
        keeper->failed = false;
    }
    watch_space(keeper);
    plan(keeper, more ? PAUSE_MS : LOOK_AGAIN_MS);
    free(job);
}

static void count_removed(struct mr_keeper *keeper, const struct mr_survey *survey)
{
    uint64_t files[MR_STORED_KINDS] = {0}, bytes = 0;
    for (unsigned i = 0; i < survey->doomed_count; i++) {
        const struct mr_doomed *one = &survey->doomed[i];
        if (one->removed) {
            files[one->kind]++;
            bytes += one->bytes;
            keeper->removed[one->kind]++;
            keeper->survey.files[one->kind]--;
            keeper->survey.bytes[one->kind] -= least(one->bytes, keeper->survey.bytes[one->kind]);
        }
    }
    keeper->removed_bytes += bytes;
    if (bytes > 0) {
        mr_log_event(keeper->config.context->log, MR_LOG_INFO, "retention.removed",
                     "task=%s models=%" PRIu64 " sums=%" PRIu64 " rounds=%" PRIu64
                     " bytes=%" PRIu64,
                     keeper->config.context->task, files[MR_STORED_MODELS], files[MR_STORED_SUMS],
                     files[MR_STORED_ROUNDS], bytes);
    }
}

static void look_at_space(struct keeper_job *job)
{
    if (mr_folder_space(job->keeper->config.context->data_dir, &job->free_bytes, &job->size_bytes,
                        NULL) != 0) {
        job->size_bytes = 0;
    }
}

static void remove_work(void *context)
{
    struct keeper_job *job = context;
    job->result = mr_store_remove(job->keeper->config.context->store, &job->survey, &job->error);
    look_at_space(job);
}

static void remove_done(void *context)
{
    struct keeper_job *job = context;
    struct mr_keeper *keeper = job->keeper;
    mr_store_acquit(keeper->config.context->store);
    keeper->free_bytes = job->free_bytes;
    keeper->size_bytes = job->size_bytes;
    count_removed(keeper, &job->survey);
    if (job->result < 0) { /* what the folder holds is unknown: as everywhere, the hub stops */
        const struct mr_round_context *round = keeper->config.context;
        round->fatal(round->fatal_context, job->error.text);
    }
    end_pass(job);
}

static void need_model(struct mr_needed *needed, const uint8_t hash[MR_HASH_BYTES])
{
    MR_ASSERT(needed->models_count < MR_NEEDED_MODELS_MAX);
    memcpy(needed->models[needed->models_count++], hash, MR_HASH_BYTES);
}

/* What the round under way and the newest two began with and led to: a round that is given up late
 * goes back to its parent, and devices that come late ask for what they were told of. And what the
 * current model was made from: of a version that was resumed, another hub of the task may have to
 * make the same one still. */
static void what_is_needed(const struct mr_keeper *keeper, struct mr_needed *needed)
{
    struct mr_round_summary newest[2];
    uint8_t hash[MR_HASH_BYTES], before[MR_HASH_BYTES];
    const struct mr_keeper_config *config = &keeper->config;
    const uint64_t signed_round = mr_store_signed_round(config->context->store, hash);
    const uint8_t *parent = config->parent(config->driver);
    *needed = (struct mr_needed){.from_round = signed_round ? signed_round - 1 : 0};
    if (parent) {
        need_model(needed, parent);
    }
    const struct mr_store *store = config->context->store;
    if (mr_store_parent(store, mr_store_current(store), before) == 0) {
        need_model(needed, before);
    }
    const unsigned count = mr_round_history_list(config->history, newest, 2);
    for (unsigned i = 0; i < count; i++) {
        need_model(needed, newest[i].parent_hash);
        need_model(needed, newest[i].model_hash);
    }
}

static void survey_work(void *context)
{
    struct keeper_job *job = context;
    const uint64_t unix_ms = mr_round_unix_ms();
    job->result = mr_store_survey(job->keeper->config.context->store, &job->keep,
                                  (int64_t)(unix_ms / 1000), &job->survey, &job->error);
    if (job->result == 0) {
        job->result = mr_audit_shelf_sweep(job->keeper->config.shelf, unix_ms, job->under_way,
                                           &job->audits_removed, &job->error);
    }
    if (job->result == 0) {
        job->result = mr_audit_shelf_measure(job->keeper->config.shelf, &job->audits, &job->error);
    }
    look_at_space(job);
}

static void survey_done(void *context)
{
    struct keeper_job *job = context;
    struct mr_keeper *keeper = job->keeper;
    struct mr_needed needed;
    keeper->free_bytes = job->free_bytes;
    keeper->size_bytes = job->size_bytes;
    if (job->audits_removed > 0) {
        mr_log_event(keeper->config.context->log, MR_LOG_INFO, "audit.destroyed",
                     "task=%s files=%u why=%s", keeper->config.context->task, job->audits_removed,
                     "their audit_hours are over");
    }
    if (job->result != 0 || keeper->stopping) {
        end_pass(job);
        return;
    }
    keeper->audits = job->audits;
    what_is_needed(keeper, &needed);
    mr_store_condemn(keeper->config.context->store, &job->survey, &needed);
    keeper->survey = job->survey;
    if (job->survey.doomed_count == 0) {
        mr_store_acquit(keeper->config.context->store);
        end_pass(job);
        return;
    }
    start(keeper, remove_work, remove_done, job);
}

static void on_timer(void *context)
{
    struct mr_keeper *keeper = context;
    const struct mr_config_keep *keep = limits_of(keeper);
    if (keeper->running || keeper->stopping) {
        return;
    }
    struct keeper_job *job = calloc(1, sizeof *job);
    MR_ASSERT(job);
    job->keeper = keeper;
    job->keep =
        (struct mr_keep){.limits = {[MR_STORED_MODELS] = {keep->models, keep->models_days},
                                    [MR_STORED_SUMS] = {keep->sums, keep->sums_days},
                                    [MR_STORED_ROUNDS] = {keep->rounds, keep->rounds_days}}};
    job->under_way = keeper->config.under_way(keeper->config.driver);
    keeper->running = true;
    if (keeper->config.drop_logs && keep->logs_days) {
        const uint64_t age_ms = keep->logs_days * DAY_MS, now_ms = mr_round_unix_ms();
        keeper->config.drop_logs(keeper->config.driver, now_ms > age_ms ? now_ms - age_ms : 0);
    }
    start(keeper, survey_work, survey_done, job);
}

/* --- life ------------------------------------------------------------------------------------ */

void mr_keeper_kick(struct mr_keeper *keeper)
{
    const uint64_t now_ms = mr_loop_now_ms(keeper->config.context->loop);
    const uint64_t since_ms = keeper->last_ms ? now_ms - keeper->last_ms : PAUSE_MS;
    if (keeper->running) {
        keeper->kicked = true;
    } else {
        plan(keeper, since_ms < PAUSE_MS ? PAUSE_MS - since_ms : 0);
    }
}

struct mr_keeper *mr_keeper_open(const struct mr_keeper_config *config)
{
    struct mr_keeper *keeper = calloc(1, sizeof *keeper);
    if (!keeper) {
        return NULL;
    }
    keeper->config = *config;
    keeper->timer = mr_timer_open(config->context->loop, on_timer, keeper);
    if (!keeper->timer) {
        free(keeper);
        return NULL;
    }
    mr_keeper_kick(keeper);
    return keeper;
}

void mr_keeper_halt(struct mr_keeper *keeper)
{
    keeper->stopping = true;
    mr_timer_disarm(keeper->timer);
}

void mr_keeper_close(struct mr_keeper *keeper)
{
    if (keeper) {
        mr_timer_close(keeper->timer);
    }
    free(keeper);
}

/* --- metrics --------------------------------------------------------------------------------- */

void mr_keeper_count_kept(struct mr_keeper *keeper)
{
    keeper->records_kept++;
}

/* A number of each kind. */
static void by_kind(const struct mr_keeper *keeper, const char *name, const uint64_t *values,
                    unsigned kinds, struct mr_metrics *metrics)
{
    for (unsigned kind = 0; kind < kinds; kind++) {
        const struct mr_round_label label = {keeper->config.context->task, "kind",
                                             mr_stored_kind_name(kind)};
        mr_round_sample(metrics, name, &label, (double)values[kind]);
    }
}

static void of_task(const struct mr_keeper *keeper, const char *name, double value,
                    struct mr_metrics *metrics)
{
    const struct mr_round_label label = {.task = keeper->config.context->task};
    mr_round_sample(metrics, name, &label, value);
}

void mr_keeper_metrics(struct mr_keeper *const *keepers, unsigned count, struct mr_metrics *metrics)
{
    mr_metrics_family(metrics, "millrace_stored_bytes", "gauge",
                      "Bytes of a task's files in data_dir, by kind, when it was last looked.");
    for (unsigned i = 0; i < count; i++) {
        by_kind(keepers[i], "millrace_stored_bytes", keepers[i]->survey.bytes, MR_STORED_KINDS,
                metrics);
    }
    mr_metrics_family(metrics, "millrace_stored_files", "gauge", "Files, likewise.");
    for (unsigned i = 0; i < count; i++) {
        by_kind(keepers[i], "millrace_stored_files", keepers[i]->survey.files, MR_STORED_KINDS,
                metrics);
    }
    mr_metrics_family(metrics, "millrace_audit_kept_bytes", "gauge",
                      "Bytes that a task keeps of its rounds for audits, when it was last looked.");
    for (unsigned i = 0; i < count; i++) {
        of_task(keepers[i], "millrace_audit_kept_bytes", (double)keepers[i]->audits.bytes, metrics);
    }
    mr_metrics_family(metrics, "millrace_audit_kept_files", "gauge", "Files, likewise.");
    for (unsigned i = 0; i < count; i++) {
        of_task(keepers[i], "millrace_audit_kept_files", (double)keepers[i]->audits.files, metrics);
    }
    mr_metrics_family(metrics, "millrace_retention_removed_total", "counter",
                      "Files removed because tasks.keep says so, by kind.");
    for (unsigned i = 0; i < count; i++) {
        by_kind(keepers[i], "millrace_retention_removed_total", keepers[i]->removed, MR_STORED_LOGS,
                metrics);
    }
    mr_metrics_family(metrics, "millrace_disk_rounds_left", "gauge",
                      "Rounds of the task that the free space would hold if nothing were removed.");
    for (unsigned i = 0; i < count; i++) {
        const uint64_t rounds = keepers[i]->free_bytes / one_round(keepers[i]);
        of_task(keepers[i], "millrace_disk_rounds_left", (double)rounds, metrics);
    }
    mr_metrics_family(metrics, "millrace_records_kept_total", "counter",
                      "Ends of rounds that were not written because the round has another on "
                      "record.");
    for (unsigned i = 0; i < count; i++) {
        of_task(keepers[i], "millrace_records_kept_total", (double)keepers[i]->records_kept,
                metrics);
    }
}
