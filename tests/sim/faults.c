/* faults.c - what goes wrong, and when. */
#include "tests/sim/faults.h"

#include "tests/sim/check.h"
#include "tests/sim/device.h"
#include "tests/sim/disk.h"
#include "tests/sim/hub.h"
#include "tests/sim/malice.h"
#include "tests/sim/net.h"
#include "tests/sim/plan.h"
#include "tests/sim/sim.h"

static const char *const labels[] = {
#define SIM_FAULT(name, label, sentence) [SIM_FAULT_##name] = label,
#include "tests/sim/faults.def"

#define CLOCK_WRONG_BY 100000 /* ten seconds are twelve days then */
#undef SIM_FAULT
};

const char *sim_fault_label(enum sim_fault fault)
{
    return labels[fault];
}

static struct sim_node *some_hub(struct sim *sim)
{
    return sim_hub_node(sim, (unsigned)sim_below(sim, sim->plan.hubs));
}

static struct sim_node *some_device(struct sim *sim)
{
    return sim_device_node(sim, (unsigned)sim_below(sim, sim->plan.devices));
}

static struct sim_node *somebody(struct sim *sim)
{
    return sim_chance(sim, 500) ? some_hub(sim) : some_device(sim);
}

/* Each does one thing; false: it was not possible now. */

static bool kill_hub(struct sim *sim, bool power)
{
    struct sim_node *node = some_hub(sim);
    if (!node->up) {
        return false;
    }
    sim_hub_kill(node,
                 sim_between(sim, 10 * SIM_MS, sim_chance(sim, 200) ? 12 * SIM_S : 2 * SIM_S));
    if (power) {
        sim_disk_power_loss(node->disk);
    }
    return true;
}

static bool stop_hub(struct sim *sim)
{
    struct sim_node *node = some_hub(sim);
    if (!node->up) {
        return false;
    }
    sim_hub_stop(node);
    return true;
}

/* A disk has come to the operation at which its machine was to die. */
void sim_fault_at_disk(struct sim *sim, void *argument)
{
    struct sim_node *node = argument;
    sim_note(sim, NULL, "fault: %s", labels[SIM_FAULT_HUB_KILL_AT]);
    sim_count(sim, SIM_FAULT_HUB_KILL_AT);
    sim_hub_kill(node, sim_between(sim, 10 * SIM_MS, 2 * SIM_S));
    if (sim_chance(sim, 500)) {
        sim_disk_power_loss(node->disk);
    }
}

static bool kill_device(struct sim *sim, bool power)
{
    struct sim_node *node = some_device(sim);
    if (!node->up) {
        return false;
    }
    sim_note(sim, node, "down");
    sim_device_kill(node, sim_between(sim, 10 * SIM_MS, 5 * SIM_S));
    if (power) {
        sim_disk_power_loss(node->disk);
    }
    return true;
}

static bool partition(struct sim *sim)
{
    struct sim_node *a = some_hub(sim);
    struct sim_node *b = somebody(sim);
    if (a == b) {
        return false;
    }
    const bool outward = sim_chance(sim, 500);
    sim_net_cut(outward ? a : b, outward ? b : a, sim->now_us + sim_between(sim, 1, 6 * SIM_S));
    return true;
}

static bool jump_clock(struct sim *sim)
{
    struct sim_node *node = somebody(sim);
    const int64_t by_us = (int64_t)sim_below(sim, 20 * SIM_S) - (int64_t)(10 * SIM_S);
    const bool is_hub = node->index < SIM_HUBS;
    /* A device may be wrong by any time: rounds go by the lead's clock. */
    node->wall_us += is_hub || sim_chance(sim, 500) ? by_us : CLOCK_WRONG_BY * by_us;
    return true;
}

static bool stall(struct sim *sim)
{
    somebody(sim)->stalled_until_us = sim->now_us + sim_between(sim, 1, 3 * SIM_S);
    return true;
}

static void room_again(struct sim *sim, void *argument)
{
    (void)sim;
    sim_disk_set_full(((struct sim_node *)argument)->disk, false);
}

static bool fill_disk(struct sim *sim)
{
    struct sim_node *node = some_hub(sim);
    sim_disk_set_full(node->disk, true);
    sim_at(sim, sim->now_us + sim_between(sim, 10 * SIM_MS, 5 * SIM_S), NULL, room_again, node);
    return true;
}

/* A new disk in the machine, as it was when the hub was set up; what else a helper needs, its
 * operator copies (operator.c). */
