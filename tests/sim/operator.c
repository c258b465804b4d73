/* operator.c - one operator a task. */
#include "tests/sim/operator.h"

#include <stdio.h>

#include "tests/sim/check.h"
#include "tests/sim/disk.h"
#include "tests/sim/hub.h"
#include "tests/sim/plan.h"
#include "base/assert.h"

#define OPERATOR_US (250 * SIM_MS)
#define CALM_MAX_US (240 * SIM_S)

static struct mr_api_task *served_by(const struct sim_node *lead, const struct sim_task *task)
{
    struct mr_api_task *served = mr_api_task_find(&sim_hub_of(lead)->api, task->name);
    MR_ASSERT(served && served->lead);
    return served;
}

static void open_round(struct sim *sim, const struct sim_task *task)
{
    struct sim_node *lead = sim_task_lead(sim, task);
    const struct mr_api_task *served = served_by(lead, task);
    struct mr_round_params params;
    struct mr_refusal refusal;
    uint64_t round = 0;
    sim->current = lead;
    mr_round_params_init(&params, &served->task.config->round);
    if (mr_lead_driver_begin(served->lead, &params, &round, &refusal) == MR_REFUSAL_NONE) {
        sim_check_opened(sim, task, round,
                         mr_lead_terms(mr_lead_driver_core(served->lead))->announcement.model_hash);
    }
    sim->current = NULL;
}

/* A helper whose disk is new lacks the models that came before: its operator fetches them. */
static void copy_models(struct sim *sim, const struct sim_task *task)
{
    char folder[64];
    snprintf(folder, sizeof folder, "tasks/%s/models", task->name);
    for (unsigned i = 1; i < task->hubs_count; i++) {
        struct sim_node *node = sim_hub_node(sim, task->hubs[i]);
        if (node->new_disk && node->up) {
            sim_disk_copy(node->disk, sim_task_lead(sim, task)->disk, folder);
        }
    }
}

/* The task's lead runs and is in no round. */
static bool is_idle(struct sim *sim, const struct sim_task *task)
{
    const struct sim_node *lead = sim_task_lead(sim, task);
    struct mr_lead_report report;
    if (!lead->up || sim->now_us < lead->stalled_until_us) {
        return false;
    }
    mr_lead_report(mr_lead_driver_core(served_by(lead, task)->lead), &report);
    return report.state == MR_LEAD_IDLE || report.state == MR_LEAD_PUBLISHED ||
           report.state == MR_LEAD_VOID;
}

/* Nothing more is wanted of it. */
static bool has_ended(struct sim *sim, const struct sim_task *task)
{
    return sim->calm && sim_check_calm_round(sim, task) && is_idle(sim, task);
}

static bool all_have_ended(struct sim *sim)
{
    for (unsigned i = 0; i < sim->plan.tasks_count; i++) {
        if (!has_ended(sim, &sim->plan.tasks[i])) {
            return false;
        }
    }
    return true;
}

static void operate(struct sim *sim, void *argument)
{
    const struct sim_task *task = argument;
    const bool wanted = !sim->calm || !sim_check_calm_round(sim, task);
    if (all_have_ended(sim)) {
        sim->over = true;
        return;
    }
    if (wanted && is_idle(sim, task)) {
        copy_models(sim, task);
        open_round(sim, task);
    }
    if (sim->now_us > sim->plan.faults_end_us + CALM_MAX_US && !has_ended(sim, task)) {
        sim_broken(sim, "the fault-free phase did not end: %s of %s",
                   wanted ? "no round was published in it" : "a round did not end", task->name);
    }
    sim_at(sim, sim->now_us + OPERATOR_US + sim_below(sim, OPERATOR_US), NULL, operate, argument);
}

void sim_operators_begin(struct sim *sim)
{
    for (unsigned i = 0; i < sim->plan.tasks_count; i++) {
        sim_at(sim, sim_below(sim, SIM_S), NULL, operate, &sim->plan.tasks[i]);
    }
}
