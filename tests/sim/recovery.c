/* recovery.c - what the operators of a task do where a hub has found that it is older than itself:
 * it recovers, and all hubs go on with the version of its code. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/check.h"
#include "tests/sim/disk.h"
#include "tests/sim/hub.h"
#include "tests/sim/operator.h"
#include "tests/sim/plan.h"
#include "tests/sim/seams.h"
#include "base/assert.h"
#include "base/bytes.h"

static struct mr_api_task *served_at(struct sim *sim, const struct sim_task *task, unsigned place)
{
    const struct sim_node *node = sim_hub_node(sim, task->hubs[place]);
    return node->up ? mr_api_task_find(&sim_hub_of(node)->api, task->name) : NULL;
}

static void restart(struct sim *sim, void *argument)
{
    struct sim_node *node = argument;
    (void)sim;
    if (node->up) {
        sim_hub_stop(node);
    }
}

/* In place of the route's answer to the operator; the token is the node. */
void __wrap_mr_routes_recovered(void *context, void *token, const struct mr_recovered *recovered,
                                bool halted)
{
    struct sim_node *node = token;
    const struct mr_api_task *served = context;
    for (unsigned i = 0; i < node->sim->plan.tasks_count; i++) {
        if (strcmp(node->sim->plan.tasks[i].name, served->task.config->name) == 0) {
            sim_check_recovered(node, &node->sim->plan.tasks[i], recovered);
        }
    }
    sim_note(node->sim, node, "recovered%s", halted ? ", and needs a restart" : "");
    if (halted) {
        sim_at(node->sim, node->sim->now_us, node, restart, node);
    }
}

/* A recovery that was refused later, likewise; what else is refused is as it is. */
void __wrap_mr_routes_refused(void *context, void *token, const struct mr_refusal *refusal)
{
    const struct mr_api_task *served = context;
    struct sim *sim = sim_active();
    for (unsigned i = 0; i < sim->plan.hubs; i++) {
        if (token == sim_hub_node(sim, i)) {
            sim_note(sim, token, "cannot recover %s: %.150s", served->task.config->name,
                     refusal->text);
            return;
        }
    }
    __real_mr_routes_refused(context, token, refusal);
}

static void recover_at(struct sim *sim, const struct sim_task *task, unsigned place)
{
    struct sim_node *node = sim_hub_node(sim, task->hubs[place]);
    struct mr_api_task *served = served_at(sim, task, place);
    struct mr_refusal refusal;
    sim->current = node;
    const enum mr_refusal_code code =
        place ? mr_helper_driver_recover(served->helper, true, node, &refusal)
              : mr_lead_driver_recover(served->lead, true, node, &refusal);
    sim->current = NULL;
    if (code != MR_REFUSAL_NONE) {
        sim_note(sim, node, "cannot recover %s: %.150s", task->name, refusal.text);
    }
}

static void add_code(char codes[SIM_CODES_BYTES], const char *code)
{
    const size_t length = strlen(codes);
    snprintf(codes + length, SIM_CODES_BYTES - length, "%s%s", length ? "," : "", code);
}

/* Whether the version that is being made ends these recoveries as well. */
static bool has_all(const char *codes, const char *wanted)
{
    for (const char *code = wanted; code && *code; code = strchr(code, ',')) {
        char one[17];
        code += *code == ',';
        snprintf(one, sizeof one, "%s", code);
        if (!strstr(codes, one)) {
            return false;
        }
    }
    return true;
}

/* --- the version to go on from ---------------------------------------------------------------- */

static bool waits_for_code(const struct mr_api_task *served)
{
    return served->task.age.recovered.epoch && !served->task.age.recovered.has_fresh;
}

/* The model that this one was made from, by the hub's files. */
static bool is_parent(const struct sim_node *node, const struct sim_task *task,
                      const uint8_t *model, const uint8_t *parent)
{
    char name[160], hex[2 * MR_HASH_BYTES + 1];
    size_t length = 0;
    mr_hex_encode(hex, model, MR_HASH_BYTES);
    snprintf(name, sizeof name, "tasks/%s/models/%s.json", task->name, hex);
    const uint8_t *text = sim_disk_look(node->disk, name, &length);
    json_t *manifest = text ? json_loadb((const char *)text, length, 0, NULL) : NULL;
    const char *told = json_string_value(json_object_get(manifest, "parent"));
    mr_hex_encode(hex, parent, MR_HASH_BYTES);
    const bool same = told && strcmp(told, hex) == 0;
    json_decref(manifest);
    return same;
}

