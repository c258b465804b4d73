/* round.c - one round of a device: announcement, model, training, attempts. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "edge-client/session/attempt.h"
#include "edge-client/session/control.h"
#include "edge-client/session/follow_keys.h"
#include "edge-client/session/given.h"
#include "edge-client/session/end.h"
#include "edge-client/session/lineage.h"
#include "edge-client/session/metrics.h"
#include "edge-client/session/model.h"
#include "edge-client/session/outcome.h"
#include "edge-client/session/personal.h"
#include "edge-client/session/progress.h"
#include "edge-client/session/training_seed.h"
#include "edge-client/share/prepare.h"
#include "wire/tensor_parts.h"

#define AGAIN_MS 150 /* between attempts */

/* --- training -------------------------------------------------------------------------------- */

/* The deadline by this device's own clock, which is the trainer's. */
static uint64_t own_deadline(struct mre_client *client, const struct mr_announcement *round)
{
    const uint64_t now = mr_client_lead_ms(client), until = round->deadline_unix_ms;
    return client->env.unix_ms(client->env.context) + (until > now ? until - now : 0);
}

/* The caller's function, and what it says. */
struct training {
    mre_train_fn train;
    void *context;
    struct mre_report *report;
};

/* What the function's answer comes to. */
static enum mre_result take_answer(enum mre_trained trained, bool evaluation,
                                   const struct mre_report *report, struct mre_outcome *outcome)
{
    const char *why = report->why[0] ? report->why : "it gave no reason";
    if (trained == MRE_TRAINED_SKIPS) {
        snprintf(outcome->code, sizeof outcome->code, "skipped");
        return mr_outcome_set(outcome, MRE_NOT_ACCEPTED, "this device leaves the round out: %s",
                              why);
    }
    if (evaluation && (trained == MRE_TRAINED_PARAMETERS || trained == MRE_TRAINED_DELTA)) {
        return mr_outcome_set(outcome, MRE_TRAINER_FAILED,
                              "the round is an evaluation, and the training function has trained: "
                              "where task->kind is MRE_EVALUATION, report metrics alone and return "
                              "MRE_TRAINED_EVALUATED, or MRE_TRAINED_SKIPS");
    }
    if (!evaluation && trained == MRE_TRAINED_EVALUATED) {
        return mr_outcome_set(outcome, MRE_TRAINER_FAILED,
                              "the round trains, and the training function has evaluated alone: "
                              "look at task->kind");
    }
    return trained == MRE_TRAINED_NOT
               ? mr_outcome_set(outcome, MRE_TRAINER_FAILED, "the trainer failed: %s", why)
               : MRE_OK;
}

/* All of the model, as this device has it, and what it becomes by training. */
struct whole {
    const float *model; /* with this device's own values */
    const char *file;   /* likewise */
    float *vector;      /* trained; afterwards new minus what was given */
    float *taken[2];    /* pages behind these, where they are not the round's own; or NULL */
    char path[4096];
};

/* The vector becomes new minus given. */
static enum mre_result run_trainer(struct mre_client *client, const struct mr_round_work *work,
                                   const struct mr_model *model, const struct mr_given *given,
                                   float *vector, const struct training *training,
                                   struct mre_outcome *outcome)
{
    const struct mr_announcement *round = &work->terms.announcement;
    struct mre_metric metrics[MRE_METRICS_MAX];
    struct mr_error error;
    uint64_t seed;
    mr_metrics_ask(metrics, round);
    if (mr_training_seed(client, round, &seed, &error)) {
        return mr_outcome_set(outcome, MRE_BAD_CONFIG, "%s", error.text);
    }
    struct mre_task task = {.name = client->task,
                            .round = round->round,
                            .deadline_unix_ms = own_deadline(client, round),
                            .seed = seed,
                            .dimension = model->parsed.count,
                            .model = given->values,
                            .model_file = given->file,
                            .training = round->training,
                            .tensors = model->tensors,
                            .tensor_count = model->parsed.tensor_count,
                            .work_dir = client->data_dir,
                            .cancel_fd = client->env.cancel ? client->env.cancel->fd : 0,
                            .kind = (enum mre_kind)round->kind,
                            .metrics = metrics,
                            .metric_count = round->metric_count,
                            .number_type = client->number_type};
    memcpy(vector, given->values, given->count * sizeof *vector);
    mr_progress_phase(client, MRE_PHASE_TRAINING, 0);
    struct mre_report *report = training->report;
    enum mre_trained trained = training->train(training->context, &task, vector, report);
    report->why[sizeof report->why - 1] = 0;
    const enum mre_result result =
        take_answer(trained, !mr_announcement_trains(round), report, outcome);
    if (result) {
        return result;
    }
    if (trained == MRE_TRAINED_PARAMETERS) {
        client->kernels->axpy(vector, -1.0f, given->values, given->count);
    }
    return MRE_OK;
}

