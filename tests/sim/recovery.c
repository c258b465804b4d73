/* recovery.c - what the operators of a task do where a hub has found that it is older than itself:
 * it recovers, and all hubs go on with the version of its code. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/disk.h"
#include "tests/sim/hub.h"
#include "tests/sim/operator.h"
#include "tests/sim/plan.h"
#include "tests/sim/seams.h"
#include "base/assert.h"

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
    (void)context;
    (void)recovered;
    sim_note(node->sim, node, "recovered%s", halted ? ", and needs a restart" : "");
    if (halted) {
        sim_at(node->sim, node->sim->now_us, node, restart, node);
    }
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
        } else if (served && served->task.age.recovered.epoch &&
                   !served->task.age.recovered.has_fresh) {
            add_code(codes, served->task.age.recovered.code);
        }
    }
    /* A round that was under way may have made the next model since. */
    const bool begun =
        task->resume.codes[0] && !(task->resume.hubs & 1) && all_up &&
        memcmp(task->resume.from, mr_store_current(served_at(sim, task, 0)->task.store),
               MR_HASH_BYTES) == 0;
    if (older || !all_up || (!codes[0] && !begun)) {
        return older || codes[0] ? SIM_RECOVERING : SIM_RECOVERED;
    }
    if (!begun || !has_all(task->resume.codes, codes)) {
        memcpy(task->resume.from, mr_store_current(served_at(sim, task, 0)->task.store),
               MR_HASH_BYTES);
        memcpy(task->resume.codes, codes, sizeof codes);
        task->resume.hubs = 0;
    }
    return SIM_RESUMES;
}
