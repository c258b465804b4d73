#include "appliance/round/drive/accept_terms.h"

#include "appliance/config/accept.h"
#include "appliance/round/drive/round_params.h"
#include "appliance/round/drive/step_bound.h"
#include "wire/quantiser.h"

static bool refused(struct mr_refusal *refusal, const char *name, float announced, const char *how,
                    float computed)
{
    mr_refuse(refusal, MR_REFUSAL_WRONG_ANNOUNCEMENT,
              "%s %.7g is not accepted here: %s%.7g is, by the rule (accept.%s)", name,
              (double)announced, how, (double)computed, name);
    return false;
}

static bool scale_holds(const struct mr_accept_question *question, struct mr_refusal *refusal)
{
    const struct mr_announcement *round = question->announcement;
    const struct mr_quantiser quantiser = {.levels = round->levels,
                                           .lanes = question->lanes,
                                           .cohort_max = round->cohort_max,
                                           .clip_norm = round->clip_norm,
                                           .round = round->round};
    const float computed =
        mr_quantiser_scale(&quantiser, mr_round_history_norms(question->history, round->round));
    /* The step of a round with noise follows the noise, and costs no privacy. */
    return round->noise_kind != MR_NOISE_NONE || mr_quantiser_agrees(round->scale, computed) ||
           refused(refusal, "scale", round->scale, "about ", computed);
}

static bool step_max_holds(const struct mr_accept_question *question, struct mr_refusal *refusal)
{
    const struct mr_announcement *round = question->announcement;
    const struct mr_step_rule rule = {
        .announcement = round, .lanes = question->lanes, .history = question->history};
    const float computed = mr_step_bound(&rule);
    return round->step_max <= computed ||
           refused(refusal, "step_max", round->step_max, "at most ", computed);
}

/* Whoever gives a round up when the draw is known, and draws again, chooses among draws. */
static bool draws_end(const struct mr_accept_question *question, struct mr_refusal *refusal)
{
    const uint32_t most = question->accept->draw_voids;
    const unsigned voids = mr_round_history_draw_voids(question->history);
    if (!mr_announcement_draws(question->announcement) || most == 0 || voids < most) {
        return true;
    }
    mr_refuse(refusal, MR_REFUSAL_WRONG_ANNOUNCEMENT,
              "the last %u rounds whose set was drawn made no model: a lead that draws again until "
              "it likes the set looks like that. Ask its operator why they ended; a round whose "
              "set is not drawn, or accept.draw_voids 0 until one has made a model, ends it",
              voids);
    return false;
}

/* A rate that the lead alone chose could make the step from one model to the next so small that the
 * sums of both are about the same (docs/decisions/0036-released-sets.md). */
static bool optimiser_holds(const struct mr_accept_question *question, struct mr_refusal *refusal)
{
    const struct mr_optimiser *announced = &question->announcement->optimiser;
    struct mr_optimiser own;
    mr_round_optimiser(&own, question->own);
    if (mr_optimiser_same(announced, &own)) {
        return true;
    }
    mr_refuse(refusal, MR_REFUSAL_WRONG_ANNOUNCEMENT,
              "the server optimiser is %s, rate %.9g, beta %.9g and %.9g, tau %.9g, requantise %u; "
              "here it is %s, %.9g, %.9g and %.9g, %.9g, %u: tasks.round.server_* and requantise "
              "have to be the same on every hub",
              mr_optimiser_name(announced->kind), (double)announced->learning_rate,
              (double)announced->beta1, (double)announced->beta2, (double)announced->tau,
              announced->requantise, mr_optimiser_name(own.kind), (double)own.learning_rate,
              (double)own.beta1, (double)own.beta2, (double)own.tau, own.requantise);
    return false;
}

/* Devices tell no hub what its own operator did not ask them. */
static bool metrics_hold(const struct mr_accept_question *question, struct mr_refusal *refusal)
{
    if (mr_round_metrics_agree(question->announcement, question->own)) {
        return true;
    }
    mr_refuse(refusal, MR_REFUSAL_WRONG_ANNOUNCEMENT,
              "the round's metrics are not this hub's: tasks.round.metrics has to be the same, "
              "names, ranges and order, on every hub");
    return false;
}

bool mr_accept_terms(const struct mr_accept_question *question, struct mr_refusal *refusal)
{
    struct mr_accept accept;
    struct mr_error error;
    if (!optimiser_holds(question, refusal) || !metrics_hold(question, refusal)) {
        return false;
    }
    if (!question->accept) {
        return true;
    }
    mr_config_accept_read(&accept, question->accept);
    if (mr_acceptance_check(&accept.announced, question->announcement, question->left_ms, &error) !=
        0) {
        mr_refuse(refusal, MR_REFUSAL_WRONG_ANNOUNCEMENT, "%.350s", error.text);
        return false;
    }
    if (!draws_end(question, refusal)) {
        return false;
    }
    return !mr_announcement_trains(question->announcement) || /* there is no step */
           ((!accept.scale_by_rule || scale_holds(question, refusal)) &&
            (!accept.step_max_by_rule || step_max_holds(question, refusal)));
}