/* The round's own vector where all of the model is trained; else, and where nobody trains, room for
 * all of it, and a copy of the model where this device has values of its own. */
static enum mre_result begin_whole(struct whole *whole, const struct mre_client *client,
                                   const struct mr_round_work *work, const struct mr_model *model,
                                   struct mre_outcome *outcome)
{
    const size_t bytes = model->parsed.count * sizeof *whole->vector;
    *whole = (struct whole){.model = model->values, .file = model->path, .vector = work->vector};
    if (model->parsed.trained == model->parsed.count &&
        mr_announcement_trains(&work->terms.announcement)) {
        return MRE_OK;
    }
    whole->vector = whole->taken[0] = mr_pages_take(bytes);
    if (mr_personal_has(model)) {
        whole->model = whole->taken[1] = mr_pages_take(bytes);
        whole->file = whole->path;
    }
    if (!whole->vector || !whole->model) {
        return mr_outcome_set(outcome, MRE_FAILED, "out of memory for the model");
    }
    if (!whole->taken[1]) {
        return MRE_OK;
    }
    memcpy(whole->taken[1], model->values, bytes);
    return mr_personal_load(client, model, whole->taken[1], whole->path, sizeof whole->path,
                            outcome);
}

static void end_whole(struct whole *whole, const struct mr_model *model)
{
    for (unsigned i = 0; i < 2; i++) {
        mr_pages_give(whole->taken[i], model->parsed.count * sizeof(float));
    }
}

/* Not where the training diverged: this device's next round would begin with what came of it. */
static enum mre_result keep_own(const struct mre_client *client, const struct mr_model *model,
                                const struct whole *whole, const struct mre_report *report,
                                struct mre_outcome *outcome)
{
    const size_t count = model->parsed.count;
    if (!isfinite(report->loss)) {
        return MRE_OK; /* the round is not taken part in, and says so */
    }
    client->kernels->axpy(whole->taken[1], 1.0f, whole->vector, count);
    if (!isfinite(client->kernels->sum_squares(whole->taken[1], count))) {
        return mr_outcome_set(outcome, MRE_BAD_DELTA,
                              "a trained value is NaN or infinite: training diverged, and nothing "
                              "is sent or kept. Lower the learning rate, or look for such values "
                              "in the data");
    }
    return mr_personal_keep(client, model, whole->taken[1], outcome);
}

/* Trains all of it; what rounds train becomes the round's vector, and what is this device's own is
 * kept. */
static enum mre_result train_whole(struct mre_client *client, const struct mr_round_work *work,
                                   const struct mr_model *model, const struct training *training,
                                   struct mre_outcome *outcome)
{
    struct whole whole;
    enum mre_result result = begin_whole(&whole, client, work, model, outcome);
    if (!result) {
        struct mr_given given;
        result = mr_given_begin(&given, client, model, whole.model, whole.file, outcome);
        if (!result) {
            result = run_trainer(client, work, model, &given, whole.vector, training, outcome);
        }
        mr_given_end(&given);
    }
    const bool trains = mr_announcement_trains(&work->terms.announcement);
    if (!result && whole.taken[0] && trains) {
        mr_tensor_parts_gather(&model->parsed, work->vector, (const uint8_t *)whole.vector);
    }
    if (!result && whole.taken[1] && trains) {
        result = keep_own(client, model, &whole, training->report, outcome);
    }
    end_whole(&whole, model);
    return result;
}

static enum mre_result keep_delta(struct mre_client *client, struct mr_round_work *work,
                                  struct mre_outcome *outcome)
{
    if (!client->dump_dir || !work->vector) {
        return MRE_OK;
    }
    size_t bytes = work->terms.layout.dimension * sizeof *work->delta;
    work->delta = malloc(bytes);
    if (!work->delta) {
        return mr_outcome_set(outcome, MRE_FAILED, "out of memory for --dump-dir");
    }
    memcpy(work->delta, work->vector, bytes);
    return MRE_OK;
}

