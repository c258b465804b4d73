/* operator.c - one operator a task. */
#include "tests/sim/operator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/check.h"
#include "tests/sim/disk.h"
#include "tests/sim/hub.h"
#include "tests/sim/malice.h"
#include "tests/sim/plan.h"
#include "tests/sim/seams.h"
#include "base/assert.h"
#include "base/bytes.h"

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

/* --- a helper whose disk is new ----------------------------------------------------------------
 */

struct importing {
    struct sim_node *node;
    char *task;
    uint8_t *bytes;
};

static void on_imported(void *token, const struct mr_refusal *refusal, json_t *answer)
{
    struct importing *importing = token;
    sim_note(importing->node->sim, importing->node, "%s: the lead's model is imported%s%.150s",
             importing->task, refusal ? ", but: " : "", refusal ? refusal->text : "");
    json_decref(answer);
    free(importing->task);
    free(importing->bytes);
    free(importing);
}

/* Whose file of that model it is; NULL: a lead that lies of its current model need not have it. */
static const uint8_t *find_model(struct sim *sim, const struct sim_task *task, const char *name,
                                 size_t *length)
{
    const uint8_t *bytes = NULL;
    for (unsigned i = 0; !bytes && i < task->hubs_count; i++) {
        bytes = sim_disk_look(sim_hub_node(sim, task->hubs[i])->disk, name, length);
    }
    MR_ASSERT(bytes || sim_is_malicious(sim_task_lead(sim, task)));
    return bytes;
}

/* That model becomes the helper's, as `millrace model import` does it. False: it was refused. */
static bool import_model(struct sim_node *node, const struct sim_task *task, const uint8_t *hash)
{
    char name[160], hex[2 * MR_HASH_BYTES + 1];
    struct mr_refusal refusal;
    struct mr_api_task *served = mr_api_task_find(&sim_hub_of(node)->api, task->name);
    struct mr_store_desk *desk = mr_helper_driver_store_desk(served->helper);
    struct mr_store_wish wish = {.kind = MR_STORE_IMPORT, .by = "operator", .accepted = true};
    mr_hex_encode(hex, hash, MR_HASH_BYTES);
    snprintf(name, sizeof name, "tasks/%s/models/%s.safetensors", task->name, hex);
    const uint8_t *bytes = find_model(node->sim, task, name, &wish.length);
    if (!bytes) {
        return false;
    }
    struct importing *importing = calloc(1, sizeof *importing);
    MR_ASSERT(importing);
    *importing = (struct importing){node, strdup(task->name), malloc(wish.length)};
    MR_ASSERT(importing->task && importing->bytes);
    memcpy(importing->bytes, bytes, wish.length);
    wish.bytes = importing->bytes;
    node->sim->current = node;
    const bool asked =
        desk && mr_store_desk_ask(desk, &wish, on_imported, importing, &refusal) == 0;
    if (!asked) {
        on_imported(importing, desk ? &refusal : NULL, NULL);
    }
    node->sim->current = NULL;
    return asked;
}

/* The state of the optimiser that goes with it lies beside it. */
static void bring_states(struct sim_node *node, const struct sim_task *task)
{
    char folder[64];
    snprintf(folder, sizeof folder, "tasks/%s/optimisers", task->name);
    for (unsigned i = 0; i < task->hubs_count; i++) {
        sim_disk_copy(node->disk, sim_hub_node(node->sim, task->hubs[i])->disk, folder);
    }
}

/* A helper whose disk is new lacks the models that came before: its operator brings the one that is
 * gone on from. True: they are at it. */
static bool bring_models(struct sim *sim, const struct sim_task *task, const uint8_t *hash)
{
    bool at_it = false;
    for (unsigned i = 1; i < task->hubs_count; i++) {
        struct sim_node *node = sim_hub_node(sim, task->hubs[i]);
        const struct mr_api_task *served =
            node->up ? mr_api_task_find(&sim_hub_of(node)->api, task->name) : NULL;
        if (node->new_disk && served) {
            bring_states(node, task);
        }
        if (node->new_disk && served &&
            memcmp(mr_store_current(served->task.store), hash, MR_HASH_BYTES) != 0) {
            at_it = import_model(node, task, hash) || at_it;
        }
    }
    return at_it;
}