/* Whether a hub has a say in what all go on from: not one that lacks what came after a copy, or
 * before its disk. */
static bool has_say(struct sim *sim, const struct sim_task *task, unsigned place)
{
    return !sim_hub_node(sim, task->hubs[place])->new_disk &&
           !waits_for_code(served_at(sim, task, place));
}

/* Whether they all go on from that model: it is the hub's own one, or the one before. */
static bool fits_all(struct sim *sim, const struct sim_task *task, const uint8_t *model)
{
    for (unsigned i = 0; i < task->hubs_count; i++) {
        const struct mr_api_task *served = served_at(sim, task, i);
        const uint8_t *current = mr_store_current(served->task.store);
        if (has_say(sim, task, i) && memcmp(current, model, MR_HASH_BYTES) != 0 &&
            !is_parent(sim_hub_node(sim, task->hubs[i]), task, current, model)) {
            return false;
        }
    }
    return true;
}

/* The place of the hub whose model all go on from: the lead's, or where the lead has lost what came
 * after its copy, one that all the others go on from. */
static unsigned newest(struct sim *sim, const struct sim_task *task)
{
    for (unsigned i = 0; i < task->hubs_count; i++) {
        const struct mr_api_task *served = served_at(sim, task, i);
        if (has_say(sim, task, i) &&
            (i == 0 || fits_all(sim, task, mr_store_current(served->task.store)))) {
            return i;
        }
    }
    return 0;
}

void sim_fetch_models(struct sim_node *node, const struct sim_task *task)
{
    static const char *const folders[] = {"models", "optimisers"};
    for (unsigned i = 0; i < 2 * task->hubs_count; i++) {
        char folder[64];
        const struct sim_node *other = sim_hub_node(node->sim, task->hubs[i / 2]);
        snprintf(folder, sizeof folder, "tasks/%s/%s", task->name, folders[i % 2]);
        if (other != node) {
            sim_disk_copy(node->disk, other->disk, folder);
        }
    }
}

/* Some hub has the model: the newest may have gone with the disks and the copies of all that had
 * it.
 */
static bool is_there(struct sim *sim, const struct sim_task *task, const uint8_t *model)
{
    char name[160], hex[2 * MR_HASH_BYTES + 1];
    size_t length;
    mr_hex_encode(hex, model, MR_HASH_BYTES);
    snprintf(name, sizeof name, "tasks/%s/models/%s.safetensors", task->name, hex);
    for (unsigned i = 0; i < task->hubs_count; i++) {
        if (sim_disk_look(sim_hub_node(sim, task->hubs[i])->disk, name, &length)) {
            return true;
        }
    }
    return false;
}

/* What is being made is still what they want: no round has led on since, and it can be made. */
static bool has_begun(struct sim *sim, const struct sim_task *task)
{
    const struct mr_api_task *lead = served_at(sim, task, 0);
    return task->resume.codes[0] && !(task->resume.hubs & 1) &&
           is_there(sim, task, task->resume.from) &&
           (waits_for_code(lead) ? fits_all(sim, task, task->resume.from)
                                 : memcmp(task->resume.from, mr_store_current(lead->task.store),
                                          MR_HASH_BYTES) == 0);
}

/* --- all hubs of a task ----------------------------------------------------------------------- */

enum sim_recovering sim_recover(struct sim *sim, struct sim_task *task)
{
    char codes[SIM_CODES_BYTES] = "";
    bool all_up = true, older = false;
    for (unsigned i = 0; i < task->hubs_count; i++) {
        struct mr_api_task *served = served_at(sim, task, i);
        all_up = all_up && served;
        if (served && served->task.age.is_older) {
            older = true;
            recover_at(sim, task, i);
        } else if (served && waits_for_code(served)) {
            add_code(codes, served->task.age.recovered.code);
        }
    }
    const bool begun = all_up && has_begun(sim, task);
    if (older || !all_up || (!codes[0] && !begun)) {
        return older || codes[0] ? SIM_RECOVERING : SIM_RECOVERED;
    }
    if (!begun || !has_all(task->resume.codes, codes)) {
        const unsigned from = newest(sim, task);
        memcpy(task->resume.from, mr_store_current(served_at(sim, task, from)->task.store),
               MR_HASH_BYTES);
        memcpy(task->resume.codes, codes, sizeof codes);
        task->resume.hubs = 0;
    }
    for (unsigned i = 0; i < task->hubs_count; i++) {
        if (waits_for_code(served_at(sim, task, i))) {
            sim_fetch_models(sim_hub_node(sim, task->hubs[i]), task);
        }
    }
    return SIM_RESUMES;
}