/* Model to prepared vector. The model is unmapped as soon as it is not needed: the device's memory
 * is small. Connections rest during the training, since new ones would cost the hubs another
 * handshake; where a hub has closed one meanwhile, the next question finds out. */
static enum mre_result make_vector(struct mre_client *client, struct mr_round_work *work,
                                   mre_train_fn train, void *context, struct mre_outcome *outcome)
{
    struct mr_model model;
    struct mr_error error;
    struct mre_report report = {.why = ""};
    mr_metrics_none(&report);
    mr_progress_phase(client, MRE_PHASE_PULLING, 0);
    enum mre_result result = mr_model_load(&model, client, &work->terms, outcome);
    if (result) {
        return result;
    }
    uint64_t began_us = client->env.now_us(client->env.context);
    work->vector = mr_pages_take(work->terms.layout.lanes * sizeof *work->vector);
    if (!work->vector) {
        result = mr_outcome_set(outcome, MRE_FAILED, "out of memory for the delta");
    } else if (mr_client_cancelled(client)) {
        result = mr_outcome_set(outcome, MRE_CANCELLED, "cancelled before the training");
    } else {
        const struct training training = {train, context, &report};
        result = train_whole(client, work, &model, &training, outcome);
    }
    mr_model_unload(&model);
    outcome->train_ms = (uint32_t)((client->env.now_us(client->env.context) - began_us) / 1000);
    if (!result) {
        result = keep_delta(client, work, outcome);
    }
    if (result) {
        return result;
    }
    const bool trains = mr_announcement_trains(&work->terms.announcement);
    struct mr_training_report told = {.examples = report.examples,
                                      .loss = trains ? report.loss : 0};
    outcome->examples = report.examples;
    outcome->loss = told.loss;
    result =
        mr_metrics_take(&work->metrics, &work->terms.announcement, &report, &work->note, outcome);
    if (result) {
        return result;
    }
    if (!isfinite(told.loss)) {
        return mr_outcome_set(outcome, MRE_BAD_DELTA,
                              "the training loss is %s: training diverged, and nothing is sent. "
                              "Lower the learning rate, or look for such values in the data",
                              isnan(report.loss) ? "NaN" : "infinite");
    }
    if (mr_prepare_delta(work->vector, work->trailer, &work->terms, &told, client->kernels,
                         &error)) {
        return mr_outcome_set(outcome, MRE_BAD_DELTA, "%s", error.text);
    }
    return MRE_OK;
}

/* --- attempts -------------------------------------------------------------------------------- */

static enum mre_result run_attempts(struct mre_client *client, struct mr_round_work *work,
                                    struct mre_outcome *outcome)
{
    uint64_t round = work->terms.announcement.round;
    enum mr_transport transport =
        client->transport == MRE_TRANSPORT_HTTP2 ? MR_TRANSPORT_HTTP2 : MR_TRANSPORT_UDP;
    struct mr_error error;
    uint64_t began_us = client->env.now_us(client->env.context);
    bool made = false;
    for (;;) {
        uint32_t attempt;
        if (mr_client_cancelled(client)) {
            return mr_outcome_set(outcome, MRE_CANCELLED, "cancelled");
        }
        if (mr_client_lead_ms(client) >= work->terms.announcement.deadline_unix_ms) {
            return made && outcome->result != MRE_OK && outcome->result != MRE_UNREACHABLE
                       ? outcome->result
                       : mr_outcome_set(outcome, MRE_CLOSED,
                                        "the round's deadline passed before the upload was done%s",
                                        made ? ": the hubs could not be reached in time" : "");
        }
        if (mr_ledger_attempt(&client->ledger, round, &attempt, &error)) {
            return mr_outcome_set(outcome, MRE_BAD_CONFIG, "%s", error.text);
        }
        if (attempt >= MR_ATTEMPTS_MAX) {
            return made ? outcome->result
                        : mr_outcome_set(outcome, MRE_REFUSED,
                                         "all %d attempts of round %" PRIu64
                                         " are used up; the next "
                                         "round is open to this device",
                                         MR_ATTEMPTS_MAX, round);
        }
        enum mr_attempt_next next = mr_attempt_run(client, work, attempt, transport, outcome);
        outcome->upload_ms =
            (uint32_t)((client->env.now_us(client->env.context) - began_us) / 1000);
        if (next == MR_ATTEMPT_DONE) {
            return outcome->result;
        }
        if (next == MR_ATTEMPT_OVER_HTTP2 && client->transport == MRE_TRANSPORT_AUTO) {
            transport = MR_TRANSPORT_HTTP2;
        }
        made = true;
        mr_client_pause(client, AGAIN_MS);
    }
}

