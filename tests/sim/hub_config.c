/* hub_config.c - a hub's configuration from the plan: the tasks that it serves, as each side of
 * them has to have it. */
#include "tests/sim/hub_config.h"

#include <stdio.h>
#include <string.h>

#include "tests/sim/control.h"
#include "tests/sim/device.h"
#include "tests/sim/marks.h"
#include "tests/sim/net.h"
#include "tests/sim/plan.h"

static char none[] = "", automatic[] = "auto", momentum[] = "fedavgm";
static char bits_8[] = "8", bits_4[] = "4";

static void list_hubs(const struct sim *sim, struct sim_hub_config *made)
{
    for (unsigned i = 0; i < sim->plan.hubs; i++) {
        snprintf(made->names[i], sizeof made->names[i], "hub-%u", i);
        snprintf(made->hosts[i], sizeof made->hosts[i], SIM_HOST, i + 1);
        made->hubs[i] = (struct mr_config_hub){.index = (uint16_t)(SIM_HUB_INDEX + i),
                                               .name = made->names[i],
                                               .host = made->hosts[i],
                                               .port = 1,
                                               .public_key_file = none};
    }
    made->config.hubs = made->hubs;
    made->config.hubs_count = sim->plan.hubs;
}

static struct mr_config_round policy(const struct sim *sim, const struct sim_task *task)
{
    const struct sim_plan *plan = &sim->plan;
    const bool careless = sim->options.mutant == SIM_MUTANT_COHORT_IGNORED;
    return (struct mr_config_round){
        .cohort_min = careless ? 2 : task->cohort_min,
        .cohort_max = task->cohort_max,
        .admitted_max = task->admitted_max,
        .draw_ms = task->draw_ms,
        .quorum = task->quorum,
        .deadline_ms = task->deadline_ms,
        .ring_bits = task->ring_bits,
        .headroom = 4,
        .chunk_bytes = task->chunk_bytes,
        .weight_max = 1,
        .scale = 1.0f,
        .clip_norm = SIM_CLIP_NORM,
        .step_max = 1e6f, /* one-hot vectors jump as no training does */
        .server_optimiser = task->momentum ? momentum : NULL,
        .server_learning_rate = 1.0f,
        .server_beta1 = SIM_MOMENTUM,
        .requantise = task->requantise == 8   ? bits_8
                      : task->requantise == 4 ? bits_4
                                              : NULL,
        .training = none,
        .commit_interval_ms = plan->commit_interval_ms,
        .peer_timeout_ms = plan->peer_timeout_ms,
        .lead_grace_ms = plan->lead_grace_ms,
        /* Honest hubs keep and prove what they count, whatever crashes. */
        .audit_hours = !sim->options.malicious && sim->options.seed % 2 ? 1 : 0,
    };
}

/* Among honest hubs everything that goes wrong may void any number of drawn rounds. */
static struct mr_config_accept accepted(const struct sim *sim)
{
    const bool counts = sim->options.malicious && sim->options.mutant != SIM_MUTANT_DRAWN_AGAIN;
    return (struct mr_config_accept){.share_percent = SIM_SHARE_PERCENT,
                                     .passed_over_percent = SIM_PASSED_OVER_PERCENT,
                                     .draw_voids = counts ? SIM_DRAW_VOIDS : 0};
}

static void add_task(const struct sim *sim, struct sim_hub_config *made,
                     const struct sim_node *node, const struct sim_task *task)
{
    const unsigned entry = made->config.tasks_count++;
    struct sim_config_task *own = &made->own[entry];
    snprintf(own->name, sizeof own->name, "%s", task->name);
    snprintf(own->initial, sizeof own->initial, "/sim/%s/initial-%s", node->name, task->name);
    for (unsigned i = 0; i < task->hubs_count; i++) {
        own->hubs[i] = (uint16_t)(SIM_HUB_INDEX + task->hubs[i]);
    }
    if (task->marked) {
        snprintf(own->mark_key, sizeof own->mark_key, "/sim/%s/" SIM_MARK_KEY, node->name,
                 task->name);
        sim_marks_hashes(task, own->mark_hashes, sizeof own->mark_hashes);
    }
    made->tasks[entry] = (struct mr_config_task){.name = own->name,
                                                 .hubs = own->hubs,
                                                 .hubs_count = task->hubs_count,
                                                 .initial_model_file = own->initial,
                                                 .round = policy(sim, task),
                                                 .accept = accepted(sim),
                                                 /* The harshest that leaves the records, which
                                                  * the checks read at the end. */
                                                 .keep = {.models = 1, .sums = 1},
                                                 .watermark = {.key_file = own->mark_key,
                                                               .part_hashes = own->mark_hashes,
                                                               .strength = SIM_MARK_STRENGTH}};
}

void sim_hub_configure(const struct sim *sim, struct sim_hub_config *made,
                       const struct sim_node *node)
{
    const struct sim_plan *plan = &sim->plan;
    snprintf(made->data_dir, sizeof made->data_dir, "/sim/%s", node->name);
    made->config = (struct mr_hub_config){
        .data_dir = made->data_dir,
        .identity = {.index = (uint16_t)(SIM_HUB_INDEX + node->index),
                     .revocation_file = none,
                     .generation_file = none,
                     .tpm = none,
                     .signing_key_file = none,
                     .ca_file = none,
                     .certificate_file = none,
                     .private_key_file = none},
        .control = {.listen_host = made->hosts[node->index]},
        .upload = {.source = automatic,
                   .listen_host = made->hosts[node->index],
                   .advertise_host = made->hosts[node->index],
                   .workers = plan->workers,
                   .worker_cpus = none,
                   .dpdk_device = none,
                   .dpdk_addresses = none,
                   .dpdk_exception = none,
                   .dpdk_eal = none,
                   .slots_per_worker = plan->slots,
                   .share_bytes_max = plan->share_bytes_max,
                   .receive_buffer_bytes = 65536,
                   .window_max = 8,
                   .window_total = 64,
                   .idle_timeout_ms = plan->idle_timeout_ms},
        .tasks = made->tasks,
    };
    list_hubs(sim, made);
    for (unsigned i = 0; i < plan->tasks_count; i++) {
        if (sim_task_serves(&plan->tasks[i], node)) {
            add_task(sim, made, node, &plan->tasks[i]);
        }
    }
}
