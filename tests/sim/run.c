/* run.c - one seed from its plan to its end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "tests/sim/check.h"
#include "tests/sim/control.h"
#include "tests/sim/device.h"
#include "tests/sim/disk.h"
#include "tests/sim/engine.h"
#include "tests/sim/hub.h"
#include "tests/sim/net.h"
#include "base/assert.h"

static const char *const mutant_labels[] = {
#define SIM_MUTANT(name, label, sentence) label,
#include "tests/sim/mutants.def"
#undef SIM_MUTANT
};

static const char *const mutant_sentences[] = {
#define SIM_MUTANT(name, label, sentence) sentence,
#include "tests/sim/mutants.def"
#undef SIM_MUTANT
};

const char *sim_mutant_label(enum sim_mutant mutant)
{
    return mutant_labels[mutant];
}

const char *sim_mutant_sentence(enum sim_mutant mutant)
{
    return mutant_sentences[mutant];
}

/* --- the plan -------------------------------------------------------------------------------- */

/* A federation small enough for tens of milliseconds, and a handful of kinds of faults: a history
 * in which everything goes wrong at once shows less than one in which a few things do. */
static void draw_plan(struct sim *sim)
{
    static const unsigned losses[] = {0, 20, 100, 300};
    struct sim_plan *plan = &sim->plan;
    plan->hubs = 2 + (unsigned)(sim_chance(sim, 400) ? sim_below(sim, SIM_HUBS - 1) : 0);
    plan->devices = (unsigned)(sim_chance(sim, 100) ? sim_between(sim, 13, SIM_DEVICES)
                                                    : sim_between(sim, 2, 12));
    plan->cohort_min = (uint32_t)sim_between(sim, 2, 2 + (plan->devices - 2) / 2);
    plan->quorum = (uint32_t)sim_between(sim, plan->cohort_min, plan->devices);
    plan->dimension = 64u << sim_below(sim, 4);
    plan->ring_bits = (uint8_t)(16 + 8 * sim_below(sim, 3));
    plan->chunk_bytes = (uint16_t)(64 * sim_between(sim, 1, 3));
    plan->deadline_ms = (uint32_t)sim_between(sim, 3000, 9000) + 2000 * (plan->hubs - 2);
    plan->commit_interval_ms = (uint32_t)sim_between(sim, 20, 500);
    plan->peer_timeout_ms = (uint32_t)sim_between(sim, 1500, 6000);
    plan->idle_timeout_ms = (uint32_t)sim_between(sim, 800, 4000);
    plan->slots = (uint32_t)sim_between(sim, 2, 10);
    plan->workers = 1 + sim_chance(sim, 300);
    plan->faults_end_us = sim_between(sim, 10 * SIM_S, 30 * SIM_S);
    plan->fault_gap_us = sim_between(sim, 20 * SIM_MS, 400 * SIM_MS);
    for (unsigned i = 0; i < SIM_FAULTS; i++) {
        plan->allowed[i] = sim_chance(sim, 400);
    }
    /* In some a lead that is away counts as gone; a clock that jumps says so too early. */
    plan->lead_grace_ms =
        sim->options.seed % 4 == 0 && !plan->allowed[SIM_FAULT_CLOCK] ? 1500 : 86400000;
    plan->loss_max = losses[sim_below(sim, 4)];
    plan->duplicate_max = sim_chance(sim, 500) ? 100 : 0;
    plan->corrupt_max = sim_chance(sim, 500) ? 60 : 0;
    plan->break_max = sim_chance(sim, 500) ? 40 : 0;
    sim_note(sim, NULL,
             "%u hubs, %u devices, cohort %u, quorum %u, %u values of %u bits in chunks of %u",
             plan->hubs, plan->devices, plan->cohort_min, plan->quorum, plan->dimension,
             plan->ring_bits, plan->chunk_bytes);
}

/* --- the federation -------------------------------------------------------------------------- */

static void make_keys(struct sim *sim)
{
    for (unsigned i = 0; i < SIM_HUBS; i++) {
        struct sim_key *key = &sim->hub_keys[i];
        size_t length = sizeof key->open;
        memset(key->secret, (int)(0x31 + i), sizeof key->secret);
        EVP_PKEY *pair = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, key->secret, 32);
        MR_ASSERT(pair && EVP_PKEY_get_raw_public_key(pair, key->open, &length) == 1);
        EVP_PKEY_free(pair);
    }
}

static void make_nodes(struct sim *sim)
{
    for (unsigned i = 0; i < SIM_NODES; i++) {
        struct sim_node *node = &sim->nodes[i];
        const bool hub = i < SIM_HUBS;
        node->sim = sim;
        node->index = i;
        node->monotonic_us = sim_between(sim, SIM_S, 1000 * SIM_S);
        snprintf(node->name, sizeof node->name, "%c%u", hub ? 'h' : 'd', hub ? i : i - SIM_HUBS);
    }
}

static void calm_begins(struct sim *sim, void *argument)
{
    (void)argument;
    sim_faults_end(sim);
}

static void begin(struct sim *sim)
{
    sim_engine_open(sim);
    draw_plan(sim);
    make_keys(sim);
    make_nodes(sim);
    sim->files = sim_files_open();
    sim_check_new(sim);
    sim_net_new(sim);
    sim_hubs_new(sim);
    sim_devices_new(sim);
    for (unsigned i = 0; i < sim->plan.hubs; i++) {
        sim_hub_start(sim_hub_node(sim, i));
    }
    for (unsigned i = 0; i < sim->plan.devices; i++) {
        sim_device_start(sim_device_node(sim, i));
    }
    sim_operator_begin(sim);
    sim_faults_begin(sim);
    sim_at(sim, sim->plan.faults_end_us, NULL, calm_begins, NULL);
}

static void end(struct sim *sim)
{
    for (unsigned i = 0; i < sim->plan.devices; i++) {
        sim_device_kill(sim_device_node(sim, i), UINT64_MAX);
    }
    for (unsigned i = 0; i < sim->plan.hubs; i++) {
        sim_hub_kill(sim_hub_node(sim, i), UINT64_MAX);
    }
    sim_control_end(sim);
    sim_hubs_free(sim);
    sim_devices_free(sim);
    sim_net_free(sim->net);
    sim_check_free(sim);
    sim_files_close(sim->files);
    sim->files = NULL;
    sim_engine_close(sim);
}

void sim_run(const struct sim_options *options, struct sim_result *result)
{
    struct sim *sim = calloc(1, sizeof *sim);
    MR_ASSERT(sim);
    sim->options = *options;
    sim_activate(sim);
    begin(sim);
    while (!sim->over && sim_step(sim)) {
    }
    sim_check_end(sim);
    sim->result.totals.seeds = 1;
    sim->result.totals.failed = sim->result.failed;
    sim->result.totals.virtual_ms = sim->now_us / 1000;
    if (sim->result.failed && !options->mutant && !options->print) {
        sim_print_tail(sim, 40);
    }
    end(sim);
    *result = sim->result;
    sim_activate(NULL);
    free(sim);
}

void sim_totals_add(struct sim_totals *totals, const struct sim_totals *more)
{
    uint64_t *sums = (uint64_t *)totals;
    const uint64_t *terms = (const uint64_t *)more;
    _Static_assert(sizeof *totals % sizeof *sums == 0, "counts only");
    for (size_t i = 0; i < sizeof *totals / sizeof *sums; i++) {
        sums[i] += terms[i];
    }
}
