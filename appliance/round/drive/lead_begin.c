/* lead_begin.c - a round is opened: its announcement, and the rules that it goes by. */
#include <math.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/config/noise.h"
#include "appliance/privacy/kept.h"
#include "appliance/round/drive/accept_terms.h"
#include "appliance/round/drive/lead_driver_internal.h"
#include "appliance/round/drive/mark.h"
#include "appliance/round/drive/older.h"
#include "appliance/round/drive/private_terms.h"
#include "appliance/round/drive/step_bound.h"
#include "appliance/round/drive/wall_clock.h"
#include "base/assert.h"

/* Of a share beyond its lanes: the trailer, and the end of a chunk. */
#define SHARE_EXTRA_BYTES 16384u

void mr_lead_driver_take_rules(struct mr_lead_driver *run)
{
    run->rules.peer_timeout_ms = run->context.round->peer_timeout_ms;
}

/* As many of all levels, or of those that are asked for, as the ring and the weight lane hold. */
static uint32_t cohort_max_of(const struct mr_round_params *params)
{
    const bool asked = params->levels >= 1 && params->levels <= MR_LEVELS_MAX;
    const uint32_t ring = mr_quantiser_cohort_max(
        params->ring_bits, asked ? params->levels : MR_LEVELS_MAX, params->headroom);
    const uint32_t weights = UINT32_MAX / (params->weight_max ? params->weight_max : 1);
    return params->cohort_max ? params->cohort_max : ring < weights ? ring : weights;
}

/* The step: a fixed one, or by the rule from what the rounds before opened. */
static float scale_of(const struct mr_lead_driver *run, const struct mr_round_params *params,
                      const struct mr_announcement *announcement)
{
    struct mr_layout layout;
    if (params->scale > 0 ||
        mr_layout_init(&layout, announcement->ring_bits, announcement->dimension,
                       announcement->rotation_log2, announcement->chunk_bytes) != 0) {
        return params->scale; /* else the announcement is refused, and says why */
    }
    const struct mr_quantiser quantiser = {.levels = announcement->levels,
                                           .lanes = layout.lanes,
                                           .cohort_max = announcement->cohort_max,
                                           .clip_norm = announcement->clip_norm,
                                           .round = announcement->round};
    return mr_quantiser_scale(&quantiser,
                              mr_round_history_norms(&run->history, announcement->round));
}

/* The largest step: a fixed one, or by the rule. */
static float step_max_of(const struct mr_lead_driver *run, const struct mr_round_params *params,
                         const struct mr_announcement *announcement)
{
    struct mr_layout layout;
    if (params->step_max > 0 ||
        mr_layout_init(&layout, announcement->ring_bits, announcement->dimension,
                       announcement->rotation_log2, announcement->chunk_bytes) != 0) {
        return params->step_max; /* else the announcement is refused, and says why */
    }
    const struct mr_step_rule rule = {
        .announcement = announcement, .lanes = layout.lanes, .history = &run->history};
    return mr_step_bound(&rule);
}

/* Levels and scale; with noise those that the ring holds together with it. */
static enum mr_refusal_code fill_steps(struct mr_announcement *announcement,
                                       const struct mr_lead_driver *run,
                                       const struct mr_round_params *params,
                                       struct mr_refusal *refusal)
{
    struct mr_error error;
    announcement->levels = mr_quantiser_levels_asked(params->ring_bits, announcement->cohort_max,
                                                     params->headroom, params->levels);
    announcement->scale = scale_of(run, params, announcement);
    const struct mr_private_policy policy = {run->context.privacy, run->context.round};
    if (policy.privacy && mr_config_noise(policy.privacy) != MR_NOISE_NONE &&
        mr_private_terms_fill(announcement, &policy, params->quorum, &error) != 0) {
        return mr_refuse(refusal, MR_REFUSAL_BAD_REQUEST, "%.350s", error.text);
    }
    announcement->step_max = step_max_of(run, params, announcement);
    return MR_REFUSAL_NONE;
}

