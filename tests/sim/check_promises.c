/* check_promises.c - what devices were promised, and whether everything has ended. */
#include <inttypes.h>
#include <string.h>

#include "tests/sim/check_internal.h"

void sim_check_told(struct sim *sim, const struct sim_task *task, uint64_t number, unsigned device)
{
    struct round *round = check_round(sim, task, number);
    const uint64_t bit = UINT64_C(1) << device;
    if (!(round->told & bit)) {
        sim_note(sim, sim->current, "round %" PRIu64 " of %s: d%u is told that it counts", number,
                 task->name, device);
    }
    round->told |= bit;
    if (round->published && !(round->included & bit)) {
        sim_broken(sim,
                   "d%u is told that it counts in round %" PRIu64 " of %s, which was published "
                   "without it",
                   device, number, task->name);
    }
}

void sim_check_outcome(struct sim_node *node, const struct sim_task *task,
                       const struct mre_outcome *outcome)
{
    struct sim *sim = node->sim;
    struct sim_totals *totals = &sim->result.totals;
    if (outcome->result == MRE_NO_ROUND || outcome->round == 0) {
        return;
    }
    sim_note(sim, node, "round %" PRIu64 " of %s, attempt %u: %s (%s)", outcome->round, task->name,
             outcome->attempt, mre_result_name(outcome->result), outcome->text);
    if (outcome->result == MRE_COMMITTED) {
        totals->committed++;
        sim_check_told(sim, task, outcome->round, node->index - SIM_HUBS);
    } else {
        totals->outcomes_other++;
    }
    if (outcome->result == MRE_UNTRUSTED_ANNOUNCEMENT || outcome->result == MRE_BAD_MODEL ||
        outcome->result == MRE_BAD_DELTA || outcome->result == MRE_TRAINER_FAILED) {
        sim_broken(sim, "%s: %s among honest hubs: %s", node->name,
                   mre_result_name(outcome->result), outcome->text);
    }
}

void sim_check_heard(struct sim_node *node, const struct sim_task *task,
                     const struct mre_outcome *end)
{
    struct sim *sim = node->sim;
    if (end->result != MRE_PUBLISHED && end->result != MRE_VOID) {
        return;
    }
    const struct round *round = check_round(sim, task, end->round);
    sim_note(sim, node, "round %" PRIu64 " of %s has ended: %s (%s)", end->round, task->name,
             mre_result_name(end->result), end->text);
    sim->result.totals.ends_heard++;
    sim->result.totals.proved += strstr(end->text, "hubs prove") != NULL;
    if (strstr(end->warning, "does not prove") || strstr(end->warning, "two commitments")) {
        sim_broken(sim, "round %" PRIu64 " of %s: %s", end->round, task->name, end->warning);
    }
    if (!round->published && !round->given_up) {
        check_take_record(sim_hub_node(sim, task->hubs[0]), task, end->round);
    }
    if (round->lost) {
        return; /* the lead has made the round void that it did not know to have ended */
    }
    if (end->result == MRE_PUBLISHED ? !round->published : round->published) {
        sim_broken(sim, "%s heard that round %" PRIu64 " of %s is %s, and it is not", node->name,
                   end->round, task->name, mre_result_name(end->result));
    }
}

static void end_round(struct sim *sim, const struct sim_task *task, const struct round *round,
                      uint64_t number)
{
    struct sim_totals *totals = &sim->result.totals;
    if (round->opened && !round->published && !round->given_up && !round->unknown) {
        sim_broken(sim, "round %" PRIu64 " of %s has not ended", number, task->name);
    }
    totals->rounds_published += round->published;
    totals->rounds_void += round->given_up;
    totals->rounds_unknown += round->unknown;
    totals->included += (unsigned)__builtin_popcountll(round->published ? round->included : 0);
}

void sim_check_end(struct sim *sim)
{
    sim->result.totals.tasks = sim->plan.tasks_count;
    for (unsigned t = 0; t < sim->plan.tasks_count; t++) {
        const struct sim_task *task = &sim->plan.tasks[t];
        for (unsigned i = 1; i < ROUNDS_MAX; i++) {
            end_round(sim, task, &sim->check->rounds[t][i], check_number(sim, task, i));
        }
    }
}
