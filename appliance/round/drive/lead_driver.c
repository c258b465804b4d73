#include "appliance/round/drive/lead_driver.h"

#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/round/drive/lead_driver_internal.h"
#include "appliance/round/drive/wall_clock.h"
#include "base/assert.h"

/* A round that was given up is not followed by the next one at once. */
#define PAUSE_AFTER_VOID_MS 1000u
/* Answers longer than what the step needs: a refusal's body. */
#define REFUSAL_BYTES_MAX 8192u

/* --- actions of the core that are done at once ----------------------------------------------- */

static void on_random(void *context, uint8_t *out, size_t bytes)
{
    (void)context;
    MR_ASSERT(RAND_bytes(out, (int)bytes) == 1);
}

static void on_timer(void *context, uint64_t at_ms)
{
    struct mr_lead_driver *run = context;
    if (at_ms == UINT64_MAX) {
        mr_timer_disarm(run->timer);
    } else {
        mr_timer_arm(run->timer, at_ms);
    }
}

static void on_plane_event(void *context, const struct mr_plane_event *event)
{
    struct mr_lead_driver *run = context;
    const uint64_t now_ms = mr_lead_driver_now_ms(run);
    switch (event->kind) {
    case MR_PLANE_STAGED:
        mr_lead_staged(run->core, event->upload_id, now_ms);
        break;
    case MR_PLANE_REVOKED:
        mr_lead_revoked(run->core, event->upload_id, true, now_ms);
        break;
    case MR_PLANE_NOT_REVOKED:
        mr_lead_revoked(run->core, event->upload_id, false, now_ms);
        break;
    case MR_PLANE_EXPIRED:
        mr_lead_expired(run->core, event->upload_id, now_ms);
        break;
    }
}

/* The devices of the round before have had until now to hear how it ended. */
static void end_plane_round(struct mr_lead_driver *run)
{
    if (run->round) {
        mr_upload_plane_end(run->round);
    }
    run->round = NULL;
}

static int on_plane_begin(void *context, const struct mr_round_terms *terms, struct mr_error *error)
{
    struct mr_lead_driver *run = context;
    const struct mr_plane_listener listener = {.event = on_plane_event, .context = run};
    if (mr_lead_driver_reserve(run, &terms->layout) != 0) {
        return mr_error_set(error, "out of memory for a sum of %u lanes", terms->layout.lanes);
    }
    end_plane_round(run);
    return mr_upload_plane_begin(run->context.plane, terms, terms->announcement.cohort_max,
                                 &listener, &run->round, error);
}

static int on_plane_admit(void *context, const struct mr_admission *admission,
                          struct mr_upload_grant *grant)
{
    struct mr_lead_driver *run = context;
    return mr_upload_plane_admit(run->round, admission, grant);
}

static void on_plane_revoke(void *context, uint64_t upload_id, enum mr_upload_reason reason)
{
    struct mr_lead_driver *run = context;
    mr_upload_plane_revoke(run->round, upload_id, reason);
}

static void on_collected(void *context, struct mr_collection *collection)
{
    struct mr_lead_driver *run = context;
    run->collection = collection;
    mr_lead_collected(run->core, collection->upload_ids, collection->upload_count,
                      mr_lead_driver_now_ms(run));
}

static void on_plane_collect(void *context, bool freeze)
{
    struct mr_lead_driver *run = context;
    if (!run->stopping) {
        mr_upload_plane_collect(run->round, freeze, on_collected, run);
    }
}

static void on_plane_return(void *context, bool committed, enum mr_upload_reason reason)
{
    struct mr_lead_driver *run = context;
    struct mr_collection *collection = run->collection;
    run->collection = NULL;
    mr_upload_plane_return(run->round, collection, committed, reason);
}

static void on_ask(void *context, unsigned peer, enum mr_peer_step step, const uint8_t *body,
                   size_t length)
{
    struct mr_lead_driver *run = context;
    const struct mr_round_terms *terms = mr_lead_terms(run->core);
    const size_t most = step == MR_PEER_OPEN ? (size_t)terms->layout.share_bytes : 0;
    if (!run->stopping) {
        const struct mr_peer_question question = {
            .round = terms->announcement.round,
            .step = step,
            .body = body,
            .length = length,
            .answer_bytes_max = most + REFUSAL_BYTES_MAX,
            .timeout_ms = run->rules.peer_timeout_ms,
        };
        mr_peer_link_ask(run->links[peer], &question);
    }
}