static void fill_announcement(struct mr_announcement *announcement,
                              const struct mr_lead_driver *run,
                              const struct mr_round_params *params, const struct mr_model *model)
{
    const uint32_t dimension = mr_model_dimension(model);
    *announcement = (struct mr_announcement){
        .round = mr_recovery_next_round(&run->context, run->desk),
        .deadline_unix_ms = mr_round_unix_ms() + params->deadline_ms,
        .dimension = dimension,
        .model_values = mr_model_values(model),
        .ring_bits = params->ring_bits,
        .rotation_log2 = params->rotation_log2 == MR_ROTATION_AUTO
                             ? mr_quantiser_rotation_log2(dimension)
                             : params->rotation_log2,
        .noise_kind = MR_NOISE_NONE,
        .chunk_bytes = params->chunk_bytes,
        .cohort_min = params->cohort_min,
        .cohort_max = cohort_max_of(params),
        .quorum = params->quorum,
        .admitted_max = params->admitted_max,
        .headroom = (uint8_t)params->headroom,
        .seal = MR_SEAL_HPKE,
        .weight_max = params->weight_max,
        .clip_norm = params->clip_norm,
        .audit_hours = (uint16_t)params->audit_hours,
        .hub_count = (uint8_t)run->context.hubs_count,
        .kind = (uint8_t)params->kind,
    };
    mr_mark_announce(announcement, &run->context);
    mr_round_metrics_announce(announcement, run->context.round);
    mr_round_optimiser(&announcement->optimiser, run->context.round);
    MR_ASSERT(mr_task_name_valid(run->context.task));
    snprintf(announcement->task, sizeof announcement->task, "%s", run->context.task);
    memcpy(announcement->model_hash, mr_store_current(run->context.store), MR_HASH_BYTES);
    MR_ASSERT(RAND_bytes(announcement->rotation_seed, MR_HASH_BYTES) == 1);
    memcpy(announcement->training, params->training, sizeof announcement->training);
    memcpy(announcement->hubs, run->context.hubs,
           run->context.hubs_count * sizeof run->context.hubs[0]);
}

/* A record of a round that was not signed yet, says signed-round: it has gone back, as after a
 * backup that was put back. */
static enum mr_refusal_code check_number(const struct mr_lead_driver *run, uint64_t round,
                                         struct mr_refusal *refusal)
{
    struct mr_error error = {.text = ""};
    char *text = NULL;
    const int found = mr_store_read_round(run->context.store, round, &text, &error);
    free(text);
    if (found < 0) {
        return mr_refuse(refusal, MR_REFUSAL_INTERNAL, "%.250s", error.text);
    }
    return found > 0 ? MR_REFUSAL_NONE
                     : mr_refuse(refusal, MR_REFUSAL_INTERNAL,
                                 "round %llu has a record already, but signed-round in data_dir "
                                 "says that it was never signed: put the newer signed-round back",
                                 (unsigned long long)round);
}

/* Asked before anybody takes part: a disk that is full in the middle stops the hub. */
static enum mr_refusal_code check_room(struct mr_lead_driver *run,
                                       const struct mr_announcement *announcement, uint32_t quorum,
                                       size_t model_bytes, struct mr_refusal *refusal)
{
    struct mr_layout layout;
    if (mr_announcement_layout(&layout, announcement) != 0) {
        return MR_REFUSAL_NONE; /* no valid announcement: refused later */
    }
    const uint64_t share_bytes = layout.share_bytes + SHARE_EXTRA_BYTES;
    const struct mr_upload_plane *plane = run->context.plane;
    uint64_t bytes = mr_keeper_round_bytes(model_bytes, share_bytes, quorum);
    if (announcement->audit_hours > 0) { /* all that is complete when the quorum is there counts */
        const uint64_t most = (uint64_t)quorum + (plane ? mr_upload_plane_slots(plane) : 0);
        const uint32_t devices =
            most < announcement->cohort_max ? (uint32_t)most : announcement->cohort_max;
        bytes += mr_kept_bytes(share_bytes, devices);
    }
    return !run->keeper || mr_keeper_has_room(run->keeper, bytes, refusal) ? MR_REFUSAL_NONE
                                                                           : refusal->code;
}

