/* plan.c - the plan of a seed. */
#include "tests/sim/plan.h"
#include "tests/sim/marks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- looking up ------------------------------------------------------------------------------ */

static const struct sim_task *task_named(const struct sim *sim, const char *name, size_t length)
{
    for (unsigned i = 0; i < sim->plan.tasks_count; i++) {
        const struct sim_task *task = &sim->plan.tasks[i];
        if (strlen(task->name) == length && memcmp(task->name, name, length) == 0) {
            return task;
        }
    }
    return NULL;
}

static const struct sim_task *task_after(const struct sim *sim, const char *text,
                                         const char *prefix, const char *ends)
{
    const size_t length = strlen(prefix);
    return strncmp(text, prefix, length) == 0
               ? task_named(sim, text + length, strcspn(text + length, ends))
               : NULL;
}

const struct sim_task *sim_task_of_path(const struct sim *sim, const char *path)
{
    return task_after(sim, path, "/v1/tasks/", "/?");
}

bool sim_path_ends(const char *path, const char *end)
{
    const size_t length = strlen(path), end_length = strlen(end);
    return length >= end_length && strcmp(path + length - end_length, end) == 0;
}

uint64_t sim_path_round(const char *path)
{
    const char *at = strstr(path, "/rounds/");
    return at ? strtoull(at + 8, NULL, 10) : 0;
}

const struct sim_task *sim_task_of_event(const struct sim *sim, const char *text)
{
    return task_after(sim, text, "task=", " ");
}

struct sim_node *sim_task_lead(struct sim *sim, const struct sim_task *task)
{
    return sim_hub_node(sim, task->hubs[0]);
}

bool sim_task_leads(const struct sim_task *task, const struct sim_node *node)
{
    return task->hubs[0] == node->index;
}

bool sim_task_helps(const struct sim_task *task, const struct sim_node *node)
{
    for (unsigned i = 1; i < task->hubs_count; i++) {
        if (task->hubs[i] == node->index) {
            return true;
        }
    }
    return false;
}

bool sim_leads_any(const struct sim *sim, const struct sim_node *node)
{
    for (unsigned i = 0; i < sim->plan.tasks_count; i++) {
        if (sim_task_leads(&sim->plan.tasks[i], node)) {
            return true;
        }
    }
    return false;
}

/* --- tasks ----------------------------------------------------------------------------------- */

/* Two hubs or more of the plan, drawn, and those of `must`: the first leads, the others rise. */
static void draw_hubs(struct sim *sim, struct sim_task *task, unsigned must)
{
    const unsigned hubs = sim->plan.hubs;
    const unsigned lead = (unsigned)sim_below(sim, hubs);
    unsigned members = 1u << lead | must;
    members |= 1u << (lead + 1 + sim_below(sim, hubs - 1)) % hubs;
    for (unsigned i = 0; i < hubs; i++) {
        members |= (unsigned)sim_chance(sim, 500) << i;
    }
    task->hubs[task->hubs_count++] = lead;
    for (unsigned i = 0; i < hubs; i++) {
        if (i != lead && members >> i & 1) {
            task->hubs[task->hubs_count++] = i;
        }
    }
}

/* Tasks of one shape are those that could take each other's shares for their own. */
static void draw_shape(struct sim *sim, struct sim_task *task, bool alike)
{
    const struct sim_task *first = &sim->plan.tasks[0];
    task->dimension = alike ? first->dimension : 64u << sim_below(sim, 4);
    task->ring_bits =
        alike ? first->ring_bits : mr_ring_widths[MR_RING_WIDTHS - 1 - sim_below(sim, 4)];
    task->chunk_bytes = alike ? first->chunk_bytes : (uint16_t)(64 * sim_between(sim, 1, 3));
    const uint32_t share_bytes = task->dimension * task->ring_bits / 8 + MR_TRAILER_BYTES;
    if (share_bytes > sim->plan.share_bytes_max) {
        sim->plan.share_bytes_max = share_bytes;
    }
}