/* After these the same round is tried again: nothing is known to be decided. */
static bool leaves_open(enum mre_result result)
{
    return result == MRE_UNREACHABLE || result == MRE_CERTIFICATE_REFUSED ||
           result == MRE_BAD_CONFIG || result == MRE_FAILED || result == MRE_CANCELLED;
}

static enum mre_result take_part(struct mre_client *client, struct mr_round_work *work,
                                 mre_train_fn train, void *context, struct mre_outcome *outcome)
{
    const uint64_t deadline = work->terms.announcement.deadline_unix_ms;
    const uint64_t lead_ms = mr_client_lead_ms(client);
    struct mr_error error;
    if (lead_ms >= deadline) {
        return mr_outcome_set(outcome, MRE_CLOSED,
                              "the round's deadline had passed when this device heard of it; the "
                              "next round is open to it");
    }
    if (mr_acceptance_check(&client->accept, &work->terms.announcement, deadline - lead_ms,
                            &error) != 0) {
        return mr_outcome_set(outcome, MRE_NOT_ACCEPTED, "%s; nothing was trained or sent",
                              error.text);
    }
    enum mre_result result = mr_lineage_check(client, &work->terms, outcome);
    if (!result) {
        result = mr_lineage_pay(client, &work->terms, outcome);
    }
    if (!result && !mr_client_cancelled(client)) {
        result = make_vector(client, work, train, context, outcome);
    }
    if (!result) {
        result = run_attempts(client, work, outcome);
    }
    /* A hub knows better than this device's memory: it trains no more on this model. What cannot be
     * remembered is found by the hub again. */
    struct mre_outcome ignored;
    if (result == MRE_AWAITS_MODEL && client->refusal == MR_REFUSAL_RELEASED) {
        (void)mr_lineage_claim(client, &work->terms, &ignored);
    }
    return result;
}

/* One that is not signed by the keys known here may be by those that came since. */
static enum mre_result hear_announcement(struct mre_client *client, unsigned wait_ms,
                                         struct mr_round_terms *terms, struct mre_outcome *outcome)
{
    const enum mre_result result = mr_control_announcement(client, wait_ms, terms, outcome);
    if (result != MRE_UNTRUSTED_ANNOUNCEMENT) {
        return result;
    }
    return mr_next_keys_ask(client, outcome)
               ? mr_control_announcement(client, wait_ms, terms, outcome)
               : result;
}

enum mre_result mre_client_round(struct mre_client *client, unsigned wait_ms, mre_train_fn train,
                                 void *context, struct mre_outcome *outcome)
{
    struct mr_round_work work = {.vector = NULL};
    struct mr_error error;
    enum mre_result result = mr_client_begin(client, outcome);
    if (result) {
        return result;
    }
    mr_progress_round(client, NULL);
    mr_progress_phase(client, MRE_PHASE_WAITING, 0);
    if (hear_announcement(client, wait_ms, &work.terms, outcome)) {
        return mr_client_settle(client, outcome);
    }
    mr_progress_round(client, &work.terms.announcement);
    mr_end_seen(client, &work.terms.announcement);
    outcome->round = work.terms.announcement.round;
    outcome->kind = (enum mre_kind)work.terms.announcement.kind;
    outcome->clock_ahead_ms = client->lead_clock.ahead_ms;
    outcome->share_bytes = work.terms.layout.share_bytes;
    take_part(client, &work, train, context, outcome);
    result = mr_client_settle(client, outcome);
    mr_pages_give(work.vector, work.terms.layout.lanes * sizeof *work.vector);
    free(work.delta);
    outcome->deadline_left_ms = mr_client_left_ms(client, work.terms.announcement.deadline_unix_ms);
    if (result == MRE_COMMITTED || result == MRE_ALREADY_COUNTED) {
        mr_end_owe(client, &work.terms.announcement);
    }
    if (!leaves_open(result) && mr_ledger_finish(&client->ledger, outcome->round, &error)) {
        result = mr_outcome_set(outcome, MRE_BAD_CONFIG, "%s", error.text);
    }
    return result;
}
