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
#include "tests/sim/operator.h"
#include "tests/sim/plan.h"
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
    sim_plan_draw(sim);
    make_keys(sim);
    make_nodes(sim);
    sim->files = sim_files_open();
    sim_check_new(sim);
    sim_net_new(sim);
    sim_hubs_new(sim);
    sim_check_begin(sim);
    sim_devices_new(sim);
    for (unsigned i = 0; i < sim->plan.hubs; i++) {
        sim_hub_start(sim_hub_node(sim, i));
    }
    for (unsigned i = 0; i < sim->plan.devices; i++) {
        sim_device_start(sim_device_node(sim, i));
    }
    sim_operators_begin(sim);
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
    sim_check_transcripts(sim);
    sim_check_parts_on_disks(sim);
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