static const uint8_t *current_of(struct sim *sim, const struct sim_task *task)
{
    return mr_store_current(served_by(sim_task_lead(sim, task), task)->task.store);
}

/* --- where every device is in a set that made no model ---------------------------------------- */

/* In place of the route's answer to the operator. */
void __wrap_mr_routes_resumed(void *context, void *token, const uint8_t *model_hash)
{
    const struct sim_resuming *resuming = token;
    (void)context;
    struct sim_task *task = resuming->task;
    sim_check_resumed(resuming->sim, task, model_hash);
    task->resume.hubs |= 1u << resuming->place;
    sim_note(resuming->sim, sim_hub_node(resuming->sim, task->hubs[resuming->place]),
             "%s goes on with another version", task->name);
}

static void resume_at(struct sim *sim, struct sim_task *task, unsigned place)
{
    struct sim_node *node = sim_hub_node(sim, task->hubs[place]);
    const struct mr_resume_wish wish = {
        .model_hash = task->resume.from, .accepted = true, .codes = task->resume.codes};
    struct mr_refusal refusal;
    struct sim_resuming *resuming = &task->resume.asked[place];
    *resuming = (struct sim_resuming){sim, task, place};
    struct mr_api_task *served = mr_api_task_find(&sim_hub_of(node)->api, task->name);
    sim->current = node;
    const enum mr_refusal_code code =
        place ? mr_helper_driver_resume(served->helper, &wish, resuming, &refusal)
              : mr_lead_driver_resume(served->lead, &wish, resuming, &refusal);
    sim->current = NULL;
    if (code != MR_REFUSAL_NONE) {
        sim_note(sim, node, "cannot resume %s: %.150s", task->name, refusal.text);
    }
}

/* The helpers first: then a lead that has the next version is never alone with it. */
static void resume_all(struct sim *sim, struct sim_task *task)
{
    const unsigned helpers = (1u << task->hubs_count) - 2;
    for (unsigned i = 1; i < task->hubs_count; i++) {
        if (!(task->resume.hubs >> i & 1) && sim_hub_node(sim, task->hubs[i])->up) {
            resume_at(sim, task, i);
        }
    }
    if ((task->resume.hubs & helpers) == helpers) {
        resume_at(sim, task, 0);
    }
}

/* True: the operators are at it, and no round is opened. */
static bool resume(struct sim *sim, const struct sim_task *asked)
{
    struct sim_task *task = &sim->plan.tasks[asked->index];
    struct sim_node *lead = sim_task_lead(sim, task);
    const struct mr_api_task *served = served_by(lead, task);
    const uint8_t *current = mr_store_current(served->task.store);
    struct mr_lead_report report;
    mr_lead_report(mr_lead_driver_core(served->lead), &report);
    sim->current = lead;
    const uint32_t released = mr_released_devices(sim_hub_of(lead)->api.released, current);
    sim->current = NULL;
    if (report.state != MR_LEAD_VOID || released == 0) {
        return false;
    }
    if (memcmp(task->resume.from, current, MR_HASH_BYTES) != 0) {
        memcpy(task->resume.from, current, MR_HASH_BYTES);
        task->resume.hubs = 0;
        task->resume.codes[0] = '\0';
    }
    resume_all(sim, task);
    return true;
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

/* Where a hub has found that it is older than itself. True likewise. */
static bool recover(struct sim *sim, const struct sim_task *asked)
{
    struct sim_task *task = &sim->plan.tasks[asked->index];
    const enum sim_recovering recovering = sim_recover(sim, task);
    if (recovering == SIM_RESUMES && is_idle(sim, task)) {
        if (!bring_models(sim, task, task->resume.from)) {
            resume_all(sim, task);
        }
    }
    return recovering != SIM_RECOVERED;
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
    if (all_have_ended(sim) || (sim->options.malicious && sim->calm)) {
        sim->over = true;
        return;
    }
    if (sim->options.malicious) {
        sim_malice(sim, task);
    }
    if (wanted && recover(sim, task)) {
        sim_mark(sim, NULL, "recovers", task->index, 0);
    } else if (wanted && is_idle(sim, task)) {
        const bool bringing = bring_models(sim, task, current_of(sim, task));
        if (!bringing && (!sim->calm || !resume(sim, task))) {
            open_round(sim, task);
        }
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