static void on_admitted(void *context, void *token, const struct mr_upload_grant *grant)
{
    struct mr_lead_driver *run = context;
    run->listener.admitted(run->listener.context, token, grant);
}

static void on_refused(void *context, void *token, const struct mr_refusal *refusal)
{
    struct mr_lead_driver *run = context;
    run->listener.refused(run->listener.context, token, refusal);
}

static void on_upload_changed(void *context, uint64_t upload_id)
{
    (void)upload_id;
    struct mr_lead_driver *run = context;
    run->listener.changed(run->listener.context);
}

static void plan_next(struct mr_lead_driver *run, enum mr_lead_state state)
{
    if (!run->context.round->automatic || run->stopping) {
        return;
    }
    if (state == MR_LEAD_PUBLISHED || state == MR_LEAD_VOID) {
        const uint64_t pause = state == MR_LEAD_VOID ? PAUSE_AFTER_VOID_MS : 0;
        mr_timer_arm(run->automatic, mr_lead_driver_now_ms(run) + pause);
    }
}

static void on_round_changed(void *context)
{
    struct mr_lead_driver *run = context;
    struct mr_lead_report report;
    const enum mr_lead_state before = run->last_state;
    mr_lead_report(run->core, &report);
    mr_lead_driver_note(run);
    run->last_state = report.state;
    if (report.state != before) {
        plan_next(run, report.state);
    }
    run->listener.changed(run->listener.context);
}

static bool on_revoked(void *context, const struct mr_serial *serial)
{
    const struct mr_lead_driver *run = context;
    return run->context.revoked && run->context.revoked(run->context.revoked_context, serial);
}

static const struct mr_lead_ops ops = {
    .random = on_random,
    .timer = on_timer,
    .remember = mr_lead_driver_remember,
    .plane_begin = on_plane_begin,
    .plane_admit = on_plane_admit,
    .plane_revoke = on_plane_revoke,
    .plane_collect = on_plane_collect,
    .plane_return = on_plane_return,
    .commit = mr_lead_driver_commit,
    .end = mr_lead_driver_end,
    .ask = on_ask,
    .reveal = mr_lead_driver_reveal,
    .store = mr_lead_driver_store,
    .admitted = on_admitted,
    .refused = on_refused,
    .upload_changed = on_upload_changed,
    .round_changed = on_round_changed,
    .revoked = on_revoked,
};

/* --- events ---------------------------------------------------------------------------------- */

static void on_tick(void *context)
{
    struct mr_lead_driver *run = context;
    if (!run->stopping) { /* time that passes meanwhile ends no round */
        mr_lead_tick(run->core, mr_lead_driver_now_ms(run));
    }
}

static void on_peer_answered(void *context, const struct mr_peer_answer *answer)
{
    struct mr_lead_driver *run = context;
    if (run->stopping) {
        return; /* a hub that did not answer in time now ends no round either */
    }
    mr_lead_peer_answered(run->core, answer, mr_lead_driver_now_ms(run));
}

static void on_automatic(void *context)
{
    struct mr_lead_driver *run = context;
    struct mr_round_params params;
    struct mr_refusal refusal;
    uint64_t round;
    mr_round_params_init(&params, run->context.round);
    if (mr_lead_driver_begin(run, &params, &round, &refusal) != MR_REFUSAL_NONE && !run->stopping) {
        mr_log_event(run->context.log, MR_LOG_WARN, "round.not_opened", "task=%s why=%s",
                     run->context.task, refusal.text);
        mr_timer_arm(run->automatic, mr_lead_driver_now_ms(run) + PAUSE_AFTER_VOID_MS);
    }
}

/* --- opening a round ------------------------------------------------------------------------- */

/* What the round goes by until it ends, whatever the policy becomes meanwhile. */
static void take_rules(struct mr_lead_driver *run)
{
    run->rules.peer_timeout_ms = run->context.round->peer_timeout_ms;
    run->rules.server_learning_rate = run->context.round->server_learning_rate;
}