static bool lose_disk(struct sim *sim)
{
    const bool hub = sim_chance(sim, 500);
    struct sim_node *node = hub ? some_hub(sim) : some_device(sim);
    const uint64_t again_us = sim_between(sim, 100 * SIM_MS, 3 * SIM_S);
    if (!node->up || (hub && sim_leads_any(sim, node))) {
        return false;
    }
    if (hub) {
        sim_hub_kill(node, again_us);
        sim_disk_wipe(node->disk);
        sim_hub_set_up(node);
        node->new_disk = true;
        node->disks++;
        node->older = 0; /* nothing on it is older: it has nothing */
    } else {
        sim_device_kill(node, again_us);
        sim_disk_wipe(node->disk);
    }
    return true;
}

/* An operator's copy of data_dir, and a later day on which it is all that there is of it: the same
 * one also once more. */
static bool put_back(struct sim *sim)
{
    struct sim_node *node = some_hub(sim);
    unsigned before = 0;
    for (unsigned i = 0; i < sim->plan.hubs; i++) {
        before += sim_hub_node(sim, i)->put_back;
    }
    if (!node->up || node->older || !sim_hub_has_begun(node) || sim_is_malicious(node) ||
        before == sim->plan.put_back_max) {
        return false;
    }
    if (!sim_disk_has_copy(node->disk) || sim_chance(sim, 300)) {
        sim_note(sim, node, "its files are copied");
        sim_disk_back_up(node->disk);
        return false;
    }
    sim_hub_kill(node, sim_between(sim, 100 * SIM_MS, 3 * SIM_S));
    sim_disk_put_back(node->disk);
    sim_note(sim, node, "its files are those of the copy");
    sim_check_put_back(node);
    return true;
}

static bool happens(struct sim *sim, enum sim_fault fault)
{
    switch (fault) {
    case SIM_FAULT_HUB_KILL:
    case SIM_FAULT_HUB_POWER:
        return kill_hub(sim, fault == SIM_FAULT_HUB_POWER);
    case SIM_FAULT_HUB_STOP:
        return stop_hub(sim);
    case SIM_FAULT_HUB_KILL_AT:
        sim_disk_kill_at(some_hub(sim)->disk, (unsigned)sim_between(sim, 1, 12));
        return false;
    case SIM_FAULT_DEVICE_KILL:
    case SIM_FAULT_DEVICE_POWER:
        return kill_device(sim, fault == SIM_FAULT_DEVICE_POWER);
    case SIM_FAULT_PARTITION:
        return partition(sim);
    case SIM_FAULT_REBIND:
        sim_net_rebind(some_device(sim));
        return true;
    case SIM_FAULT_CLOCK:
        return jump_clock(sim);
    case SIM_FAULT_STALL:
        return stall(sim);
    case SIM_FAULT_LINK:
        sim_net_draw_link(some_device(sim));
        return true;
    case SIM_FAULT_DISK_FULL:
        return fill_disk(sim);
    case SIM_FAULT_DISK_WRITE:
        sim_disk_fail_write(somebody(sim)->disk);
        return false; /* counted when it strikes */
    case SIM_FAULT_DISK_SYNC:
        sim_disk_fail_sync(somebody(sim)->disk);
        return false;
    case SIM_FAULT_DISK_LOST:
        return lose_disk(sim);
    case SIM_FAULT_PUT_BACK:
        return put_back(sim);
    case SIM_FAULT_GIVEN_UP:
        some_hub(sim)->given_up++;
        return true;
    case SIM_FAULT_FORGED:
    case SIM_FAULT_REPLAY:
        sim_net_stranger(sim, fault == SIM_FAULT_REPLAY);
        return false;
    default:
        return false; /* happens to single messages and files */
    }
}

static void next(struct sim *sim);

static void strike(struct sim *sim, void *argument)
{
    (void)argument;
    if (sim->calm) {
        return;
    }
    const enum sim_fault fault = (enum sim_fault)sim_below(sim, SIM_FAULTS);
    if (sim->plan.allowed[fault] && happens(sim, fault)) {
        sim_note(sim, NULL, "fault: %s", labels[fault]);
        sim_count(sim, fault);
    }
    next(sim);
}

static void next(struct sim *sim)
{
    sim_at(sim, sim->now_us + 1 + sim_below(sim, 2 * sim->plan.fault_gap_us), NULL, strike, NULL);
}

void sim_faults_begin(struct sim *sim)
{
    next(sim);
}

void sim_faults_end(struct sim *sim)
{
    sim->calm = true;
    sim_note(sim, NULL, "nothing goes wrong from here on");
    sim_net_heal(sim);
    for (unsigned i = 0; i < SIM_NODES; i++) {
        struct sim_node *node = &sim->nodes[i];
        node->wall_us = 0;
        node->stalled_until_us = 0;
        if (node->disk) {
            sim_disk_repair(node->disk);
        }
    }
}