static void draw_cohort(struct sim *sim, struct sim_task *task)
{
    const unsigned devices = (unsigned)__builtin_popcountll(task->devices);
    const bool lies = sim->options.malicious && task->index == 0;
    task->cohort_min = (uint32_t)sim_between(sim, 2, 2 + (devices - 2) / 2);
    if (lies && sim_chance(sim, 500)) {
        task->cohort_min = 2; /* so that a set may leave out more than an operator accepts */
    }
    task->quorum = (uint32_t)sim_between(sim, task->cohort_min, devices);
    task->deadline_ms =
        (uint32_t)sim_between(sim, 3000, 9000) + 2000 * (uint32_t)(task->hubs_count - 2);
    task->cohort_max = devices;
    if (devices > task->cohort_min && sim_chance(sim, lies ? 700 : 350)) { /* the set is drawn */
        task->cohort_max = (uint32_t)sim_between(sim, task->cohort_min, devices - 1);
        task->admitted_max = devices;
        task->quorum = (uint32_t)sim_between(sim, task->cohort_min, task->cohort_max);
        task->deadline_ms += 2000;
        task->draw_ms = (uint32_t)sim_between(sim, 500, task->deadline_ms / 2);
    }
}

static void draw_optimiser(struct sim *sim, struct sim_task *task)
{
    task->momentum = sim_chance(sim, 250);
    task->requantise = sim_chance(sim, 350) ? (sim_chance(sim, 500) ? 8 : 4) : 0;
}

/* Each device takes part in one task at least, each task has two devices at least. */
static void draw_members(struct sim *sim)
{
    struct sim_plan *plan = &sim->plan;
    for (unsigned i = 0; i < plan->devices; i++) {
        plan->tasks[sim_below(sim, plan->tasks_count)].devices |= UINT64_C(1) << i;
        if (sim_chance(sim, 250)) {
            plan->tasks[sim_below(sim, plan->tasks_count)].devices |= UINT64_C(1) << i;
        }
    }
    for (unsigned i = 0; i < plan->tasks_count; i++) {
        while (__builtin_popcountll(plan->tasks[i].devices) < 2) {
            plan->tasks[i].devices |= UINT64_C(1) << sim_below(sim, plan->devices);
        }
    }
}

/* One name begins with another. */
static const char *const names[SIM_TASKS] = {"digits", "digits-2", "d"};

static void draw_tasks(struct sim *sim)
{
    struct sim_plan *plan = &sim->plan;
    const bool alike = sim_chance(sim, 400);
    unsigned served = 0;
    plan->tasks_count = (unsigned)sim_between(sim, 1, SIM_TASKS);
    draw_members(sim);
    for (unsigned i = 0; i < plan->tasks_count; i++) {
        struct sim_task *task = &plan->tasks[i];
        const bool last = i + 1 == plan->tasks_count; /* every hub serves some task */
        task->index = i;
        snprintf(task->name, sizeof task->name, "%s", names[i]);
        draw_hubs(sim, task, last ? ((1u << plan->hubs) - 1) & ~served : 0);
        for (unsigned h = 0; h < task->hubs_count; h++) {
            served |= 1u << task->hubs[h];
        }
        draw_shape(sim, task, alike && i > 0);
        draw_cohort(sim, task);
        draw_optimiser(sim, task);
        sim_marks_draw(sim, task);
    }
}

/* In some a device lies, where its tasks can do without it. */
static void draw_liar(struct sim *sim)
{
    struct sim_plan *plan = &sim->plan;
    const uint64_t liar = UINT64_C(1) << sim_below(sim, plan->devices);
    bool spared = sim_chance(sim, 200);
    for (unsigned i = 0; i < plan->tasks_count; i++) {
        const struct sim_task *task = &plan->tasks[i];
        const uint32_t places =
            task->admitted_max ? task->cohort_max : (uint32_t)__builtin_popcountll(task->devices);
        spared = spared && (!(task->devices & liar) || places > task->cohort_min);
    }
    plan->liars = spared ? liar : 0;
    if (plan->liars) {
        sim_note(sim, NULL, "d%d lies about its seeds", __builtin_ctzll(liar));
    }
}

