#include "appliance/round/drive/keeper.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/round/drive/keeper_internal.h"
#include "appliance/round/drive/wall_clock.h"
#include "appliance/storage/folder.h"
#include "base/assert.h"

/* By age things are over at any time, and the disk fills from elsewhere too. */
#define LOOK_AGAIN_MS 600000u
/* A pass follows another no sooner: a look at a large folder takes tens of milliseconds. */
#define PAUSE_MS 1000u

#define DAY_MS UINT64_C(86400000)

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
    mr_keeper_watch_space(keeper);
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
            uint64_t *left = &keeper->survey.bytes[one->kind];
            *left -= one->bytes < *left ? one->bytes : *left;
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

void mr_keeper_count_kept(struct mr_keeper *keeper)
{
    keeper->records_kept++;
}