/* This hub's own terms are accepted by the rules that it has for others'. What is no valid
 * announcement is refused later, and says why. */
static enum mr_refusal_code check_accepted(const struct mr_lead_driver *run,
                                           const struct mr_announcement *announcement,
                                           uint32_t deadline_ms, struct mr_refusal *refusal)
{
    struct mr_layout layout;
    if (mr_layout_init(&layout, announcement->ring_bits, announcement->dimension,
                       announcement->rotation_log2, announcement->chunk_bytes) != 0) {
        return MR_REFUSAL_NONE;
    }
    const struct mr_accept_question question = {
        .accept = run->context.accept,
        .announcement = announcement,
        .lanes = layout.lanes,
        .left_ms = deadline_ms,
        .own = run->context.round,
        .history = &run->history,
    };
    return mr_accept_terms(&question, refusal) ? MR_REFUSAL_NONE : refusal->code;
}

/* The rule asks for a ring that there is, and for one level at least. */
static enum mr_refusal_code check_ring(const struct mr_round_params *params,
                                       struct mr_refusal *refusal)
{
    if (!mr_ring_width_known(params->ring_bits)) {
        return mr_refuse(refusal, MR_REFUSAL_BAD_REQUEST,
                         "ring_bits is %u: only " MR_RING_WIDTHS_TEXT " exist", params->ring_bits);
    }
    if (!isnormal(params->clip_norm) || params->clip_norm < 0) {
        return mr_refuse(refusal, MR_REFUSAL_BAD_REQUEST,
                         "clip_norm must be a finite, normal number above 0");
    }
    const uint32_t cohort_max = cohort_max_of(params);
    if (cohort_max == 0 || mr_quantiser_levels_asked(params->ring_bits, cohort_max,
                                                     params->headroom, params->levels) == 0) {
        const bool asked = params->levels >= 1 && params->levels <= MR_LEVELS_MAX;
        return mr_refuse(refusal, MR_REFUSAL_BAD_REQUEST,
                         "cohort_max %u leaves no %u levels in a ring of %u bits with headroom %u, "
                         "which holds %u devices times levels: choose a wider ring_bits, fewer "
                         "levels or a smaller cohort_max",
                         cohort_max, asked ? params->levels : 1, params->ring_bits,
                         params->headroom,
                         mr_quantiser_cohort_max(params->ring_bits, 1, params->headroom));
    }
    return MR_REFUSAL_NONE;
}

/* ring_bits auto becomes a number. */
static enum mr_refusal_code choose_ring(struct mr_round_params *params, struct mr_refusal *refusal)
{
    if (params->headroom < MR_HEADROOM_MIN || params->headroom > MR_HEADROOM_MAX) {
        return mr_refuse(refusal, MR_REFUSAL_BAD_REQUEST, "headroom is %u: must be %d to %d",
                         params->headroom, MR_HEADROOM_MIN, MR_HEADROOM_MAX);
    }
    if (params->ring_bits != MR_RING_AUTO) {
        return MR_REFUSAL_NONE;
    }
    if (params->cohort_max == 0 || params->cohort_min == 0) {
        return mr_refuse(refusal, MR_REFUSAL_BAD_REQUEST,
                         "ring_bits auto goes by the most devices of a round: set cohort_max");
    }
    const struct mr_ring_question question = {.cohort_max = params->cohort_max,
                                              .headroom = params->headroom,
                                              .devices = params->cohort_min,
                                              .levels = params->levels,
                                              .error_most = (double)params->rounding_error};
    const uint8_t chosen = mr_quantiser_ring(&question);
    /* Where no ring holds it, the check of the widest says what that one does. */
    params->ring_bits = chosen ? chosen : mr_ring_widths[MR_RING_WIDTHS - 1];
    return MR_REFUSAL_NONE;
}

