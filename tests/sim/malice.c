#include "tests/sim/malice.h"

#include <string.h>

#include "tests/sim/hub.h"
#include "tests/sim/plan.h"
#include "tests/sim/seams.h"

bool sim_is_malicious(const struct sim_node *node)
{
    return node->sim->options.malicious && node->sim->plan.tasks[0].hubs[0] == node->index;
}

static bool goes_by_no_ledger(void)
{
    const struct sim *sim = sim_active();
    return sim && sim->current &&
           (sim_is_malicious(sim->current) || sim->options.mutant == SIM_MUTANT_LEDGER_IGNORED);
}

int __wrap_mr_released_may_count(struct mr_released *ledger, const uint8_t parent[MR_HASH_BYTES],
                                 const uint8_t announcement_hash[MR_HASH_BYTES],
                                 const uint8_t client_id[MR_CLIENT_ID_BYTES],
                                 struct mr_released_place *place, struct mr_error *error)
{
    return goes_by_no_ledger() ? 1
                               : __real_mr_released_may_count(ledger, parent, announcement_hash,
                                                              client_id, place, error);
}

/* Under another model's name the ledger has nothing against it. */
enum mr_released_claim __wrap_mr_released_claim(struct mr_released *ledger,
                                                const struct mr_released_set *set,
                                                struct mr_released_place *place,
                                                struct mr_error *error)
{
    struct mr_released_set other = *set;
    if (goes_by_no_ledger()) {
        other.parent = set->announcement_hash;
    }
    return __real_mr_released_claim(ledger, &other, place, error);
}

/* --- what is tried ---------------------------------------------------------------------------- */

/* Some model of the task that the lead still has: the current one's parent, mostly. */
static void set_back(struct sim_node *lead, const struct sim_task *task, struct mr_store *store)
{
    uint8_t parent[MR_HASH_BYTES];
    if (mr_store_parent(store, mr_store_current(store), parent) != 0) {
        return;
    }
    mr_store_adopt(store, parent);
    sim_note(lead->sim, lead, "lies: its current model of %s is the one before", task->name);
}

void sim_malice(struct sim *sim, const struct sim_task *task)
{
    struct sim_node *lead = sim_task_lead(sim, task);
    struct mr_refusal refusal;
    if (!lead->up || !sim_is_malicious(lead)) {
        return;
    }
    struct mr_api_task *served = mr_api_task_find(&sim_hub_of(lead)->api, task->name);
    struct mr_lead *core = mr_lead_driver_core(served->lead);
    struct mr_lead_report report;
    mr_lead_report(core, &report);
    sim->current = lead;
    if (sim_chance(sim, 400)) {
        set_back(lead, task, served->task.store);
    }
    /* With the draw known and not to its liking it gives the round up, and draws again. */
    const bool drawn = report.state == MR_LEAD_OPEN && report.drawn > 0;
    if (report.round && sim_chance(sim, drawn ? 900 : 300) &&
        mr_lead_give_up(core, report.round, true, mr_lead_driver_now_ms(served->lead), &refusal) ==
            MR_REFUSAL_NONE) {
        sim_note(sim, lead, "lies: round %llu of %s is given up when it was %s",
                 (unsigned long long)report.round, task->name, mr_lead_state_name(report.state));
    }
    sim->current = NULL;
}