/* As many as the ring and the weight lane hold. */
static uint32_t cohort_max_of(const struct mr_round_params *params)
{
    const uint32_t ring = mr_ring_clients_max(params->ring_bits, 0);
    const uint32_t weights = UINT32_MAX / (params->weight_max ? params->weight_max : 1);
    return params->cohort_max ? params->cohort_max : ring < weights ? ring : weights;
}

static void fill_announcement(struct mr_announcement *announcement,
                              const struct mr_lead_driver *run,
                              const struct mr_round_params *params, uint32_t dimension)
{
    uint8_t hash[MR_HASH_BYTES];
    *announcement = (struct mr_announcement){
        .round = mr_store_signed_round(run->context.store, hash) + 1,
        .deadline_unix_ms = mr_round_unix_ms() + params->deadline_ms,
        .dimension = dimension,
        .ring_bits = params->ring_bits,
        .rotation_log2 = params->rotation_log2,
        .noise_kind = MR_NOISE_NONE,
        .chunk_bytes = params->chunk_bytes,
        .cohort_min = params->cohort_min,
        .cohort_max = cohort_max_of(params),
        .weight_max = params->weight_max,
        .scale = params->scale,
        .clip_norm = params->clip_norm,
        .hub_count = (uint8_t)run->context.hubs_count,
    };
    MR_ASSERT(mr_task_name_valid(run->context.task));
    snprintf(announcement->task, sizeof announcement->task, "%s", run->context.task);
    memcpy(announcement->model_hash, mr_store_current(run->context.store), MR_HASH_BYTES);
    MR_ASSERT(RAND_bytes(announcement->rotation_seed, MR_HASH_BYTES) == 1);
    memcpy(announcement->training, params->training, sizeof announcement->training);
    memcpy(announcement->hubs, run->context.hubs,
           run->context.hubs_count * sizeof run->context.hubs[0]);
}

enum mr_refusal_code mr_lead_driver_begin(struct mr_lead_driver *run,
                                          const struct mr_round_params *params, uint64_t *round,
                                          struct mr_refusal *refusal)
{
    struct mr_announcement announcement;
    struct mr_error error;
    const struct mr_lead_limits limits = {.quorum = params->quorum,
                                          .deadline_ms = params->deadline_ms,
                                          .peer_timeout_ms = run->context.round->peer_timeout_ms,
                                          .commit_interval_ms =
                                              run->context.round->commit_interval_ms};
    if (run->stopping) {
        return mr_refuse(refusal, MR_REFUSAL_BUSY, "the hub is stopping");
    }
    if (params->cohort_min < run->context.round->cohort_min) {
        return mr_refuse(refusal, MR_REFUSAL_BELOW_COHORT_MINIMUM,
                         "cohort_min %u is below this hub's own %u", params->cohort_min,
                         run->context.round->cohort_min);
    }
    if (params->deadline_ms > MR_ROUND_DEADLINE_MS_MAX) {
        return mr_refuse(refusal, MR_REFUSAL_BAD_REQUEST, "deadline_ms %u is above %u",
                         params->deadline_ms, MR_ROUND_DEADLINE_MS_MAX);
    }
    struct mr_model *model =
        mr_store_borrow(run->context.store, mr_store_current(run->context.store), &error);
    if (!model) {
        return mr_refuse(refusal, MR_REFUSAL_INTERNAL, "%.250s", error.text);
    }
    fill_announcement(&announcement, run, params, mr_model_dimension(model));
    mr_store_return(run->context.store, model);
    *round = announcement.round;
    const enum mr_refusal_code code =
        mr_lead_open(run->core, &announcement, &limits, mr_lead_driver_now_ms(run), refusal);
    if (code == MR_REFUSAL_NONE) {
        take_rules(run);
    }
    return code;
}

/* --- opening and closing --------------------------------------------------------------------- */

static int open_links(struct mr_lead_driver *run, struct mr_error *error)
{
    for (unsigned i = 1; i < run->context.hubs_count; i++) {
        const struct mr_peer_link_config link = {
            .task = run->context.task,
            .endpoint = run->context.endpoints[i],
            .peer = i,
        };
        if (mr_peer_link_open(&run->links[i], run->context.loop, &link, on_peer_answered, run,
                              error) != 0) {
            return -1;
        }
    }
    return 0;
}