/* What the operator asks for, against this hub's own bounds. */
static enum mr_refusal_code check_params(const struct mr_lead_driver *run,
                                         const struct mr_round_params *params,
                                         struct mr_refusal *refusal)
{
    const uint32_t least = mr_config_set_min(run->context.round);
    if (params->cohort_min < least) {
        return mr_refuse(refusal, MR_REFUSAL_BELOW_COHORT_MINIMUM,
                         "cohort_min %u is below this hub's own %u", params->cohort_min, least);
    }
    if (params->deadline_ms > MR_ROUND_DEADLINE_MS_MAX) {
        return mr_refuse(refusal, MR_REFUSAL_BAD_REQUEST, "deadline_ms %u is above %u",
                         params->deadline_ms, MR_ROUND_DEADLINE_MS_MAX);
    }
    if (params->audit_hours > MR_AUDIT_HOURS_MAX) {
        return mr_refuse(refusal, MR_REFUSAL_BAD_REQUEST, "audit_hours %u is above %d",
                         params->audit_hours, MR_AUDIT_HOURS_MAX);
    }
    if (params->kind != MR_ROUND_TRAINING &&
        (!run->context.round->metrics || run->context.round->metrics[0] == '\0')) {
        return mr_refuse(refusal, MR_REFUSAL_BAD_REQUEST,
                         "the task has no metrics that an evaluation could tell: name them in "
                         "tasks.round.metrics");
    }
    return check_ring(params, refusal);
}

enum mr_refusal_code mr_lead_driver_begin(struct mr_lead_driver *run,
                                          const struct mr_round_params *asked, uint64_t *round,
                                          struct mr_refusal *refusal)
{
    struct mr_round_params with_ring = *asked;
    const struct mr_round_params *const params = &with_ring;
    struct mr_announcement announcement;
    struct mr_error error;
    const struct mr_lead_limits limits = {.quorum = params->quorum,
                                          .deadline_ms = params->deadline_ms,
                                          .draw_ms = run->context.round->draw_ms,
                                          .peer_timeout_ms = run->context.round->peer_timeout_ms,
                                          .commit_interval_ms =
                                              run->context.round->commit_interval_ms};
    if (mr_lead_driver_older(run, refusal) || !mr_older_may_begin(&run->context, false, refusal)) {
        return refusal->code;
    }
    if (run->stopping || run->resuming) {
        return mr_refuse(refusal, MR_REFUSAL_BUSY,
                         run->stopping ? "the hub is stopping"
                                       : "another model is being made the current one");
    }
    if (choose_ring(&with_ring, refusal) != MR_REFUSAL_NONE ||
        check_params(run, params, refusal) != MR_REFUSAL_NONE) {
        return refusal->code;
    }
    struct mr_model *model =
        mr_store_borrow(run->context.store, mr_store_current(run->context.store), &error);
    if (!model) {
        return mr_refuse(refusal, MR_REFUSAL_INTERNAL, "%.250s", error.text);
    }
    size_t model_bytes;
    (void)mr_model_bytes(model, &model_bytes);
    const bool has_state = mr_store_has_state(run->context.store, model);
    fill_announcement(&announcement, run, params, model);
    mr_store_return(run->context.store, model);
    *round = announcement.round;
    if (!has_state && mr_optimiser_has_state(&announcement.optimiser)) {
        return mr_refuse(refusal, MR_REFUSAL_INTERNAL, "%s", MR_NO_STATE);
    }
    if (fill_steps(&announcement, run, params, refusal) != MR_REFUSAL_NONE ||
        check_accepted(run, &announcement, params->deadline_ms, refusal) != MR_REFUSAL_NONE ||
        check_number(run, *round, refusal) != MR_REFUSAL_NONE ||
        check_room(run, &announcement, params->quorum, model_bytes, refusal) != MR_REFUSAL_NONE) {
        return refusal->code;
    }
    const enum mr_refusal_code code =
        mr_lead_open(run->core, &announcement, &limits, mr_lead_driver_now_ms(run), refusal);
    if (code == MR_REFUSAL_NONE) {
        mr_lead_driver_take_rules(run);
    }
    return code;
}
