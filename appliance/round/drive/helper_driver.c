#include "appliance/round/drive/helper_driver.h"

#include <inttypes.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/round/drive/expand_list.h"
#include "appliance/round/drive/helper_driver_internal.h"
#include "appliance/round/drive/claims.h"
#include "appliance/round/drive/mark.h"
#include "appliance/round/drive/older.h"
#include "appliance/round/drive/record.h"
#include "appliance/round/drive/round_params.h"
#include "appliance/round/drive/wall_clock.h"
#include "appliance/model/next_model.h"
#include "appliance/privacy/hub_noise.h"
#include "appliance/task/released.h"
#include "base/bytes.h"
#include "base/secret.h"
#include "base/assert.h"

#define CLOCK_LOOK_MS 60000u

/* Every job of the helper; the fields that a kind does not use are zero. */
struct helper_job {
    struct mr_helper_driver *run;
    int result;
    struct mr_error error;
    uint8_t hash[MR_HASH_BYTES];
    const struct mr_round_terms *terms;
    struct mr_expansion *list;
    uint32_t count;
    uint8_t *expanded;
    const uint8_t *const *results;
    const struct mr_watermark_parts *mark_parts;
    struct mr_model *parent;
    struct mr_made_model *made;
    struct mr_norm_memory memory;    /* of the opened round before */
    struct mr_round_summary summary; /* of the round when it is revealed */
};

static void start(struct mr_helper_driver *run, const struct helper_job *with, mr_loop_fn work,
                  mr_loop_fn done)
{
    struct helper_job *job = malloc(sizeof *job);
    MR_ASSERT(job && run->jobs);
    *job = *with;
    job->run = run;
    mr_job_run(run->jobs, work, done, job);
}

/* --- expand ---------------------------------------------------------------------------------- */

static void expand_work(void *context)
{
    struct helper_job *job = context;
    const struct mr_round_context *hub = &job->run->context;
    struct mr_hub_noise noise = {.terms = job->terms,
                                 .set_hash = job->hash,
                                 .hub_index = hub->hub_index,
                                 .private_key = hub->private_key};
    if (mr_hub_noise_prepare(&job->run->noise, &job->terms->announcement) == 0) {
        noise.tables = job->run->noise;
        job->expanded = mr_expand_noised(&noise, job->list, job->count, hub->kernels);
    }
}

static void expand_done(void *context)
{
    struct helper_job *job = context;
    mr_helper_expanded(job->run->core, job->expanded);
    mr_secret_free(job->list);
    free(job);
}

static void on_expand(void *context, const struct mr_round_terms *terms, struct mr_expansion *list,
                      uint32_t count)
{
    struct mr_helper_driver *run = context;
    struct helper_job job = {.terms = terms, .list = list, .count = count};
    const uint8_t *set_hash;
    uint32_t included;
    if (run->stopping) {
        mr_secret_free(list);
        return;
    }
    (void)mr_helper_included(run->core, &included, &set_hash);
    memcpy(job.hash, set_hash, MR_HASH_BYTES);
    start(run, &job, expand_work, expand_done);
}

/* --- reveal ---------------------------------------------------------------------------------- */

/* The next model, and what it needs; it is the current one from now on. */
static int store_model(struct helper_job *job, const struct mr_next_model_answer *answer,
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
static int store_files(struct helper_job *job, const struct mr_next_model_answer *answer)
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
static int read_back(struct helper_job *job)
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
    struct helper_job *job = context;
    job->result = store_files(job, &job->made->answer);
    if (job->result == 0) {
        job->result = read_back(job);
    }
}

/* The list of rounds says what the record says. */
static void keep_summary(const struct helper_job *job)
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

static void end_reveal(struct helper_job *job)
{
    mr_made_model_drop(job->made);
    free(job);
}