/* No round is under way that would plan the next one when it ends. */
static bool between_rounds(const struct mr_lead_driver *run)
{
    struct mr_lead_report report;
    mr_lead_report(run->core, &report);
    return report.state == MR_LEAD_IDLE || report.state == MR_LEAD_PUBLISHED ||
           report.state == MR_LEAD_VOID;
}

void mr_lead_driver_set_policy(struct mr_lead_driver *run, const struct mr_config_round *round)
{
    run->context.round = round;
    if (!round->automatic) {
        mr_timer_disarm(run->automatic);
    } else if (between_rounds(run)) {
        mr_timer_arm(run->automatic, mr_lead_driver_now_ms(run));
    }
}

void mr_lead_driver_set_endpoints(struct mr_lead_driver *run,
                                  const struct mr_h2_endpoint *endpoints)
{
    run->context.endpoints = endpoints;
    for (unsigned i = 1; i < run->context.hubs_count; i++) {
        mr_peer_link_set_endpoint(run->links[i], &endpoints[i]);
    }
}

static int open_parts(struct mr_lead_driver *run, struct mr_error *error)
{
    const struct mr_config_round *round = run->context.round;
    const struct mr_lead_config config = {
        .index = run->context.hub_index,
        .private_key = run->context.private_key,
        .peer_timeout_ms = round->peer_timeout_ms,
        .commit_interval_ms = round->commit_interval_ms,
    };
    take_rules(run);
    run->timer = mr_timer_open(run->context.loop, on_tick, run);
    run->automatic = mr_timer_open(run->context.loop, on_automatic, run);
    run->core = mr_lead_new(&config, &ops, run);
    if (!run->timer || !run->automatic || !run->core) {
        return mr_error_set(error, "out of memory");
    }
    if (mr_round_history_init(&run->history, run->context.store, error) != 0 ||
        mr_job_thread_open(&run->jobs, run->context.loop, "lead", error) != 0 ||
        open_links(run, error) != 0 || mr_lead_driver_boot(run, error) != 0) {
        return -1;
    }
    mr_lead_driver_set_policy(run, round);
    return 0;
}

int mr_lead_driver_open(struct mr_lead_driver **out, const struct mr_round_context *context,
                        const struct mr_lead_listener *listener, struct mr_error *error)
{
    struct mr_lead_driver *run = calloc(1, sizeof *run);
    if (!run) {
        return mr_error_set(error, "out of memory");
    }
    run->context = *context;
    run->listener = *listener;
    if (open_parts(run, error) != 0) {
        mr_lead_driver_stop(run);
        mr_lead_driver_close(run);
        return -1;
    }
    *out = run;
    return 0;
}

void mr_lead_driver_halt(struct mr_lead_driver *run)
{
    run->stopping = true;
    for (unsigned i = 1; i < MR_HUBS_MAX; i++) {
        if (run->links[i]) {
            mr_peer_link_halt(run->links[i]);
        }
    }
}

void mr_lead_driver_join(struct mr_lead_driver *run)
{
    for (unsigned i = 1; i < MR_HUBS_MAX; i++) {
        if (run->links[i]) {
            mr_peer_link_stop(run->links[i]);
        }
    }
    if (run->jobs) {
        mr_job_thread_close(run->jobs);
    }
    run->jobs = NULL;
}

void mr_lead_driver_stop(struct mr_lead_driver *run)
{
    mr_lead_driver_halt(run);
    mr_lead_driver_join(run);
}

void mr_lead_driver_close(struct mr_lead_driver *run)
{
    if (!run) {
        return;
    }
    for (unsigned i = 1; i < MR_HUBS_MAX; i++) {
        mr_peer_link_close(run->links[i]);
    }
    mr_lead_free(run->core);
    end_plane_round(run);
    if (run->timer) {
        mr_timer_close(run->timer);
    }
    if (run->automatic) {
        mr_timer_close(run->automatic);
    }
    mr_round_history_fini(&run->history);
    mr_commit_log_close(run->log);
    mr_disk_file_close(run->disk);
    mr_next_model_answer_fini(&run->revealed);
    free(run->sum.lanes);
    free(run->packed);
    free(run);
}