static void tell_tasks(struct sim *sim)
{
    for (unsigned i = 0; i < sim->plan.tasks_count; i++) {
        const struct sim_task *task = &sim->plan.tasks[i];
        char hubs[4 * SIM_HUBS + 1] = "";
        for (unsigned h = 0; h < task->hubs_count; h++) {
            snprintf(hubs + strlen(hubs), sizeof hubs - strlen(hubs), " h%u", task->hubs[h]);
        }
        sim_note(sim, NULL,
                 "task %s: hubs%s, devices %llx, cohort %u to %u of %u, quorum %u, %u values of "
                 "%u bits in chunks of %u; %s, %u bits, %s",
                 task->name, hubs, (unsigned long long)task->devices, task->cohort_min,
                 task->cohort_max, task->admitted_max, task->quorum, task->dimension,
                 task->ring_bits, task->chunk_bytes, task->momentum ? "fedavgm" : "fedavg",
                 task->requantise,
                 !task->marked                 ? "not marked"
                 : task->mark_liar == SIM_HUBS ? "marked"
                                               : "marked, and a hub lies of its part");
    }
}

/* --- the plan -------------------------------------------------------------------------------- */

static void draw_faults(struct sim *sim)
{
    static const unsigned losses[] = {0, 20, 100, 300};
    struct sim_plan *plan = &sim->plan;
    plan->faults_end_us = sim_between(sim, 10 * SIM_S, 30 * SIM_S);
    plan->fault_gap_us = sim_between(sim, 20 * SIM_MS, 400 * SIM_MS);
    for (unsigned i = 0; i < SIM_FAULTS; i++) {
        plan->allowed[i] = sim_chance(sim, 400);
    }
    plan->loss_max = losses[sim_below(sim, 4)];
    plan->duplicate_max = sim_chance(sim, 500) ? 100 : 0;
    plan->corrupt_max = sim_chance(sim, 500) ? 60 : 0;
    plan->break_max = sim_chance(sim, 500) ? 40 : 0;
    plan->put_back_max = (unsigned)sim_between(sim, 1, SIM_PUT_BACK_MAX);
}

/* A federation small enough for tens of milliseconds, and a handful of kinds of faults: a history
 * in which everything goes wrong at once shows less than one in which a few things do. */
void sim_plan_draw(struct sim *sim)
{
    struct sim_plan *plan = &sim->plan;
    plan->hubs = 2 + (unsigned)(sim_chance(sim, 400) ? sim_below(sim, SIM_HUBS - 1) : 0);
    plan->devices = (unsigned)(sim_chance(sim, 100) ? sim_between(sim, 13, SIM_DEVICES)
                                                    : sim_between(sim, 2, 12));
    draw_tasks(sim);
    draw_liar(sim);
    plan->commit_interval_ms = (uint32_t)sim_between(sim, 20, 500);
    plan->peer_timeout_ms = (uint32_t)sim_between(sim, 1500, 6000);
    plan->idle_timeout_ms = (uint32_t)sim_between(sim, 800, 4000);
    plan->slots = (uint32_t)sim_between(sim, 2, 10);
    plan->workers = 1 + sim_chance(sim, 300);
    draw_faults(sim);
    /* In some a lead that is away counts as gone; a clock that jumps says so too early. */
    plan->lead_grace_ms =
        sim->options.seed % 4 == 0 && !plan->allowed[SIM_FAULT_CLOCK] ? 1500 : 86400000;
    sim_note(sim, NULL, "%u hubs, %u devices, %u tasks, %u slots of %u bytes", plan->hubs,
             plan->devices, plan->tasks_count, plan->slots, plan->share_bytes_max);
    tell_tasks(sim);
}