static void store_done(void *context)
{
    struct helper_job *job = context;
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
    struct helper_job *job = context;
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
    struct helper_job *job = context;
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

static void on_reveal(void *context, const struct mr_round_terms *terms,
                      const uint8_t *const *results, uint32_t included_count)
{
    struct mr_helper_driver *run = context;
    struct helper_job job = {.terms = terms, .results = results, .count = included_count};
    if (!run->stopping) {
        mr_helper_driver_summarise(run, &job.summary);
        job.mark_parts = mr_helper_mark_parts(run->core);
        job.memory = *mr_round_history_norms(&run->history, terms->announcement.round);
        job.made = mr_made_model_new(terms);
        job.parent =
            mr_store_borrow(run->context.store, terms->announcement.model_hash, &job.error);
        start(run, &job, reveal_work, reveal_done);
    }
}

/* --- the other actions ----------------------------------------------------------------------- */

static void on_random(void *context, uint8_t *out, size_t bytes)
{
    (void)context;
    MR_ASSERT(RAND_bytes(out, (int)bytes) == 1);
}

static void on_recall(void *context, struct mr_helper_last *last)
{
    struct mr_helper_driver *run = context;
    *last = run->last_life;
    last->round = mr_store_signed_round(run->context.store, last->hash);
    if (last->round != run->last_life.round) {
        last->given_up[0] = '\0';
    }
}

static uint32_t on_model_dimension(void *context, const uint8_t *model_hash, uint32_t *values)
{
    struct mr_helper_driver *run = context;
    struct mr_model *model = mr_store_borrow(run->context.store, model_hash, NULL);
    const uint32_t dimension = model ? mr_model_dimension(model) : 0;
    if (model) {
        *values = mr_model_values(model);
        mr_store_return(run->context.store, model);
    }
    return dimension;
}

/* A round on an older model would be about devices that are in its sums already. */
static bool on_may_begin_with(void *context, const uint8_t *model_hash, struct mr_refusal *refusal)
{
    const struct mr_helper_driver *run = context;
    const uint8_t *current = mr_store_current(run->context.store);
    uint8_t parent[MR_HASH_BYTES];
    char asked[2 * MR_HASH_BYTES + 1], own[2 * MR_HASH_BYTES + 1];
    if (memcmp(model_hash, current, MR_HASH_BYTES) == 0) {
        return mr_older_may_begin(&run->context, false, refusal);
    }
    if (mr_store_parent(run->context.store, current, parent) == 0 &&
        memcmp(model_hash, parent, MR_HASH_BYTES) == 0) {
        return mr_older_may_begin(&run->context, true, refusal);
    }
    mr_hex_encode(asked, model_hash, MR_HASH_BYTES);
    mr_hex_encode(own, current, MR_HASH_BYTES);
    mr_refuse(refusal, MR_REFUSAL_WRONG_ANNOUNCEMENT,
              "the round begins with model %.16s..., but this hub's current model is %.16s...: "
              "the lead's current has gone back, or this hub's; compare millrace task show on "
              "both, and put the newer one back",
              asked, own);
    return false;
}

static bool on_may_count(void *context, const struct mr_round_terms *terms,
                         const uint8_t client_id[MR_CLIENT_ID_BYTES], struct mr_refusal *refusal)
{
    const struct mr_helper_driver *run = context;
    return mr_claims_may_count(&run->context, terms, client_id, refusal);
}

static enum mr_set_claim on_claim(void *context, const struct mr_frozen_set *set,
                                  struct mr_refusal *refusal)
{
    const struct mr_helper_driver *run = context;
    return mr_claims_take(&run->context, set, refusal);
}

static int on_counted_root(void *context, const struct mr_included *set, uint32_t count,
                           uint8_t root[MR_HASH_BYTES])
{
    const struct mr_helper_driver *run = context;
    return mr_audit_shelf_root(run->shelf, set, count, root);
}

static void on_released(void *context, int result, const struct mr_error *error)
{
    struct mr_helper_driver *run = context;
    if (result != 0) {
        mr_helper_driver_fatal(run, "cannot write down which set is opened", error);
    } else {
        const uint8_t *set_hash;
        uint32_t count;
        (void)mr_helper_included(run->core, &count, &set_hash);
        mr_round_debit_take(&run->debit, &run->context, mr_helper_terms(run->core), set_hash);
        mr_helper_released(run->core);
    }
}

static void on_release(void *context)
{
    struct mr_helper_driver *run = context;
    if (!run->stopping) {
        mr_released_add(run->context.released, run->context.task, on_released, run);
    }
}

/* Leaves when all that this hub knows by now is in its transcript. */
static void on_answer(void *context, void *token, bool json, const void *body, size_t length)
{
    const struct mr_helper_driver *run = context;
    const struct mr_evidence_held held = {
        .token = token, .json = json, .body = body, .length = length};
    mr_evidence_pass(run->desk, &held);
}

static void on_refuse(void *context, void *token, const struct mr_refusal *refusal)
{
    struct mr_helper_driver *run = context;
    run->listener.refuse(run->listener.context, token, refusal);
}

/* The wall clock may be set, and goes on while the machine sleeps: it is looked at now and then. */
static void plan_tick(struct mr_helper_driver *run)
{
    const uint64_t due = mr_helper_due_unix_ms(run->core), unix_ms = mr_round_unix_ms();
    const uint64_t left = due > unix_ms ? due - unix_ms : 0;
    const uint64_t at_ms =
        mr_loop_now_ms(run->context.loop) + (left < CLOCK_LOOK_MS ? left : CLOCK_LOOK_MS);
    if (due == UINT64_MAX || run->stopping) {
        mr_timer_disarm(run->timer);
    } else {
        mr_timer_arm(run->timer, at_ms > run->not_before_ms ? at_ms : run->not_before_ms);
    }
}

static void on_tick(void *context)
{
    struct mr_helper_driver *run = context;
    const uint64_t voids = run->void_total;
    if (!run->stopping) {
        mr_helper_tick(run->core, mr_round_unix_ms());
        run->lead_gone_total += run->void_total - voids;
        plan_tick(run);
    }
}

static void on_changed(void *context)
{
    struct mr_helper_driver *run = context;
    plan_tick(run);
    mr_helper_driver_note(run);
    if (run->listener.changed) {
        run->listener.changed(run->listener.context);
    }
}

static bool on_revoked(void *context, const struct mr_serial *serial)
{
    const struct mr_helper_driver *run = context;
    return run->context.revoked && run->context.revoked(run->context.revoked_context, serial);
}

static uint64_t on_unix_ms(void *context)
{
    (void)context;
    return mr_round_unix_ms();
}

static const struct mr_helper_ops ops = {
    .random = on_random,
    .recall = on_recall,
    .save = mr_helper_driver_save,
    .append = mr_helper_driver_append,
    .forget = mr_helper_driver_forget,
    .model_dimension = on_model_dimension,
    .may_begin_with = on_may_begin_with,
    .may_count = on_may_count,
    .claim = on_claim,
    .counted_root = on_counted_root,
    .release = on_release,
    .expand = on_expand,
    .reveal = on_reveal,
    .answer = on_answer,
    .refuse = on_refuse,
    .changed = on_changed,
    .accepts = mr_helper_driver_accepts,
    .has_room = mr_helper_driver_has_room,
    .revoked = on_revoked,
    .unix_ms = on_unix_ms,
};

/* --- opening and closing --------------------------------------------------------------------- */

static struct mr_helper_policy policy_of(const struct mr_helper_driver *run,
                                         const struct mr_config_round *round)
{
    const struct mr_config_accept *accept = run->context.accept;
    return (struct mr_helper_policy){
        .cohort_min = mr_config_set_min(round),
        .share_percent = accept ? accept->share_percent : 0,
        .passed_over_percent = accept ? accept->passed_over_percent : 0,
        .share_bytes_max = run->context.share_bytes_max,
        .lead_grace_ms = round->lead_grace_ms,
        .deadline_ahead_ms = MR_ROUND_DEADLINE_MS_MAX + (uint64_t)round->lead_grace_ms,
    };
}

void mr_helper_driver_set_policy(struct mr_helper_driver *run, const struct mr_config_round *round,
                                 const struct mr_config_accept *accept)
{
    run->context.accept = accept;
    const struct mr_helper_policy policy = policy_of(run, round);
    run->context.round = round;
    mr_helper_set_policy(run->core, &policy);
}

void mr_helper_driver_set_keep(struct mr_helper_driver *run, const struct mr_config_keep *keep)
{
    run->context.keep = keep;
    if (run->keeper) {
        mr_keeper_kick(run->keeper);
    }
}

struct mr_keeper *mr_helper_driver_keeper(struct mr_helper_driver *run)
{
    return run->keeper;
}

static const uint8_t *parent_of(void *context)
{
    return mr_helper_parent(((struct mr_helper_driver *)context)->core);
}

/* After the boot: what it takes up is needed. Its journal goes by its own rules. */
static int open_keeper(struct mr_helper_driver *run, struct mr_error *error)
{
    const struct mr_keeper_config config = {.context = &run->context,
                                            .jobs = run->jobs,
                                            .history = &run->history,
                                            .parent = parent_of,
                                            .shelf = run->shelf,
                                            .under_way = mr_helper_driver_round_under_way,
                                            .driver = run};
    run->keeper = run->context.keep ? mr_keeper_open(&config) : NULL;
    return run->keeper || !run->context.keep ? 0 : mr_error_set(error, "out of memory");
}

int mr_helper_driver_open(struct mr_helper_driver **out, const struct mr_round_context *context,
                          const struct mr_helper_listener *listener, struct mr_error *error)
{
    struct mr_helper_driver *run = calloc(1, sizeof *run);
    if (!run) {
        return mr_error_set(error, "out of memory");
    }
    run->context = *context;
    run->listener = *listener;
    const struct mr_helper_config config = {
        .task = context->task,
        .index = context->hub_index,
        .private_key = context->private_key,
        .mark_part = context->mark_part,
        .hubs = context->hubs,
        .hubs_count = context->hubs_count,
        .policy = policy_of(run, context->round),
    };
    run->core = mr_helper_new(&config, &ops, run);
    run->timer = mr_timer_open(context->loop, on_tick, run);
    if (!run->core || !run->timer) {
        mr_helper_driver_close(run);
        return mr_error_set(error, "out of memory");
    }
    if (mr_round_history_init(&run->history, context->store, error) != 0 ||
        mr_job_thread_open(&run->jobs, context->loop, "helper", error) != 0 ||
        mr_helper_driver_open_desk(run, error) != 0 ||
        mr_audit_shelf_open(&run->shelf, &run->context, error) != 0 ||
        mr_helper_driver_boot(run, error) != 0 ||
        mr_helper_driver_open_store_desk(run, error) != 0 || open_keeper(run, error) != 0) {
        mr_helper_driver_stop(run);
        mr_helper_driver_close(run);
        return -1;
    }
    *out = run;
    return 0;
}

void mr_helper_driver_join(struct mr_helper_driver *run)
{
    if (run->jobs) {
        mr_job_thread_close(run->jobs);
    }
    run->jobs = NULL;
}

void mr_helper_driver_stop(struct mr_helper_driver *run)
{
    mr_helper_driver_halt(run);
    mr_helper_driver_join(run);
}

void mr_helper_driver_close(struct mr_helper_driver *run)
{
    if (!run) {
        return;
    }
    mr_released_leave(run->context.released, run->context.task, run);
    mr_keeper_close(run->keeper);
    if (run->desk) {
        mr_evidence_desk_halt(run->desk);
    }
    mr_helper_free(run->core);
    if (run->timer) {
        mr_timer_close(run->timer);
    }
    mr_helper_driver_disk_close(run);
    mr_store_desk_close(run->store_desk);
    mr_round_history_fini(&run->history);
    mr_noise_tables_free(run->noise);
    free(run);
}
